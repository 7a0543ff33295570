//! Whether the numbers of a network make sense, as far as it can be told without its shapes.

use anyhow::{Context, Result, ensure};
use toml::Value;

use super::{Input, Spec, Train};

/// The most maps, units or towers; products of what is no larger can be computed.
pub(in crate::net) const MOST: i64 = 1 << 20;

/// The largest side of an image, a window or a step.
const SIDE: i64 = 1 << 16;

/// What is a side.
const SIDES: [&str; 5] = ["size", "crop", "kernel", "stride", "pad"];

impl Spec {
    /// That no number asks for what nobody can mean.
    fn check_sizes(&self) -> Result<()> {
        for (key, value) in self.keys() {
            let Value::Integer(number) = value else {
                continue;
            };
            let (whose, what) = key.rsplit_once('.').unwrap_or(("", &key));
            let most = match SIDES.contains(&what) {
                true => SIDE,
                false => MOST,
            };
            ensure!(
                number <= most || whose == "train",
                "{key} is {number}, and may be {most} at most"
            );
        }
        Ok(())
    }

    pub(super) fn check(&self) -> Result<()> {
        self.check_sizes()?;
        let Input {
            size,
            crop,
            channels,
        } = self.input;
        ensure!(self.towers >= 1, "towers must be at least 1");
        ensure!(
            crop >= 1 && crop <= size,
            "input: crop {crop} must be between 1 and size {size}"
        );
        ensure!(
            channels == 3,
            "input: channels must be 3 (images are RGB), found {channels}"
        );
        self.train.check()?;
        for (i, layer) in self.layers.iter().enumerate() {
            let first = self
                .layers
                .iter()
                .position(|other| other.name == layer.name);
            ensure!(
                first == Some(i),
                "layer {}: the name is used twice",
                layer.name
            );
            layer
                .kind
                .keys()
                .check()
                .with_context(|| format!("layer {}", layer.name))?;
        }
        Ok(())
    }
}

impl Train {
    fn check(&self) -> Result<()> {
        ensure!(self.batch >= 1, "train: batch must be at least 1");
        ensure!(self.epochs >= 1, "train: epochs must be at least 1");
        ensure!(
            self.lr > 0.0 && self.lr.is_finite(),
            "train: lr must be positive, found {}",
            self.lr
        );
        ensure!(
            (0.0..1.0).contains(&self.momentum),
            "train: momentum must be in [0, 1), found {}",
            self.momentum
        );
        ensure!(
            self.decay >= 0.0 && self.decay.is_finite(),
            "train: decay must be at least 0, found {}",
            self.decay
        );
        ensure!(
            self.factor > 0.0 && self.factor <= 1.0,
            "train: factor must be above 0 and at most 1, found {}",
            self.factor
        );
        ensure!(self.patience >= 1, "train: patience must be at least 1");
        ensure!(
            self.min_delta >= 0.0,
            "train: min-delta must be at least 0, found {}",
            self.min_delta
        );
        ensure!(
            self.warmup >= 0.0 && self.warmup.is_finite(),
            "train: warmup must be at least 0, found {}",
            self.warmup
        );
        Ok(())
    }
}
