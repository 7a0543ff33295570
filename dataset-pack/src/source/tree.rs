//! Images in folders and in archives, as one tree: an archive is a folder by another name.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::{File, Metadata};
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path};

use console::escaped;
use walkdir::{DirEntry, WalkDir};

use super::archive::{self, Member, What, readable};
use super::items::{Items, NO_LABEL, Place, split};
use super::store::{Container, Form, Store};
use super::{beside, compressed, litter};
use crate::error::Error;
use crate::pixels::decode::{self, unread};

/// What was found.
pub(crate) struct Tree {
    pub(crate) kind: Kind,
    pub(crate) items: Items,
    pub(crate) store: Store,
    pub(crate) skipped: u64,
    pub(crate) warnings: Vec<String>,
    /// Files beside images that may hold their labels.
    pub(crate) beside: Items,
    /// All folders, those without images too.
    pub(crate) folders: BTreeSet<String>,
    /// Folders of files that are no images.
    pub(crate) other_files: BTreeSet<String>,
    /// Files in folders that are passed over, by the folder's name.
    litter: BTreeMap<String, u64>,
    /// One of the files that are no images, at best an archive.
    first_other: Option<String>,
    /// Links within archives: their path, and the path of what they lead to.
    links: Vec<(String, Option<String>)>,
    /// Compressed archives at the top.
    compressed: Option<String>,
    /// Only what is below this folder counts.
    within: Option<String>,
    /// Folders around all that were taken off the paths, each with its `/`.
    pub(crate) stripped: String,
}

/// Of what a tree is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Folders,
    FoldersAndArchives,
    Archive,
}

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Kind::Folders => "class folders",
            Kind::FoldersAndArchives => "class folders and archives",
            Kind::Archive => "a tar archive",
        }
    }
}

/// Walks a folder, archives in it included, but not the folder `out`, which may lie in it.
pub(crate) fn walk(root: &Path, out: Option<&Path>) -> Result<Tree, Error> {
    let mut tree = Tree::new(root, Kind::Folders);
    let out = out.and_then(|out| std::fs::metadata(out).ok());
    let is_out = |meta: &Metadata| {
        let out = out.as_ref();
        out.is_some_and(|out| (out.dev(), out.ino()) == (meta.dev(), meta.ino()))
    };
    let mut entries = WalkDir::new(root)
        .min_depth(1)
        .follow_links(true)
        .into_iter();
    while let Some(entry) = entries.next() {
        let entry = match entry {
            Ok(entry) => entry,
            Err(error) => {
                tree.unreadable(error)?;
                continue;
            }
        };
        let kind = entry.file_type();
        let source = below(root, entry.path());
        if kind.is_dir() {
            if out.is_some() && entry.metadata().is_ok_and(|meta| is_out(&meta)) {
                entries.skip_current_dir();
                // Nor is what was made only to hold it an empty class.
                tree.other_files.insert(split(&source).0.into());
                continue;
            }
            if litter::folder_in(&format!("{source}/")).is_none() {
                tree.warn_of_alias(&source, &entry);
                tree.folders.insert(source);
            }
        } else if kind.is_file() {
            let length = entry.metadata().map_err(|e| walk_error(root, e))?.len();
            tree.file(entry.path(), &source, length)?;
        } else if decode::is_named_like_an_image(split(&source).1) {
            // Devices and pipes are never opened: reading one may wait for ever.
            let cause = "a device, a pipe or a socket, not a file";
            tree.items.push_bad(&source, cause)?;
        } else {
            tree.skip(&source, None);
        }
    }
    tree.finish()?;
    Ok(tree)
}

/// Looks through one archive, or what is in it below a folder.
pub(crate) fn of_archive(path: &Path, within: Option<String>) -> Result<Tree, Error> {
    let mut tree = Tree::new(path, Kind::Archive);
    tree.within = within;
    tree.archive(path, "")?;
    tree.finish()?;
    Ok(tree)
}

impl Tree {
    fn new(root: &Path, kind: Kind) -> Tree {
        Tree {
            kind,
            items: Items::default(),
            store: Store {
                root: root.to_path_buf(),
                containers: Vec::new(),
            },
            skipped: 0,
            warnings: Vec::new(),
            beside: Items::default(),
            folders: BTreeSet::new(),
            other_files: BTreeSet::new(),
            litter: BTreeMap::new(),
            first_other: None,
            links: Vec::new(),
            compressed: None,
            within: None,
            stripped: String::new(),
        }
    }

    fn file(&mut self, path: &Path, source: &str, length: u64) -> Result<(), Error> {
        if let Some(folder) = litter::folder_in(source) {
            return self.pass_over(folder);
        }
        let name = split(source).1;
        let start = if decode::is_named_like_an_image(name) && !litter::may_be_apples(name) {
            None
        } else {
            let start = read_start(path)?;
            let folder = archive::folder_name(source);
            let empty = folder != source && archive::starts_like_empty_tar(&start);
            if archive::starts_like_tar(&start) || empty {
                self.kind = Kind::FoldersAndArchives;
                self.folders.insert(folder.into());
                return self.archive(path, &format!("{folder}/"));
            }
            Some(start)
        };
        let place = match path.to_str() {
            Some(_) => Place::File,
            // Its path within the source is not that on the disk.
            None => Place::Within(self.container(path), 0),
        };
        self.found(source, place, length, start.as_deref())
    }

    fn container(&mut self, path: &Path) -> u32 {
        self.store.containers.push(Container {
            path: path.to_path_buf(),
            form: Form::Encoded,
            unpacked: None,
        });
        self.store.containers.len() as u32 - 1
    }

    /// Judges a file by its name and its first bytes; without those, by its name alone.
    fn found(
        &mut self,
        source: &str,
        place: Place,
        length: u64,
        start: Option<&[u8]>,
    ) -> Result<(), Error> {
        let (folder, name) = split(source);
        let bytes = start.unwrap_or_default();
        if start.is_some() && litter::is_file(name, bytes) {
            self.skipped += 1;
        } else if decode::is_named_like_an_image(name)
            || decode::is_image(bytes) && !unread::is_raw(name)
        {
            let folder = self.items.folder(folder);
            self.items.push(folder, name, place, length, NO_LABEL)?;
        } else if let Some(kind) = unread::by_content(bytes).or_else(|| unread::by_name(name)) {
            let reason = decode::Rejection::Unread(kind).to_string();
            self.items.push_bad(source, &reason)?;
        } else {
            if beside::is_beside(name) {
                let folder = self.beside.folder(folder);
                self.beside.push(folder, name, place, length, NO_LABEL)?;
            }
            self.skip(source, start);
        }
        Ok(())
    }

    /// Counts a file that is no image; one that may well hold images is worth a warning.
    fn skip(&mut self, source: &str, start: Option<&[u8]>) {
        self.skipped += 1;
        self.first_other.get_or_insert_with(|| source.into());
        let (folder, name) = split(source);
        if !self.other_files.contains(folder) {
            self.other_files.insert(folder.into());
        }
        let compressed = start.and_then(compressed::by_content);
        let tar = name.to_lowercase().ends_with(".tar");
        let tar = tar.then(|| "not a whole tar archive".into());
        if let Some(what) = compressed.or_else(|| compressed::by_name(name)).or(tar) {
            let end = name.to_lowercase();
            let of_tar = [".tgz", ".tbz", ".tbz2", ".txz", ".tzst"];
            let is_tar = end.contains(".tar") || of_tar.iter().any(|of| end.ends_with(of));
            if folder.is_empty() && is_tar {
                self.compressed
                    .get_or_insert_with(|| format!("{source}: {what}"));
            }
            if self.warnings.is_empty() {
                self.first_other = Some(format!("{source}: {what}"));
            }
            self.warnings
                .push(format!("{source}: not looked into: {what}"));
        }
    }

    fn pass_over(&mut self, folder: &str) -> Result<(), Error> {
        self.skipped += 1;
        *self.litter.entry(folder.into()).or_default() += 1;
        Ok(())
    }

    fn archive(&mut self, path: &Path, prefix: &str) -> Result<(), Error> {
        let number = self.container(path);
        archive::visit(path, prefix, &mut |member| self.member(number, &member))
    }

    fn member(&mut self, container: u32, member: &Member<'_>) -> Result<(), Error> {
        let source = match &self.within {
            None => member.path,
            Some(within) => match member.path.strip_prefix(within.as_str()) {
                Some(below) if below.starts_with('/') => &below[1..],
                _ => return Ok(()),
            },
        };
        match &member.what {
            What::Folder => {
                if litter::folder_in(&format!("{source}/")).is_none() {
                    self.folders.insert(source.into());
                }
            }
            What::Behind(bytes) => self.warnings.push(format!(
                "{}: {bytes} bytes behind the archive's end are not looked into",
                escaped(&self.store.containers[container as usize].path)
            )),
            _ if litter::folder_in(source).is_some() => {
                self.pass_over(litter::folder_in(source).unwrap_or_default())?;
            }
            What::Link(target) => self.links.push((source.into(), target.clone())),
            What::Lost(reason) if looks_like_an_image(source) => {
                self.items.push_bad(source, reason)?;
            }
            // Else what is before its first slash would be a class.
            What::Outside if looks_like_an_image(source) => {
                let reason = "its path in the archive leads out of it";
                self.items.push_outside(source, reason)?;
            }
            What::Lost(_) | What::Outside => self.skip(source, None),
            &What::File {
                offset,
                bytes,
                start,
            } => {
                let place = Place::Within(container, offset);
                self.found(source, place, bytes, Some(start))?;
            }
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<(), Error> {
        self.follow_links()?;
        for (folder, files) in std::mem::take(&mut self.litter) {
            let files = if files == 1 {
                "a file".into()
            } else {
                format!("{files} files")
            };
            let cause = "which a system or a program has made";
            self.warnings
                .push(format!("passed over {files} in {folder:?}, {cause}"));
        }
        match &self.compressed {
            // What is compressed would be missing among the classes, and all later ones shift.
            Some(archive) if self.kind == Kind::FoldersAndArchives => {
                let cause = format!("{archive}; other classes are tar archives");
                Err(Error::input(&self.store.root, cause))
            }
            _ => Ok(()),
        }
    }

    /// Gives links within archives the bytes of what they lead to.
    fn follow_links(&mut self) -> Result<(), Error> {
        let links = std::mem::take(&mut self.links);
        let targets = links.iter().filter_map(|(_, target)| target.as_deref());
        let mut places: HashMap<&str, Option<(Place, u64)>> = targets.map(|t| (t, None)).collect();
        if !places.is_empty() {
            for item in self.items.iter().chain(self.beside.iter()) {
                if let Some(place) = places.get_mut(item.source().as_str()) {
                    *place = Some((item.place, item.bytes.into()));
                }
            }
        }
        for (source, target) in &links {
            let place = target.as_deref().and_then(|target| places[target]);
            let (folder, name) = split(source);
            if let Some((place, bytes)) = place {
                if beside::is_beside(name) {
                    self.skipped += 1;
                    let folder = self.beside.folder(folder);
                    self.beside.push(folder, name, place, bytes, NO_LABEL)?;
                } else {
                    let folder = self.items.folder(folder);
                    self.items.push(folder, name, place, bytes, NO_LABEL)?;
                }
            } else if looks_like_an_image(source) {
                let reason = "a link in an archive to what is no image in it";
                self.items.push_bad(source, reason)?;
            } else {
                self.skip(source, None);
                let is_folder = target.as_ref().is_some_and(|t| self.folders.contains(t));
                if is_folder {
                    let cause = "a link to a folder in an archive, not followed";
                    self.warnings.push(format!("{source}: {cause}"));
                }
            }
        }
        Ok(())
    }

    /// A link to another folder of the source shows its images twice, mostly as two classes.
    fn warn_of_alias(&mut self, source: &str, entry: &DirEntry) {
        let root = &self.store.root;
        let inside = || {
            Some(
                entry
                    .path()
                    .canonicalize()
                    .ok()?
                    .starts_with(root.canonicalize().ok()?),
            )
        };
        if entry.path_is_symlink() && inside() == Some(true) {
            let cause = "a link to another folder of the source, whose images are there twice";
            self.warnings.push(format!("{source}: {cause}"));
        }
    }

    /// What there is, if there are no images.
    pub(crate) fn no_images(&self) -> String {
        let other = self.first_other.as_ref();
        let other = other.map_or(String::new(), |name| format!(", such as {name}"));
        let skipped = self.skipped;
        format!("no images in class folders ({skipped} other files{other})")
    }

    /// In an archive of `train/CLASS/IMAGE`, `train` is no class.
    pub(crate) fn strip_common_folders(&mut self) {
        if self.kind != Kind::Archive {
            return;
        }
        while let Some(common) = self.items.strip_common_folder() {
            let strip = |paths: &BTreeSet<String>| {
                let below = |path: &String| path.strip_prefix(&common).map(Into::into);
                paths.iter().filter_map(below).collect()
            };
            self.stripped.push_str(&common);
            (self.folders, self.other_files) = (strip(&self.folders), strip(&self.other_files));
        }
    }

    /// A link that leads nowhere is a bad image or a file to skip; any other error ends the walk,
    /// since a folder that cannot be read would be a silent gap.
    fn unreadable(&mut self, error: walkdir::Error) -> Result<(), Error> {
        let root = &self.store.root;
        let path = error.path().unwrap_or(root).to_path_buf();
        let source = below(root, &path);
        if litter::folder_in(&format!("{source}/")).is_some() {
            return Ok(());
        }
        if let Some(ancestor) = error.loop_ancestor() {
            let cause = format!("a link back to {}", escaped(ancestor));
            return Err(Error::input(&path, cause));
        }
        if path.is_symlink() && !path.exists() {
            if looks_like_an_image(&source) {
                let reason = "a link to a file that does not exist";
                return self.items.push_bad(&source, reason);
            }
            self.skip(&source, None);
            return Ok(());
        }
        Err(walk_error(root, error))
    }
}

fn walk_error(root: &Path, error: walkdir::Error) -> Error {
    let path = error.path().unwrap_or(root).to_path_buf();
    let cause = error
        .into_io_error()
        .unwrap_or_else(|| std::io::ErrorKind::Other.into());
    Error::io(&path, "read")(cause)
}

/// The path below `root` as text.
fn below(root: &Path, path: &Path) -> String {
    let below = path.strip_prefix(root).unwrap_or(path);
    let parts = below.components().filter_map(|part| match part {
        Component::Normal(part) => Some(readable(part.as_bytes())),
        _ => None,
    });
    parts.collect::<Vec<_>>().join("/")
}

fn looks_like_an_image(source: &str) -> bool {
    let name = split(source).1;
    decode::is_named_like_an_image(name) || unread::by_name(name).is_some()
}

/// The first bytes of a file.
pub(super) fn read_start(path: &Path) -> Result<Vec<u8>, Error> {
    let mut start = Vec::new();
    let file = File::open(path).map_err(Error::io(path, "read"))?;
    file.take(512)
        .read_to_end(&mut start)
        .map_err(Error::io(path, "read"))?;
    Ok(start)
}
