//! A file in memory. What it no longer has, or the disk fails to give, is an error and not the program's end.
//!
//! The system answers an access to such a page with SIGBUS, of which [`Watched`] makes a mark. The file's length is
//! looked at too: the rest of a page that the end of the file has moved into reads as zeros without a signal.

mod bus_error;
#[cfg(test)]
mod tests;

use std::fs::File;
use std::io::{Error, ErrorKind, Result};
use std::ops::Range;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use memmap2::{Advice, MmapOptions, MmapRaw};

use self::bus_error::Watched;

const TORN: &str = "the disk gave no data, or the file was shorter for a while";

/// A file's bytes as it was opened. The file itself is closed, since a process may have thousands of
/// maps, but not thousands of open files.
pub(crate) struct Map {
    path: PathBuf,
    /// Device and number of the file: another may take its name.
    identity: (u64, u64),
    bytes: MmapRaw,
    watched: Watched,
}

impl Map {
    pub(crate) fn new(path: &Path) -> Result<Map> {
        let file = File::open(path)?;
        let meta = file.metadata()?;
        let length = usize::try_from(meta.len()).map_err(Error::other)?;
        let bytes = MmapOptions::new().len(length).map_raw_read_only(&file)?;
        let start = bytes.as_ptr() as usize;
        Ok(Map {
            path: path.to_path_buf(),
            identity: (meta.dev(), meta.ino()),
            bytes,
            watched: Watched::new(start..start + length)?,
        })
    }

    /// The file's length when it was opened.
    pub(crate) fn len(&self) -> u64 {
        self.watched.len() as u64
    }

    /// Asks the system to fetch a part of the file. That it cannot is no matter.
    pub(crate) fn will_need(&self, part: Range<u64>) {
        let length = (part.end - part.start) as usize;
        if length > 0 && part.end <= self.len() {
            let _ = self
                .bytes
                .advise_range(Advice::WillNeed, part.start as usize, length);
        }
    }

    /// Shows `look` a part of the file. [`ErrorKind::UnexpectedEof`] is a file that is shorter.
    ///
    /// Whoever writes into the file meanwhile changes the bytes under the eyes of `look`. They are bytes all the same.
    pub(crate) fn with<R>(&self, part: Range<u64>, look: impl FnOnce(&[u8]) -> R) -> Result<R> {
        let within = part.start <= part.end && part.end <= self.len();
        if !within {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        let (start, length) = (part.start as usize, (part.end - part.start) as usize);
        // SAFETY: within the map, which lives as long as `self`.
        let bytes = unsafe { std::slice::from_raw_parts(self.bytes.as_ptr().add(start), length) };
        let result = self.watched.during(|| look(bytes));
        if self.is_shorter() {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        result.ok_or_else(|| Error::other(TORN))
    }

    /// Whether the file has lost something. One that has lost its name cannot be asked any more.
    fn is_shorter(&self) -> bool {
        std::fs::metadata(&self.path)
            .is_ok_and(|meta| (meta.dev(), meta.ino()) == self.identity && meta.len() < self.len())
    }
}
