//! `host filters`

use anyhow::{Context, Result};
use console::escaped;

use crate::cli::Filters;
use crate::model;
use crate::picture::filters;
use crate::state;

pub fn run(options: &Filters) -> Result<()> {
    let (checkpoint, net) = model::open(&options.checkpoint)?;
    let joint = state::joint_tensors(&net, &checkpoint.tensors)?;
    let (info, weights) = joint.first().context("the network has no weights")?;
    filters::write(&options.out, weights, &info.shape, net.towers.len())?;
    console::result!("{}: the filters of {}", escaped(&options.out), info.name)?;
    Ok(())
}
