//! Overlapping max-pooling.

use std::sync::Arc;

use anyhow::{Result, bail, ensure};
use gpu_kernels::pool;

use super::{Backward, Layer};
use crate::device::{Buffer, Device, View};
use crate::net::pass::Pass;
use crate::net::shapes::{self, Op};

pub struct MaxPool {
    shape: pool::Pool,
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
        let shape = pool::Pool::new(
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
    fn forward(&self, pass: &Pass, x: View<f32>, y: View<f32>) {
        let launch = pool::max_pool_forward_launch(self.shape, pass.target());
        let arguments = (self.shape, x.read(), y.ptr(), self.winner.view().ptr());
        // SAFETY: the views were made for this shape.
        unsafe {
            pass.stream
                .launch(&pool::max_pool_forward, launch, arguments)
        }
    }

    fn input_gradient(&self, pass: &Pass, at: &Backward) {
        let Some(dx) = at.dx else { return };
        let launch = pool::max_pool_backward_launch(self.shape, pass.target());
        let arguments = (
            self.shape,
            self.winner.view().read(),
            at.dy.read(),
            dx.ptr(),
        );
        // SAFETY: as for `forward`.
        unsafe {
            pass.stream
                .launch(&pool::max_pool_backward, launch, arguments)
        }
    }
}
