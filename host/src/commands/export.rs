//! `host export`

use anyhow::{Context, Result};
use console::escaped;

use crate::cli::Export;
use crate::model;
use crate::state;
use crate::tensors::{self, Text};

pub fn run(options: &Export) -> Result<()> {
    let (checkpoint, net) = model::open(&options.checkpoint)?;
    let joint = state::joint_tensors(&net, &checkpoint.tensors)?;
    let infos: Vec<_> = joint.iter().map(|(info, _)| info.clone()).collect();
    tensors::write(&options.out, &Text::new(), &infos, |wanted| {
        let found = joint.iter().find(|(info, _)| info.name == wanted.name);
        let (_, numbers) = found.context("a tensor that was not joined")?;
        Ok(bytemuck::cast_slice(numbers).into())
    })?;
    console::result!(
        "{}: {} tensors, {} parameters",
        escaped(&options.out),
        infos.len(),
        net.parameter_count()
    )?;
    Ok(())
}
