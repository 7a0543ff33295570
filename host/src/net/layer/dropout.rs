//! Dropout, in place.

use gpu_kernels::dropout;

use super::{Backward, Layer};
use crate::device::View;
use crate::net::pass::{Mode, Pass};

pub struct Dropout {
    pub p: f32,
    pub id: u32,
}

impl Layer for Dropout {
    fn forward(&self, pass: &Pass, x: View<f32>, y: View<f32>) {
        let (len, target) = (y.len() as u32, pass.target());
        // SAFETY (here and below): all views have `len` floats.
        match pass.mode {
            Mode::Train { step } => unsafe {
                let launch = dropout::dropout_launch(len, target);
                let arguments = (len, self.p, pass.seed, self.id, step, x.read(), y.ptr());
                pass.stream
                    .launch(&dropout::dropout_forward, launch, arguments)
            },
            Mode::Test => unsafe {
                let launch = dropout::dropout_launch(len, target);
                pass.stream.launch(
                    &dropout::scale,
                    launch,
                    (len, 1.0 - self.p, x.read(), y.ptr()),
                )
            },
        }
    }

    fn input_gradient(&self, pass: &Pass, at: &Backward) {
        let (Some(dx), Mode::Train { step }) = (at.dx, pass.mode) else {
            return;
        };
        let len = dx.len() as u32;
        let launch = dropout::dropout_launch(len, pass.target());
        let arguments = (
            len,
            self.p,
            pass.seed,
            self.id,
            step,
            at.dy.read(),
            dx.ptr(),
        );
        unsafe {
            pass.stream
                .launch(&dropout::dropout_backward, launch, arguments)
        }
    }
}
