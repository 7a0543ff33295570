//! `host features`

mod npy;

use std::ffi::OsStr;
use std::fmt;
use std::io::Write;
use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::Args;
use console::{Progress, escaped};
use dataset_pack::Dataset;
use half::f16;
use half::slice::HalfFloatSliceExt;
use serde::Serialize;

use super::Run;
use super::interrupt::Interrupt;
use crate::atomic;
use crate::evaluate;
use crate::formats::checkpoint::Checkpoint;
use crate::formats::state;
use crate::formats::tensors::{self, Dtype, Info, Text};
use crate::model::{self, Inference};
use crate::net::Network;
use crate::paths::ShownPath;

/// Writes what a layer gives for every image of a set.
#[derive(Args, Clone, Debug)]
#[command(
    after_help = "Example: host features --checkpoint runs/a --data sets/val --layer fc7 --out fc7.safetensors\n\n\
                  A file of tensors (safetensors) has `features`, a row for each image, and `labels` (int64). Beside \
                  NAME.npy, which has the features, NAME.labels.npy has the labels. The features are written as they \
                  are computed; a set may be larger than memory. docs/looking-at-networks.md trains a classifier on them."
)]
pub struct Features {
    /// A checkpoint, or a run directory for its newest
    #[arg(long, value_name = "FILE")]
    pub checkpoint: PathBuf,
    /// The set
    #[arg(long, value_name = "DIR")]
    pub data: PathBuf,
    /// The layer, with those that work in place on what it gives, such as its ReLU
    #[arg(long, value_name = "NAME")]
    pub layer: String,
    /// The file: an array if its name ends in .npy, else tensors
    #[arg(long, value_name = "FILE.safetensors|FILE.npy")]
    pub out: PathBuf,
    /// Writes the features as float16, half as large
    #[arg(long)]
    pub half: bool,
    /// Also writes `images` (u8, [n, size, size, 3]) and `mean` (f32), so that another program can compute the same
    #[arg(long)]
    pub with_images: bool,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub inference: Inference,
}

/// What was written.
#[derive(Clone, Debug, Serialize)]
pub struct Written {
    out: ShownPath,
    images: usize,
    width: usize,
}

impl Run for Features {
    type Report = Written;

    fn run(&self) -> Result<Written> {
        let format = self.format()?;
        let data = Dataset::open(&self.data)?;
        let (mut network, checkpoint) = model::load(&self.checkpoint, &self.inference)?;
        checkpoint.check_classes(&data, &self.data)?;
        evaluate::check_data(network.net(), &data)?;
        let position = network.net().position(&self.layer)?;
        let layer = network.net().last_in_place(position);
        let rows = Rows {
            command: self,
            data: &data,
            layer,
            width: network.width(layer),
            interrupt: Interrupt::listen()?,
        };
        match format {
            Format::Safetensors => rows.write_tensors(&mut network, &checkpoint)?,
            Format::Npy => rows.write_arrays(&mut network)?,
        }
        Ok(Written {
            out: self.out.as_path().into(),
            images: data.len(),
            width: rows.width,
        })
    }
}

/// What the file is to be.
enum Format {
    Safetensors,
    Npy,
}

impl Features {
    fn format(&self) -> Result<Format> {
        match self.out.extension().and_then(OsStr::to_str) {
            Some("npy") if self.with_images => bail!(
                "{}: an array has no room for --with-images; write a .safetensors file",
                escaped(&self.out)
            ),
            Some("npy") => Ok(Format::Npy),
            _ => Ok(Format::Safetensors),
        }
    }
}

/// The features on their way to the disk.
struct Rows<'a> {
    command: &'a Features,
    data: &'a Dataset,
    layer: usize,
    width: usize,
    interrupt: Interrupt,
}

impl Rows<'_> {
    fn labels(&self) -> Vec<i64> {
        let label = |i| i64::from(self.data.label(i));
        (0..self.data.len()).map(label).collect()
    }

    /// Computes the features and writes them, a batch at a time.
    fn fill(&self, network: &mut Network, out: &mut dyn Write) -> Result<()> {
        let bar = Progress::new("computed", "images", self.data.len() as u64);
        evaluate::features(network, self.data, self.layer, 0, |_, rows| {
            self.interrupt.check()?;
            match self.command.half {
                false => out.write_all(bytemuck::cast_slice(&rows))?,
                true => {
                    let mut halves = vec![f16::ZERO; rows.len()];
                    halves.convert_from_f32_slice(&rows);
                    let bits: &[u16] = halves.reinterpret_cast();
                    out.write_all(bytemuck::cast_slice(bits))?;
                }
            }
            bar.advance((rows.len() / self.width) as u64);
            Ok(())
        })
    }

    fn write_tensors(&self, network: &mut Network, checkpoint: &Checkpoint) -> Result<()> {
        let (data, mean) = (self.data, state::mean_info(network.net()));
        let features = Info {
            name: "features".into(),
            shape: vec![data.len(), self.width],
            dtype: if self.command.half {
                Dtype::F16
            } else {
                Dtype::F32
            },
        };
        let mut infos = vec![features, Info::i64("labels", [data.len()])];
        if self.command.with_images {
            infos.push(Info {
                name: "images".into(),
                shape: [&[data.len()], mean.shape.as_slice()].concat(),
                dtype: Dtype::U8,
            });
            infos.push(mean.clone());
        }
        tensors::write_parts(&self.command.out, &Text::new(), &infos, |info, out| {
            match info.name.as_str() {
                "features" => self.fill(network, out)?,
                "labels" => out.write_all(bytemuck::cast_slice(&self.labels()))?,
                "images" => {
                    for image in 0..data.len() {
                        self.interrupt.check()?;
                        out.write_all(&data.image(image)?)?;
                    }
                }
                _ => out.write_all(bytemuck::cast_slice(&checkpoint.tensors.f32(&mean)?))?,
            }
            Ok(())
        })
    }

    fn write_arrays(&self, network: &mut Network) -> Result<()> {
        let (path, images) = (&self.command.out, self.data.len());
        let dtype = if self.command.half { "<f2" } else { "<f4" };
        atomic::write(path, |out| {
            out.write_all(&npy::head(dtype, &[images, self.width]))?;
            self.fill(network, out)
        })?;
        atomic::write(&path.with_extension("labels.npy"), |out| {
            out.write_all(&npy::head("<i8", &[images]))?;
            Ok(out.write_all(bytemuck::cast_slice(&self.labels()))?)
        })
    }
}

impl fmt::Display for Written {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Written { out, images, width } = self;
        write!(f, "{out}: features [{images}, {width}] and labels")
    }
}
