//! Local response normalisation.

use gpu_kernels::{launch, lrn};

use super::{Backward, Layer};
use crate::device::Buffer;
use crate::net::context::Context;
use crate::net::shapes;
use crate::net::spec;

pub struct Lrn(lrn::Shape);

impl Lrn {
    pub fn new(spec: &spec::Lrn, layer: &shapes::Layer, batch: usize) -> Self {
        let alpha = if spec.alpha_over_n {
            spec.alpha / spec.n as f64
        } else {
            spec.alpha
        };
        Lrn(lrn::Shape {
            channels: layer.input.channels as u32,
            columns: (layer.input.height * layer.input.width * batch) as u32,
            size: spec.n as u32,
            k: spec.k as f32,
            alpha: alpha as f32,
            beta: spec.beta as f32,
        })
    }
}

impl Layer for Lrn {
    fn forward(&self, context: &Context, x: &Buffer<f32>, y: &Buffer<f32>) {
        context
            .stream
            .launch(|on| launch::lrn_forward(self.0, on.read(x), on.write(y), on.target()));
    }

    fn input_gradient(&self, context: &Context, at: &Backward) {
        let Some(dx) = at.dx else { return };
        context.stream.launch(|on| {
            let (x, dy) = (on.read(at.x), on.read(at.dy));
            launch::lrn_backward(self.0, x, dy, on.write(dx), on.target())
        });
    }
}
