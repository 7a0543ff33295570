//! Packs one shard: decodes on all threads, writes in the planned order.

use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::thread;

use bytemuck::Zeroable;
use rayon::prelude::*;

use super::events::{Event, Observer};
use super::image::Packer;
use super::plan::Plan;
use crate::error::Error;
use crate::pixels::memory::Memory;
use crate::set::folder::shard_name;
use crate::shard::{Action, BadImage, Packed, ShardWriter};
use crate::sys::direct::Block;

/// What packs the shards of one set.
pub(crate) struct ShardPacker<'a> {
    plan: &'a Plan<'a>,
    folder: &'a Path,
    observer: Observer<'a>,
    memory: Memory,
    /// The description, as it stands in every shard.
    description: Vec<u8>,
}

/// What one candidate became.
struct Outcome {
    packed: Option<Packed>,
    bad: Option<BadImage>,
}

/// Some candidates, what they became, and room for the pixels of each.
#[derive(Default)]
struct Batch<'a> {
    candidates: &'a [u32],
    outcomes: Vec<Outcome>,
    pixels: Vec<Block>,
}

/// A shard whose images are written, but which is not yet finished.
pub(crate) struct Written<'a> {
    writer: ShardWriter,
    description: &'a [u8],
}

impl Written<'_> {
    /// Brings the shard to the disk and gives it its name.
    pub(crate) fn finish(self) -> Result<(), Error> {
        self.writer.finish(self.description)
    }
}

impl<'a> ShardPacker<'a> {
    pub(crate) fn new(
        plan: &'a Plan<'a>,
        folder: &'a Path,
        observer: Observer<'a>,
    ) -> Result<Self, Error> {
        let description = serde_json::to_vec(&plan.description);
        let description = description.map_err(|e| Error::io(folder, "write")(e.into()))?;
        Ok(ShardPacker {
            plan,
            folder,
            observer,
            memory: Memory::new(plan.description.max_decoded_bytes),
            description,
        })
    }

    /// Where a shard goes.
    pub(crate) fn path(&self, number: u32) -> PathBuf {
        self.folder.join(shard_name(number))
    }

    /// Packs all but the last of a shard. `bad` is told of what is not packed cleanly and may
    /// stop the work.
    pub(crate) fn pack(
        &self,
        number: u32,
        bad: &mut (dyn FnMut(&BadImage) -> Result<(), Error> + Send),
    ) -> Result<Written<'_>, Error> {
        let mut writer = ShardWriter::create(&self.path(number), self.plan.header(number))?;
        let candidates = self.plan.shard(number);
        let mut batches = candidates.chunks(32 * rayon::current_num_threads());
        let (mut ready, mut next) = (Batch::default(), Batch::default());
        // One batch is decoded on all threads while the batch before is written.
        loop {
            next.candidates = batches.next().unwrap_or_default();
            if ready.candidates.is_empty() && next.candidates.is_empty() {
                break;
            }
            let (written, decoded) = thread::scope(|threads| {
                // On a thread of its own, which mostly waits for the disk.
                let writing = threads.spawn(|| self.write(&mut writer, &ready, bad));
                let decoded = self.decode(&mut next);
                (
                    writing.join().unwrap_or_else(|panic| resume_unwind(panic)),
                    decoded,
                )
            });
            written?;
            decoded?;
            std::mem::swap(&mut ready, &mut next);
        }
        let description = &self.description;
        Ok(Written {
            writer,
            description,
        })
    }

    fn image_bytes(&self) -> usize {
        let size = self.plan.description.size as usize;
        size * size * 3
    }

    fn decode(&self, batch: &mut Batch) -> Result<(), Error> {
        let description = &self.plan.description;
        let packer = Packer {
            size: description.size as usize,
            rule: description.resize,
            memory: &self.memory,
            damaged: description.damaged,
        };
        let source = self.plan.source;
        let one = |(&index, out): (&u32, &mut [u8])| {
            let item = source.items.get(index as usize);
            let why = |reason| source.items.why(reason).into();
            let (content, _share) = source.store.read(item, &self.memory, why)?;
            let bad = |reason: String, action| {
                let source = item.source();
                Some(BadImage {
                    source,
                    reason,
                    action,
                })
            };
            Ok(match packer.pack(&content, item.name, out) {
                Ok((packed, trouble)) => Outcome {
                    packed: Some(packed),
                    bad: trouble.and_then(|reason| bad(reason.to_string(), Action::Kept)),
                },
                Err(reason) => Outcome {
                    packed: None,
                    bad: bad(reason.to_string(), Action::Rejected),
                },
            })
        };
        let bytes = batch.candidates.len() * self.image_bytes();
        let blocks = bytes.div_ceil(size_of::<Block>());
        batch.pixels.resize(blocks, Block::zeroed());
        let pixels = &mut bytemuck::cast_slice_mut(&mut batch.pixels)[..bytes];
        let places = pixels.par_chunks_exact_mut(self.image_bytes());
        let pairs = batch.candidates.par_iter().zip(places).with_max_len(1);
        let outcomes: Result<_, Error> = pairs.map(one).collect();
        batch.outcomes = outcomes?;
        Ok(())
    }

    fn write(
        &self,
        writer: &mut ShardWriter,
        batch: &Batch,
        tell: &mut (dyn FnMut(&BadImage) -> Result<(), Error> + Send),
    ) -> Result<(), Error> {
        let mut pixels: &[u8] = bytemuck::cast_slice(&batch.pixels);
        let is_packed = |outcome: &Outcome| outcome.packed.is_some();
        for run in batch.outcomes.chunk_by(|a, b| is_packed(a) == is_packed(b)) {
            let (of_run, rest) = pixels.split_at(run.len() * self.image_bytes());
            if is_packed(&run[0]) {
                writer.write(of_run)?;
            }
            pixels = rest;
        }
        for (&index, outcome) in batch.candidates.iter().zip(&batch.outcomes) {
            if let Some(image) = &outcome.packed {
                let item = self.plan.source.items.get(index as usize);
                writer.record(image, item.label, &item.source());
            }
            if let Some(bad) = &outcome.bad {
                writer.report(bad)?;
                tell(bad)?;
            }
        }
        (self.observer)(Event::Advance(batch.candidates.len()));
        Ok(())
    }
}
