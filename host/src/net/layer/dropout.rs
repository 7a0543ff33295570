//! Dropout, in place.

use std::sync::Arc;

use anyhow::{Result, ensure};
use gpu_kernels::dropout::Mask;
use gpu_kernels::launch;
use serde::Deserialize;

use super::{Backward, Keys, Layer, Site};
use crate::check::Cases;
use crate::check::data::{random, unwritten};
use crate::device::{Buffer, Device};
use crate::net::context::{Context, Mode, Share};

/// Dropout: training zeroes each unit with probability p, testing multiplies by 1 − p.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dropout {
    /// Probability of zero.
    pub p: f64,
}

impl Keys for Dropout {
    fn check(&self) -> Result<()> {
        ensure!(
            (0.0..1.0).contains(&self.p),
            "p must be in [0, 1), found {}",
            self.p
        );
        Ok(())
    }

    fn in_place(&self) -> bool {
        true
    }

    fn build(&self, site: &Site, _: &Arc<dyn Device>) -> Result<Box<dyn Layer>> {
        Ok(Box::new(Drops {
            p: self.p as f32,
            id: site.id,
        }))
    }

    fn cases(&self, site: &Site, all: &mut Cases) {
        let (len, p) = (site.layer().output.len() * site.images, self.p as f32);
        let mask = Mask {
            probability: p,
            seed: [7, 9],
            stream: 3,
            step: 4,
            share: 0,
        };
        let text = format!("{len}, probability {p}");
        let tensors = || [random(1, len, 1.0), unwritten(len)];
        all.add("dropout_forward", &text, tensors(), move |at| {
            launch::dropout_forward(mask, at.read(0), at.write(1), at.target())
        });
        all.add("dropout_backward", &text, tensors(), move |at| {
            launch::dropout_backward(mask, at.read(0), at.write(1), at.target())
        });
        all.add("scale", &text, tensors(), move |at| {
            launch::scale(1.0 - p, at.read(0), at.write(1), at.target())
        });
    }
}

struct Drops {
    p: f32,
    id: u32,
}

impl Drops {
    fn mask(&self, context: &Context, step: u32, share: Share) -> Mask {
        Mask {
            probability: self.p,
            seed: context.seed,
            stream: self.id,
            step,
            share: share.number,
        }
    }
}

impl Layer for Drops {
    fn forward(&self, context: &Context, x: &Buffer<f32>, y: &Buffer<f32>) {
        context.stream.launch(|on| {
            let (x, y) = (on.read(x), on.write(y));
            match context.mode {
                Mode::Train { step, share } => {
                    launch::dropout_forward(self.mask(context, step, share), x, y, on.target())
                }
                Mode::Test => launch::scale(1.0 - self.p, x, y, on.target()),
            }
        });
    }

    fn input_gradient(&self, context: &Context, at: &Backward) {
        let Some(dx) = at.dx else { return };
        match context.mode {
            Mode::Train { step, share } => context.stream.launch(|on| {
                let (dy, dx) = (on.read(at.dy), on.write(dx));
                launch::dropout_backward(self.mask(context, step, share), dy, dx, on.target())
            }),
            Mode::Test => {
                let kept = 1.0 - self.p;
                context
                    .stream
                    .launch(|on| launch::scale(kept, on.read(at.dy), on.write(dx), on.target()));
                // What worked in place before it finds its own output again, of which a tanh makes its gradient.
                let y = at.y;
                context
                    .stream
                    .launch(|on| launch::scale(kept.recip(), on.read(y), on.write(y), on.target()));
            }
        }
    }
}
