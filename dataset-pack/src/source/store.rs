//! Reads the bytes of an image, wherever they are.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use crate::error::Error;
use crate::items::{Item, Place};

/// Images of more bytes than this are not read.
pub(crate) const MAX_FILE_BYTES: u64 = 1 << 28;

/// A file with many images in it.
#[derive(Debug)]
pub(crate) struct Container {
    pub(crate) path: PathBuf,
    /// Its images are not encoded: a plane each of R, G and B.
    pub(crate) planes: bool,
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
    /// There are none to be had, for this reason.
    Unusable(String),
}

impl Store {
    /// Reads an image. An error is one of the source as a whole: what was there when it was
    /// looked through is there no more. Going on would leave a gap.
    pub(crate) fn read(
        &self,
        item: Item<'_>,
        why: impl Fn(u32) -> String,
    ) -> Result<Content, Error> {
        if u64::from(item.bytes) > MAX_FILE_BYTES {
            let limit = MAX_FILE_BYTES >> 20;
            return Ok(Content::Unusable(format!(
                "the file is larger than {limit} MiB"
            )));
        }
        match item.place {
            Place::Nowhere(reason) => Ok(Content::Unusable(why(reason))),
            Place::File => self.read_file(item).map(Content::Encoded),
            Place::Within(container, offset) => {
                let Container { path, planes } = &self.containers[container as usize];
                let file = File::open(path).map_err(Error::io(path, "read"))?;
                let mut bytes = vec![0; item.bytes as usize];
                file.read_exact_at(&mut bytes, offset)
                    .map_err(Error::io(path, "read"))?;
                Ok(if *planes {
                    Content::Planes(bytes)
                } else {
                    Content::Encoded(bytes)
                })
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
