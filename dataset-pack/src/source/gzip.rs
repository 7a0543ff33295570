//! Files that may be gzipped, and are small enough to be unpacked in memory.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;

use flate2::read::MultiGzDecoder;

use crate::error::Error;

/// Whether these are the first bytes of a gzip file.
fn starts_like_gzip(start: &[u8]) -> bool {
    start.starts_with(b"\x1f\x8b")
}

/// What is in a file: its bytes, or what they are once unpacked.
pub(crate) struct Content {
    reader: Box<dyn Read>,
    pub(crate) is_packed: bool,
}

impl Content {
    pub(crate) fn open(path: &Path) -> Result<Content, Error> {
        let start = start(path).map_err(Error::io(path, "read"))?;
        let file = File::open(path).map_err(Error::io(path, "read"))?;
        let is_packed = starts_like_gzip(&start);
        let file = BufReader::new(file);
        let reader: Box<dyn Read> = if is_packed {
            Box::new(MultiGzDecoder::new(file))
        } else {
            Box::new(file)
        };
        Ok(Content { reader, is_packed })
    }

    /// The next bytes, `limit` of them or all that are left.
    pub(crate) fn take(&mut self, limit: u64, path: &Path) -> Result<Vec<u8>, Error> {
        let mut bytes = Vec::new();
        match self.take_into(limit, &mut bytes) {
            Ok(()) => Ok(bytes),
            Err(cause) if self.is_packed => Err(damaged(path, &cause)),
            Err(cause) => Err(Error::io(path, "read")(cause)),
        }
    }

    fn take_into(&mut self, limit: u64, bytes: &mut Vec<u8>) -> io::Result<()> {
        (&mut self.reader).take(limit).read_to_end(bytes).map(drop)
    }
}

impl Read for Content {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.reader.read(buffer)
    }
}

/// The first block of what is in a file; less, or nothing, where it is shorter or damaged.
pub(crate) fn start_of_content(path: &Path) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    let mut content = Content::open(path)?;
    match content.take_into(512, &mut bytes) {
        Err(cause) if !content.is_packed => Err(Error::io(path, "read")(cause)),
        _ => Ok(bytes),
    }
}

/// What a gzip file that cannot be unpacked to its end is.
pub(crate) fn damaged(path: &Path, cause: &io::Error) -> Error {
    let cause = match cause.kind() {
        io::ErrorKind::UnexpectedEof => "the gzip file is cut short".into(),
        _ => format!("not a whole gzip file: {cause}"),
    };
    Error::damaged(path, cause)
}

fn start(path: &Path) -> io::Result<Vec<u8>> {
    let mut start = Vec::new();
    File::open(path)?.take(2).read_to_end(&mut start)?;
    Ok(start)
}
