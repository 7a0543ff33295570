//! The weights and biases of a layer of one tower, and how they learn.

use std::sync::Arc;

use anyhow::Result;
use gpu_kernels::launch::{self, Gaussian};

use super::context::Context;
use super::layer::Site;
use super::pieces::{Piece, pieces};
use super::shapes::ParameterSpec;
use super::spec::Train;
use crate::device::{Buffer, Device, Stream};
use crate::ranks::Ranks;

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
    /// The velocity, which momentum keeps from step to step, of this rank's own part.
    pub velocity: Buffer<f32>,
    /// The gradient of the loss to it. Of many ranks each has the sum in its own part, behind a step.
    pub gradient: Buffer<f32>,
    /// How ranks divide it among them.
    pub pieces: Vec<Piece>,
    /// The gradient, and behind it the sums of those of earlier shares: of one share, of two, of four and so on.
    sums: Buffer<f32>,
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
    /// Zeros on `device` for a layer.
    pub fn new(site: &Site, spec: ParameterSpec, device: &Arc<dyn Device>) -> Result<Self> {
        let padded = spec.padded_outputs();
        let tensor = |len| -> Result<Tensor> {
            let sums = Buffer::new(device, len * (1 + site.shares.sums()))?;
            let pieces = pieces(len, site.shares.rank());
            Ok(Tensor {
                value: Buffer::new(device, len)?,
                velocity: Buffer::new(device, pieces.last().map_or(0, |last| last.kept.end))?,
                gradient: sums.slice(0..len),
                sums,
                pieces,
            })
        };
        let (weights, biases) = (tensor(spec.inputs * padded)?, tensor(padded)?);
        Ok(Parameters {
            name: site.layer().name.clone(),
            spec,
            weights,
            biases,
            id: site.id,
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

    /// Queues the addition of a share's gradients, as far as they are wanted, to those of the shares before it; `place` is
    /// its place among the `count` shares that pass here. Behind the last, the gradients are the sums of all.
    pub fn add_share(&self, context: &Context, [place, count]: [u32; 2], wanted: [bool; 2]) {
        for (wanted, tensor) in wanted.into_iter().zip([&self.weights, &self.biases]) {
            if wanted {
                add_share(context, [place, count], tensor);
            }
        }
    }

    /// Queues a step down the gradient, of the weights and of the biases as far as they learn.
    pub fn update(&self, context: &Context, by: [Option<Sgd>; 2]) {
        for (sgd, tensor) in by.into_iter().zip([&self.weights, &self.biases]) {
            if let Some(sgd) = sgd {
                let pieces = tensor.pieces.iter();
                pieces.for_each(|piece| tensor.step(context.stream, sgd, piece));
            }
        }
    }
}

impl Tensor {
    /// Queues a step down the gradient, of this rank's own part of a piece.
    pub(super) fn step(&self, stream: &dyn Stream, sgd: Sgd, piece: &Piece) {
        if piece.own.is_empty() {
            return;
        }
        let numbers = [sgd.rate, sgd.momentum, sgd.decay].map(|n| n as f32);
        let [gradient, value] =
            [&self.gradient, &self.value].map(|whole| whole.slice(piece.own.clone()));
        let velocity = self.velocity.slice(piece.kept.clone());
        stream.launch(|on| {
            let (g, v, w) = (on.read(&gradient), on.write(&velocity), on.write(&value));
            launch::sgd_update(numbers, g, v, w, on.target())
        });
    }

    /// Waits for the whole velocity, of which every rank has its own part; the first one gets it, the others nothing.
    pub fn all_velocity(&self, stream: &dyn Stream, ranks: &Ranks) -> Result<Vec<f32>> {
        self.gather(stream, ranks, |piece| {
            self.velocity.slice(piece.kept.clone())
        })
    }

    /// The same of the gradient that the last step went down.
    pub fn all_gradient(&self, stream: &dyn Stream, ranks: &Ranks) -> Result<Vec<f32>> {
        self.gather(stream, ranks, |piece| {
            self.gradient.slice(piece.own.clone())
        })
    }

    fn gather(
        &self,
        stream: &dyn Stream,
        ranks: &Ranks,
        own: impl Fn(&Piece) -> Buffer<f32>,
    ) -> Result<Vec<f32>> {
        let mut whole = Vec::new();
        for piece in &self.pieces {
            let mut part = stream.download(&own(piece))?;
            part.resize(piece.chunk, 0.0);
            let all = ranks.gather_at_first(part);
            whole.extend(all.iter().take(piece.range.len()));
        }
        Ok(whole)
    }

    /// Queues the upload of this rank's own part of a whole velocity.
    pub fn set_velocity(&self, stream: &dyn Stream, whole: &[f32]) {
        for piece in &self.pieces {
            let kept = self.velocity.slice(piece.kept.clone());
            stream.upload(&whole[piece.own.clone()], &kept);
        }
    }
}

/// Adds a share's gradient to the sums that are complete with it, as one carries when counting in binary: the sum of all
/// shares is that of a binary tree over their places, whatever their number. The sums lie behind the gradient in the order
/// in which they are added.
fn add_share(context: &Context, [place, count]: [u32; 2], t: &Tensor) {
    let len = t.gradient.len();
    let complete = place.trailing_ones() as usize;
    let last = place + 1 == count;
    if last && complete == 0 {
        return;
    }
    let parts = t.sums.slice(0..(1 + complete) * len);
    let sum = match last {
        true => t.gradient.clone(),
        false => t.sums.slice((1 + complete) * len..(2 + complete) * len),
    };
    context.stream.launch(|on| {
        let count = 1 + complete as u32;
        launch::sum_parts(count, on.read(&parts), on.write(&sum), on.target())
    });
}
