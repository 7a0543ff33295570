//! The end of the network: softmax, loss, and the first gradient.

use std::sync::Arc;

use anyhow::Result;
use gpu_kernels::launch::{self, LossGradient};

use crate::device::{Buffer, Device};
use crate::net::context::Context;
use crate::net::shapes::ParameterSpec;

/// Softmax over all classes with the mean negative log-probability as loss.
pub struct Softmax {
    classes: u32,
    images: u32,
    labels: Buffer<u32>,
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

impl Softmax {
    /// For so many classes and images.
    pub fn new(classes: usize, device: &Arc<dyn Device>, batch: usize) -> Result<Self> {
        Ok(Softmax {
            classes: classes as u32,
            images: batch as u32,
            labels: Buffer::new(device, batch)?,
            probabilities: Buffer::new(device, classes * batch)?,
            loss: Buffer::new(device, batch)?,
            rank: Buffer::new(device, batch)?,
        })
    }

    /// Where the labels go.
    pub fn labels(&self) -> &Buffer<u32> {
        &self.labels
    }

    /// `[class][image]`
    pub fn probabilities(&self) -> &Buffer<f32> {
        &self.probabilities
    }

    /// Queues probabilities and loss from the logits of all classes.
    pub fn forward(&self, context: &Context, logits: &Buffer<f32>) {
        let (classes, images) = (self.classes, self.images);
        // Behind the last class may be padding.
        let logits = logits.slice(0..self.probabilities.len());
        context.stream.launch(|on| {
            let (logits, probabilities) = (on.read(&logits), on.write(&self.probabilities));
            launch::softmax([classes, images], logits, probabilities, on.target())
        });
        context.stream.launch(|on| {
            let (logits, labels) = (on.read(&logits), on.read(&self.labels));
            let (loss, rank) = (on.write(&self.loss), on.write(&self.rank));
            launch::cross_entropy(classes, logits, labels, loss, rank, on.target())
        });
    }

    /// Queues the gradient of the mean loss of the first `valid` images to the
    /// logits of one tower.
    pub fn backward(&self, context: &Context, own: &ParameterSpec, valid: usize, dy: &Buffer<f32>) {
        let [first, rows, rows_padded] =
            [own.first_output, own.outputs, own.padded_outputs()].map(|n| n as u32);
        let wanted = LossGradient {
            classes: self.classes,
            first,
            rows,
            rows_padded,
            valid: valid as u32,
        };
        context.stream.launch(|on| {
            let (probabilities, labels) = (on.read(&self.probabilities), on.read(&self.labels));
            launch::softmax_gradient(wanted, probabilities, labels, on.write(dy), on.target())
        });
    }

    /// Waits for the batch.
    pub fn outcome(&self, context: &Context) -> Result<ImageScores> {
        Ok(ImageScores {
            loss: context.stream.download(&self.loss)?,
            rank: context.stream.download(&self.rank)?,
        })
    }
}
