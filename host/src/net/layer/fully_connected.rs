//! A fully connected layer.

use std::sync::Arc;

use anyhow::Result;
use gpu_kernels::fully_connected::{Shape, splits};
use gpu_kernels::launch;
use serde::Deserialize;
use toml::Value;

use super::{Backward, Keys, Layer, Site, sums};
use crate::check::Cases;
use crate::check::data::{random, unwritten};
use crate::device::{Buffer, Device};
use crate::net::context::Context;
use crate::net::parameters::Parameters;
use crate::net::shapes::{Banks, Dims, ParameterSpec, Shaping};
use crate::net::spec::Reads;

/// A fully connected layer as written.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FullyConnected {
    /// Outputs of all towers together.
    pub units: Units,
    /// Whose maps it sees.
    #[serde(default)]
    pub reads: Reads,
}

/// Outputs of a fully connected layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Value")]
pub enum Units {
    /// As many as the data has classes: the last fully connected layer.
    Classes,
    /// So many, all towers together.
    Count(usize),
}

impl TryFrom<Value> for Units {
    type Error = String;

    fn try_from(value: Value) -> Result<Self, String> {
        match &value {
            Value::String(word) if word == "classes" => Ok(Self::Classes),
            Value::Integer(n) if *n > 0 => Ok(Self::Count(*n as usize)),
            _ => Err(format!(
                "units = {value}: expected a positive count or \"classes\""
            )),
        }
    }
}

impl FullyConnected {
    fn sizes(&self, site: &Site) -> Result<(Shape, ParameterSpec)> {
        let parameters = site.layer().own_parameters()?;
        let shape = Shape {
            images: site.images as u32,
            inputs: parameters.inputs as u32,
            outputs: parameters.padded_outputs() as u32,
        };
        Ok((shape, *parameters))
    }
}

impl Keys for FullyConnected {
    fn reads(&self) -> Reads {
        self.reads
    }

    fn has_weights(&self) -> bool {
        true
    }

    fn shape(&self, input: Dims, tower: &mut Shaping) -> Result<(Dims, Option<ParameterSpec>)> {
        let (outputs, first_output, all) = match self.units {
            Units::Count(units) => {
                let outputs = tower.share(units, "units", 1)?;
                (outputs, tower.tower() * outputs, outputs * tower.towers())
            }
            Units::Classes => {
                let own = tower.own_classes();
                (own.len(), own.start, tower.classes())
            }
        };
        let parameters = ParameterSpec {
            inputs: input.len(),
            outputs,
            first_output,
            banks: Banks::Groups(1),
            init: tower.init(),
        };
        tower.grow(all);
        let output = Dims {
            channels: outputs,
            height: 1,
            width: 1,
        };
        Ok((output, Some(parameters)))
    }

    fn build(&self, site: &Site, device: &Arc<dyn Device>) -> Result<Box<dyn Layer>> {
        let (shape, parameters) = self.sizes(site)?;
        Ok(Box::new(Connects {
            shape,
            parameters: Parameters::new(site, parameters, device)?,
        }))
    }

    fn cases(&self, site: &Site, all: &mut Cases) {
        let Ok((shape, parameters)) = self.sizes(site) else {
            return;
        };
        let (x, y, w) = (shape.input_len(), shape.output_len(), shape.weights_len());
        let Shape {
            images,
            inputs,
            outputs,
        } = shape;
        let flops = 2.0 * w as f64 * f64::from(images);
        let text = format!("{inputs} to {outputs}, {images} images");
        let [forward, backward] = [inputs, outputs].map(splits);
        let y_parts = unwritten(y * forward as usize);
        let tensors = [random(1, x, 1.0), random(2, w, 0.1), y_parts];
        let case = all.add("fully_connected_forward", &text, tensors, move |at| {
            let (x, w) = (at.read(0), at.read(1));
            launch::fully_connected_forward(shape, x, w, at.write(2), at.target())
        });
        case.flops = flops;
        let dx_parts = unwritten(x * backward as usize);
        let tensors = [random(1, w, 0.1), random(2, y, 1.0), dx_parts];
        let case = all.add(
            "fully_connected_input_gradient",
            &text,
            tensors,
            move |at| {
                let (w, dy) = (at.read(0), at.read(1));
                launch::fully_connected_input_gradient(shape, w, dy, at.write(2), at.target())
            },
        );
        case.flops = flops;
        let tensors = [random(1, x, 1.0), random(2, y, 1.0), unwritten(w)];
        let case = all.add(
            "fully_connected_weight_gradient",
            &text,
            tensors,
            move |at| {
                let (x, dy) = (at.read(0), at.read(1));
                launch::fully_connected_weight_gradient(shape, x, dy, at.write(2), at.target())
            },
        );
        case.flops = flops;
        let y_parts = random(1, y * forward as usize, 1.0);
        let tensors = [y_parts, random(2, outputs as usize, 1.0), unwritten(y)];
        let text = format!("{forward} parts of {y}");
        all.add("sum_parts_with_bias", text, tensors, move |at| {
            let (sums, bias) = (at.read(0), at.read(1));
            launch::sum_parts_with_bias(images, forward, sums, bias, at.write(2), at.target())
        });
        sums::parts(all, x, backward);
        sums::channels(all, outputs as usize, images);
        let tensors = [random(1, y, 1.0), unwritten(y)];
        let text = format!("{outputs}x{images}");
        all.add("transpose", text, tensors, move |at| {
            launch::transpose([outputs, images], at.read(0), at.write(1), at.target())
        });
        sums::parameters(all, &parameters);
    }
}

struct Connects {
    shape: Shape,
    parameters: Parameters,
}

impl Layer for Connects {
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
        let [weights, biases] = at.wanted;
        if weights {
            context.stream.launch(|on| {
                let (x, dy, dw) = (on.read(at.x), on.read(at.dy), on.write(&w.gradient));
                launch::fully_connected_weight_gradient(self.shape, x, dy, dw, on.target())
            });
        }
        if biases {
            context.stream.launch(|on| {
                let (dy, db) = (on.read(at.dy), on.write(&b.gradient));
                launch::sum_maps(self.shape.images, dy, db, on.target())
            });
        }
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
