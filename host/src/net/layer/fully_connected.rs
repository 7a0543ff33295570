//! A fully connected layer.

use std::sync::Arc;

use anyhow::{Result, bail};
use gpu_kernels::fully_connected::{Shape, splits};
use gpu_kernels::launch;

use super::{Backward, Layer};
use crate::device::{Buffer, Device};
use crate::net::context::Context;
use crate::net::parameters::Parameters;
use crate::net::shapes::{self, Op};

pub struct FullyConnected {
    shape: Shape,
    parameters: Parameters,
}

impl FullyConnected {
    pub fn new(
        layer: &shapes::Layer,
        device: &Arc<dyn Device>,
        batch: usize,
        id: u32,
    ) -> Result<Self> {
        let Op::FullyConnected { parameters } = &layer.op else {
            bail!("layer {}: not fully connected", layer.name)
        };
        let shape = Shape {
            images: batch as u32,
            inputs: parameters.inputs as u32,
            outputs: parameters.padded_outputs() as u32,
        };
        Ok(FullyConnected {
            shape,
            parameters: Parameters::new(&layer.name, *parameters, device, id)?,
        })
    }
}

impl Layer for FullyConnected {
    fn forward(&self, context: &Context, x: &Buffer<f32>, y: &Buffer<f32>) {
        let (w, b) = (&self.parameters.weights, &self.parameters.biases);
        let count = splits(self.shape.inputs);
        let sums = context.scratch.slice(0..y.len() * count as usize);
        context.stream.launch(|on| {
            let (x, w) = (on.read(x), on.read(&w.value));
            launch::fully_connected_forward(self.shape, x, w, on.write(&sums), on.target())
        });
        context.stream.launch(|on| {
            let (images, sums, b) = (self.shape.images, on.read(&sums), on.read(&b.value));
            launch::sum_parts_with_bias(images, count, sums, b, on.write(y), on.target())
        });
    }

    fn input_gradient(&self, context: &Context, at: &Backward) {
        let Some(dx) = at.dx else { return };
        let w = &self.parameters.weights;
        let count = splits(self.shape.outputs);
        let sums = context.scratch.slice(0..dx.len() * count as usize);
        context.stream.launch(|on| {
            let (w, dy) = (on.read(&w.value), on.read(at.dy));
            launch::fully_connected_input_gradient(self.shape, w, dy, on.write(&sums), on.target())
        });
        context
            .stream
            .launch(|on| launch::sum_parts(count, on.read(&sums), on.write(dx), on.target()));
    }

    fn weight_gradient(&self, context: &Context, at: &Backward) {
        let (w, b) = (&self.parameters.weights, &self.parameters.biases);
        context.stream.launch(|on| {
            let (x, dy, dw) = (on.read(at.x), on.read(at.dy), on.write(&w.gradient));
            launch::fully_connected_weight_gradient(self.shape, x, dy, dw, on.target())
        });
        context.stream.launch(|on| {
            let (dy, db) = (on.read(at.dy), on.write(&b.gradient));
            launch::sum_maps(self.shape.images, dy, db, on.target())
        });
    }

    fn scratch(&self) -> usize {
        let Shape {
            images,
            inputs,
            outputs,
        } = self.shape;
        let forward = splits(inputs) * outputs;
        let backward = splits(outputs) * inputs;
        forward.max(backward) as usize * images as usize
    }

    fn parameters(&self) -> Option<&Parameters> {
        Some(&self.parameters)
    }
}
