//! ReLU and tanh, in place.

use gpu_kernels::{relu, tanh};

use super::{Backward, Layer};
use crate::device::View;
use crate::net::pass::Pass;

/// max(x, 0)
pub struct Relu;

/// tanh(x)
pub struct Tanh;

macro_rules! activation {
    ($layer:ident, $module:ident, $launch:ident, $forward:ident, $backward:ident) => {
        impl Layer for $layer {
            fn forward(&self, pass: &Pass, x: View<f32>, y: View<f32>) {
                let len = y.len() as u32;
                let launch = $module::$launch(len, pass.target());
                // SAFETY: both views have `len` floats.
                unsafe {
                    pass.stream
                        .launch(&$module::$forward, launch, (len, x.read(), y.ptr()))
                }
            }

            fn input_gradient(&self, pass: &Pass, at: &Backward) {
                let Some(dx) = at.dx else { return };
                let len = dx.len() as u32;
                let launch = $module::$launch(len, pass.target());
                let arguments = (len, at.y.read(), at.dy.read(), dx.ptr());
                // SAFETY: all views have `len` floats.
                unsafe { pass.stream.launch(&$module::$backward, launch, arguments) }
            }
        }
    };
}
activation!(Relu, relu, relu_launch, relu_forward, relu_backward);
activation!(Tanh, tanh, tanh_launch, tanh_forward, tanh_backward);
