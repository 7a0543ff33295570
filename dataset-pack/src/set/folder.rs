//! The files in a set's folder: what they are called, and what an interrupted run left.

use std::path::{Path, PathBuf};

use super::index::{INDEX_FILE, MEAN_FILE};
use crate::error::Error;
use crate::shard::report::REPORT_FILE;
use crate::sys::atomic::TEMPORARY_SUFFIX;

/// The name of a shard's file.
pub(crate) fn shard_name(number: u32) -> String {
    format!("shard-{number:05}.bin")
}

/// The number in the name of a shard's file.
pub(crate) fn shard_number(name: &str) -> Option<u32> {
    let number = name
        .strip_prefix("shard-")?
        .strip_suffix(".bin")?
        .parse()
        .ok()?;
    (shard_name(number) == name).then_some(number)
}

/// The paths and numbers of the files in a folder that are called like shards, in order.
pub(crate) fn shard_files(folder: &Path) -> Result<Vec<(u32, PathBuf)>, Error> {
    let mut shards = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(Error::io(folder, "read"))? {
        let path = entry.map_err(Error::io(folder, "read"))?.path();
        let name = path.file_name().and_then(|name| name.to_str());
        if let Some(number) = name.and_then(shard_number) {
            shards.push((number, path));
        }
    }
    shards.sort();
    Ok(shards)
}

/// Removes what an interrupted run was writing.
pub(crate) fn remove_drafts(folder: &Path) -> Result<(), Error> {
    for entry in std::fs::read_dir(folder).map_err(Error::io(folder, "read"))? {
        let path = entry.map_err(Error::io(folder, "read"))?.path();
        if path
            .file_name()
            .and_then(|name| name.to_str())
            .is_some_and(is_draft)
        {
            std::fs::remove_file(&path).map_err(Error::io(&path, "remove"))?;
        }
    }
    Ok(())
}

/// Whether a file was to become a part of a set.
fn is_draft(name: &str) -> bool {
    let draft = name
        .strip_suffix(TEMPORARY_SUFFIX)
        .and_then(|n| n.rsplit_once('.'));
    draft.is_some_and(|(name, _)| {
        shard_number(name).is_some() || [INDEX_FILE, MEAN_FILE, REPORT_FILE].contains(&name)
    })
}
