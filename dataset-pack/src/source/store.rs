//! Reads the bytes of an image, wherever they are.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use super::items::{Item, MAX_ITEM_BYTES, Place};
use crate::error::Error;
use crate::pixels::memory::{Memory, Share};

/// A file with many images in it.
#[derive(Debug)]
pub(crate) struct Container {
    pub(crate) path: PathBuf,
    pub(crate) form: Form,
    /// What is in it, if it is compressed and was read whole.
    pub(crate) unpacked: Option<Vec<u8>>,
}

/// In what form a container's images are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// Files of their own type.
    Encoded,
    /// Square planes, one each of R, G and B.
    Planes,
    /// Rows of grey pixels.
    Grey { width: u32, height: u32 },
}

/// Where a source's images are.
#[derive(Debug)]
pub(crate) struct Store {
    /// What the paths of files are relative to.
    pub(crate) root: PathBuf,
    pub(crate) containers: Vec<Container>,
}

/// The bytes of an image.
pub(crate) enum Content {
    /// As they are in a file.
    Encoded(Vec<u8>),
    /// Three square planes, R, G and B.
    Planes(Vec<u8>),
    /// Rows from the top, a byte a pixel.
    Grey {
        width: u32,
        height: u32,
        pixels: Vec<u8>,
    },
    /// There are none to be had, for this reason.
    Unusable(String),
}

impl Store {
    /// Reads an image, when there is room for its bytes. An error is one of the source as a whole:
    /// what was there when it was looked through is there no more. Going on would leave a gap.
    pub(crate) fn read<'a>(
        &self,
        item: Item<'_>,
        memory: &'a Memory,
        why: impl Fn(u32) -> String,
    ) -> Result<(Content, Share<'a>), Error> {
        let limit = memory.max_file_bytes().min(MAX_ITEM_BYTES);
        if u64::from(item.bytes) > limit {
            let cause = format!("the file is longer than {limit} bytes");
            return Ok((Content::Unusable(cause), memory.files.take(0)));
        }
        let share = memory.files.take(item.bytes.into());
        let content = match item.place {
            Place::Nowhere(reason) => Content::Unusable(why(reason)),
            Place::File => Content::Encoded(self.read_file(item)?),
            Place::Within(container, offset) => {
                let container = &self.containers[container as usize];
                let bytes = container.read(offset, item.bytes)?;
                match container.form {
                    Form::Encoded => Content::Encoded(bytes),
                    Form::Planes => Content::Planes(bytes),
                    Form::Grey { width, height } => Content::Grey {
                        width,
                        height,
                        pixels: bytes,
                    },
                }
            }
        };
        Ok((content, share))
    }

    /// Reads a file that is no image and is expected to be short.
    pub(crate) fn read_small(&self, item: Item<'_>, limit: u32) -> Result<Vec<u8>, Error> {
        if item.bytes > limit {
            let cause = format!("{} is longer than {limit} bytes", item.source());
            return Err(Error::input(&self.root, cause));
        }
        match item.place {
            Place::Nowhere(_) => Ok(Vec::new()),
            Place::File => self.read_file(item),
            Place::Within(container, offset) => {
                self.containers[container as usize].read(offset, item.bytes)
            }
        }
    }

    fn read_file(&self, item: Item<'_>) -> Result<Vec<u8>, Error> {
        let path = self.root.join(item.source());
        let file = File::open(&path).map_err(Error::io(&path, "read"))?;
        let mut bytes = Vec::with_capacity(item.bytes as usize);
        // One byte more than expected tells a file that has grown.
        file.take(u64::from(item.bytes) + 1)
            .read_to_end(&mut bytes)
            .map_err(Error::io(&path, "read"))?;
        if bytes.len() != item.bytes as usize {
            let cause = "its length has changed since the source was looked through";
            return Err(Error::input(&path, cause));
        }
        Ok(bytes)
    }
}

impl Container {
    fn read(&self, offset: u64, length: u32) -> Result<Vec<u8>, Error> {
        if let Some(unpacked) = &self.unpacked {
            // Places were made of what is there.
            return Ok(unpacked[offset as usize..][..length as usize].to_vec());
        }
        let path = &self.path;
        let file = File::open(path).map_err(Error::io(path, "read"))?;
        let mut bytes = vec![0; length as usize];
        file.read_exact_at(&mut bytes, offset)
            .map_err(Error::io(path, "read"))?;
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_file_is_read_where_there_is_room_and_not_if_there_never_is() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let root = dir.path().to_path_buf();
        fs::write(root.join("short.jpg"), [1; 100]).expect("writes");
        let containers = Vec::new();
        let (store, memory) = (Store { root, containers }, Memory::new(0));
        let (folder, label, place) = ("", 0, Place::File);
        let read = |name: &'static str, bytes: u64| {
            let bytes = bytes.try_into().expect("an item's length");
            let item = Item {
                folder,
                name,
                label,
                place,
                bytes,
            };
            store.read(item, &memory, |_| String::new()).expect("reads")
        };
        let all = memory.files.left();
        let (content, share) = read("short.jpg", 100);
        assert!(matches!(content, Content::Encoded(bytes) if bytes == [1; 100]));
        assert_eq!(memory.files.left(), all - 100);
        drop(share);
        assert_eq!(memory.files.left(), all);
        for long in [memory.max_file_bytes() + 1, MAX_ITEM_BYTES + 1] {
            let (content, _share) = read("long.jpg", long);
            assert!(matches!(content, Content::Unusable(why) if why.contains("longer than")));
            assert_eq!(memory.files.left(), all);
        }
    }
}
