//! The one error type of this crate. Every message is one line that names the file and the cause.

use std::io;
use std::path::{Path, PathBuf};

use console::escaped;

/// What can go wrong while packing or reading a set.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The operating system refused an operation on a file.
    #[error("{}: cannot {action}: {cause}", escaped(path))]
    Io {
        /// The file or folder concerned.
        path: PathBuf,
        /// What was attempted, as a verb: "read", "write", "map".
        action: &'static str,
        /// The system's answer.
        cause: io::Error,
    },
    /// What the user gave as input cannot be packed as it is.
    #[error("{}: {}", escaped(path), escaped(cause))]
    Input {
        /// The file or folder concerned.
        path: PathBuf,
        /// What is wrong with it.
        cause: String,
    },
    /// A file of a packed set is not what the format or the set's index says it is.
    #[error("{}: {}", escaped(path), escaped(cause))]
    Damaged {
        /// The damaged file.
        path: PathBuf,
        /// What is wrong with it.
        cause: String,
    },
    /// The folder holds no finished set.
    #[error("{}: not a packed set: {}", escaped(path), escaped(cause))]
    NotASet {
        /// The folder.
        path: PathBuf,
        /// What was found instead.
        cause: String,
    },
    /// More images could not be packed than the user allowed.
    #[error(
        "{}: {bad} images cannot be packed, more than the {limit} allowed (--max-bad); the last is {}",
        escaped(report),
        escaped(last)
    )]
    TooManyBad {
        /// Where they are listed.
        report: PathBuf,
        /// How many there were when packing stopped.
        bad: usize,
        /// How many were allowed.
        limit: usize,
        /// The last of them and its reason.
        last: String,
    },
}

impl Error {
    /// Wraps an I/O error for `map_err`.
    pub(crate) fn io(path: &Path, action: &'static str) -> impl FnOnce(io::Error) -> Error {
        let path = path.to_path_buf();
        move |cause| Error::Io {
            path,
            action,
            cause,
        }
    }

    pub(crate) fn input(path: &Path, cause: impl Into<String>) -> Error {
        Error::Input {
            path: path.to_path_buf(),
            cause: cause.into(),
        }
    }

    pub(crate) fn damaged(path: &Path, cause: impl Into<String>) -> Error {
        Error::Damaged {
            path: path.to_path_buf(),
            cause: cause.into(),
        }
    }
}
