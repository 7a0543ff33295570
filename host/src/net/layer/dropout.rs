//! Dropout, in place.

use gpu_kernels::dropout::Mask;
use gpu_kernels::launch;

use super::{Backward, Layer};
use crate::device::Buffer;
use crate::net::pass::{Mode, Pass};

pub struct Dropout {
    pub p: f32,
    pub id: u32,
}

impl Dropout {
    fn mask(&self, pass: &Pass, step: u32) -> Mask {
        Mask {
            probability: self.p,
            seed: pass.seed,
            stream: self.id,
            step,
        }
    }
}

impl Layer for Dropout {
    fn forward(&self, pass: &Pass, x: &Buffer<f32>, y: &Buffer<f32>) {
        pass.stream.launch(|on| {
            let (x, y) = (on.read(x), on.write(y));
            match pass.mode {
                Mode::Train { step } => {
                    launch::dropout_forward(self.mask(pass, step), x, y, on.target())
                }
                Mode::Test => launch::scale(1.0 - self.p, x, y, on.target()),
            }
        });
    }

    fn input_gradient(&self, pass: &Pass, at: &Backward) {
        let (Some(dx), Mode::Train { step }) = (at.dx, pass.mode) else {
            return;
        };
        pass.stream.launch(|on| {
            let (dy, dx) = (on.read(at.dy), on.write(dx));
            launch::dropout_backward(self.mask(pass, step), dy, dx, on.target())
        });
    }
}
