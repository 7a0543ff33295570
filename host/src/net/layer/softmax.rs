//! The end of the network: softmax, loss, and the first gradient.

use std::sync::Arc;

use anyhow::{Context as _, Result};
use gpu_kernels::launch::{self, LossGradient};
use serde::Deserialize;

use super::{Backward, Keys, Layer, Site};
use crate::check::Cases;
use crate::check::data::{below, random, unwritten};
use crate::device::{Buffer, Device};
use crate::net::context::{Context, Mode};
use crate::net::spec::Reads;
use crate::ranks::Ranks;

/// Softmax over all classes with the mean negative log-probability as loss.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Softmax {}

impl Softmax {
    /// The tower's part of the logits, of which the layer before has the weights.
    fn wanted(site: &Site, valid: u32) -> Result<LossGradient> {
        let before = site.index.checked_sub(1).map(|i| &site.tower[i]);
        let own = before
            .context("a softmax reads a layer")?
            .own_parameters()?;
        Ok(LossGradient {
            classes: site.layer().input.channels as u32,
            first: own.first_output as u32,
            rows: own.outputs as u32,
            rows_padded: own.padded_outputs() as u32,
            valid,
        })
    }
}

impl Keys for Softmax {
    fn reads(&self) -> Reads {
        Reads::Both
    }

    fn is_loss(&self) -> bool {
        true
    }

    fn build(&self, site: &Site, device: &Arc<dyn Device>) -> Result<Box<dyn Layer>> {
        let (classes, images) = (site.layer().input.channels, site.images);
        Ok(Box::new(Loss {
            wanted: Softmax::wanted(site, images as u32)?,
            images: images as u32,
            probabilities: Buffer::new(device, classes * images)?,
            loss: Buffer::new(device, images)?,
            rank: Buffer::new(device, images)?,
        }))
    }

    fn cases(&self, site: &Site, all: &mut Cases) {
        let images = site.images;
        let Ok(wanted) = Softmax::wanted(site, images as u32 - 1) else {
            return;
        };
        let (classes, len) = (wanted.classes, wanted.classes as usize * images);
        let text = format!("{classes} classes, {images} images");
        let sides = [classes, images as u32];
        let tensors = [random(1, len, 9.0), unwritten(len)];
        all.add("softmax", &text, tensors, move |at| {
            launch::softmax(sides, at.read(0), at.write(1), at.target())
        });
        let tensors = [
            random(1, len, 9.0),
            below(2, images, classes),
            unwritten(images),
            unwritten(images),
        ];
        all.add("cross_entropy", &text, tensors, move |at| {
            let (logits, labels) = (at.read(0), at.read(1));
            let (loss, rank) = (at.write(2), at.write(3));
            launch::cross_entropy(classes, logits, labels, loss, rank, at.target())
        });
        let tensors = [
            random(1, len, 1.0),
            below(2, images, classes),
            unwritten(wanted.rows_padded as usize * images),
        ];
        let LossGradient { first, rows, .. } = wanted;
        let text = format!(
            "{text}, the {rows} classes from {first}, {} count",
            wanted.valid
        );
        all.add("softmax_gradient", text, tensors, move |at| {
            launch::softmax_gradient(wanted, at.read(0), at.read(1), at.write(2), at.target())
        });
    }
}

/// What the end of the network knows of a batch.
pub struct Loss {
    wanted: LossGradient,
    images: u32,
    probabilities: Buffer<f32>,
    loss: Buffer<f32>,
    rank: Buffer<f32>,
}

/// Each image's loss and rank.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ImageScores {
    /// Negative log-probability of its label.
    pub loss: Vec<f32>,
    /// Its label's rank: how many classes are held more likely, 0 for a top-1 hit.
    pub rank: Vec<f32>,
}

impl ImageScores {
    /// Adds those of further images.
    pub fn add(&mut self, further: ImageScores) {
        self.loss.extend(further.loss);
        self.rank.extend(further.rank);
    }

    /// Those of all ranks' images.
    pub fn of_all(self, ranks: &Ranks) -> Self {
        ImageScores {
            loss: ranks.gather(self.loss),
            rank: ranks.gather(self.rank),
        }
    }
}

impl Loss {
    /// `[class][image]`
    pub fn probabilities(&self) -> &Buffer<f32> {
        &self.probabilities
    }

    /// Waits for the batch.
    pub fn scores(&self, context: &Context) -> Result<ImageScores> {
        Ok(ImageScores {
            loss: context.stream.download(&self.loss)?,
            rank: context.stream.download(&self.rank)?,
        })
    }
}

impl Layer for Loss {
    /// Queues probabilities and losses from the logits of all classes.
    fn forward(&self, context: &Context, x: &Buffer<f32>, _: &Buffer<f32>) {
        let (classes, labels) = (self.wanted.classes, context.labels);
        // Behind the last class may be padding.
        let logits = x.slice(0..self.probabilities.len());
        context.stream.launch(|on| {
            let (logits, probabilities) = (on.read(&logits), on.write(&self.probabilities));
            launch::softmax([classes, self.images], logits, probabilities, on.target())
        });
        context.stream.launch(|on| {
            let (logits, labels) = (on.read(&logits), on.read(labels));
            let (loss, rank) = (on.write(&self.loss), on.write(&self.rank));
            launch::cross_entropy(classes, logits, labels, loss, rank, on.target())
        });
    }

    /// Queues the gradient of the mean loss of the images that count, those of all shares, to this tower's logits.
    fn input_gradient(&self, context: &Context, at: &Backward) {
        let Some(dx) = at.dx else { return };
        let wanted = LossGradient {
            valid: context.valid as u32,
            ..self.wanted
        };
        context.stream.launch(|on| {
            let (probabilities, labels) = (on.read(&self.probabilities), on.read(context.labels));
            launch::softmax_gradient(wanted, probabilities, labels, on.write(dx), on.target())
        });
        if let Mode::Train { share, .. } = context.mode
            && share.of > 1
        {
            // Shares are a power of two, so that this rounds nothing: it is the gradient of the whole batch's mean loss.
            context.stream.launch(|on| {
                let (from, to) = (on.read(dx), on.write(dx));
                launch::scale(1.0 / share.of as f32, from, to, on.target())
            });
        }
    }

    fn loss(&self) -> Option<&Loss> {
        Some(self)
    }
}
