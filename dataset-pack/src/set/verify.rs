//! `verify`: reads every byte of a set and names what is damaged.

use std::collections::BTreeSet;
use std::path::Path;

use console::escaped;
use rayon::prelude::*;
use serde::Serialize;

use super::dataset::{open_shard, read_mean};
use super::finish::read_part;
use super::index::{INDEX_FILE, Index, MEAN_FILE};
use crate::error::Error;
use crate::pixels::statistics::{self, Sums, Totals};
use crate::shard::report::REPORT_FILE;
use crate::shard::{Records, Shard, Split, format};

/// Receives progress: images just checked, images of the set.
pub(crate) type Done<'a> = &'a (dyn Fn(usize, u64) + Sync);

/// What a check of every byte found.
#[derive(Clone, Debug, Serialize)]
pub struct Verified {
    /// Images the set should hold.
    pub images: u64,
    /// Shards the set should have.
    pub shards: usize,
    /// One line for each damage, naming the file. Empty: the set is whole.
    pub problems: Vec<String>,
    /// Numbers of the shards that are damaged or missing.
    pub damaged: Vec<u32>,
    /// Files in the folder that are no part of the set.
    pub strangers: Vec<String>,
}

/// Checks every checksum, count and header of a set. `done` is told how many more images were
/// checked, and of how many in all.
///
/// An error means that there is no set to speak of: no folder, no index, or a damaged index.
pub fn verify(dir: impl AsRef<Path>, done: Done) -> Result<Verified, Error> {
    let folder = dir.as_ref();
    let index = Index::read(folder)?;
    let checked: Vec<Checked> = (0..index.shards.len())
        .into_par_iter()
        .map(|number| check_shard(folder, &index, number, done))
        .collect();
    let mut problems: Vec<String> = checked.iter().flat_map(|c| c.problems.clone()).collect();
    let damaged = (0..).zip(&checked).filter(|(_, c)| !c.problems.is_empty());
    let damaged = damaged.map(|(number, _)| number).collect();
    let shards: Option<Vec<&Contents>> = checked.iter().map(|c| c.contents.as_ref()).collect();
    // What is left to compare is the sum over all shards, so all must have been readable.
    if let Some(shards) = shards {
        problems.extend(check_sums(folder, &index, &shards));
    }
    if let Err(error) = read_mean(folder, &index) {
        problems.push(error.to_string());
    }
    let strangers = strangers(folder, &index)?;
    Ok(Verified {
        images: index.counts.packed,
        shards: index.shards.len(),
        problems,
        damaged,
        strangers,
    })
}

/// What a shard holds, computed from its pixels and records.
struct Contents {
    totals: Totals,
    images_per_class: Vec<u64>,
    report: Vec<u8>,
}

struct Checked {
    problems: Vec<String>,
    contents: Option<Contents>,
}

fn check_shard(folder: &Path, index: &Index, number: usize, done: Done) -> Checked {
    let mut problems = Vec::new();
    let contents = open_shard(folder, index, number).and_then(|(shard, records)| {
        // All but the pixels, then those.
        let part = read_part(folder, &index.description, number as u32)?;
        let mut contents = check_pixels(&shard, &records, index, done, &mut problems)?;
        contents.report = part.report;
        if shard.stored_totals()? != contents.totals {
            problems.push(
                shard
                    .damaged("the sums are not those of the images")
                    .to_string(),
            );
        }
        Ok(contents)
    });
    let contents = contents
        .map_err(|error| problems.push(error.to_string()))
        .ok();
    Checked { problems, contents }
}

/// Reads all images of a shard. An error is one of reading it.
fn check_pixels(
    shard: &Shard,
    records: &Records,
    index: &Index,
    done: Done,
    problems: &mut Vec<String>,
) -> Result<Contents, Error> {
    let mut sums = Sums::new(shard.header.stride as usize);
    let mut images_per_class = vec![0; index.class_images.len()];
    for (at, record) in records.records.iter().enumerate() {
        done(1, index.counts.packed);
        let checksum = shard.pixels(at, |pixels| {
            sums.add_pixels(pixels);
            sums.add_products(statistics::products(pixels));
            format::checksum(pixels)
        })?;
        if checksum != record.checksum {
            let source = records.name(record).unwrap_or_default();
            let cause = format!("image {at} ({source}): the pixels do not match their checksum");
            problems.push(shard.damaged(cause).to_string());
        }
        images_per_class[record.label as usize] += 1;
    }
    let report = Vec::new();
    Ok(Contents {
        totals: sums.into(),
        images_per_class,
        report,
    })
}

/// Compares the sums over all shards with the index, the mean image and the report.
fn check_sums(folder: &Path, index: &Index, shards: &[&Contents]) -> Vec<String> {
    let mut problems = Vec::new();
    let mut problem = |file: &str, cause: String| {
        problems.push(format!("{}: {cause}", escaped(&folder.join(file))));
    };
    for (label, class) in index.classes().iter().enumerate() {
        let images: u64 = shards.iter().map(|s| s.images_per_class[label]).sum();
        if images != class.images {
            let (name, expected) = (&class.name, class.images);
            let cause = format!("class {name}: {expected} images, but the shards hold {images}");
            problem(INDEX_FILE, cause);
        }
    }
    let report: Vec<u8> = shards
        .iter()
        .flat_map(|s| s.report.iter().copied())
        .collect();
    let written = std::fs::read(folder.join(REPORT_FILE)).unwrap_or_default();
    if report != written {
        problem(REPORT_FILE, "not the report of these shards".into());
    }
    let size = index.description.size as usize;
    let mut totals = Totals::new(size * size * 3);
    shards.iter().for_each(|s| totals.add(&s.totals));
    match &index.statistics {
        None if index.description.split == Split::Train => {
            problem(INDEX_FILE, "no statistics".into());
        }
        None => {}
        Some(statistics) => {
            if (statistics.images, &statistics.moments) != (totals.images, &totals.moments()) {
                let cause = "the sums of the pixels are not those of the images";
                problem(INDEX_FILE, cause.into());
            }
            if statistics.mean_checksum != format::checksum(bytemuck::cast_slice(&totals.mean())) {
                problem(MEAN_FILE, "not the mean of the images".into());
            }
        }
    }
    problems
}

fn strangers(folder: &Path, index: &Index) -> Result<Vec<String>, Error> {
    let mut known: BTreeSet<&str> = index.shards.iter().map(|s| s.file.as_str()).collect();
    known.extend([INDEX_FILE, MEAN_FILE, REPORT_FILE]);
    let mut strangers = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(Error::io(folder, "read"))? {
        let name = entry.map_err(Error::io(folder, "read"))?.file_name();
        let name = name.to_string_lossy();
        if !known.contains(name.as_ref()) {
            strangers.push(name.into_owned());
        }
    }
    strangers.sort();
    Ok(strangers)
}
