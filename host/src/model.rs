//! A trained network, from a checkpoint to its devices.

use std::path::Path;

use anyhow::Result;

use crate::device::Places;
use crate::net::Network;
use crate::net::shapes::Net;
use crate::state;
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
