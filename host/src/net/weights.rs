//! The weights and biases of a layer of one tower, and how they learn.

use std::sync::Arc;

use anyhow::Result;
use gpu_kernels::launch::{self, Gaussian};

use super::pass::Pass;
use super::shapes::Parameters;
use crate::device::{Buffer, Device};

/// Weights `[input][output]` and biases `[output]`, outputs padded with zeros to
/// [`Parameters::padded_outputs`], each with its velocity and its gradient.
pub struct Weights {
    /// The layer's name.
    pub name: String,
    /// Sizes, initial values and rates.
    pub parameters: Parameters,
    weights: Tensor,
    biases: Tensor,
    id: u32,
}

/// One tensor that learns.
#[derive(Clone)]
pub struct Tensor {
    /// What it is.
    pub value: Buffer<f32>,
    /// Its momentum.
    pub velocity: Buffer<f32>,
    /// The gradient of the loss to it.
    pub gradient: Buffer<f32>,
}

/// The numbers of a step of stochastic gradient descent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rates {
    /// Learning rate ε.
    pub rate: f64,
    /// Momentum.
    pub momentum: f64,
    /// Weight decay.
    pub decay: f64,
}

impl Weights {
    /// Zeros on `device`; `id` tells their random numbers from others'.
    pub fn new(
        name: &str,
        parameters: Parameters,
        device: &Arc<dyn Device>,
        id: u32,
    ) -> Result<Self> {
        let padded = parameters.padded_outputs();
        let tensor = |len| -> Result<Tensor> {
            Ok(Tensor {
                value: Buffer::new(device, len)?,
                velocity: Buffer::new(device, len)?,
                gradient: Buffer::new(device, len)?,
            })
        };
        let (weights, biases) = (tensor(parameters.inputs * padded)?, tensor(padded)?);
        Ok(Weights {
            name: name.to_owned(),
            parameters,
            weights,
            biases,
            id,
        })
    }

    /// The weights.
    pub fn weights(&self) -> &Tensor {
        &self.weights
    }

    /// The biases.
    pub fn biases(&self) -> &Tensor {
        &self.biases
    }

    /// Queues the initial values: weights from a normal distribution, biases constant.
    pub fn initialise(&self, pass: &Pass) {
        let p = &self.parameters;
        let [rows, stride, valid] = [p.inputs, p.padded_outputs(), p.outputs].map(|n| n as u32);
        let matrix = Gaussian {
            rows,
            stride,
            valid,
            sigma: p.init.sigma as f32,
            seed: pass.seed,
            stream: self.id,
        };
        pass.stream
            .launch(|on| launch::gaussian_fill(matrix, on.write(&self.weights.value), on.target()));
        pass.stream.launch(|on| {
            let (bias, biases) = (p.init.bias as f32, on.write(&self.biases.value));
            launch::constant_fill(valid, bias, biases, on.target())
        });
    }

    /// Queues a step down the gradient.
    pub fn update(&self, pass: &Pass, rates: Rates) {
        let Parameters {
            rates: rate, decay, ..
        } = self.parameters;
        step(pass, rates, rate.weights, decay.weights, self.weights());
        step(pass, rates, rate.biases, decay.biases, self.biases());
    }
}

fn step(pass: &Pass, rates: Rates, times_rate: f64, times_decay: f64, t: &Tensor) {
    let rate = (rates.rate * times_rate) as f32;
    let decay = (rates.decay * times_decay) as f32;
    let numbers = [rate, rates.momentum as f32, decay];
    pass.stream.launch(|on| {
        let (g, v, w) = (
            on.read(&t.gradient),
            on.write(&t.velocity),
            on.write(&t.value),
        );
        launch::sgd_update(numbers, g, v, w, on.target())
    });
}
