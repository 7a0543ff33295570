//! `host export`

use std::fmt;
use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Args;
use serde::Serialize;

use super::Run;
use crate::formats::pytorch;
use crate::formats::tensors::{self, Text};
use crate::model;
use crate::paths::ShownPath;

/// Writes the weights as PyTorch names and shapes them, both towers joined.
#[derive(Args, Clone, Debug)]
#[command(after_help = "Example: host export --checkpoint runs/a --out alexnet.safetensors")]
pub struct Export {
    /// A checkpoint, or a run directory for its newest
    #[arg(long, value_name = "FILE")]
    pub checkpoint: PathBuf,
    /// The file to write
    #[arg(long, value_name = "FILE.safetensors")]
    pub out: PathBuf,
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
        let infos: Vec<_> = joint.iter().map(|(info, _)| info.clone()).collect();
        tensors::write(&self.out, &Text::new(), &infos, |wanted| {
            let found = joint.iter().find(|(info, _)| info.name == wanted.name);
            let (_, numbers) = found.context("a tensor that was not joined")?;
            Ok(bytemuck::cast_slice(numbers).into())
        })?;
        Ok(Exported {
            out: self.out.as_path().into(),
            tensors: infos.len(),
            parameters: net.parameter_count(),
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
