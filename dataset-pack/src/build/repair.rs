//! `verify --repair`: damaged and missing shards packed again from the source.

use std::path::{Path, PathBuf};

use console::escaped;

use super::events::{Event, Observer};
use super::options::{BuildOptions, Part};
use super::packer::ShardPacker;
use super::plan::{self, Plan};
use super::threads;
use crate::error::Error;
use crate::pixels::JPEG_DECODER;
use crate::set::finish::{find_description, finish, read_part};
use crate::set::folder::{remove_drafts, shard_files, shard_name};
use crate::set::index::Index;
use crate::set::{Done, verify};
use crate::shard::{BadImage, Description, Shard, Split, format};
use crate::source;
use crate::sys::FolderLock;

/// Where the images come from again.
#[derive(Clone, Debug)]
pub struct RepairOptions {
    /// The folder of the set.
    pub set: PathBuf,
    /// The source that the set was packed from.
    pub source: PathBuf,
    /// The ground truth that it was packed with, if it was.
    pub truth: Option<PathBuf>,
    /// Threads; zero for as many as there are cores.
    pub jobs: usize,
}

/// Checks a set, packs its damaged and missing shards again from the source, and writes its index
/// again if need be. Returns the numbers of those shards. The set is then byte for byte what it
/// was, or the source is not that of the set, which is an error and changes nothing.
pub fn repair(options: &RepairOptions, observer: Observer, done: Done) -> Result<Vec<u32>, Error> {
    let folder = &options.set;
    let _lock = FolderLock::take(folder)?;
    remove_drafts(folder)?;
    let (set, mut numbers, index_is_whole) = match verify(folder, done) {
        Ok(found) => {
            let set = Index::read(folder)?.description;
            (set, found.damaged, found.problems.is_empty())
        }
        Err(_) if !shard_files(folder)?.is_empty() => {
            // Without an index nothing tells a shard's pixels but the shard itself.
            let set = find_description(folder)?;
            let damaged = |&n: &u32| !is_whole(folder, &set, n);
            let numbers = (0..set.shard_count).filter(damaged).collect();
            (set, numbers, false)
        }
        Err(error) => return Err(error),
    };
    if numbers.is_empty() && index_is_whole {
        return Ok(numbers);
    }
    if !numbers.is_empty() {
        if set.decoder != JPEG_DECODER {
            let cause = format!(
                "packed with {}, but this program has {JPEG_DECODER}",
                set.decoder
            );
            return Err(Error::input(folder, cause));
        }
        let labels = Some(set.classes.clone());
        // A source that is parted into two sets is opened as one to learn from.
        let opened_as = if set.val_fraction.is_some() {
            Split::Train
        } else {
            set.split
        };
        // Two sets of one source lie in one folder.
        let out = set.val_fraction.and_then(|_| folder.parent());
        let source = source::open(source::Request {
            path: &options.source,
            split: opened_as,
            labels,
            truth: options.truth.as_deref(),
            out: Some(out.unwrap_or(folder)),
        })?;
        let plans = plan::plans(&build_options(options, &set), &source)?;
        let Some(plan) = plans.iter().find(|plan| plan.description == set) else {
            let cause = format!("not the images that {} was packed from", escaped(folder));
            return Err(Error::input(&options.source, cause));
        };
        let pool = threads(options.jobs, folder)?;
        pool.install(|| pack_again(plan, folder, &numbers, observer))?;
    }
    finish(folder, &set)?;
    numbers.sort();
    Ok(numbers)
}

fn is_whole(folder: &Path, set: &Description, number: u32) -> bool {
    let whole = || -> Result<bool, Error> {
        read_part(folder, set, number)?;
        let mut shard = Shard::open(&folder.join(shard_name(number)))?;
        let records = shard.load()?;
        for (at, record) in records.records.iter().enumerate() {
            if shard.pixels(at, format::checksum)? != record.checksum {
                return Ok(false);
            }
        }
        Ok(true)
    };
    whole().unwrap_or(false)
}

fn pack_again(
    plan: &Plan,
    folder: &Path,
    numbers: &[u32],
    observer: Observer,
) -> Result<(), Error> {
    let packer = ShardPacker::new(plan, folder, observer)?;
    let images = numbers.iter().map(|&n| plan.shard(n).len()).sum();
    let (split, classes) = (plan.description.split, plan.description.classes.len());
    observer(Event::Begin {
        split,
        images,
        classes,
    });
    for &number in numbers {
        packer.pack(number, &mut |_: &BadImage| Ok(()))?.finish()?;
    }
    Ok(())
}

/// The options with which the set was built.
fn build_options(options: &RepairOptions, set: &Description) -> BuildOptions {
    BuildOptions {
        split: set.split,
        truth: options.truth.clone(),
        size: set.size,
        resize: set.resize,
        shard_images: set.shard_images as usize,
        jobs: options.jobs,
        seed: set.seed,
        damaged: set.damaged,
        part: Part::WHOLE,
        val_fraction: set.val_fraction,
        max_decoded_bytes: set.max_decoded_bytes,
        ..BuildOptions::new(&options.source, &options.set)
    }
}
