//! Convolution.

use std::sync::Arc;

use anyhow::{Result, ensure};
use clap::ValueEnum;
use gpu_kernels::convolution::winograd::Winograd;
use gpu_kernels::convolution::{Shape, Sizes};
use gpu_kernels::launch;
use serde::Deserialize;

use super::{Backward, Keys, Layer, Site, sums};
use crate::check::data::{random, unwritten};
use crate::check::{self, Cases};
use crate::device::{Buffer, Device};
use crate::net::context::Context;
use crate::net::parameters::Parameters;
use crate::net::shapes::{Banks, Dims, ParameterSpec, Shaping, positions};
use crate::net::spec::{Reads, Rounding};
use winograd::Transformed;

mod winograd;

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
    /// Into how many groups the maps it reads in a tower are split, and its own, each reading the group at its place.
    #[serde(default = "one")]
    pub groups: usize,
    /// Whose maps it sees.
    #[serde(default)]
    pub reads: Reads,
    /// How it is computed, which its bits depend on.
    #[serde(default)]
    pub algorithm: Algorithm,
}

/// How a convolution is computed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Algorithm {
    /// By the formula: one product after the other.
    #[default]
    Direct,
    /// By Winograd's algorithm: fewer products, larger errors.
    Winograd,
}

fn one() -> usize {
    1
}

impl Algorithm {
    /// As a network's file has it.
    pub fn word(self) -> &'static str {
        match self {
            Algorithm::Direct => "direct",
            Algorithm::Winograd => "winograd",
        }
    }
}

impl Convolution {
    /// Whether it can be computed that way.
    pub fn can_be(&self, algorithm: Algorithm) -> bool {
        match algorithm {
            Algorithm::Direct => true,
            Algorithm::Winograd => Winograd::is_for(self.kernel as u32, self.stride as u32),
        }
    }

    /// Those of a group, and the parameters of all.
    pub(super) fn sizes(&self, site: &Site) -> Result<(Sizes, ParameterSpec)> {
        let layer = site.layer();
        let parameters = layer.own_parameters()?;
        let sizes = Sizes {
            images: site.images as u32,
            channels: (layer.input.channels / self.groups) as u32,
            input: [layer.input.height as u32, layer.input.width as u32],
            filters: parameters.matrix()[1] as u32,
            kernel: self.kernel as u32,
            stride: self.stride as u32,
            pad: self.pad as u32,
            output: [layer.output.height as u32, layer.output.width as u32],
        };
        Ok((sizes, *parameters))
    }
}

impl Convolution {
    /// Its maps, this tower's, and how large they are.
    pub(super) fn output(&self, input: Dims, tower: &Shaping) -> Result<Dims> {
        let windows = |side| positions(side, self.kernel, self.stride, self.pad, self.rounding);
        Ok(Dims {
            channels: tower.share(self.maps, "maps", self.groups)?,
            height: windows(input.height)?,
            width: windows(input.width)?,
        })
    }

    /// Parameters of so many outputs that each read nothing yet.
    pub(super) fn parameters(&self, outputs: usize, tower: &Shaping) -> ParameterSpec {
        ParameterSpec {
            inputs: 0,
            outputs,
            first_output: tower.tower() * outputs,
            banks: Banks::Groups(1),
            init: tower.init(),
        }
    }

    /// The kernels that compute by the formula; back to the input if anybody asks for that.
    fn direct_cases(shape: Shape, backward: bool, text: &str, all: &mut Cases) {
        let (x, y, w) = (shape.input_len(), shape.output_len(), shape.weights_len());
        let flops = 2.0 * f64::from(shape.depth()) * y as f64;
        let tensors = [
            random(1, x, 1.0),
            random(2, w, 0.1),
            random(3, shape.filters() as usize, 1.0),
            unwritten(y),
        ];
        let case = all.add("convolution_forward", text, tensors, move |at| {
            let (x, w, bias) = (at.read(0), at.read(1), at.read(2));
            launch::convolution_forward(shape, x, w, bias, at.write(3), at.target())
        });
        case.flops = flops;
        // Nobody asks for the gradient to the images, and of the first layer it would be most of all the work.
        if backward {
            let tensors = [random(1, w, 0.1), random(2, y, 1.0), unwritten(x)];
            let case = all.add("convolution_input_gradient", text, tensors, move |at| {
                let (w, dy) = (at.read(0), at.read(1));
                launch::convolution_input_gradient(shape, w, dy, at.write(2), at.target())
            });
            case.flops = flops;
        }
        let dw = unwritten(w * shape.splits() as usize);
        let tensors = [random(1, x, 1.0), random(2, y, 1.0), dw];
        let case = all.add("convolution_weight_gradient", text, tensors, move |at| {
            let (x, dy) = (at.read(0), at.read(1));
            launch::convolution_weight_gradient(shape, x, dy, at.write(2), at.target())
        });
        case.flops = flops;
        sums::parts(all, w, shape.splits());
    }

    /// In words, for `check-kernels`.
    pub(super) fn text(sizes: &Sizes) -> String {
        let ([i, j], [k, l]) = (sizes.input, sizes.output);
        format!(
            "{}x{i}x{j} to {}x{k}x{l}, window {}, stride {}, pad {}, {} images",
            sizes.channels, sizes.filters, sizes.kernel, sizes.stride, sizes.pad, sizes.images
        )
    }
}

impl Keys for Convolution {
    fn check(&self) -> Result<()> {
        ensure!(
            self.maps >= 1 && self.kernel >= 1 && self.stride >= 1,
            "maps, kernel and stride must be at least 1"
        );
        ensure!(self.groups >= 1, "groups must be at least 1");
        ensure!(
            self.pad < self.kernel,
            "pad {} must be smaller than kernel {}",
            self.pad,
            self.kernel
        );
        ensure!(
            self.can_be(self.algorithm),
            "algorithm winograd needs a kernel of 3 or 5 strides, rounded up; found kernel {} and stride {}",
            self.kernel,
            self.stride
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
        ensure!(
            input.channels.is_multiple_of(self.groups),
            "the {} maps it reads cannot be split into {} groups",
            input.channels,
            self.groups
        );
        let output = self.output(input, tower)?;
        let parameters = ParameterSpec {
            inputs: input.channels / self.groups * self.kernel * self.kernel,
            banks: Banks::Groups(self.groups),
            ..self.parameters(output.channels, tower)
        };
        tower.grow(output.channels * tower.towers());
        Ok((output, Some(parameters)))
    }

    fn build(&self, site: &Site, device: &Arc<dyn Device>) -> Result<Box<dyn Layer>> {
        let (sizes, parameters) = self.sizes(site)?;
        let shape = Shape::new(sizes);
        let transformed = match self.algorithm {
            Algorithm::Direct => None,
            Algorithm::Winograd => Some(Transformed::new(shape, device.target())?),
        };
        Ok(Box::new(Convolves {
            shape,
            transformed,
            groups: self.groups,
            parameters: Parameters::new(site, parameters, device)?,
        }))
    }

    fn cases(&self, site: &Site, all: &mut Cases) {
        let Ok((sizes, parameters)) = self.sizes(site) else {
            return;
        };
        let shape = Shape::new(sizes);
        let filters = sizes.filters as usize;
        let text = Self::text(&sizes);
        sums::channels(all, filters * self.groups, shape.out_columns());
        sums::parameters(all, &parameters);
        match self.algorithm {
            Algorithm::Direct => Self::direct_cases(shape, site.passes_gradient(), &text, all),
            Algorithm::Winograd => {
                if let Ok(winograd) = Winograd::try_new(shape) {
                    check::winograd::cases(winograd, site.passes_gradient(), &text, all);
                    sums::parts(all, winograd.part_len(), winograd.parts());
                }
            }
        }
    }
}

struct Convolves {
    /// Of a group.
    shape: Shape,
    transformed: Option<Transformed>,
    groups: usize,
    parameters: Parameters,
}

/// Group `group` of a buffer in which each group has `len` floats.
fn part(of: &Buffer<f32>, group: usize, len: usize) -> Buffer<f32> {
    of.slice(group * len..(group + 1) * len)
}

impl Layer for Convolves {
    fn forward(&self, context: &Context, x: &Buffer<f32>, y: &Buffer<f32>) {
        let (shape, w, b) = (
            self.shape,
            &self.parameters.weights,
            &self.parameters.biases,
        );
        for group in 0..self.groups {
            let x = part(x, group, shape.input_len());
            let w = part(&w.value, group, shape.weights_len());
            let b = part(&b.value, group, shape.filters() as usize);
            let y = part(y, group, shape.output_len());
            if let Some(transformed) = &self.transformed {
                transformed.forward(context, [&x, &w, &b], &y);
                continue;
            }
            context.stream.launch(|on| {
                let (x, w, b) = (on.read(&x), on.read(&w), on.read(&b));
                launch::convolution_forward(shape, x, w, b, on.write(&y), on.target())
            });
        }
    }

    fn input_gradient(&self, context: &Context, at: &Backward) {
        let Some(dx) = at.dx else { return };
        let (shape, w) = (self.shape, &self.parameters.weights);
        for group in 0..self.groups {
            let w = part(&w.value, group, shape.weights_len());
            let dy = part(at.dy, group, shape.output_len());
            let dx = part(dx, group, shape.input_len());
            if let Some(transformed) = &self.transformed {
                transformed.input_gradient(context, [&w, &dy], &dx);
                continue;
            }
            context.stream.launch(|on| {
                let (w, dy) = (on.read(&w), on.read(&dy));
                launch::convolution_input_gradient(shape, w, dy, on.write(&dx), on.target())
            });
        }
    }

    fn weight_gradient(&self, context: &Context, at: &Backward) {
        let (shape, w, b) = (
            self.shape,
            &self.parameters.weights,
            &self.parameters.biases,
        );
        let [weights, biases] = at.wanted;
        for group in (0..self.groups).filter(|_| weights) {
            let x = part(at.x, group, shape.input_len());
            let dy = part(at.dy, group, shape.output_len());
            let dw = part(&w.gradient, group, shape.weights_len());
            if let Some(transformed) = &self.transformed {
                transformed.weight_gradient(context, [&x, &dy], &dw);
                continue;
            }
            let parts = context.scratch.slice(0..self.scratch());
            context.stream.launch(|on| {
                let (x, dy) = (on.read(&x), on.read(&dy));
                launch::convolution_weight_gradient(shape, x, dy, on.write(&parts), on.target())
            });
            context.stream.launch(|on| {
                let (parts, dw) = (on.read(&parts), on.write(&dw));
                launch::sum_parts(shape.splits(), parts, dw, on.target())
            });
        }
        if biases {
            context.stream.launch(|on| {
                let (dy, db) = (on.read(at.dy), on.write(&b.gradient));
                launch::sum_maps(shape.out_columns(), dy, db, on.target())
            });
        }
    }

    fn scratch(&self) -> usize {
        match &self.transformed {
            Some(transformed) => transformed.scratch(),
            None => self.shape.weights_len() * self.shape.splits() as usize,
        }
    }

    fn parameters(&self) -> Option<&Parameters> {
        Some(&self.parameters)
    }
}
