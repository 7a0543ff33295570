//! A fully connected layer.

use std::sync::Arc;

use anyhow::{Result, bail};
use gpu_kernels::divisor::Divisor;
use gpu_kernels::fully_connected::{
    Shape, fully_connected_forward, fully_connected_input_gradient,
    fully_connected_weight_gradient, parts,
};
use gpu_kernels::sum::{
    sum_maps, sum_maps_launch, sum_parts, sum_parts_launch, sum_parts_with_bias,
};

use super::{Backward, Layer};
use crate::device::{Device, View};
use crate::net::pass::Pass;
use crate::net::shapes::{self, Op};
use crate::net::weights::Weights;

pub struct FullyConnected {
    shape: Shape,
    weights: Weights,
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
            weights: Weights::new(&layer.name, *parameters, device, id)?,
        })
    }
}

impl Layer for FullyConnected {
    fn forward(&self, pass: &Pass, x: View<f32>, y: View<f32>) {
        let (shape, target, stream) = (self.shape, pass.target(), pass.stream);
        let (w, b) = (self.weights.weights(), self.weights.biases());
        let (sums, count, len) = (pass.scratch, parts(shape.inputs), y.len() as u32);
        let images = Divisor::new(shape.images);
        // SAFETY: the tower made the views for this shape, and the scratch memory
        // holds what `scratch` asks for.
        unsafe {
            let arguments = (shape, x.read(), w.value.read(), sums.ptr());
            stream.launch(&fully_connected_forward, shape.forward(target), arguments);
            let arguments = (len, images, count, sums.read(), b.value.read(), y.ptr());
            stream.launch(
                &sum_parts_with_bias,
                sum_parts_launch(len, target),
                arguments,
            );
        }
    }

    fn input_gradient(&self, pass: &Pass, at: &Backward) {
        let Some(dx) = at.dx else { return };
        let (shape, target, stream) = (self.shape, pass.target(), pass.stream);
        let (w, sums, len) = (self.weights.weights(), pass.scratch, dx.len() as u32);
        // SAFETY: as for `forward`.
        unsafe {
            let arguments = (shape, w.value.read(), at.dy.read(), sums.ptr());
            let launch = shape.input_gradient(target);
            stream.launch(&fully_connected_input_gradient, launch, arguments);
            let arguments = (len, parts(shape.outputs), sums.read(), dx.ptr());
            stream.launch(&sum_parts, sum_parts_launch(len, target), arguments);
        }
    }

    fn weight_gradient(&self, pass: &Pass, at: &Backward) {
        let (shape, target, stream) = (self.shape, pass.target(), pass.stream);
        let (w, b) = (self.weights.weights(), self.weights.biases());
        // SAFETY: as for `forward`.
        unsafe {
            let arguments = (shape, at.x.read(), at.dy.read(), w.gradient.ptr());
            let launch = shape.weight_gradient(target);
            stream.launch(&fully_connected_weight_gradient, launch, arguments);
            let arguments = (shape.images, at.dy.read(), b.gradient.ptr());
            stream.launch(&sum_maps, sum_maps_launch(shape.outputs, target), arguments);
        }
    }

    fn scratch(&self) -> usize {
        let Shape {
            images,
            inputs,
            outputs,
        } = self.shape;
        let forward = parts(inputs) * outputs;
        let backward = parts(outputs) * inputs;
        forward.max(backward) as usize * images as usize
    }

    fn weights(&self) -> Option<&Weights> {
        Some(&self.weights)
    }
}
