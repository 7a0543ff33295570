//! How large a network's weights are, their gradients, and what the last step changed.

use std::collections::BTreeMap;

use anyhow::Result;

use super::Network;
use crate::metrics::Norms;
use crate::ranks::Ranks;

/// Waits for the step that was queued, then gives the norms by layer; of many ranks the first has them.
pub fn norms(network: &Network, ranks: &Ranks) -> Result<BTreeMap<String, Norms>> {
    let mut squares: BTreeMap<String, Norms> = BTreeMap::new();
    for (_, parameters, stream) in network.parameters() {
        let tensor = &parameters.weights;
        let sum = squares.entry(parameters.name.clone()).or_default();
        sum.weight += square(&stream.download(&tensor.value)?);
        sum.gradient += square(&tensor.all_gradient(stream, ranks)?);
        sum.update += square(&tensor.all_velocity(stream, ranks)?);
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

fn square(numbers: &[f32]) -> f64 {
    numbers.iter().map(|&x| f64::from(x).powi(2)).sum()
}
