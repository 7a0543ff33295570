//! The weights and biases of a layer of one tower, and how they learn.

use std::sync::Arc;

use anyhow::Result;
use gpu_kernels::launch::{self, Gaussian};

use super::context::Context;
use super::shapes::ParameterSpec;
use super::spec::Train;
use crate::device::{Buffer, Device};

/// Weights `[input][output]`, as of [`Banks`](super::shapes::Banks), and biases `[output]`, outputs padded with zeros
/// to [`ParameterSpec::padded_outputs`], each with its velocity and its gradient.
pub struct Parameters {
    /// The layer's name.
    pub name: String,
    /// Sizes, initial values and rates.
    pub spec: ParameterSpec,
    /// The weights.
    pub weights: Tensor,
    /// The biases.
    pub biases: Tensor,
    id: u32,
}

/// One tensor that learns.
#[derive(Clone)]
pub struct Tensor {
    /// Its values.
    pub value: Buffer<f32>,
    /// Its velocity, which momentum keeps from step to step.
    pub velocity: Buffer<f32>,
    /// The gradient of the loss to it.
    pub gradient: Buffer<f32>,
}

/// The numbers of a step of stochastic gradient descent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sgd {
    /// Learning rate ε.
    pub rate: f64,
    /// Momentum.
    pub momentum: f64,
    /// Weight decay.
    pub decay: f64,
}

impl Sgd {
    /// A step as a network is trained, at this learning rate.
    pub fn new(train: &Train, rate: f64) -> Self {
        Self {
            rate,
            momentum: train.momentum,
            decay: train.decay,
        }
    }
}

impl Parameters {
    /// Zeros on `device`; `id` tells their random numbers from others'.
    pub fn new(name: &str, spec: ParameterSpec, device: &Arc<dyn Device>, id: u32) -> Result<Self> {
        let padded = spec.padded_outputs();
        let tensor = |len| -> Result<Tensor> {
            Ok(Tensor {
                value: Buffer::new(device, len)?,
                velocity: Buffer::new(device, len)?,
                gradient: Buffer::new(device, len)?,
            })
        };
        let (weights, biases) = (tensor(spec.inputs * padded)?, tensor(padded)?);
        Ok(Parameters {
            name: name.to_owned(),
            spec,
            weights,
            biases,
            id,
        })
    }

    /// Queues the initial values: weights from a normal distribution, biases constant.
    pub fn initialise(&self, context: &Context) {
        let p = &self.spec;
        let [rows, stride, valid] = p.matrix().map(|n| n as u32);
        let matrix = Gaussian {
            rows,
            stride,
            valid,
            sigma: p.init.sigma as f32,
            seed: context.seed,
            stream: self.id,
        };
        context
            .stream
            .launch(|on| launch::gaussian_fill(matrix, on.write(&self.weights.value), on.target()));
        context.stream.launch(|on| {
            let (bias, biases) = (p.init.bias as f32, on.write(&self.biases.value));
            launch::constant_fill(p.outputs as u32, bias, biases, on.target())
        });
    }

    /// Queues a step down the gradient, of the weights and of the biases as far as they learn.
    pub fn update(&self, context: &Context, by: [Option<Sgd>; 2]) {
        for (sgd, tensor) in by.into_iter().zip([&self.weights, &self.biases]) {
            if let Some(sgd) = sgd {
                step(context, sgd, tensor);
            }
        }
    }
}

/// A step down the gradient of one tensor.
fn step(context: &Context, sgd: Sgd, t: &Tensor) {
    let numbers = [sgd.rate, sgd.momentum, sgd.decay].map(|n| n as f32);
    context.stream.launch(|on| {
        let (g, v, w) = (
            on.read(&t.gradient),
            on.write(&t.velocity),
            on.write(&t.value),
        );
        launch::sgd_update(numbers, g, v, w, on.target())
    });
}
