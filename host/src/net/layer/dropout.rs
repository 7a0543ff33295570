//! Dropout, in place.

use gpu_kernels::dropout::Mask;
use gpu_kernels::launch;

use super::{Backward, Layer};
use crate::device::Buffer;
use crate::net::context::{Context, Mode};

pub struct Dropout {
    pub p: f32,
    pub id: u32,
}

impl Dropout {
    fn mask(&self, context: &Context, step: u32) -> Mask {
        Mask {
            probability: self.p,
            seed: context.seed,
            stream: self.id,
            step,
        }
    }
}

impl Layer for Dropout {
    fn forward(&self, context: &Context, x: &Buffer<f32>, y: &Buffer<f32>) {
        context.stream.launch(|on| {
            let (x, y) = (on.read(x), on.write(y));
            match context.mode {
                Mode::Train { step } => {
                    launch::dropout_forward(self.mask(context, step), x, y, on.target())
                }
                Mode::Test => launch::scale(1.0 - self.p, x, y, on.target()),
            }
        });
    }

    fn input_gradient(&self, context: &Context, at: &Backward) {
        let (Some(dx), Mode::Train { step }) = (at.dx, context.mode) else {
            return;
        };
        context.stream.launch(|on| {
            let (dy, dx) = (on.read(at.dy), on.write(dx));
            launch::dropout_backward(self.mask(context, step), dy, dx, on.target())
        });
    }
}
