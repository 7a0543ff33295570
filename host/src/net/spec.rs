//! The network as it is written down: a TOML file, checked and typed.
//!
//! ```toml
//! name = "tiny"
//! towers = 2
//!
//! [input]
//! size = 256                     # side of the stored images
//! crop = 224                     # side of what the network sees
//!
//! [train]                        # defaults of `host train`; see `Train`
//! batch = 128
//!
//! [[layer]]                      # in order; `name` is unique, `kind` decides the other keys
//! name = "conv1"
//! kind = "convolution"           # maps kernel [stride 1] [pad 0] [rounding "floor"] [groups 1] [reads "own"] [init …]
//! maps = 96                      # of both towers together
//! kernel = 11
//! stride = 4
//! rounding = "ceil"              # a last window that hangs over the edge counts and reads zeros
//! init = { sigma = 0.01, bias = 0 }
//! rates = { weights = 1, biases = 1 }     # times the learning rate
//! decay = { weights = 1, biases = 0 }     # times the weight decay
//! momentum = 0.9                          # instead of that of [train]; this and the following keys may tell weights
//! schedule = "step:25,51"                 # from biases, too: schedule = { biases = "constant" }
//! frozen = false                          # true, { until = EPOCH } or { from = EPOCH }: as they are, at no cost
//!
//! [[layer]]
//! name = "fc2"
//! kind = "fully-connected"       # units [reads "own"] [init …]
//! units = "classes"              # as many as the data has, on the last one
//! reads = "both"                 # the maps of both towers, exchanged; "own": of this tower alone
//!
//! [[layer]]
//! name = "softmax"
//! kind = "softmax"               # no further keys; the last layer
//! ```
//! A network may say only how it differs from another:
//!
//! ```toml
//! name = "mine"
//! base = "paper"                 # a preset, or a file beside this one
//! remove = ["lrn1", "lrn2"]      # layers of the base that are left out
//!
//! [[layer]]                      # of the base's layer with this name: the keys that differ; all, if `kind` is given
//! name = "conv2"
//! init = { bias = 0.1 }
//!
//! [[layer]]                      # a new layer
//! name = "conv6"
//! after = "pool5"                # or `before`
//! kind = "convolution"
//! maps = 256
//! kernel = 3
//! pad = 1
//! ```
//!
//! The other kinds are `locally-connected` (a convolution's keys without `groups`), `relu`, `tanh`, `lrn` and `lrn-within-map` (k n alpha beta \[alpha-over-n false\]), `max-pool` and `average-pool`
//! (kernel stride \[pad 0\] \[rounding "floor"\]) and `dropout` (p).

use serde::{Deserialize, Serialize};
use toml::Table;

pub(crate) use read::{from_value, parse_toml};

use super::layer::Kind;
use crate::schedule::Rule;

mod check;
mod inherit;
mod learning;
mod read;
mod recipe;

pub(in crate::net) use check::MOST;
pub use learning::{Course, Frozen, Init, Learning};

/// Makes [`PRESETS`] of the names of files in `nets`.
macro_rules! presets {
    ($($name:literal)*) => {
        /// The networks that come with the program: name and text, which begins with a line on it.
        pub const PRESETS: &[(&str, &str)] =
            &[$(($name, include_str!(concat!("../../../nets/", $name, ".toml")))),*];
    };
}

presets! {
    "paper"
    "krizhevsky-145"
    "one-gpu"
    "sixth-conv"
    "torchvision"
    "caffe"
    "no-lrn"
    "no-overlap"
    "no-colour"
    "no-conv3"
    "no-conv4"
    "no-conv5"
    "cifar-relu"
    "cifar-tanh"
    "cifar-lrn"
    "cifar-no-lrn"
}

/// A network as written, before the number of classes and the width are known.
#[derive(Clone, Debug)]
pub struct Spec {
    /// What the network calls itself.
    pub name: String,
    /// Into how many towers every layer is split.
    pub towers: usize,
    /// The images.
    pub input: Input,
    /// How it is trained unless the command line says otherwise.
    pub train: Train,
    /// The layers, first to last.
    pub layers: Vec<LayerSpec>,
    table: Table,
}

/// The images a network reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Input {
    /// Side of the stored images, pixels.
    pub size: usize,
    /// Side of the square the network sees, pixels.
    pub crop: usize,
    /// Colours.
    #[serde(default = "three")]
    pub channels: usize,
}

/// Defaults of training.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct Train {
    /// Images a step.
    pub batch: usize,
    /// Initial learning rate ε.
    pub lr: f64,
    /// Momentum.
    pub momentum: f64,
    /// Weight decay; a step takes decay·ε·w off each weight.
    pub decay: f64,
    /// Passes through the training set.
    pub epochs: usize,
    /// When the rate falls.
    pub schedule: Rule,
    /// What the rate is multiplied by then. `divide` is its old, reciprocal spelling.
    pub factor: f64,
    /// How often it may fall under `plateau`, formerly `times`; by how much it falls under `exponential`.
    pub max_reductions: u32,
    /// `plateau`: how many validations in a row without improvement make the rate fall.
    pub patience: u32,
    /// `plateau`: by how much the best validation error (a fraction) must fall to count as improvement.
    pub min_delta: f64,
    /// Epochs in which the rate grows to its full height.
    #[serde(skip_serializing_if = "is_zero")]
    pub warmup: f64,
    /// Colour noise in so many epochs, and none afterwards; if not given, in all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub colour_epochs: Option<u32>,
}

fn is_zero(number: &f64) -> bool {
    *number == 0.0
}

impl Default for Train {
    fn default() -> Self {
        Self {
            batch: 128,
            lr: 0.01,
            momentum: 0.9,
            decay: 0.0005,
            epochs: 90,
            schedule: Rule::Plateau,
            factor: 0.1,
            max_reductions: 3,
            patience: 4,
            min_delta: 0.001,
            warmup: 0.0,
            colour_epochs: None,
        }
    }
}

/// One `[[layer]]`.
#[derive(Clone, Debug, PartialEq)]
pub struct LayerSpec {
    /// Its name, unique in the network.
    pub name: String,
    /// What it does.
    pub kind: Kind,
    /// How its weights begin and learn, if it has any.
    pub learning: Learning,
}

/// What becomes of a last window that hangs over the edge.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rounding {
    /// It is left out.
    #[default]
    Floor,
    /// It counts; what lies beyond the edge is zero (or, for pooling, ignored).
    Ceil,
}

/// Whose maps a layer reads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reads {
    /// Those of its own tower.
    #[default]
    Own,
    /// Those of all towers, tower 0's first.
    Both,
}

fn three() -> usize {
    3
}

#[cfg(test)]
mod tests;
