//! What the newest checkpoint of a run holds: filters, and how large the weights are.

use std::path::Path;

use anyhow::Result;
use image::ImageFormat;

use crate::formats::checkpoint::Checkpoint;
use crate::formats::pytorch;
use crate::picture::{encode, filters};

/// A checkpoint, as the page shows it.
pub struct Trained {
    /// Its step.
    pub step: u64,
    /// The first layer's filters as PNG, if they read colours.
    pub filters: Option<Vec<u8>>,
    /// All tensors, in the network's order.
    pub tensors: Vec<Spread>,
}

/// The values of a tensor.
pub struct Spread {
    /// What it is called.
    pub name: String,
    /// Its sides.
    pub shape: Vec<usize>,
    /// Their mean.
    pub mean: f64,
    /// Their standard deviation.
    pub sigma: f64,
    /// Their Euclidean norm.
    pub norm: f64,
    /// The largest, whatever its sign.
    pub largest: f64,
}

impl Trained {
    /// Of a checkpoint's file.
    pub fn open(path: &Path) -> Result<Self> {
        let checkpoint = Checkpoint::open(path)?;
        let net = checkpoint.network()?;
        let joint = pytorch::joint_tensors(&net, &checkpoint.tensors)?;
        let first = joint
            .first()
            .filter(|(info, _)| matches!(info.shape[..], [_, 3, _, _]));
        let filters = first.map(|(info, weights)| {
            let picture = filters::draw(weights, &info.shape, net.towers.len())?;
            encode(&picture, ImageFormat::Png)
        });
        let tensors = joint
            .iter()
            .map(|(info, values)| Spread::of(&info.name, &info.shape, values));
        Ok(Self {
            step: checkpoint.training.step,
            filters: filters.transpose()?,
            tensors: tensors.collect(),
        })
    }
}

impl Spread {
    fn of(name: &str, shape: &[usize], values: &[f32]) -> Self {
        let count = values.len().max(1) as f64;
        let all = || values.iter().map(|&value| f64::from(value));
        let (mean, squares) = (
            all().sum::<f64>() / count,
            all().map(|v| v * v).sum::<f64>(),
        );
        Self {
            name: name.into(),
            shape: shape.to_vec(),
            mean,
            sigma: (all().map(|v| (v - mean).powi(2)).sum::<f64>() / count).sqrt(),
            norm: squares.sqrt(),
            largest: all().map(f64::abs).fold(0.0, f64::max),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_spread_of_some_values() {
        let spread = Spread::of("a", &[2, 2], &[-3.0, 1.0, 1.0, 5.0]);
        assert_eq!(
            (spread.mean, spread.sigma, spread.norm),
            (1.0, 8f64.sqrt(), 6.0)
        );
        assert_eq!(spread.largest, 5.0);
    }
}
