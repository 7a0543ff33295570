//! `--gpus`: which tower runs where.

use std::sync::Arc;

use anyhow::{Result, bail, ensure};

use super::{CpuDevice, Device};

/// One place of `--gpus`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// A virtual GPU.
    Cpu,
    /// The GPU of this number.
    Gpu(usize),
}

impl Place {
    /// Reads `0,1`, `cpu`, `cpu,cpu` and the like.
    pub fn parse_list(text: &str) -> Result<Vec<Place>> {
        text.split(',')
            .map(|one| Place::parse(one.trim(), text))
            .collect()
    }

    fn parse(one: &str, text: &str) -> Result<Place> {
        match (one, one.parse()) {
            ("cpu", _) => Ok(Place::Cpu),
            (_, Ok(number)) => Ok(Place::Gpu(number)),
            _ => bail!("--gpus {text}: `{one}` is neither a GPU's number nor `cpu`"),
        }
    }
}

/// A device for each of `towers` towers: one place each, or one for all. All cores work for the virtual GPUs.
pub fn open(places: &[Place], towers: usize) -> Result<Vec<Arc<dyn Device>>> {
    open_with(
        places,
        towers,
        std::thread::available_parallelism().map_or(1, |n| n.get()),
    )
}

/// The same with so many CPU threads, which the virtual GPUs share; each has at least one.
pub fn open_with(places: &[Place], towers: usize, threads: usize) -> Result<Vec<Arc<dyn Device>>> {
    ensure!(
        places.len() == 1 || places.len() == towers,
        "--gpus lists {} places for {towers} tower{}: list one for each, or one for all",
        places.len(),
        if towers == 1 { "" } else { "s" }
    );
    if let Some(Place::Gpu(number)) = places.iter().find(|place| matches!(place, Place::Gpu(_))) {
        bail!(
            "--gpus: GPU {number} cannot be used: this build has no CUDA support; `--gpus cpu,cpu` runs on the CPU"
        );
    }
    let share = |i: usize| (threads + i) / places.len();
    let devices = (0..places.len()).map(|i| Ok(CpuDevice::new(share(i))? as Arc<dyn Device>));
    let devices = devices.collect::<Result<Vec<_>>>()?;
    Ok((0..towers)
        .map(|tower| devices[tower % devices.len()].clone())
        .collect())
}
