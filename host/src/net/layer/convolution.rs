//! Convolution.

use std::sync::Arc;

use anyhow::{Result, bail};
use gpu_kernels::convolution::{Shape, Sizes};
use gpu_kernels::launch;

use super::{Backward, Layer};
use crate::device::{Buffer, Device};
use crate::net::context::Context;
use crate::net::parameters::Parameters;
use crate::net::shapes::{self, Op};

/// The sizes of a convolution on so many images; nothing for another layer.
pub fn sizes(layer: &shapes::Layer, images: u32) -> Option<Sizes> {
    let Op::Convolution {
        kernel,
        stride,
        pad,
        parameters,
    } = &layer.op
    else {
        return None;
    };
    Some(Sizes {
        images,
        channels: layer.input.channels as u32,
        input: [layer.input.height as u32, layer.input.width as u32],
        filters: parameters.padded_outputs() as u32,
        kernel: *kernel as u32,
        stride: *stride as u32,
        pad: *pad as u32,
        output: [layer.output.height as u32, layer.output.width as u32],
    })
}

pub struct Convolution {
    shape: Shape,
    parameters: Parameters,
}

impl Convolution {
    pub fn new(
        layer: &shapes::Layer,
        device: &Arc<dyn Device>,
        batch: usize,
        id: u32,
    ) -> Result<Self> {
        let (Op::Convolution { parameters, .. }, Some(sizes)) =
            (&layer.op, sizes(layer, batch as u32))
        else {
            bail!("layer {}: not a convolution", layer.name)
        };
        let shape = Shape::new(sizes);
        Ok(Convolution {
            shape,
            parameters: Parameters::new(&layer.name, *parameters, device, id)?,
        })
    }
}

impl Layer for Convolution {
    fn forward(&self, context: &Context, x: &Buffer<f32>, y: &Buffer<f32>) {
        let (w, b) = (&self.parameters.weights, &self.parameters.biases);
        context.stream.launch(|on| {
            let (x, w, b) = (on.read(x), on.read(&w.value), on.read(&b.value));
            launch::convolution_forward(self.shape, x, w, b, on.write(y), on.target())
        });
    }

    fn input_gradient(&self, context: &Context, at: &Backward) {
        let Some(dx) = at.dx else { return };
        let w = &self.parameters.weights;
        context.stream.launch(|on| {
            let (w, dy) = (on.read(&w.value), on.read(at.dy));
            launch::convolution_input_gradient(self.shape, w, dy, on.write(dx), on.target())
        });
    }

    fn weight_gradient(&self, context: &Context, at: &Backward) {
        let (w, b) = (&self.parameters.weights, &self.parameters.biases);
        let parts = context.scratch.slice(0..self.scratch());
        context.stream.launch(|on| {
            let (x, dy) = (on.read(at.x), on.read(at.dy));
            launch::convolution_weight_gradient(self.shape, x, dy, on.write(&parts), on.target())
        });
        context.stream.launch(|on| {
            let (parts, dw) = (on.read(&parts), on.write(&w.gradient));
            launch::sum_parts(self.shape.splits(), parts, dw, on.target())
        });
        context.stream.launch(|on| {
            let (dy, db) = (on.read(at.dy), on.write(&b.gradient));
            launch::sum_maps(self.shape.out_columns(), dy, db, on.target())
        });
    }

    fn scratch(&self) -> usize {
        self.parameters.weights.value.len() * self.shape.splits() as usize
    }

    fn parameters(&self) -> Option<&Parameters> {
        Some(&self.parameters)
    }
}
