//! Local response normalisation.

use std::sync::Arc;

use anyhow::{Result, ensure};
use gpu_kernels::{launch, lrn};
use serde::{Deserialize, Serialize};

use super::{Backward, Keys, Layer, Site};
use crate::check::Cases;
use crate::check::data::{random, unwritten};
use crate::device::{Buffer, Device};
use crate::net::context::Context;

/// Local response normalisation over neighbouring maps of a tower: b = a / (k + α Σ a²)^β.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Lrn {
    /// k
    pub k: f64,
    /// Maps in the sum.
    pub n: usize,
    /// α
    pub alpha: f64,
    /// β
    pub beta: f64,
    /// Use α/n for α, as the authors' program, Caffe and PyTorch do; the paper's formula does not.
    #[serde(default)]
    pub alpha_over_n: bool,
}

impl Lrn {
    /// α as the kernels have it: divided by the sum's so many terms if that is wanted.
    pub fn alpha_over(&self, terms: usize) -> f64 {
        if self.alpha_over_n {
            self.alpha / terms as f64
        } else {
            self.alpha
        }
    }

    fn shape(&self, site: &Site) -> lrn::Shape {
        let input = site.layer().input;
        lrn::Shape {
            channels: input.channels as u32,
            columns: (input.height * input.width * site.images) as u32,
            size: self.n as u32,
            k: self.k as f32,
            alpha: self.alpha_over(self.n) as f32,
            beta: self.beta as f32,
        }
    }
}

impl Keys for Lrn {
    fn check(&self) -> Result<()> {
        ensure!(self.n >= 1, "n must be at least 1");
        ensure!(
            self.k > 0.0 && self.alpha >= 0.0,
            "k must be positive and alpha at least 0"
        );
        ensure!(
            self.alpha.is_finite() && self.beta.is_finite() && self.k.is_finite(),
            "k, alpha, beta must be finite"
        );
        Ok(())
    }

    fn build(&self, site: &Site, _: &Arc<dyn Device>) -> Result<Box<dyn Layer>> {
        Ok(Box::new(Normalises(self.shape(site))))
    }

    fn cases(&self, site: &Site, all: &mut Cases) {
        let shape = self.shape(site);
        let len = shape.len();
        let text = format!(
            "{} channels of {}, n {}, k {}, alpha {}, beta {}",
            shape.channels, shape.columns, shape.size, shape.k, shape.alpha, shape.beta
        );
        let tensors = [random(1, len, 9.0), unwritten(len)];
        all.add("lrn_forward", &text, tensors, move |at| {
            launch::lrn_forward(shape, at.read(0), at.write(1), at.target())
        });
        let tensors = [random(1, len, 9.0), random(2, len, 1.0), unwritten(len)];
        all.add("lrn_backward", &text, tensors, move |at| {
            launch::lrn_backward(shape, at.read(0), at.read(1), at.write(2), at.target())
        });
    }
}

struct Normalises(lrn::Shape);

impl Layer for Normalises {
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
