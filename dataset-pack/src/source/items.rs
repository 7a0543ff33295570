//! A long list of images in little memory: 14 million of them take less than a gigabyte.

use crate::error::Error;

/// What label an item has that has none.
pub(crate) const NO_LABEL: u32 = u32::MAX;

/// The most bytes that an item can have; one more stands for all longer ones.
pub(crate) const MAX_ITEM_BYTES: u64 = u32::MAX as u64 - 1;

/// Where the bytes of an image are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// In a file of its own, called as the item is.
    File,
    /// In a part of the container of this number, from this offset on.
    Within(u32, u64),
    /// Nowhere: it is known already that it cannot be packed, for the reason of this number.
    Nowhere(u32),
}

/// An image to be packed, as the list gives it out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Item<'a> {
    /// With its final `/`, or empty.
    pub(crate) folder: &'a str,
    /// Without the folder.
    pub(crate) name: &'a str,
    pub(crate) label: u32,
    pub(crate) place: Place,
    /// Length in bytes.
    pub(crate) bytes: u32,
}

impl Item<'_> {
    /// The path within the source, with `/` between its parts.
    pub(crate) fn source(&self) -> String {
        [self.folder, self.name].concat()
    }
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    offset: u64,
    name: u32,
    container: u32,
    bytes: u32,
    label: u32,
    folder: u32,
    name_bytes: u16,
}

const FILE: u32 = u32::MAX;
const NOWHERE: u32 = u32::MAX - 1;

/// The list.
#[derive(Debug, Default)]
pub(crate) struct Items {
    entries: Vec<Entry>,
    names: String,
    folders: Vec<String>,
    reasons: Vec<String>,
}

impl Items {
    /// The number of a folder: `path` is empty or ends in `/`. Files of one folder are expected
    /// one after the other; a folder met again may get a second number.
    pub(crate) fn folder(&mut self, path: &str) -> u32 {
        if self.folders.last().is_none_or(|last| last != path) {
            self.folders.push(path.into());
        }
        self.folders.len() as u32 - 1
    }

    pub(crate) fn push(
        &mut self,
        folder: u32,
        name: &str,
        place: Place,
        bytes: u64,
        label: u32,
    ) -> Result<(), Error> {
        let too_long = || Error::input(name.as_ref(), "the list of images is too long");
        let start = u32::try_from(self.names.len()).map_err(|_| too_long())?;
        let (container, offset) = match place {
            Place::File => (FILE, 0),
            Place::Within(container, offset) => (container, offset),
            Place::Nowhere(reason) => (NOWHERE, u64::from(reason)),
        };
        self.names.push_str(name);
        self.entries.push(Entry {
            offset,
            name: start,
            container,
            // What is too long for an image is told of when it is read.
            bytes: bytes.min(MAX_ITEM_BYTES + 1) as u32,
            label,
            folder,
            name_bytes: u16::try_from(name.len()).map_err(|_| {
                let cause = "its name is longer than 65535 bytes";
                Error::input(name.chars().take(60).collect::<String>().as_ref(), cause)
            })?,
        });
        Ok(())
    }

    /// Adds an image that is known already not to be one that can be packed.
    pub(crate) fn push_bad(&mut self, source: &str, reason: &str) -> Result<(), Error> {
        self.push_bad_in(split(source), reason)
    }

    /// Likewise, for one whose path leads through no folder of the source.
    pub(crate) fn push_outside(&mut self, source: &str, reason: &str) -> Result<(), Error> {
        self.push_bad_in(("", source), reason)
    }

    fn push_bad_in(&mut self, (folder, name): (&str, &str), reason: &str) -> Result<(), Error> {
        let reason = self.reason(reason);
        let folder = self.folder(folder);
        self.push(folder, name, Place::Nowhere(reason), 0, NO_LABEL)
    }

    fn reason(&mut self, reason: &str) -> u32 {
        if self.reasons.last().is_none_or(|last| last != reason) {
            self.reasons.push(reason.into());
        }
        self.reasons.len() as u32 - 1
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(crate) fn get(&self, index: usize) -> Item<'_> {
        let entry = &self.entries[index];
        let start = entry.name as usize;
        Item {
            folder: &self.folders[entry.folder as usize],
            name: &self.names[start..start + usize::from(entry.name_bytes)],
            label: entry.label,
            place: match entry.container {
                FILE => Place::File,
                NOWHERE => Place::Nowhere(entry.offset as u32),
                container => Place::Within(container, entry.offset),
            },
            bytes: entry.bytes,
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = Item<'_>> {
        (0..self.len()).map(|index| self.get(index))
    }

    /// Gives each image the label that `of` finds, or the reason why there is none. Images that
    /// cannot be packed anyway are passed over.
    pub(crate) fn label(&mut self, mut of: impl FnMut(usize, Item<'_>) -> Result<u32, String>) {
        for index in 0..self.len() {
            let item = self.get(index);
            if matches!(item.place, Place::Nowhere(_)) {
                continue;
            }
            match of(index, item) {
                Ok(label) => self.entries[index].label = label,
                Err(reason) => {
                    let reason = u64::from(self.reason(&reason));
                    let entry = &mut self.entries[index];
                    (entry.container, entry.offset) = (NOWHERE, reason);
                }
            }
        }
    }

    /// Takes the first folder off all paths if it is the same for all and there is one below it.
    /// Returns it, with its `/`.
    pub(crate) fn strip_common_folder(&mut self) -> Option<String> {
        let first = |path: &str| path.find('/').map(|at| path[..=at].to_string());
        let common = self.folders.first().and_then(|path| first(path))?;
        let below = |path: &String| path.strip_prefix(&common).is_some_and(|p| !p.is_empty());
        let strip = self.folders.iter().all(below);
        if strip {
            let cut = |path: &mut String| drop(path.drain(..common.len()));
            self.folders.iter_mut().for_each(cut);
        }
        strip.then_some(common)
    }

    /// The folders of all images, some of them perhaps twice.
    pub(crate) fn folders(&self) -> &[String] {
        &self.folders
    }

    /// The words for the number in [`Place::Nowhere`].
    pub(crate) fn why(&self, reason: u32) -> &str {
        &self.reasons[reason as usize]
    }
}

/// A path's folder, with its final `/`, and the name in it.
pub(crate) fn split(path: &str) -> (&str, &str) {
    path.split_at(path.rfind('/').map_or(0, |at| at + 1))
}
