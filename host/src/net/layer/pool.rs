//! Overlapping max-pooling.

use std::sync::Arc;

use anyhow::{Result, ensure};
use gpu_kernels::{launch, pool};
use serde::Deserialize;

use super::{Backward, Keys, Layer, Site};
use crate::check::Cases;
use crate::check::data::{random, unwritten, whole};
use crate::device::{Buffer, Device};
use crate::net::context::Context;
use crate::net::shapes::{Dims, ParameterSpec, Shaping, positions};
use crate::net::spec::Rounding;

/// The windows of a pooling as written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Windows {
    /// Side of a window.
    pub kernel: usize,
    /// Step between windows; smaller than `kernel` means overlapping pooling.
    pub stride: usize,
    /// How far above and left of the image the first window begins. What lies there, as beyond the other edges, does
    /// not exist: it is no maximum, and no average counts it.
    #[serde(default)]
    pub pad: usize,
    /// Whether a last, overhanging window counts.
    #[serde(default)]
    pub rounding: Rounding,
}

impl Windows {
    /// Whether the numbers make sense.
    pub fn check(&self) -> Result<()> {
        ensure!(
            self.kernel >= 1 && self.stride >= 1,
            "kernel and stride must be at least 1"
        );
        ensure!(
            self.pad < self.kernel,
            "pad {} must be smaller than kernel {}",
            self.pad,
            self.kernel
        );
        Ok(())
    }

    /// What they make of an input.
    pub fn output(&self, input: Dims) -> Result<Dims> {
        let windows = |side| positions(side, self.kernel, self.stride, self.pad, self.rounding);
        Ok(Dims {
            height: windows(input.height)?,
            width: windows(input.width)?,
            ..input
        })
    }

    /// As the kernels want them.
    pub fn sizes(&self, site: &Site) -> pool::Shape {
        let (input, output) = (site.layer().input, site.layer().output);
        pool::Shape::new(
            [input.channels, input.height, input.width].map(|n| n as u32),
            [output.height as u32, output.width as u32],
            self.kernel as u32,
            self.stride as u32,
            site.images as u32,
        )
        .padded(self.pad as u32)
    }

    /// In words, for `check-kernels`.
    pub fn text(&self, site: &Site) -> String {
        let (input, output) = (site.layer().input, site.layer().output);
        let pad = match self.pad {
            0 => String::new(),
            pad => format!(", pad {pad}"),
        };
        format!(
            "{}x{}x{} to {}x{}, window {}, stride {}{pad}, {} images",
            input.channels,
            input.height,
            input.width,
            output.height,
            output.width,
            self.kernel,
            self.stride,
            site.images
        )
    }
}

/// Max-pooling as written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct MaxPool(pub Windows);

impl Keys for MaxPool {
    fn check(&self) -> Result<()> {
        self.0.check()
    }

    fn shape(&self, input: Dims, _: &mut Shaping) -> Result<(Dims, Option<ParameterSpec>)> {
        Ok((self.0.output(input)?, None))
    }

    fn build(&self, site: &Site, device: &Arc<dyn Device>) -> Result<Box<dyn Layer>> {
        Ok(Box::new(Pools {
            shape: self.0.sizes(site),
            winner: Buffer::new(device, site.layer().output.len() * site.images)?,
        }))
    }

    fn cases(&self, site: &Site, all: &mut Cases) {
        let (shape, text) = (self.0.sizes(site), self.0.text(site));
        let (x, y) = (shape.input_len(), shape.output_len());
        let tensors = [random(1, x, 1.0), unwritten(y), unwritten(y)];
        all.add("max_pool_forward", &text, tensors, move |at| {
            launch::max_pool_forward(shape, at.read(0), at.write(1), at.write(2), at.target())
        });
        // Any place in a window may have won, for the gradient's sake, if it lies in the image.
        let winner = whole(1, y, (self.0.kernel * self.0.kernel) as u32);
        let tensors = [winner, random(2, y, 1.0), unwritten(x)];
        all.add("max_pool_backward", &text, tensors, move |at| {
            launch::max_pool_backward(shape, at.read(0), at.read(1), at.write(2), at.target())
        });
    }
}

struct Pools {
    shape: pool::Shape,
    winner: Buffer<f32>,
}

impl Layer for Pools {
    fn forward(&self, context: &Context, x: &Buffer<f32>, y: &Buffer<f32>) {
        context.stream.launch(|on| {
            let (x, y, winner) = (on.read(x), on.write(y), on.write(&self.winner));
            launch::max_pool_forward(self.shape, x, y, winner, on.target())
        });
    }

    fn input_gradient(&self, context: &Context, at: &Backward) {
        let Some(dx) = at.dx else { return };
        context.stream.launch(|on| {
            let (winner, dy) = (on.read(&self.winner), on.read(at.dy));
            launch::max_pool_backward(self.shape, winner, dy, on.write(dx), on.target())
        });
    }
}
