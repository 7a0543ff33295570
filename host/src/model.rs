//! A trained network, from a checkpoint to its devices.

use std::path::Path;

use anyhow::{Result, ensure};
use dataset_pack::Dataset;

use crate::device::{self, Place};
use crate::net::shapes::Net;
use crate::net::{Network, state};
use crate::train::checkpoint::Checkpoint;

/// Opens a checkpoint and its shapes.
pub fn open(named: &Path) -> Result<(Checkpoint, Net)> {
    let checkpoint = Checkpoint::open(named)?;
    let net = checkpoint.network()?;
    Ok((checkpoint, net))
}

/// Puts a checkpoint's network on devices, for batches of `batch` images.
pub fn load(named: &Path, gpus: Option<&str>, batch: usize) -> Result<(Network, Checkpoint)> {
    let (checkpoint, net) = open(named)?;
    let devices = device::open(&places(gpus, net.towers.len())?, net.towers.len())?;
    let network = Network::new(&net, &devices, batch, checkpoint.progress.seed)?;
    state::restore(&network, &checkpoint.tensors, false)?;
    Ok((network, checkpoint))
}

/// What `--gpus` says, or what suits this machine.
pub fn places(gpus: Option<&str>, towers: usize) -> Result<Vec<Place>> {
    match gpus {
        Some(list) => Place::parse_list(list),
        None => Ok(vec![Place::Cpu; towers]),
    }
}

/// That a set has the classes, in the order, that a network was trained on.
pub fn check_classes(checkpoint: &Checkpoint, data: &Dataset, path: &Path) -> Result<()> {
    let same = data.classes().iter().map(|class| &class.name).eq(&checkpoint.progress.classes);
    ensure!(
        same,
        "{}: its classes are not those that {} was trained on",
        path.display(),
        checkpoint.tensors.path().display()
    );
    Ok(())
}
