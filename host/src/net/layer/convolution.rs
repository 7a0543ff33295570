//! Convolution.

use std::sync::Arc;

use anyhow::{Result, ensure};
use gpu_kernels::convolution::{Shape, Sizes};
use gpu_kernels::launch;
use serde::Deserialize;

use super::{Backward, Keys, Layer, Site, sums};
use crate::check::Cases;
use crate::check::data::{random, unwritten};
use crate::device::{Buffer, Device};
use crate::net::context::Context;
use crate::net::parameters::Parameters;
use crate::net::shapes::{Dims, ParameterSpec, Shaping, positions};
use crate::net::spec::{Reads, Rounding};

/// A convolution as written.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Convolution {
    /// Output maps of all towers together.
    pub maps: usize,
    /// Side of a filter.
    pub kernel: usize,
    /// Step between windows.
    #[serde(default = "one")]
    pub stride: usize,
    /// Zeros around the image.
    #[serde(default)]
    pub pad: usize,
    /// Whether a last, overhanging window counts.
    #[serde(default)]
    pub rounding: Rounding,
    /// Whose maps it sees.
    #[serde(default)]
    pub reads: Reads,
}

fn one() -> usize {
    1
}

impl Convolution {
    fn sizes(&self, site: &Site) -> Result<(Sizes, ParameterSpec)> {
        let layer = site.layer();
        let parameters = layer.own_parameters()?;
        let sizes = Sizes {
            images: site.images as u32,
            channels: layer.input.channels as u32,
            input: [layer.input.height as u32, layer.input.width as u32],
            filters: parameters.padded_outputs() as u32,
            kernel: self.kernel as u32,
            stride: self.stride as u32,
            pad: self.pad as u32,
            output: [layer.output.height as u32, layer.output.width as u32],
        };
        Ok((sizes, *parameters))
    }
}

impl Keys for Convolution {
    fn check(&self) -> Result<()> {
        ensure!(
            self.maps >= 1 && self.kernel >= 1 && self.stride >= 1,
            "maps, kernel and stride must be at least 1"
        );
        ensure!(
            self.pad < self.kernel,
            "pad {} must be smaller than kernel {}",
            self.pad,
            self.kernel
        );
        Ok(())
    }

    fn reads(&self) -> Reads {
        self.reads
    }

    fn has_weights(&self) -> bool {
        true
    }

    fn shape(&self, input: Dims, tower: &mut Shaping) -> Result<(Dims, Option<ParameterSpec>)> {
        let windows = |side| positions(side, self.kernel, self.stride, self.pad, self.rounding);
        let (height, width) = (windows(input.height)?, windows(input.width)?);
        let outputs = tower.share(self.maps, "maps")?;
        let parameters = ParameterSpec {
            inputs: input.channels * self.kernel * self.kernel,
            outputs,
            first_output: tower.tower() * outputs,
            init: tower.init(),
        };
        tower.grow(outputs * tower.towers());
        let output = Dims {
            channels: outputs,
            height,
            width,
        };
        Ok((output, Some(parameters)))
    }

    fn build(&self, site: &Site, device: &Arc<dyn Device>) -> Result<Box<dyn Layer>> {
        let (sizes, parameters) = self.sizes(site)?;
        let name = &site.layer().name;
        Ok(Box::new(Convolves {
            shape: Shape::new(sizes),
            parameters: Parameters::new(name, parameters, device, site.id)?,
        }))
    }

    fn cases(&self, site: &Site, all: &mut Cases) {
        let Ok((sizes, parameters)) = self.sizes(site) else {
            return;
        };
        let shape = Shape::new(sizes);
        let (x, y, w) = (shape.input_len(), shape.output_len(), shape.weights_len());
        let filters = sizes.filters as usize;
        let flops = 2.0 * f64::from(shape.depth()) * y as f64;
        let ([i, j], [k, l]) = (sizes.input, sizes.output);
        let text = format!(
            "{}x{i}x{j} to {filters}x{k}x{l}, window {}, stride {}, pad {}, {} images",
            sizes.channels, sizes.kernel, sizes.stride, sizes.pad, sizes.images
        );
        let tensors = [
            random(1, x, 1.0),
            random(2, w, 0.1),
            random(3, filters, 1.0),
            unwritten(y),
        ];
        let case = all.add("convolution_forward", &text, tensors, move |at| {
            let (x, w, bias) = (at.read(0), at.read(1), at.read(2));
            launch::convolution_forward(shape, x, w, bias, at.write(3), at.target())
        });
        case.flops = flops;
        // Nobody asks for the gradient to the images, and of the first layer it would be most of all the work.
        if site.index > 0 {
            let tensors = [random(1, w, 0.1), random(2, y, 1.0), unwritten(x)];
            let case = all.add("convolution_input_gradient", &text, tensors, move |at| {
                let (w, dy) = (at.read(0), at.read(1));
                launch::convolution_input_gradient(shape, w, dy, at.write(2), at.target())
            });
            case.flops = flops;
        }
        let dw = unwritten(w * shape.splits() as usize);
        let tensors = [random(1, x, 1.0), random(2, y, 1.0), dw];
        let case = all.add("convolution_weight_gradient", &text, tensors, move |at| {
            let (x, dy) = (at.read(0), at.read(1));
            launch::convolution_weight_gradient(shape, x, dy, at.write(2), at.target())
        });
        case.flops = flops;
        sums::parts(all, w, shape.splits());
        sums::channels(all, filters, shape.out_columns());
        sums::parameters(all, &parameters);
    }
}

struct Convolves {
    shape: Shape,
    parameters: Parameters,
}

impl Layer for Convolves {
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
        let [weights, biases] = at.wanted;
        if weights {
            let parts = context.scratch.slice(0..self.scratch());
            context.stream.launch(|on| {
                let (x, dy, to) = (on.read(at.x), on.read(at.dy), on.write(&parts));
                launch::convolution_weight_gradient(self.shape, x, dy, to, on.target())
            });
            context.stream.launch(|on| {
                let (parts, dw) = (on.read(&parts), on.write(&w.gradient));
                launch::sum_parts(self.shape.splits(), parts, dw, on.target())
            });
        }
        if biases {
            context.stream.launch(|on| {
                let (dy, db) = (on.read(at.dy), on.write(&b.gradient));
                launch::sum_maps(self.shape.out_columns(), dy, db, on.target())
            });
        }
    }

    fn scratch(&self) -> usize {
        self.parameters.weights.value.len() * self.shape.splits() as usize
    }

    fn parameters(&self) -> Option<&Parameters> {
        Some(&self.parameters)
    }
}
