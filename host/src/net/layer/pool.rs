//! Overlapping max-pooling.

use std::sync::Arc;

use anyhow::{Result, bail, ensure};
use gpu_kernels::{launch, pool};

use super::{Backward, Layer};
use crate::device::{Buffer, Device};
use crate::net::context::Context;
use crate::net::shapes::{self, Op};

pub struct MaxPool {
    shape: pool::Shape,
    winner: Buffer<f32>,
}

impl MaxPool {
    pub fn new(layer: &shapes::Layer, device: &Arc<dyn Device>, batch: usize) -> Result<Self> {
        let Op::MaxPool {
            kernel,
            stride,
            pad,
        } = layer.op
        else {
            bail!("layer {}: not a pooling", layer.name)
        };
        ensure!(pad == 0, "layer {}: pooling has no pad", layer.name);
        let shape = pool::Shape::new(
            [layer.input.channels, layer.input.height, layer.input.width].map(|n| n as u32),
            [layer.output.height as u32, layer.output.width as u32],
            kernel as u32,
            stride as u32,
            batch as u32,
        );
        Ok(MaxPool {
            shape,
            winner: Buffer::new(device, layer.output.len() * batch)?,
        })
    }
}

impl Layer for MaxPool {
    fn forward(&self, context: &Context, x: &Buffer<f32>, y: &Buffer<f32>) {
        context.stream.launch(|on| {
            let (x, y, winner) = (on.read(x), on.write(y), on.write(&self.winner));
            launch::max_pool_forward(self.shape, x, y, winner, on.target())
        });
    }

    fn input_gradient(&self, context: &Context, at: &Backward) {
        let Some(dx) = at.dx else { return };
        context.stream.launch(|on| {
            let (winner, dy) = (on.read(&self.winner), on.read(at.dy));
            launch::max_pool_backward(self.shape, winner, dy, on.write(dx), on.target())
        });
    }
}
