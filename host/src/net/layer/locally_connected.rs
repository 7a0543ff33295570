//! Locally connected layers: convolutions whose filters are others at every pixel.

use std::sync::Arc;

use anyhow::{Result, ensure};
use gpu_kernels::convolution::Shape;
use gpu_kernels::launch;
use serde::Deserialize;

use super::convolution::{Algorithm, Convolution};
use super::{Backward, Keys, Layer, Site, sums};
use crate::check::Cases;
use crate::check::data::{random, unwritten};
use crate::device::{Buffer, Device};
use crate::net::context::Context;
use crate::net::parameters::Parameters;
use crate::net::shapes::{Banks, Dims, ParameterSpec, Shaping};
use crate::net::spec::Reads;

/// A locally connected layer as written: a convolution's keys, but at every pixel of the output it has weights and
/// biases of its own.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(transparent)]
pub struct LocallyConnected(Convolution);

impl LocallyConnected {
    /// Its windows and maps.
    pub fn convolution(&self) -> &Convolution {
        &self.0
    }

    fn shape(&self, site: &Site) -> Result<(Shape, ParameterSpec)> {
        let (sizes, parameters) = self.0.sizes(site)?;
        Ok((Shape::new(sizes), parameters))
    }
}

impl Keys for LocallyConnected {
    fn check(&self) -> Result<()> {
        ensure!(self.0.groups == 1, "groups are for convolutions");
        ensure!(
            self.0.algorithm == Algorithm::Direct,
            "algorithm winograd is for convolutions"
        );
        self.0.check()
    }

    fn reads(&self) -> Reads {
        self.0.reads()
    }

    fn has_weights(&self) -> bool {
        true
    }

    fn shape(&self, input: Dims, tower: &mut Shaping) -> Result<(Dims, Option<ParameterSpec>)> {
        let output = self.0.output(input, tower)?;
        let parameters = ParameterSpec {
            inputs: input.channels * self.0.kernel * self.0.kernel,
            banks: Banks::Pixels(output.height * output.width),
            ..self.0.parameters(output.len(), tower)
        };
        tower.grow(output.channels * tower.towers());
        Ok((output, Some(parameters)))
    }

    fn build(&self, site: &Site, device: &Arc<dyn Device>) -> Result<Box<dyn Layer>> {
        let (shape, parameters) = self.shape(site)?;
        Ok(Box::new(Connects {
            shape,
            images: site.images as u32,
            parameters: Parameters::new(site, parameters, device)?,
        }))
    }

    fn cases(&self, site: &Site, all: &mut Cases) {
        let Ok((sizes, parameters)) = self.0.sizes(site) else {
            return;
        };
        let (shape, text) = (Shape::new(sizes), Convolution::text(&sizes));
        let (x, y, w) = (
            shape.input_len(),
            shape.output_len(),
            shape.local_weights_len(),
        );
        let flops = 2.0 * f64::from(shape.depth()) * y as f64;
        let bias = random(3, shape.local_bias_len(), 1.0);
        let tensors = [random(1, x, 1.0), random(2, w, 0.1), bias, unwritten(y)];
        let case = all.add("local_forward", &text, tensors, move |at| {
            let (x, w, bias) = (at.read(0), at.read(1), at.read(2));
            launch::local_forward(shape, x, w, bias, at.write(3), at.target())
        });
        case.flops = flops;
        let tensors = [random(1, w, 0.1), random(2, y, 1.0), unwritten(x)];
        let case = all.add("local_input_gradient", &text, tensors, move |at| {
            launch::local_input_gradient(shape, at.read(0), at.read(1), at.write(2), at.target())
        });
        case.flops = flops;
        let tensors = [random(1, x, 1.0), random(2, y, 1.0), unwritten(w)];
        let case = all.add("local_weight_gradient", &text, tensors, move |at| {
            launch::local_weight_gradient(shape, at.read(0), at.read(1), at.write(2), at.target())
        });
        case.flops = flops;
        sums::channels(all, parameters.outputs, sizes.images);
        sums::parameters(all, &parameters);
    }
}

struct Connects {
    shape: Shape,
    images: u32,
    parameters: Parameters,
}

impl Layer for Connects {
    fn forward(&self, context: &Context, x: &Buffer<f32>, y: &Buffer<f32>) {
        let (w, b) = (&self.parameters.weights, &self.parameters.biases);
        context.stream.launch(|on| {
            let (x, w, b) = (on.read(x), on.read(&w.value), on.read(&b.value));
            launch::local_forward(self.shape, x, w, b, on.write(y), on.target())
        });
    }

    fn input_gradient(&self, context: &Context, at: &Backward) {
        let Some(dx) = at.dx else { return };
        let w = &self.parameters.weights;
        context.stream.launch(|on| {
            let (w, dy) = (on.read(&w.value), on.read(at.dy));
            launch::local_input_gradient(self.shape, w, dy, on.write(dx), on.target())
        });
    }

    fn weight_gradient(&self, context: &Context, at: &Backward) {
        let (w, b) = (&self.parameters.weights, &self.parameters.biases);
        let [weights, biases] = at.wanted;
        if weights {
            context.stream.launch(|on| {
                let (x, dy, dw) = (on.read(at.x), on.read(at.dy), on.write(&w.gradient));
                launch::local_weight_gradient(self.shape, x, dy, dw, on.target())
            });
        }
        if biases {
            context.stream.launch(|on| {
                let (dy, db) = (on.read(at.dy), on.write(&b.gradient));
                launch::sum_maps(self.images, dy, db, on.target())
            });
        }
    }

    fn parameters(&self) -> Option<&Parameters> {
        Some(&self.parameters)
    }
}
