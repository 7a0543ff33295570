//! Local response normalisation.

use gpu_kernels::lrn;

use super::{Backward, Layer};
use crate::device::View;
use crate::net::pass::Pass;
use crate::net::shapes;
use crate::net::spec;

pub struct Lrn(lrn::Lrn);

impl Lrn {
    pub fn new(spec: &spec::Lrn, layer: &shapes::Layer, batch: usize) -> Self {
        let alpha = if spec.alpha_over_n {
            spec.alpha / spec.n as f64
        } else {
            spec.alpha
        };
        Lrn(lrn::Lrn {
            maps: layer.input.channels as u32,
            columns: (layer.input.height * layer.input.width * batch) as u32,
            size: spec.n as u32,
            k: spec.k as f32,
            alpha: alpha as f32,
            beta: spec.beta as f32,
        })
    }
}

impl Layer for Lrn {
    fn forward(&self, pass: &Pass, x: View<f32>, y: View<f32>) {
        let launch = lrn::lrn_forward_launch(self.0, pass.target());
        // SAFETY: the tower made the views for this shape.
        unsafe {
            pass.stream
                .launch(&lrn::lrn_forward, launch, (self.0, x.read(), y.ptr()))
        }
    }

    fn input_gradient(&self, pass: &Pass, at: &Backward) {
        let Some(dx) = at.dx else { return };
        let launch = lrn::lrn_backward_launch(self.0, pass.target());
        let arguments = (self.0, at.x.read(), at.dy.read(), dx.ptr());
        // SAFETY: as for `forward`.
        unsafe { pass.stream.launch(&lrn::lrn_backward, launch, arguments) }
    }
}
