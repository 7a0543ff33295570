//! ReLU and tanh, in place.

use gpu_kernels::launch;

use super::{Backward, Layer};
use crate::device::Buffer;
use crate::net::context::Context;

/// max(x, 0)
pub struct Relu;

/// tanh(x)
pub struct Tanh;

macro_rules! activation {
    ($layer:ident, $forward:ident, $backward:ident) => {
        impl Layer for $layer {
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
