//! ReLU and tanh, in place.

use std::sync::Arc;

use anyhow::Result;
use gpu_kernels::launch;
use serde::Deserialize;

use super::{Backward, Keys, Layer, Site};
use crate::check::Cases;
use crate::check::data::{random, unwritten};
use crate::device::{Buffer, Device};
use crate::net::context::Context;

/// max(x, 0)
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Relu {}

/// tanh(x)
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tanh {}

macro_rules! activation {
    ($kind:ident, $forward:ident, $backward:ident) => {
        impl Keys for $kind {
            fn in_place(&self) -> bool {
                true
            }

            fn build(&self, _: &Site, _: &Arc<dyn Device>) -> Result<Box<dyn Layer>> {
                Ok(Box::new(*self))
            }

            fn cases(&self, site: &Site, all: &mut Cases) {
                let len = site.layer().output.len() * site.images;
                let tensors = [random(1, len, 4.0), unwritten(len)];
                all.add(stringify!($forward), len, tensors, |at| {
                    launch::$forward(at.read(0), at.write(1), at.target())
                });
                let tensors = [random(1, len, 1.0), random(2, len, 1.0), unwritten(len)];
                all.add(stringify!($backward), len, tensors, |at| {
                    launch::$backward(at.read(0), at.read(1), at.write(2), at.target())
                });
            }
        }

        impl Layer for $kind {
            fn forward(&self, context: &Context, x: &Buffer<f32>, y: &Buffer<f32>) {
                context
                    .stream
                    .launch(|on| launch::$forward(on.read(x), on.write(y), on.target()));
            }

            fn input_gradient(&self, context: &Context, at: &Backward) {
                let Some(dx) = at.dx else { return };
                context.stream.launch(|on| {
                    let (y, dy) = (on.read(at.y), on.read(at.dy));
                    launch::$backward(y, dy, on.write(dx), on.target())
                });
            }
        }
    };
}
activation!(Relu, relu_forward, relu_backward);
activation!(Tanh, tanh_forward, tanh_backward);
