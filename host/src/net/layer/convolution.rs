//! Convolution.

use std::sync::Arc;

use anyhow::{Result, bail};
use gpu_kernels::convolution::{
    Shape, Sizes, convolution_forward, convolution_input_gradient, convolution_weight_gradient,
};
use gpu_kernels::sum::{sum_maps, sum_maps_launch, sum_parts, sum_parts_launch};

use super::{Backward, Layer};
use crate::device::{Device, View};
use crate::net::pass::Pass;
use crate::net::shapes::{self, Op};
use crate::net::weights::Weights;

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
    weights: Weights,
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
            weights: Weights::new(&layer.name, *parameters, device, id)?,
        })
    }
}

impl Layer for Convolution {
    fn forward(&self, pass: &Pass, x: View<f32>, y: View<f32>) {
        let (w, b) = (self.weights.weights(), self.weights.biases());
        let arguments = (
            self.shape,
            x.read(),
            w.value.read(),
            b.value.read(),
            y.ptr(),
        );
        // SAFETY: the tower made the views for this shape.
        unsafe {
            let launch = self.shape.forward(pass.target());
            pass.stream.launch(&convolution_forward, launch, arguments);
        }
    }

    fn input_gradient(&self, pass: &Pass, at: &Backward) {
        let Some(dx) = at.dx else { return };
        let w = self.weights.weights().value;
        let arguments = (self.shape, w.read(), at.dy.read(), dx.ptr());
        // SAFETY: as for `forward`.
        unsafe {
            let launch = self.shape.input_gradient(pass.target());
            pass.stream
                .launch(&convolution_input_gradient, launch, arguments);
        }
    }

    fn weight_gradient(&self, pass: &Pass, at: &Backward) {
        let (shape, target, stream) = (self.shape, pass.target(), pass.stream);
        let (w, b) = (self.weights.weights(), self.weights.biases());
        let (parts, len) = (pass.scratch, w.gradient.len() as u32);
        // SAFETY: as for `forward`; the scratch memory holds what `scratch` asks for.
        unsafe {
            let arguments = (shape, at.x.read(), at.dy.read(), parts.ptr());
            let launch = shape.weight_gradient(target);
            stream.launch(&convolution_weight_gradient, launch, arguments);
            let arguments = (len, shape.parts(), parts.read(), w.gradient.ptr());
            stream.launch(&sum_parts, sum_parts_launch(len, target), arguments);
            let arguments = (shape.out_columns(), at.dy.read(), b.gradient.ptr());
            let launch = sum_maps_launch(b.gradient.len() as u32, target);
            stream.launch(&sum_maps, launch, arguments);
        }
    }

    fn scratch(&self) -> usize {
        self.weights.weights().value.len() * self.shape.parts() as usize
    }

    fn weights(&self) -> Option<&Weights> {
        Some(&self.weights)
    }
}
