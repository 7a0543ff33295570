//! A trained network, from a checkpoint to its devices.

use std::path::Path;

use anyhow::Result;
use clap::Args;

use crate::device::Places;
use crate::formats::checkpoint::Checkpoint;
use crate::formats::state;
use crate::net::Network;
use crate::net::shapes::Net;

/// How a trained network is run.
#[derive(Args, Clone, Debug)]
pub struct Inference {
    /// Images at a time
    #[arg(long, default_value_t = 128, value_name = "N")]
    pub batch: usize,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub places: Places,
}

/// Opens a checkpoint and its shapes.
pub fn open(named: &Path) -> Result<(Checkpoint, Net)> {
    let checkpoint = Checkpoint::open(named)?;
    let net = checkpoint.network()?;
    Ok((checkpoint, net))
}

/// Puts a checkpoint's network on devices.
pub fn load(named: &Path, inference: &Inference) -> Result<(Network, Checkpoint)> {
    let (checkpoint, net) = open(named)?;
    let devices = inference.places.open(net.towers.len())?;
    let seed = checkpoint.training.kept.seed;
    let network = Network::new(&net, &devices, inference.batch, seed)?;
    state::restore(&network, &checkpoint.tensors, false)?;
    Ok((network, checkpoint))
}
