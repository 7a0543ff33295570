//! What a layer is given to launch with.

use crate::device::{Buffer, Stream};

/// A pass through a tower, as its layers are given it.
pub struct Context<'a> {
    /// Where to queue kernels.
    pub stream: &'a dyn Stream,
    /// Memory that any layer may use while it is its turn.
    pub scratch: &'a Buffer<f32>,
    /// Training or testing.
    pub mode: Mode,
    /// Key of all random numbers.
    pub seed: [u32; 2],
    /// The images' classes.
    pub labels: &'a Buffer<u32>,
    /// How many of the images count.
    pub valid: usize,
}

/// Whether dropout drops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// It does, with the random numbers of this step.
    Train {
        /// Number of the step.
        step: u32,
    },
    /// It scales instead.
    Test,
}
