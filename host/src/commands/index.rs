//! `host index`

mod codes;

use std::fmt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::Args;
use console::{Progress, escaped};
use dataset_pack::Dataset;
use serde::Serialize;

use codes::Coded;

use super::Run;
use super::interrupt::Interrupt;
use crate::evaluate;
use crate::formats::checkpoint::Checkpoint;
use crate::formats::training::set_identity;
use crate::index::{Description, Index, Writer};
use crate::model::{self, Inference};
use crate::net::Network;
use crate::paths::{self, ShownPath};

/// Writes the features of a set's images, for `similar` to search.
#[derive(Args, Clone, Debug)]
#[command(
    after_help = "Example: host index --checkpoint runs/a --data sets/train --out train.index\n\n\
                  What is interrupted stays under FILE.partial, and the same command goes on with it. Beside the \
                  features the file has a byte for each, by which most images are ruled out without their features. \
                  --bits writes FILE.codes as well, and leaves an index that is there and of the same as it is: \
                  then it says how many of the ten nearest the codes find of images of the set."
)]
pub struct MakeIndex {
    /// A checkpoint, or a run directory for its newest
    #[arg(long, value_name = "FILE")]
    pub checkpoint: PathBuf,
    /// The set
    #[arg(long, value_name = "DIR")]
    pub data: PathBuf,
    /// The layer [default: the last hidden one]
    #[arg(long, value_name = "NAME")]
    pub layer: Option<String>,
    /// The index to write
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
    /// Writes the features as float16, half as large
    #[arg(long)]
    pub half: bool,
    /// Trains an auto-encoder over the features and writes a code of so many bits for each image, for `similar --codes`
    #[arg(long, value_name = "N", value_parser = bits)]
    pub bits: Option<usize>,
    /// Seed of the auto-encoder
    #[arg(long, value_name = "S", default_value_t = 0, requires = "bits")]
    pub seed: u64,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub inference: Inference,
}

fn bits(text: &str) -> Result<usize, String> {
    let bits = text.parse().ok();
    let bits = bits.filter(|bits: &usize| (64..=1024).contains(bits) && bits.is_multiple_of(64));
    bits.ok_or_else(|| "expected a multiple of 64 from 64 to 1024".to_owned())
}

/// What was written.
#[derive(Clone, Debug, Serialize)]
pub struct Written {
    out: ShownPath,
    layer: String,
    images: usize,
    width: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    codes: Option<Coded>,
}

impl Run for MakeIndex {
    type Report = Written;

    fn run(&self) -> Result<Written> {
        let data = Dataset::open(&self.data)?;
        let (mut network, checkpoint) = model::load(&self.checkpoint, &self.inference)?;
        checkpoint.check_classes(&data, &self.data)?;
        evaluate::check_data(network.net(), &data)?;
        let layer = match &self.layer {
            Some(name) => network.net().position(name)?,
            None => {
                let last = network.net().last_hidden();
                last.context("the network has no hidden layer; name one with --layer")?
            }
        };
        let name = network.net().towers[0][layer].name.clone();
        let layer = network.net().last_in_place(layer);
        let folder =
            std::path::absolute(&self.data).with_context(|| escaped(&self.data).to_string())?;
        let description = Description {
            checkpoint: self.checkpoint.to_string_lossy().into_owned(),
            checkpoint_hash: paths::hash(checkpoint.tensors.path())?,
            data: folder.to_string_lossy().into_owned(),
            set: set_identity(&data),
            layer: name.clone(),
            rows: data.len(),
            width: network.width(layer),
            half: self.half,
        };
        let interrupt = Interrupt::listen()?;
        let there = || Index::open(&self.out).is_ok_and(|there| there.description == description);
        if self.bits.is_none() || !there() {
            let writer = Writer::open(&self.out, &description)?;
            write(writer, &mut network, &data, layer, &interrupt)?;
        }
        let coded = self.bits.map(|bits| {
            let device = self.inference.places.open_first()?;
            codes::make(&self.out, bits, self.seed, &device, &interrupt)
        });
        Ok(Written {
            out: self.out.as_path().into(),
            layer: name,
            images: data.len(),
            width: description.width,
            codes: coded.transpose()?,
        })
    }
}

/// Computes the features that are missing.
fn write(
    mut writer: Writer,
    network: &mut Network,
    data: &Dataset,
    layer: usize,
    interrupt: &Interrupt,
) -> Result<()> {
    let bar = Progress::new("computed", "images", data.len() as u64);
    let skip = writer.done();
    bar.skip(skip as u64);
    evaluate::features(network, data, layer, skip, |first, rows| {
        let before = writer.done();
        writer.write(first, &rows)?;
        bar.advance((writer.done() - before) as u64);
        interrupt
            .check()
            .or_else(|asked| writer.sync().and(Err(asked)))
    })?;
    writer.publish()
}

/// That an index was made by a checkpoint.
pub(super) fn check_maker(made: &Description, checkpoint: &Checkpoint, index: &Path) -> Result<()> {
    let path = checkpoint.tensors.path();
    anyhow::ensure!(
        paths::hash(path)? == made.checkpoint_hash,
        "{}: it was made by another checkpoint, {}, not by {}",
        escaped(index),
        escaped(&made.checkpoint),
        escaped(path)
    );
    Ok(())
}

impl fmt::Display for Written {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Written {
            out,
            layer,
            images,
            width,
            codes,
        } = self;
        write!(
            f,
            "{out}: {layer} of {images} images, {width} features each"
        )?;
        codes.iter().try_for_each(|codes| write!(f, "\n{codes}"))
    }
}
