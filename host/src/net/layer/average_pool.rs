//! Average-pooling.

use std::sync::Arc;

use anyhow::Result;
use gpu_kernels::{launch, pool};
use serde::Deserialize;

use super::pool::Windows;
use super::{Backward, Keys, Layer, Site};
use crate::check::Cases;
use crate::check::data::{random, unwritten};
use crate::device::{Buffer, Device};
use crate::net::context::Context;
use crate::net::shapes::{Dims, ParameterSpec, Shaping};

/// Average-pooling as written. A window that hangs over the edge averages over what lies in the image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct AveragePool(pub Windows);

impl Keys for AveragePool {
    fn check(&self) -> Result<()> {
        self.0.check()
    }

    fn shape(&self, input: Dims, _: &mut Shaping) -> Result<(Dims, Option<ParameterSpec>)> {
        Ok((self.0.output(input)?, None))
    }

    fn build(&self, site: &Site, _: &Arc<dyn Device>) -> Result<Box<dyn Layer>> {
        Ok(Box::new(Averages(self.0.sizes(site))))
    }

    fn cases(&self, site: &Site, all: &mut Cases) {
        let (shape, text) = (self.0.sizes(site), self.0.text(site));
        let (x, y) = (shape.input_len(), shape.output_len());
        let tensors = [random(1, x, 1.0), unwritten(y)];
        all.add("average_pool_forward", &text, tensors, move |at| {
            launch::average_pool_forward(shape, at.read(0), at.write(1), at.target())
        });
        let tensors = [random(2, y, 1.0), unwritten(x)];
        all.add("average_pool_backward", &text, tensors, move |at| {
            launch::average_pool_backward(shape, at.read(0), at.write(1), at.target())
        });
    }
}

struct Averages(pool::Shape);

impl Layer for Averages {
    fn forward(&self, context: &Context, x: &Buffer<f32>, y: &Buffer<f32>) {
        context.stream.launch(|on| {
            launch::average_pool_forward(self.0, on.read(x), on.write(y), on.target())
        });
    }

    fn input_gradient(&self, context: &Context, at: &Backward) {
        let Some(dx) = at.dx else { return };
        context.stream.launch(|on| {
            let (dy, dx) = (on.read(at.dy), on.write(dx));
            launch::average_pool_backward(self.0, dy, dx, on.target())
        });
    }
}
