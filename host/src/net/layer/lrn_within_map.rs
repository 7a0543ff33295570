//! Local response normalisation within each map.

use std::sync::Arc;

use anyhow::Result;
use gpu_kernels::launch;
use gpu_kernels::lrn::within::Shape;
use serde::Deserialize;

use super::lrn::Lrn;
use super::{Backward, Keys, Layer, Site};
use crate::check::Cases;
use crate::check::data::{changed, random, unwritten};
use crate::device::{Buffer, Device};
use crate::net::context::Context;

/// Local response normalisation as of [`Lrn`], but the sum is over the n × n pixels around one of the same map, and
/// `alpha-over-n` divides by that many. The authors' network has it in its second layer.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(transparent)]
pub struct LrnWithinMap(Lrn);

impl LrnWithinMap {
    /// Its numbers.
    pub fn formula(&self) -> &Lrn {
        &self.0
    }

    fn shape(&self, site: &Site) -> Shape {
        let (Lrn { n, .. }, input) = (self.0, site.layer().input);
        Shape {
            channels: input.channels as u32,
            height: input.height as u32,
            width: input.width as u32,
            images: site.images as u32,
            size: n as u32,
            k: self.0.k as f32,
            alpha: self.0.alpha_over(n * n) as f32,
            beta: self.0.beta as f32,
        }
    }
}

impl Keys for LrnWithinMap {
    fn check(&self) -> Result<()> {
        self.0.check()
    }

    fn build(&self, site: &Site, _: &Arc<dyn Device>) -> Result<Box<dyn Layer>> {
        Ok(Box::new(Normalises(self.shape(site))))
    }

    fn cases(&self, site: &Site, all: &mut Cases) {
        let shape = self.shape(site);
        let len = shape.len();
        let Shape {
            channels,
            height,
            width,
            images,
            size,
            ..
        } = shape;
        let text = format!(
            "{channels}x{height}x{width}, {images} images, n {size}, k {}, alpha {}, beta {}",
            shape.k, shape.alpha, shape.beta
        );
        let tensors = [random(1, len, 9.0), unwritten(len)];
        all.add("lrn_within_forward", &text, tensors, move |at| {
            launch::lrn_within_forward(shape, at.read(0), at.write(1), at.target())
        });
        let tensors = [
            random(1, len, 9.0),
            random(2, len, 1.0),
            unwritten(len),
            unwritten(len),
        ];
        all.add("lrn_within_terms", &text, tensors, move |at| {
            let (x, dy) = (at.read(0), at.read(1));
            launch::lrn_within_terms(shape, x, dy, at.write(2), at.write(3), at.target())
        });
        let tensors = [
            random(1, len, 9.0),
            random(2, len, 1.0),
            changed(3, len, 1.0),
        ];
        all.add("lrn_within_backward", &text, tensors, move |at| {
            launch::lrn_within_backward(shape, at.read(0), at.read(1), at.write(2), at.target())
        });
    }
}

struct Normalises(Shape);

impl Layer for Normalises {
    fn forward(&self, context: &Context, x: &Buffer<f32>, y: &Buffer<f32>) {
        context
            .stream
            .launch(|on| launch::lrn_within_forward(self.0, on.read(x), on.write(y), on.target()));
    }

    fn input_gradient(&self, context: &Context, at: &Backward) {
        let Some(dx) = at.dx else { return };
        let terms = context.scratch.slice(0..self.scratch());
        context.stream.launch(|on| {
            let (x, dy) = (on.read(at.x), on.read(at.dy));
            let (dx, terms) = (on.write(dx), on.write(&terms));
            launch::lrn_within_terms(self.0, x, dy, dx, terms, on.target())
        });
        context.stream.launch(|on| {
            let (x, terms) = (on.read(at.x), on.read(&terms));
            launch::lrn_within_backward(self.0, x, terms, on.write(dx), on.target())
        });
    }

    fn scratch(&self) -> usize {
        self.0.len()
    }
}
