//! `merge`: the parts of a set, packed apart, put together.

use std::fs;
use std::path::{Path, PathBuf};

use console::escaped;

use super::finish::{find_description, finish};
use super::folder::{remove_drafts, shard_files, shard_name};
use super::index::{Counts, INDEX_FILE};
use crate::error::Error;
use crate::shard::Shard;
use crate::sys::{FolderLock, atomic};

/// Puts the shards of parts into one folder, `out`, and writes the set's index. Shards on the
/// same file system are linked, not copied. `done` is told of each shard.
pub fn merge(
    parts: &[PathBuf],
    out: impl AsRef<Path>,
    done: &dyn Fn(usize),
) -> Result<Counts, Error> {
    let out = out.as_ref();
    fs::create_dir_all(out).map_err(Error::io(out, "make the folder"))?;
    let _lock = FolderLock::take(out)?;
    if out.join(INDEX_FILE).exists() {
        return Err(Error::input(
            out,
            "already holds a finished set; choose another folder",
        ));
    }
    remove_drafts(out)?;
    for part in parts {
        for (number, path) in shard_files(part)? {
            place(&path, &out.join(shard_name(number)))?;
            done(1);
        }
    }
    let set = find_description(out)?;
    let missing: Vec<u32> = (0..set.shard_count)
        .filter(|&n| !out.join(shard_name(n)).exists())
        .collect();
    if let Some(first) = missing.first() {
        let (missing, all) = (missing.len(), set.shard_count);
        let cause = format!("{missing} of {all} shards are in no part, the first is {first}");
        return Err(Error::input(out, cause));
    }
    Ok(finish(out, &set)?.counts)
}

/// Puts a shard where it belongs, unless it is there already.
fn place(from: &Path, to: &Path) -> Result<(), Error> {
    let mut shard = Shard::open(from)?;
    shard.load()?;
    if let Ok(there) = Shard::open(to) {
        if there.checksum == shard.checksum {
            return Ok(());
        }
        let cause = format!("differs from {}, which has the same place", escaped(to));
        return Err(Error::input(from, cause));
    }
    if to.exists() || fs::hard_link(from, to).is_err() {
        atomic::copy(from, to)?;
    }
    Ok(())
}
