//! `host filters`

use std::fmt;
use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Args;
use serde::Serialize;

use super::Run;
use crate::formats::pytorch;
use crate::model;
use crate::paths::ShownPath;
use crate::picture::filters;

/// Draws the filters of the first layer.
#[derive(Args, Clone, Debug)]
#[command(after_help = "Example: host filters --checkpoint runs/a --out filters.png")]
pub struct Filters {
    /// A checkpoint, or a run directory for its newest
    #[arg(long, value_name = "FILE")]
    pub checkpoint: PathBuf,
    /// The picture to write
    #[arg(long, value_name = "FILE.png")]
    pub out: PathBuf,
}

/// What was drawn.
#[derive(Clone, Debug, Serialize)]
pub struct Drawn {
    out: ShownPath,
    weights: String,
}

impl Run for Filters {
    type Report = Drawn;

    fn run(&self) -> Result<Drawn> {
        let (checkpoint, net) = model::open(&self.checkpoint)?;
        let joint = pytorch::joint_tensors(&net, &checkpoint.tensors)?;
        let (info, weights) = joint.first().context("the network has no weights")?;
        filters::write(&self.out, weights, &info.shape, net.towers.len())?;
        Ok(Drawn {
            out: self.out.as_path().into(),
            weights: info.name.clone(),
        })
    }
}

impl fmt::Display for Drawn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: the filters of {}", self.out, self.weights)
    }
}
