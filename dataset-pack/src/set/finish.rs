//! From finished shards to a finished set: the index, the mean image and the report, all of which
//! follow from the shards.

use std::path::Path;

use super::dataset::open_part;
use super::folder::{shard_files, shard_name};
use super::index::{Counts, Index, MEAN_FILE, ShardEntry, Statistics};
use crate::error::Error;
use crate::pixels::Status;
use crate::pixels::statistics::Totals;
use crate::shard::{Description, Shard, Split, format, report};
use crate::sys::{FolderLock, atomic};

/// Writes index, mean image and report of a set all of whose shards are there.
///
/// The result is the same as that of the build, byte for byte.
pub fn rebuild_index(dir: impl AsRef<Path>) -> Result<(), Error> {
    let folder = dir.as_ref();
    let _lock = FolderLock::take(folder)?;
    let description = find_description(folder)?;
    finish(folder, &description).map(|_| ())
}

/// The description of the set that a folder's shards belong to, from the first that can be read.
pub(crate) fn find_description(folder: &Path) -> Result<Description, Error> {
    let mut trouble = None;
    for (_, path) in shard_files(folder)? {
        let read = Shard::open(&path).and_then(|mut shard| {
            shard.load()?;
            Ok(shard.texts()?.0)
        });
        match read {
            Ok(description) => return Ok(description),
            Err(error) => trouble = trouble.or(Some(error)),
        }
    }
    Err(trouble.unwrap_or_else(|| Error::NotASet {
        path: folder.to_path_buf(),
        cause: "there are no shards in it".into(),
    }))
}

/// What a shard adds to its set.
pub(crate) struct Part {
    entry: ShardEntry,
    class_images: Vec<u64>,
    totals: Totals,
    kept: u64,
    rejected: u64,
    pub(crate) report: Vec<u8>,
}

impl Part {
    pub(crate) fn counts(&self) -> Counts {
        Counts {
            packed: self.entry.images,
            kept: self.kept,
            rejected: self.rejected,
            skipped: 0,
        }
    }
}

/// Reads and checks all of a shard but its pixels.
pub(crate) fn read_part(folder: &Path, set: &Description, number: u32) -> Result<Part, Error> {
    let file = shard_name(number);
    let (shard, records) = open_part(&folder.join(&file), set, number)?;
    let (own, report) = shard.texts()?;
    if own != *set {
        return Err(shard.damaged("its description of the set differs from that of other shards"));
    }
    let (rejected, kept) = report::count(&report).map_err(|cause| shard.damaged(cause))?;
    let mut class_images = vec![0; set.classes.len()];
    let mut damaged = 0;
    for record in &records.records {
        class_images[record.label as usize] += 1;
        damaged += u64::from(record.status & Status::DAMAGED != 0);
    }
    let header = &shard.header;
    if header.images + rejected != header.candidates || damaged != kept {
        let (images, candidates) = (header.images, header.candidates);
        let cause = format!("{images} images and {rejected} rejected of {candidates} candidates");
        let cause = format!("{cause}, {damaged} damaged ones where the report has {kept}");
        return Err(shard.damaged(format!("the counts do not add up: {cause}")));
    }
    let totals = shard.stored_totals()?;
    let (images, bytes, checksum) = (header.images, header.file_bytes, shard.checksum);
    let entry = ShardEntry {
        file,
        images,
        bytes,
        checksum,
    };
    Ok(Part {
        entry,
        class_images,
        totals,
        kept,
        rejected,
        report,
    })
}

/// Makes a set of its shards. The index is written last.
pub(crate) fn finish(folder: &Path, set: &Description) -> Result<Index, Error> {
    let mut counts = Counts {
        skipped: set.skipped,
        ..Counts::default()
    };
    let mut class_images = vec![0; set.classes.len()];
    let (mut shards, mut lines) = (Vec::new(), Vec::new());
    let mut totals = Totals::new(set.size as usize * set.size as usize * 3);
    for number in 0..set.shard_count {
        let part = read_part(folder, set, number)?;
        counts.packed += part.entry.images;
        counts.kept += part.kept;
        counts.rejected += part.rejected;
        for (sum, images) in class_images.iter_mut().zip(&part.class_images) {
            *sum += images;
        }
        totals.add(&part.totals);
        lines.extend(part.report);
        shards.push(part.entry);
    }
    if counts.packed == 0 {
        return Err(Error::input(folder, "none of the images can be packed"));
    }
    report::write(folder, &lines)?;
    let statistics = write_statistics(folder, set, &totals)?;
    let description = set.clone();
    let index = Index {
        description,
        counts,
        class_images,
        shards,
        statistics,
    };
    atomic::sync_folder(folder)?;
    index.write(folder)?;
    atomic::sync_folder(folder)?;
    Ok(index)
}

fn write_statistics(
    folder: &Path,
    set: &Description,
    totals: &Totals,
) -> Result<Option<Statistics>, Error> {
    if set.split != Split::Train {
        return Ok(None);
    }
    let mean = totals.mean();
    let bytes: &[u8] = bytemuck::cast_slice(&mean);
    atomic::write(&folder.join(MEAN_FILE), bytes)?;
    Ok(Some(Statistics {
        images: totals.images,
        moments: totals.moments(),
        mean_checksum: format::checksum(bytes),
    }))
}
