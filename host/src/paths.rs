//! Paths in what is written for people and for programs.

use std::fmt;
use std::fs::File;
use std::hash::Hasher;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use console::{escaped, json_name};
use serde::{Serialize, Serializer};
use twox_hash::XxHash3_64;

/// XXH3 of what a file holds, in hexadecimal digits.
pub fn hash(path: &Path) -> Result<String> {
    let read = || -> io::Result<String> {
        let (mut file, mut part, mut hash) =
            (File::open(path)?, vec![0; 1 << 20], XxHash3_64::new());
        loop {
            match file.read(&mut part)? {
                0 => return Ok(format!("{:016x}", hash.finish())),
                read => hash.write(&part[..read]),
            }
        }
    };
    read().with_context(|| escaped(path).to_string())
}

/// A path in a report: as JSON has it, and as people are shown it. A name that is not UTF-8 gets escapes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShownPath(pub PathBuf);

impl From<&Path> for ShownPath {
    fn from(path: &Path) -> Self {
        Self(path.into())
    }
}

impl fmt::Display for ShownPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        escaped(&self.0).fmt(f)
    }
}

impl Serialize for ShownPath {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        path(&self.0, serializer)
    }
}

/// `#[serde(serialize_with)]`
pub fn path<S: Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&json_name(path))
}

/// `#[serde(serialize_with)]`
pub fn optional_path<S: Serializer>(
    path: &Option<PathBuf>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    path.as_deref().map(json_name).serialize(serializer)
}
