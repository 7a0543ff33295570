//! The kinds of layers, a file for each: its keys in a network's file, its shapes, what
//! it allocates and queues, and its cases for `check-kernels`.

pub mod activation;
pub mod average_pool;
pub mod convolution;
pub mod dropout;
pub mod fully_connected;
pub mod locally_connected;
pub mod lrn;
pub mod lrn_within_map;
pub mod pool;
pub mod softmax;
mod sums;

use std::sync::Arc;

use anyhow::{Result, bail};
use toml::Value;

use super::context::Context;
use super::parameters::Parameters;
use super::shapes::{self, Dims, ParameterSpec, Shaping};
use super::shares::Shares;
use super::spec::{Reads, from_value};
use crate::check::Cases;
use crate::device::{Buffer, Device};

/// Makes [`Kind`] of the kinds by their words in a network's file.
macro_rules! kinds {
    ($($word:literal => $kind:ident($keys:path),)*) => {
        /// What a layer does: its kind, with its keys as written (maps and units of all
        /// towers together).
        #[derive(Clone, Debug, PartialEq)]
        pub enum Kind {
            $(#[doc = concat!("`", $word, "`")] $kind($keys),)*
        }

        impl Kind {
            /// Reads the keys of a kind.
            pub(super) fn read(kind: &str, keys: Value) -> Result<Self> {
                match kind {
                    $($word => from_value(keys).map(Self::$kind),)*
                    _ => bail!("unknown kind `{kind}`, expected {}", listed(&[$($word),*])),
                }
            }

            /// Its keys.
            pub fn keys(&self) -> &dyn Keys {
                match self {
                    $(Self::$kind(keys) => keys,)*
                }
            }
        }
    };
}

kinds! {
    "convolution" => Convolution(convolution::Convolution),
    "locally-connected" => LocallyConnected(locally_connected::LocallyConnected),
    "fully-connected" => FullyConnected(fully_connected::FullyConnected),
    "relu" => Relu(activation::Relu),
    "tanh" => Tanh(activation::Tanh),
    "lrn" => Lrn(lrn::Lrn),
    "lrn-within-map" => LrnWithinMap(lrn_within_map::LrnWithinMap),
    "max-pool" => MaxPool(pool::MaxPool),
    "average-pool" => AveragePool(average_pool::AveragePool),
    "dropout" => Dropout(dropout::Dropout),
    "softmax" => Softmax(softmax::Softmax),
}

/// `a, b or c`
fn listed(words: &[&str]) -> String {
    match words {
        [first @ .., last] if !first.is_empty() => format!("{} or {last}", first.join(", ")),
        _ => words.concat(),
    }
}

/// The keys of a layer, and what follows from them.
pub trait Keys {
    /// Whether the numbers make sense, as far as it can be told without shapes.
    fn check(&self) -> Result<()> {
        Ok(())
    }

    /// Whose channels it reads.
    fn reads(&self) -> Reads {
        Reads::Own
    }

    /// Whether it overwrites its input.
    fn in_place(&self) -> bool {
        false
    }

    /// Whether it has weights and biases, and so the keys of [`Learning`](super::spec::Learning).
    fn has_weights(&self) -> bool {
        false
    }

    /// Whether it ends the network: every tower has all of its output, and it makes the
    /// gradient to each tower's part of its input.
    fn is_loss(&self) -> bool {
        false
    }

    /// Its output, and its weights and biases if it has any.
    fn shape(&self, input: Dims, _tower: &mut Shaping) -> Result<(Dims, Option<ParameterSpec>)> {
        Ok((input, None))
    }

    /// Allocates what it needs on a device.
    fn build(&self, site: &Site, device: &Arc<dyn Device>) -> Result<Box<dyn Layer>>;

    /// Adds its kernels on its shapes for `check-kernels`.
    fn cases(&self, site: &Site, all: &mut Cases);
}

/// Where in a network a layer is.
pub struct Site<'a> {
    /// Its tower.
    pub tower: &'a [shapes::Layer],
    /// Which of the tower's layers it is.
    pub index: usize,
    /// Images of a batch.
    pub images: usize,
    /// Tells its random numbers from those of other layers and towers.
    pub id: u32,
    /// Whether the gradient to the images is wanted, too.
    pub image_gradient: bool,
    /// What of a batch passes here.
    pub shares: &'a Shares,
}

impl Site<'_> {
    /// The layer.
    pub fn layer(&self) -> &shapes::Layer {
        &self.tower[self.index]
    }

    /// Whether the gradient to what the layer reads is ever computed.
    pub fn passes_gradient(&self) -> bool {
        self.index > 0 || self.image_gradient
    }
}

/// What a layer gave and what it gets back.
pub struct Backward<'a> {
    /// Its input, unless it worked in place.
    pub x: &'a Buffer<f32>,
    /// Its output.
    pub y: &'a Buffer<f32>,
    /// The gradient of the loss to its output.
    pub dy: &'a Buffer<f32>,
    /// Where the gradient to its input goes; `None` where nobody wants it.
    pub dx: Option<&'a Buffer<f32>>,
    /// Whether the gradients to its weights and to its biases are wanted.
    pub wanted: [bool; 2],
}

/// A layer of one tower, ready to run on a batch of fixed size.
pub trait Layer: Send {
    /// Queues `y` from `x`.
    fn forward(&self, context: &Context, x: &Buffer<f32>, y: &Buffer<f32>);

    /// Queues the gradient to the input.
    fn input_gradient(&self, context: &Context, at: &Backward);

    /// Then queues the gradients to the parameters, as far as they are wanted.
    fn weight_gradient(&self, _context: &Context, _at: &Backward) {}

    /// Floats of scratch memory it uses.
    fn scratch(&self) -> usize {
        0
    }

    /// Its weights and biases, if it has any.
    fn parameters(&self) -> Option<&Parameters> {
        None
    }

    /// What it knows of the batch, if it ends the network.
    fn loss(&self) -> Option<&softmax::Loss> {
        None
    }
}
