//! The network as it is built: every layer of every tower with its shapes, for a width and a number of classes.

use anyhow::{Context, Result};

use super::layer::Kind;
use super::spec::{Init, Input, Learning};

mod build;

pub use build::{Shaping, positions};

/// Maps and units of a hidden layer come in multiples of this in each tower, as the kernels' tiles do.
pub const GRANULE: usize = 16;

/// A network with all its shapes.
#[derive(Clone, Debug, PartialEq)]
pub struct Net {
    /// What the network calls itself.
    pub name: String,
    /// The images.
    pub input: Input,
    /// Classes, all towers together.
    pub classes: usize,
    /// The layers of each tower; all towers have the same layers in the same order.
    pub towers: Vec<Vec<Layer>>,
}

/// Maps × rows × columns of one image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dims {
    /// Maps, or units.
    pub channels: usize,
    /// Rows; 1 after a fully connected layer.
    pub height: usize,
    /// Columns; 1 after a fully connected layer.
    pub width: usize,
}

/// A layer of one tower.
#[derive(Clone, Debug, PartialEq)]
pub struct Layer {
    /// Its name.
    pub name: String,
    /// What it reads: its own tower's maps, or those of all towers (tower 0's first) where `exchanges` holds.
    pub input: Dims,
    /// What it gives, of this tower alone; the softmax gives all classes in every tower.
    pub output: Dims,
    /// Whether the towers must exchange their maps before it.
    pub exchanges: bool,
    /// What it does.
    pub kind: Kind,
    /// Its weights and biases, if it has any.
    pub parameters: Option<ParameterSpec>,
    /// How they learn.
    pub learning: Learning,
}

/// The weights and biases of a layer of one tower.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ParameterSpec {
    /// Weights that feed one output: maps read · kernel², or units read.
    pub inputs: usize,
    /// Outputs of this tower.
    pub outputs: usize,
    /// Outputs of the towers before this one: where this tower's begin in the joint layer.
    pub first_output: usize,
    /// How the weights lie.
    pub banks: Banks,
    /// Initial values, `sigma` already scaled for the width.
    pub init: Init,
}

/// How the weights of a layer of one tower lie: as matrices `[input][output]`, one behind the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Banks {
    /// So many, each of as many neighbouring outputs: one, or that of each group of a convolution's maps.
    Groups(usize),
    /// One of each of so many pixels: a locally connected layer's. An output is a map at a pixel, map · pixels + pixel.
    Pixels(usize),
}

/// What a layer holds over all towers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LayerCount {
    /// The layer.
    pub name: String,
    /// Its output over all towers.
    pub output: Dims,
    /// Its weights and biases over all towers.
    pub parameters: usize,
}

impl Dims {
    /// Numbers an image has.
    pub fn len(&self) -> usize {
        self.channels * self.height * self.width
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl ParameterSpec {
    /// Outputs as stored: rounded up to what the kernels' tiles need.
    pub fn padded_outputs(&self) -> usize {
        self.outputs.next_multiple_of(GRANULE)
    }

    /// The weights as they are stored, matrix below matrix: rows, columns, and columns in use.
    pub fn matrix(&self) -> [usize; 3] {
        let (Banks::Groups(banks) | Banks::Pixels(banks)) = self.banks;
        [
            self.inputs * banks,
            self.padded_outputs() / banks,
            self.outputs / banks,
        ]
    }

    /// Where an output's first weight is stored; each further one is a row of [`matrix`](Self::matrix) on.
    pub fn first_weight(&self, output: usize) -> usize {
        let columns = self.matrix()[1];
        let (bank, column) = match self.banks {
            Banks::Groups(_) => (output / columns, output % columns),
            Banks::Pixels(pixels) => (output % pixels, output / pixels),
        };
        bank * self.inputs * columns + column
    }

    /// Weights and biases, padding left out.
    pub fn count(&self) -> usize {
        (self.inputs + 1) * self.outputs
    }
}

impl Layer {
    /// The layer's weights and biases, if it has any.
    pub fn parameters(&self) -> Option<&ParameterSpec> {
        self.parameters.as_ref()
    }

    /// The weights and biases of a layer that has some.
    pub fn own_parameters(&self) -> Result<&ParameterSpec> {
        self.parameters()
            .with_context(|| format!("layer {}: has no weights", self.name))
    }

    /// Whether it overwrites its input.
    pub fn in_place(&self) -> bool {
        self.kind.keys().in_place()
    }

    /// Whether it ends the network.
    pub fn is_loss(&self) -> bool {
        self.kind.keys().is_loss()
    }
}

impl Net {
    /// All weights and biases.
    pub fn parameter_count(&self) -> usize {
        self.counts().iter().map(|layer| layer.parameters).sum()
    }

    /// What each layer gives and holds over all towers.
    pub fn counts(&self) -> Vec<LayerCount> {
        let of = |i: usize| {
            let layers = self.towers.iter().map(|tower| &tower[i]);
            let first = &self.towers[0][i];
            let joint = !first.is_loss();
            let channels = layers.clone().map(|layer| layer.output.channels).sum();
            let output = if joint {
                Dims {
                    channels,
                    ..first.output
                }
            } else {
                first.output
            };
            let parameters = layers
                .filter_map(Layer::parameters)
                .map(ParameterSpec::count)
                .sum();
            LayerCount {
                name: first.name.clone(),
                output,
                parameters,
            }
        };
        (0..self.towers[0].len()).map(of).collect()
    }

    /// The last of the layers that work in place on what layer `i` gives: what
    /// there is to see of it once the network has run.
    pub fn last_in_place(&self, i: usize) -> usize {
        let after = self.towers[0][i + 1..].iter();
        i + after.take_while(|layer| layer.in_place()).count()
    }

    /// The last hidden layer: the one with weights before the last that has some.
    pub fn last_hidden(&self) -> Option<usize> {
        let layers = self.towers[0].iter().enumerate();
        let with_weights = layers.filter(|(_, layer)| layer.parameters().is_some());
        with_weights.rev().nth(1).map(|(i, _)| i)
    }

    /// The place of a layer in every tower's list.
    pub fn position(&self, name: &str) -> Result<usize> {
        let names = || self.towers[0].iter().map(|layer| layer.name.as_str());
        names().position(|other| other == name).with_context(|| {
            format!(
                "net {} has no layer `{name}` (it has {})",
                self.name,
                names().collect::<Vec<_>>().join(", ")
            )
        })
    }
}

#[cfg(test)]
mod tests;
