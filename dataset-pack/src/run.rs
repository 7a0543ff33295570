//! The packing of one set: decode on all threads, write in the planned order, the index last.

use std::fs;
use std::path::{Path, PathBuf};

use rayon::prelude::*;

use crate::atomic::{self, TEMPORARY_SUFFIX};
use crate::build::{BuildOptions, Built, Event, Observer};
use crate::error::Error;
use crate::format::{self, Header};
use crate::index::{Class, Counts, INDEX_FILE, Index, MEAN_FILE, ShardEntry, Split, Statistics};
use crate::pack::{JPEG_DECODER, Packer};
use crate::plan::Plan;
use crate::report::{self, BadImage, REPORT_FILE};
use crate::shard_writer::{Packed, ShardWriter};
use crate::source::Candidate;
use crate::statistics::Totals;

/// The packing of one set.
pub(crate) struct Run<'a> {
    pub(crate) plan: Plan<'a>,
    pub(crate) folder: &'a Path,
    pub(crate) options: &'a BuildOptions,
    pub(crate) observer: Observer<'a>,
    pub(crate) bad: Vec<BadImage>,
    pub(crate) skipped: u64,
}

/// What one candidate became.
type Outcome = Result<Packed, String>;

impl Run<'_> {
    pub(crate) fn pack(mut self) -> Result<Built, Error> {
        fs::create_dir_all(self.folder).map_err(Error::io(self.folder, "make the folder"))?;
        self.remove_leftovers()?;
        let (images, classes) = (self.plan.candidates.len(), self.plan.classes.len());
        (self.observer)(Event::Begin {
            split: self.plan.split,
            images,
            classes,
        });
        for image in &self.bad {
            (self.observer)(Event::Bad(image));
        }
        let packed = self.limit_bad().and_then(|()| self.pack_shards());
        // Also where packing failed, since the report says why; but its own error comes second.
        let reported = report::write(self.folder, &self.bad);
        let packing = packed?;
        reported?;
        self.finish(packing)
    }

    /// Removes what an unfinished run left: nothing of it is needed, and none of it may be
    /// taken for a part of this set.
    fn remove_leftovers(&self) -> Result<(), Error> {
        let entries = fs::read_dir(self.folder).map_err(Error::io(self.folder, "read"))?;
        for entry in entries {
            let path = entry.map_err(Error::io(self.folder, "read"))?.path();
            if path
                .file_name()
                .and_then(|name| name.to_str())
                .is_some_and(is_leftover)
            {
                fs::remove_file(&path).map_err(Error::io(&path, "remove"))?;
            }
        }
        Ok(())
    }

    fn pack_shards(&mut self) -> Result<Packing, Error> {
        let header = self.plan.header();
        let mut packing = Packing::new(&self.plan, header.layout(0, 0).stride as usize);
        let candidates = self.plan.candidates;
        for (number, shard) in candidates.chunks(self.plan.shard_images).enumerate() {
            let header = Header {
                shard: number as u32,
                ..header
            };
            self.pack_shard(header, shard, &mut packing)?;
        }
        Ok(packing)
    }

    /// Decodes one batch of images on all threads while the batch before is written.
    fn pack_shard(
        &mut self,
        header: Header,
        candidates: &[Candidate],
        packing: &mut Packing,
    ) -> Result<(), Error> {
        let file = format!("shard-{:05}.bin", header.shard);
        let mut writer = ShardWriter::create(&self.folder.join(&file), header)?;
        let mut ready: (&[Candidate], Vec<Outcome>) = (&[], Vec::new());
        let packer = self.packer();
        let batch = 32 * rayon::current_num_threads();
        for next in candidates.chunks(batch).chain([&[][..]]) {
            let (done, decoded) = rayon::join(
                || self.write(&mut writer, &ready, packing),
                || decode(&packer, next),
            );
            done?;
            ready = (next, decoded);
        }
        let (header, checksum, totals) = writer.finish()?;
        let (images, bytes) = (header.images, header.file_bytes);
        packing.shards.push(ShardEntry {
            file,
            images,
            bytes,
            checksum,
        });
        packing.add(&totals);
        Ok(())
    }

    fn packer(&self) -> SourcePacker {
        let options = self.options;
        let packer = Packer {
            size: options.size as usize,
            rule: options.resize,
            max_pixels: options.max_pixels,
        };
        SourcePacker {
            packer,
            root: options.source.clone(),
        }
    }

    fn write(
        &mut self,
        writer: &mut ShardWriter,
        (candidates, outcomes): &(&[Candidate], Vec<Outcome>),
        packing: &mut Packing,
    ) -> Result<(), Error> {
        for (candidate, outcome) in candidates.iter().zip(outcomes) {
            match outcome {
                Ok(image) => {
                    writer.push(image, candidate.label, &candidate.source)?;
                    packing.classes[candidate.label as usize].images += 1;
                }
                Err(reason) => {
                    let bad = BadImage::new(&candidate.source, reason);
                    (self.observer)(Event::Bad(&bad));
                    self.bad.push(bad);
                    self.limit_bad()?;
                }
            }
        }
        (self.observer)(Event::Advance(candidates.len()));
        Ok(())
    }

    fn limit_bad(&self) -> Result<(), Error> {
        match self.bad.last() {
            Some(last) if self.bad.len() > self.options.max_bad => Err(Error::TooManyBad {
                report: self.folder.join(REPORT_FILE),
                bad: self.bad.len(),
                limit: self.options.max_bad,
                last: format!("{}: {}", last.source, last.reason),
            }),
            _ => Ok(()),
        }
    }

    /// Writes what makes the shards a set, the index last.
    fn finish(self, packing: Packing) -> Result<Built, Error> {
        let counts = Counts {
            packed: packing.totals.images,
            rejected: self.bad.len() as u64,
            skipped: self.skipped,
        };
        if counts.packed == 0 {
            let cause = "none of the images can be packed";
            return Err(Error::input(&self.options.source, cause));
        }
        let header = self.plan.header();
        let index = Index {
            tool: concat!("dataset-pack ", env!("CARGO_PKG_VERSION")).into(),
            split: self.plan.split,
            size: header.size,
            resize: self.plan.resize,
            decoder: JPEG_DECODER.into(),
            seed: header.seed,
            set_id: header.set_id,
            counts,
            statistics: self.write_statistics(&packing.totals)?,
            classes: packing.classes,
            shards: packing.shards,
        };
        atomic::sync_folder(self.folder)?;
        index.write(self.folder)?;
        atomic::sync_folder(self.folder)?;
        Ok(Built {
            folder: self.folder.to_path_buf(),
            split: index.split,
            counts,
            classes: index.classes.len(),
            shards: index.shards.len(),
            report: (!self.bad.is_empty()).then(|| self.folder.join(REPORT_FILE)),
        })
    }

    fn write_statistics(&self, totals: &Totals) -> Result<Option<Statistics>, Error> {
        if self.plan.split != Split::Train {
            return Ok(None);
        }
        let mean = totals.mean();
        let bytes: &[u8] = bytemuck::cast_slice(&mean);
        atomic::write(&self.folder.join(MEAN_FILE), bytes)?;
        let mean_checksum = format::checksum(bytes);
        Ok(Some(Statistics {
            moments: totals.moments(),
            mean_checksum,
        }))
    }
}

/// Whether a file is, or was to become, a part of a set.
fn is_leftover(name: &str) -> bool {
    let draft = name
        .strip_suffix(TEMPORARY_SUFFIX)
        .and_then(|n| n.rsplit_once('.'));
    let name = draft.map_or(name, |(name, _)| name);
    let number = name
        .strip_prefix("shard-")
        .and_then(|n| n.strip_suffix(".bin"));
    number.is_some_and(|n| n.parse::<u32>().is_ok())
        || [INDEX_FILE, MEAN_FILE, REPORT_FILE].contains(&name)
}

/// What is known of the set as its shards are finished.
struct Packing {
    classes: Vec<Class>,
    shards: Vec<ShardEntry>,
    totals: Totals,
}

impl Packing {
    fn new(plan: &Plan, image_bytes: usize) -> Self {
        let class = |name: &String| Class {
            name: name.clone(),
            images: 0,
        };
        let classes = plan.classes.iter().map(class).collect();
        Packing {
            classes,
            shards: Vec::new(),
            totals: Totals::new(image_bytes),
        }
    }

    fn add(&mut self, shard: &Totals) {
        self.totals.add(shard);
    }
}

/// Packs images of a source folder.
struct SourcePacker {
    packer: Packer,
    root: PathBuf,
}

fn decode(source: &SourcePacker, candidates: &[Candidate]) -> Vec<Outcome> {
    let one = |candidate: &Candidate| {
        source
            .packer
            .pack_file(&source.root.join(&candidate.source))
            .map_err(|r| r.to_string())
    };
    candidates.par_iter().with_max_len(1).map(one).collect()
}
