//! `verify`: reads every byte of a set and names what is damaged.

use std::collections::BTreeSet;
use std::path::Path;

use rayon::prelude::*;
use serde::Serialize;

use crate::dataset::{open_shard, read_mean};
use crate::error::Error;
use crate::format;
use crate::index::{INDEX_FILE, Index, MEAN_FILE, Split};
use crate::report::REPORT_FILE;
use crate::shard::Shard;
use crate::statistics::{self, Totals};

/// Receives progress: images just checked, images of the set.
type Done<'a> = &'a (dyn Fn(usize, u64) + Sync);

/// What a check of every byte found.
#[derive(Clone, Debug, Serialize)]
pub struct Verified {
    /// Images the set should hold.
    pub images: u64,
    /// Shards the set should have.
    pub shards: usize,
    /// One line for each damage, naming the file. Empty: the set is whole.
    pub problems: Vec<String>,
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
        strangers,
    })
}

/// What a shard holds, computed from its pixels and records.
struct Contents {
    totals: Totals,
    images_per_class: Vec<u64>,
}

struct Checked {
    problems: Vec<String>,
    contents: Option<Contents>,
}

fn check_shard(folder: &Path, index: &Index, number: usize, done: Done) -> Checked {
    let shard = match open_shard(folder, index, number) {
        Ok(shard) => shard,
        Err(error) => {
            return Checked {
                problems: vec![error.to_string()],
                contents: None,
            };
        }
    };
    let mut problems = Vec::new();
    let mut problem = |cause: &str| problems.push(format!("{}: {cause}", shard.path().display()));
    let header = &shard.header;
    if (header.split, header.resize, header.seed)
        != (index.split.id(), index.resize.id(), index.seed)
    {
        problem("split, resize rule or seed differ from the index");
    }
    for at in 0..shard.len() {
        done(1, index.counts.packed);
        if is_intact(&shard, at) {
            continue;
        }
        let source = shard.source(at);
        problem(&format!(
            "image {at} ({source}): the pixels do not match their checksum"
        ));
    }
    let contents = contents(&shard, index.classes.len());
    match shard.stored_totals() {
        Err(cause) => problem(&cause),
        Ok(stored) if stored != contents.totals => problem("the sums are not those of the images"),
        Ok(_) => {}
    }
    Checked {
        problems,
        contents: Some(contents),
    }
}

fn is_intact(shard: &Shard, at: usize) -> bool {
    format::checksum(shard.image(at)) == shard.records()[at].checksum
}

fn contents(shard: &Shard, classes: usize) -> Contents {
    let mut totals = Totals::new(shard.header.stride as usize);
    let mut images_per_class = vec![0; classes];
    for (at, record) in shard.records().iter().enumerate() {
        let image = shard.image(at);
        totals.add_image(image, statistics::products(image));
        images_per_class[record.label as usize] += 1;
    }
    Contents {
        totals,
        images_per_class,
    }
}

/// Compares the sums over all shards with the index and the mean image.
fn check_sums(folder: &Path, index: &Index, shards: &[&Contents]) -> Vec<String> {
    let mut problems = Vec::new();
    let mut problem = |file: &str, cause: String| {
        problems.push(format!("{}: {cause}", folder.join(file).display()));
    };
    for (label, class) in index.classes.iter().enumerate() {
        let images: u64 = shards.iter().map(|s| s.images_per_class[label]).sum();
        if images != class.images {
            let (name, expected) = (&class.name, class.images);
            let cause = format!("class {name}: {expected} images, but the shards hold {images}");
            problem(INDEX_FILE, cause);
        }
    }
    let mut totals = Totals::new(index.size as usize * index.size as usize * 3);
    shards.iter().for_each(|s| totals.add(&s.totals));
    match &index.statistics {
        None if index.split == Split::Train => problem(INDEX_FILE, "no statistics".into()),
        None => {}
        Some(statistics) => {
            if statistics.moments != totals.moments() {
                problem(
                    INDEX_FILE,
                    "the sums of the pixels are not those of the images".into(),
                );
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
