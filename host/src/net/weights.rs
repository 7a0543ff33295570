//! The weights and biases of a layer of one tower, and how they learn.

use std::sync::Arc;

use anyhow::Result;
use gpu_kernels::fill::{constant_fill, constant_fill_launch, gaussian_fill, gaussian_fill_launch};
use gpu_kernels::sgd::{sgd_launch, sgd_update};

use super::pass::Pass;
use super::shapes::Parameters;
use crate::device::{Buffer, Device, View};

/// Weights `[input][output]` and biases `[output]`, outputs padded with zeros to
/// [`Parameters::padded_outputs`], each with its velocity and its gradient.
pub struct Weights {
    /// The layer's name.
    pub name: String,
    /// Sizes, initial values and rates.
    pub parameters: Parameters,
    weights: [Buffer<f32>; 3],
    biases: [Buffer<f32>; 3],
    id: u32,
}

/// One tensor that learns.
#[derive(Clone, Copy)]
pub struct Tensor {
    /// What it is.
    pub value: View<f32>,
    /// Its momentum.
    pub velocity: View<f32>,
    /// The gradient of the loss to it.
    pub gradient: View<f32>,
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
        let three = |len| -> Result<[Buffer<f32>; 3]> {
            Ok([
                Buffer::new(device, len)?,
                Buffer::new(device, len)?,
                Buffer::new(device, len)?,
            ])
        };
        let (weights, biases) = (three(parameters.inputs * padded)?, three(padded)?);
        Ok(Weights {
            name: name.to_owned(),
            parameters,
            weights,
            biases,
            id,
        })
    }

    /// The weights.
    pub fn weights(&self) -> Tensor {
        tensor(&self.weights)
    }

    /// The biases.
    pub fn biases(&self) -> Tensor {
        tensor(&self.biases)
    }

    /// Queues the initial values: weights from a normal distribution, biases constant.
    pub fn initialise(&self, pass: &Pass) {
        let p = &self.parameters;
        let [rows, padded, valid] = [p.inputs, p.padded_outputs(), p.outputs].map(|n| n as u32);
        let (w, b, target) = (self.weights().value, self.biases().value, pass.target());
        // SAFETY: the views have these sizes.
        unsafe {
            let launch = gaussian_fill_launch(rows, padded, target);
            let sigma = p.init.sigma as f32;
            let arguments = (rows, padded, valid, sigma, pass.seed, self.id, w.ptr());
            pass.stream.launch(&gaussian_fill, launch, arguments);
            let launch = constant_fill_launch(padded, target);
            let arguments = (padded, valid, p.init.bias as f32, b.ptr());
            pass.stream.launch(&constant_fill, launch, arguments);
        }
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

fn tensor([value, velocity, gradient]: &[Buffer<f32>; 3]) -> Tensor {
    Tensor {
        value: value.view(),
        velocity: velocity.view(),
        gradient: gradient.view(),
    }
}

fn step(pass: &Pass, rates: Rates, times_rate: f64, times_decay: f64, t: Tensor) {
    let len = t.value.len() as u32;
    let rate = (rates.rate * times_rate) as f32;
    let decay = (rates.decay * times_decay) as f32;
    let (g, v, w) = (t.gradient.read(), t.velocity.ptr(), t.value.ptr());
    let arguments = (len, rate, rates.momentum as f32, decay, g, v, w);
    // SAFETY: all three views have `len` floats.
    unsafe {
        pass.stream
            .launch(&sgd_update, sgd_launch(len, pass.target()), arguments);
    }
}
