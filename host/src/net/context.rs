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
    /// It does, with the random numbers of this step and share.
    Train {
        /// Number of the step.
        step: u32,
        /// What of the batch passes.
        share: Share,
    },
    /// It scales instead.
    Test,
}

/// What of a batch passes at a time. A batch may be computed in several equal shares, whose gradients are added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    /// Which one, from 0.
    pub number: u32,
    /// How many the batch has; a power of two.
    pub of: u32,
}

impl Share {
    /// The batch as a whole.
    pub const WHOLE: Share = Share { number: 0, of: 1 };
}
