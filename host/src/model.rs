//! A trained network, from a checkpoint to its devices.

use std::path::Path;

use anyhow::{Result, ensure};
use console::escaped;
use dataset_pack::Dataset;

use crate::device::Places;
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
pub fn load(named: &Path, places: &Places, batch: usize) -> Result<(Network, Checkpoint)> {
    let (checkpoint, net) = open(named)?;
    let devices = places.open(net.towers.len())?;
    let network = Network::new(&net, &devices, batch, checkpoint.progress.kept.seed)?;
    state::restore(&network, &checkpoint.tensors, false)?;
    Ok((network, checkpoint))
}

/// That a set has the classes, in the order, that a network was trained on.
pub fn check_classes(checkpoint: &Checkpoint, data: &Dataset, path: &Path) -> Result<()> {
    let same = data
        .classes()
        .iter()
        .map(|class| &class.name)
        .eq(&checkpoint.progress.classes);
    ensure!(
        same,
        "{}: its classes are not those that {} was trained on",
        escaped(path),
        escaped(checkpoint.tensors.path())
    );
    Ok(())
}
