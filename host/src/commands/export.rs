//! `host export`

use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::Args;
use clap::builder::{OsStringValueParser, TypedValueParser};
use serde::Serialize;

use super::Run;
use super::interrupt::Interrupt;
use crate::formats::tensors::{self, Text};
use crate::formats::weights::{self, Tensors};
use crate::formats::{npz, onnx, pytorch, state};
use crate::model;
use crate::paths::ShownPath;

/// Writes the weights as PyTorch names and shapes them, or the network as an ONNX graph, both towers joined.
#[derive(Args, Clone, Debug)]
#[command(
    after_help = "Example: host export --checkpoint runs/a --out alexnet.safetensors\n\n\
                  The preset `torchvision` gets torchvision's names, and weights for its dropout. ONNX is of opset 13; \
                  it reads `image` and gives `logits` and `probabilities`."
)]
pub struct Export {
    /// A checkpoint, or a run directory for its newest
    #[arg(long, value_name = "FILE")]
    pub checkpoint: PathBuf,
    /// The file to write; its ending says what it is: safetensors, as without one, npz (NumPy) or onnx
    #[arg(long, value_name = "FILE", value_parser = OsStringValueParser::new().try_map(out))]
    pub out: PathBuf,
    /// Also the mean image; in an ONNX graph it is taken off inside, and the centre cropped
    #[arg(long)]
    pub with_mean: bool,
}

fn out(name: OsString) -> Result<PathBuf, String> {
    let path = PathBuf::from(name);
    match ending(&path) {
        "" | "safetensors" | "npz" | "onnx" => Ok(path),
        _ => Err("its name must end in .safetensors, .npz or .onnx".into()),
    }
}

fn ending(path: &Path) -> &str {
    path.extension().and_then(|end| end.to_str()).unwrap_or("")
}

/// What was written.
#[derive(Clone, Debug, Serialize)]
pub struct Exported {
    out: ShownPath,
    tensors: usize,
    parameters: usize,
}

impl Run for Export {
    type Report = Exported;

    fn run(&self) -> Result<Exported> {
        let (checkpoint, net) = model::open(&self.checkpoint)?;
        let joint = pytorch::joint_tensors(&net, &checkpoint.tensors)?;
        let named = joint.into_iter().map(|pair| (pair.0.name.clone(), pair));
        let mut all: Tensors = named.collect();
        let info = state::mean_info(&net);
        let mean = match self.with_mean {
            true => Some(checkpoint.tensors.f32(&info)?),
            false => None,
        };
        Interrupt::listen()?;
        if ending(&self.out) == "onnx" {
            let classes = &checkpoint.training.classes;
            onnx::write(&self.out, &net, &all, classes, mean.as_deref())?;
        } else {
            all = weights::for_export(&net, all);
            all.extend(mean.map(|mean| (info.name.clone(), (info, mean))));
            self.write(&all)?;
        }
        Ok(Exported {
            out: self.out.as_path().into(),
            tensors: all.len(),
            parameters: net.parameter_count(),
        })
    }
}

impl Export {
    fn write(&self, all: &Tensors) -> Result<()> {
        if ending(&self.out) == "npz" {
            return npz::write(&self.out, all);
        }
        let infos: Vec<_> = all.values().map(|(info, _)| info.clone()).collect();
        tensors::write(&self.out, &Text::new(), &infos, |wanted| {
            let (_, numbers) = all.get(&wanted.name).context("no such tensor")?;
            Ok(bytemuck::cast_slice(numbers).into())
        })
    }
}

impl fmt::Display for Exported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Exported {
            out,
            tensors,
            parameters,
        } = self;
        write!(f, "{out}: {tensors} tensors, {parameters} parameters")
    }
}
