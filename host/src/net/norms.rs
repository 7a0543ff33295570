//! How large a network's weights are, their gradients, and what the last step changed.

use std::collections::BTreeMap;

use anyhow::Result;

use super::Network;
use super::parameters::Tensor;
use crate::device::{Buffer, Stream};
use crate::metrics::Norms;

/// Waits for the step that was queued, then gives the norms by layer.
pub fn norms(network: &Network) -> Result<BTreeMap<String, Norms>> {
    let mut squares: BTreeMap<String, Norms> = BTreeMap::new();
    for (_, parameters, stream) in network.parameters() {
        let Tensor {
            value,
            velocity,
            gradient,
            ..
        } = &parameters.weights;
        let sum = squares.entry(parameters.name.clone()).or_default();
        sum.weight += square(stream, value)?;
        sum.gradient += square(stream, gradient)?;
        sum.update += square(stream, velocity)?;
    }
    for norms in squares.values_mut() {
        *norms = Norms {
            weight: norms.weight.sqrt(),
            gradient: norms.gradient.sqrt(),
            update: norms.update.sqrt(),
        };
    }
    Ok(squares)
}

fn square(stream: &dyn Stream, numbers: &Buffer<f32>) -> Result<f64> {
    let numbers = stream.download(numbers)?;
    Ok(numbers.iter().map(|&x| f64::from(x).powi(2)).sum())
}
