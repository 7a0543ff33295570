//! A trained network, from a checkpoint to its devices.

use std::path::Path;
use std::sync::Arc;

use anyhow::Result;
use clap::Args;

use crate::device::{Device, Places};
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
    place(named, inference, Network::new)
}

/// Likewise, a network that gives the gradient to its images.
pub fn load_with_image_gradients(
    named: &Path,
    inference: &Inference,
) -> Result<(Network, Checkpoint)> {
    place(named, inference, Network::with_image_gradients)
}

fn place(
    named: &Path,
    inference: &Inference,
    build: impl Fn(&Net, &[Arc<dyn Device>], usize, u64) -> Result<Network>,
) -> Result<(Network, Checkpoint)> {
    let (checkpoint, net) = open(named)?;
    let devices = inference.places.open(net.towers.len())?;
    let network = build(
        &net,
        &devices,
        inference.batch,
        checkpoint.training.kept.seed,
    )?;
    state::restore(&network, &checkpoint.tensors, false)?;
    Ok((network, checkpoint))
}
