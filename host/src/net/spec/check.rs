//! Whether the numbers of a network make sense, as far as it can be told without its shapes.

use anyhow::{Context, Result, ensure};

use super::{Decay, Init, Input, Kind, Rates, Spec, Train};

impl Spec {
    pub(super) fn check(&self) -> Result<()> {
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
            self.divide >= 1.0 && self.divide.is_finite(),
            "train: divide must be at least 1, found {}",
            self.divide
        );
        ensure!(self.patience >= 1, "train: patience must be at least 1");
        ensure!(
            self.min_delta >= 0.0,
            "train: min-delta must be at least 0, found {}",
            self.min_delta
        );
        Ok(())
    }
}

impl Kind {
    fn check(&self) -> Result<()> {
        match self {
            Self::Convolution(c) => {
                ensure!(
                    c.maps >= 1 && c.kernel >= 1 && c.stride >= 1,
                    "maps, kernel and stride must be at least 1"
                );
                ensure!(
                    c.pad < c.kernel,
                    "pad {} must be smaller than kernel {}",
                    c.pad,
                    c.kernel
                );
                check_parameters(&c.init, &c.rates, &c.decay)
            }
            Self::FullyConnected(f) => check_parameters(&f.init, &f.rates, &f.decay),
            Self::Lrn(l) => {
                ensure!(l.n >= 1, "n must be at least 1");
                ensure!(
                    l.k > 0.0 && l.alpha >= 0.0,
                    "k must be positive and alpha at least 0"
                );
                ensure!(
                    l.alpha.is_finite() && l.beta.is_finite() && l.k.is_finite(),
                    "k, alpha, beta must be finite"
                );
                Ok(())
            }
            Self::MaxPool(p) => {
                ensure!(
                    p.kernel >= 1 && p.stride >= 1,
                    "kernel and stride must be at least 1"
                );
                ensure!(
                    p.pad < p.kernel,
                    "pad {} must be smaller than kernel {}",
                    p.pad,
                    p.kernel
                );
                Ok(())
            }
            Self::Dropout(d) => {
                ensure!(
                    (0.0..1.0).contains(&d.p),
                    "p must be in [0, 1), found {}",
                    d.p
                );
                Ok(())
            }
            Self::Relu | Self::Tanh | Self::Softmax => Ok(()),
        }
    }
}

fn check_parameters(init: &Init, rates: &Rates, decay: &Decay) -> Result<()> {
    ensure!(
        init.sigma >= 0.0 && init.sigma.is_finite(),
        "sigma must be at least 0, found {}",
        init.sigma
    );
    ensure!(init.bias.is_finite(), "bias must be finite");
    for factor in [rates.weights, rates.biases, decay.weights, decay.biases] {
        ensure!(
            factor >= 0.0 && factor.is_finite(),
            "rates and decay must be at least 0, found {factor}"
        );
    }
    Ok(())
}
