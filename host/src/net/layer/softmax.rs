//! The end of the network: softmax, loss, and the first gradient.

use std::sync::Arc;

use anyhow::Result;
use gpu_kernels::softmax;

use crate::device::{Buffer, Device, View};
use crate::net::pass::Pass;
use crate::net::shapes::Parameters;

/// Softmax over all classes with the mean negative log-probability as loss.
pub struct Softmax {
    classes: u32,
    images: u32,
    labels: Buffer<u32>,
    probabilities: Buffer<f32>,
    loss: Buffer<f32>,
    better: Buffer<f32>,
}

/// What became of each image of a batch.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Outcome {
    /// Negative log-probability of its label.
    pub loss: Vec<f32>,
    /// Number of classes held more likely than its label.
    pub better: Vec<f32>,
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
            better: Buffer::new(device, batch)?,
        })
    }

    /// Where the labels go.
    pub fn labels(&self) -> View<u32> {
        self.labels.view()
    }

    /// `[class][image]`
    pub fn probabilities(&self) -> View<f32> {
        self.probabilities.view()
    }

    /// Queues probabilities and loss from the logits of all classes.
    pub fn forward(&self, pass: &Pass, logits: View<f32>) {
        let (classes, images, target) = (self.classes, self.images, pass.target());
        // SAFETY: the views were made for so many classes and images.
        unsafe {
            let launch = softmax::softmax_launch(images, target);
            let arguments = (classes, images, logits.read(), self.probabilities().ptr());
            pass.stream.launch(&softmax::softmax, launch, arguments);
            let launch = softmax::cross_entropy_launch(images, target);
            let (loss, better) = (self.loss.view().ptr(), self.better.view().ptr());
            let arguments = (
                classes,
                images,
                logits.read(),
                self.labels().read(),
                loss,
                better,
            );
            pass.stream
                .launch(&softmax::cross_entropy, launch, arguments);
        }
    }

    /// Queues the gradient of the mean loss of the first `valid` images to the
    /// logits of one tower.
    pub fn backward(&self, pass: &Pass, own: &Parameters, valid: usize, dy: View<f32>) {
        let [first, rows, padded] =
            [own.first_output, own.outputs, own.padded_outputs()].map(|n| n as u32);
        let launch = softmax::softmax_gradient_launch(padded, self.images, pass.target());
        let arguments = (
            self.classes,
            self.images,
            first,
            rows,
            padded,
            valid as u32,
            self.probabilities().read(),
            self.labels().read(),
            dy.ptr(),
        );
        // SAFETY: `dy` has `padded` rows of so many images.
        unsafe {
            pass.stream
                .launch(&softmax::softmax_gradient, launch, arguments)
        }
    }

    /// Waits for the batch.
    pub fn outcome(&self, pass: &Pass) -> Result<Outcome> {
        Ok(Outcome {
            loss: pass.stream.download(self.loss.view())?,
            better: pass.stream.download(self.better.view())?,
        })
    }
}
