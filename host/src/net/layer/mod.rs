//! What the layers of a tower do, a file for each kind.

mod activation;
pub(crate) mod convolution;
mod dropout;
mod fully_connected;
mod lrn;
mod pool;
pub mod softmax;

use std::sync::Arc;

use anyhow::Result;

use super::context::Context;
use super::parameters::Parameters;
use super::shapes::{self, Op};
use crate::device::{Buffer, Device};

/// What a layer gave and what it gets back.
pub struct Backward<'a> {
    /// Its input, unless it worked in place.
    pub x: &'a Buffer<f32>,
    /// Its output.
    pub y: &'a Buffer<f32>,
    /// The gradient of the loss to its output.
    pub dy: &'a Buffer<f32>,
    /// Where the gradient to its input goes; `None` where nobody wants it.
    pub dx: Option<&'a Buffer<f32>>,
}

/// A layer of one tower, ready to run on a batch of fixed size.
pub trait Layer: Send {
    /// Queues `y` from `x`.
    fn forward(&self, context: &Context, x: &Buffer<f32>, y: &Buffer<f32>);

    /// Queues the gradient to the input.
    fn input_gradient(&self, context: &Context, at: &Backward);

    /// Then queues the gradients to the parameters, if it has any.
    fn weight_gradient(&self, _pass: &Context, _at: &Backward) {}

    /// Floats of scratch memory it uses.
    fn scratch(&self) -> usize {
        0
    }

    /// Its weights and biases, if it has any.
    fn parameters(&self) -> Option<&Parameters> {
        None
    }
}

/// Makes a layer; `id` tells its random numbers from those of others.
pub fn build(
    layer: &shapes::Layer,
    device: &Arc<dyn Device>,
    batch: usize,
    id: u32,
) -> Result<Box<dyn Layer>> {
    Ok(match &layer.op {
        Op::Convolution { .. } => {
            Box::new(convolution::Convolution::new(layer, device, batch, id)?)
        }
        Op::FullyConnected { .. } => Box::new(fully_connected::FullyConnected::new(
            layer, device, batch, id,
        )?),
        Op::Relu => Box::new(activation::Relu),
        Op::Tanh => Box::new(activation::Tanh),
        Op::Lrn(lrn) => Box::new(lrn::Lrn::new(lrn, layer, batch)),
        Op::MaxPool { .. } => Box::new(pool::MaxPool::new(layer, device, batch)?),
        Op::Dropout { p } => Box::new(dropout::Dropout { p: *p as f32, id }),
        Op::Softmax => anyhow::bail!("layer {}: a softmax ends the network", layer.name),
    })
}
