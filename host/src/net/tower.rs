//! One tower: its layers on its device, and the memory between them.

use std::sync::Arc;

use anyhow::{Context as _, Result};

use super::context::{Context, Mode};
use super::layer::softmax::Loss;
use super::layer::{Backward, Layer, Site};
use super::rates::Rates;
use super::shapes::{self, GRANULE, Net};
use super::shares::Shares;
use crate::device::{Buffer, Device, Stream};

/// A tower, ready for batches of fixed size.
pub struct Tower {
    /// Which one it is.
    pub index: usize,
    pub(super) steps: Vec<Step>,
    pub(super) labels: Buffer<u32>,
    pub(super) image: Buffer<f32>,
    pub(super) stream: Box<dyn Stream>,
    /// Fetches what other towers have, beside the work of `stream`.
    pub(super) copies: Box<dyn Stream>,
    pub(super) device: Arc<dyn Device>,
    scratch: Buffer<f32>,
}

/// How large a tower is beside its network.
#[derive(Clone, Copy)]
pub(super) struct Size<'a> {
    /// Images that pass at a time.
    pub batch: usize,
    /// What of a batch passes here.
    pub shares: &'a Shares,
    /// Whether the gradient to the images is wanted, too.
    pub image_gradient: bool,
}

/// A layer with what it reads and writes.
pub(super) struct Step {
    pub name: String,
    layer: Box<dyn Layer>,
    pub x: Activation,
    pub y: Activation,
    pub exchange: Option<Exchange>,
}

/// An activation between layers, and the loss's gradient to it.
#[derive(Clone)]
pub(super) struct Activation {
    pub value: Buffer<f32>,
    pub gradient: Option<Buffer<f32>>,
}

/// A value of which every tower computes a part and reads the whole.
///
/// A tower's own part lies where it belongs in the whole, so only the others'
/// parts are copied. On the way back each tower has gradients to the whole; the
/// part that belongs to a tower is summed there, tower 0's share first.
#[derive(Clone)]
pub(super) struct Exchange {
    /// The whole value.
    pub whole: Buffer<f32>,
    /// This tower's gradients to the whole; `None` before a softmax, where each
    /// tower knows its part.
    pub gradients: Option<Buffer<f32>>,
    /// Every tower's gradients to this tower's part, one after the other.
    pub shares: Option<Buffer<f32>>,
    /// The gradient to this tower's part.
    pub own_gradient: Option<Buffer<f32>>,
    /// Where in the whole each tower's part lies.
    pub parts: Vec<std::ops::Range<usize>>,
}

impl Tower {
    pub(super) fn new(
        net: &Net,
        index: usize,
        device: &Arc<dyn Device>,
        size: Size,
    ) -> Result<Tower> {
        let Size {
            batch,
            shares,
            image_gradient,
        } = size;
        let builder = Builder {
            net,
            index,
            device,
            batch,
            image_gradient,
            shares,
        };
        let image = builder.floats(net.input.channels * net.input.crop * net.input.crop)?;
        let steps = builder.steps(&image)?;
        let scratch = steps.iter().map(|step| step.layer.scratch()).max();
        Ok(Tower {
            index,
            steps,
            labels: Buffer::new(device, batch)?,
            image,
            // SAFETY: what the towers read of each other's memory is ordered in `exchange`.
            stream: unsafe { device.clone().stream() }?,
            // SAFETY: the same.
            copies: unsafe { device.clone().stream() }?,
            device: device.clone(),
            scratch: Buffer::new(device, scratch.unwrap_or(0))?,
        })
    }

    pub(super) fn context(&self, mode: Mode, seed: [u32; 2], valid: usize) -> Context<'_> {
        Context {
            stream: &*self.stream,
            scratch: &self.scratch,
            mode,
            seed,
            labels: &self.labels,
            valid,
        }
    }

    /// The end of the network.
    pub(super) fn loss(&self) -> Result<&Loss> {
        let last = self.steps.last().and_then(|step| step.layer.loss());
        last.context("the network has no loss")
    }

    /// Layers with weights, first to last.
    pub(super) fn parameters(&self) -> impl Iterator<Item = &super::Parameters> {
        self.steps.iter().filter_map(|step| step.layer.parameters())
    }

    /// Those of layer `i`, if it has any.
    pub(super) fn parameters_of(&self, i: usize) -> Option<&super::Parameters> {
        self.steps[i].layer.parameters()
    }

    pub(super) fn forward(&self, i: usize, context: &Context) {
        let step = &self.steps[i];
        step.layer.forward(context, &step.x.value, &step.y.value);
    }

    /// Queues the gradient to what layer `i` read.
    pub(super) fn input_gradient(&self, i: usize, context: &Context) {
        if let Some((layer, at)) = self.steps[i].backward() {
            layer.input_gradient(context, &at);
        }
    }

    /// Queues the gradients to the weights and the biases of layer `i` as far as they are wanted.
    pub(super) fn weight_gradient(&self, i: usize, context: &Context, wanted: [bool; 2]) {
        if let Some((layer, at)) = self.steps[i].backward()
            && wanted.contains(&true)
        {
            layer.weight_gradient(context, &Backward { wanted, ..at });
        }
    }

    /// Queues the addition of a share's gradients, of layer `i`, to those of the shares before it.
    pub(super) fn add_share(
        &self,
        i: usize,
        context: &Context,
        place: [u32; 2],
        wanted: [bool; 2],
    ) {
        if let Some(parameters) = self.parameters_of(i) {
            parameters.add_share(context, place, wanted);
        }
    }

    /// Queues a step down the gradient.
    pub(super) fn update(&self, context: &Context, rates: &Rates) {
        for (i, step) in self.steps.iter().enumerate() {
            if let Some(parameters) = step.layer.parameters() {
                parameters.update(context, rates.of(i));
            }
        }
    }
}

impl Step {
    fn backward(&self) -> Option<(&dyn Layer, Backward<'_>)> {
        let at = Backward {
            x: &self.x.value,
            y: &self.y.value,
            dy: self.y.gradient.as_ref()?,
            dx: self.x.gradient.as_ref(),
            wanted: [true; 2],
        };
        Some((&*self.layer, at))
    }
}

/// Makes a tower's memory and steps.
struct Builder<'a> {
    net: &'a Net,
    index: usize,
    device: &'a Arc<dyn Device>,
    batch: usize,
    image_gradient: bool,
    shares: &'a Shares,
}

impl Builder<'_> {
    /// Memory for so many floats of each image.
    fn floats(&self, per_image: usize) -> Result<Buffer<f32>> {
        Buffer::new(self.device, per_image * self.batch)
    }

    /// Memory for the gradient to the images, if it is wanted.
    fn image_gradient(&self, image: &Buffer<f32>) -> Result<Option<Buffer<f32>>> {
        let gradient = self
            .image_gradient
            .then(|| Buffer::new(self.device, image.len()));
        gradient.transpose()
    }

    fn steps(&self, image: &Buffer<f32>) -> Result<Vec<Step>> {
        let layers = &self.net.towers[self.index];
        let mut x = Activation {
            value: image.clone(),
            gradient: self.image_gradient(image)?,
        };
        let mut exchange = None;
        let mut steps = Vec::with_capacity(layers.len());
        for (i, layer) in layers.iter().enumerate() {
            let exchange_here = exchange.take_if(|_| layer.exchanges);
            let (y, next_exchange) = if layer.in_place() || layer.is_loss() {
                (x.clone(), exchange.take())
            } else {
                self.output(i)?
            };
            if let Some(e) = &exchange_here {
                x = Activation {
                    value: e.whole.clone(),
                    // A loss gives every tower the gradient to its part alone.
                    gradient: e.gradients.clone().or(y.gradient.clone()),
                };
            }
            let id = (i * self.net.towers.len() + self.index) as u32;
            let site = Site {
                tower: layers,
                index: i,
                images: self.batch,
                id,
                image_gradient: self.image_gradient,
                shares: self.shares,
            };
            steps.push(Step {
                name: layer.name.clone(),
                layer: layer.kind.keys().build(&site, self.device)?,
                x,
                y: y.clone(),
                exchange: exchange_here,
            });
            x = y;
            exchange = next_exchange;
        }
        Ok(steps)
    }

    /// Memory for the output of layer `i`: this tower's part of a whole if the
    /// next layer reads those of all towers.
    fn output(&self, i: usize) -> Result<(Activation, Option<Exchange>)> {
        let layers = &self.net.towers[self.index];
        let next = layers[i + 1..].iter().find(|layer| !layer.in_place());
        let padded = stored(&layers[i]);
        let gradient = Some(self.floats(padded)?);
        let Some(next) = next.filter(|layer| layer.exchanges) else {
            return Ok((
                Activation {
                    value: self.floats(padded)?,
                    gradient,
                },
                None,
            ));
        };
        let parts = self.parts(i);
        let last = parts.last().map_or(0, |part| part.end);
        // A part may be padded beyond its end, into the next one or past the last.
        let own = parts[self.index].clone();
        let room = self.floats(last.max(own.start + padded))?;
        let scale = |part: &std::ops::Range<usize>| part.start * self.batch..part.end * self.batch;
        let (mut gradients, mut shares) = (None, None);
        let whole = room.slice(0..last * self.batch);
        let value = room.slice(own.start * self.batch..(own.start + padded) * self.batch);
        let parts_in_floats = parts.iter().map(scale).collect();
        if !next.is_loss() {
            gradients = Some(self.floats(last)?);
            shares = Some(self.floats(own.len() * self.net.towers.len())?);
        }
        let own_gradient = gradient.clone();
        let exchange = Exchange {
            whole,
            gradients,
            shares,
            own_gradient,
            parts: parts_in_floats,
        };
        Ok((Activation { value, gradient }, Some(exchange)))
    }

    /// Where the towers' parts of layer `i`'s output lie, in floats of an image.
    fn parts(&self, i: usize) -> Vec<std::ops::Range<usize>> {
        let mut begin = 0;
        let lengths = self.net.towers.iter().map(|tower| tower[i].output.len());
        lengths
            .map(|len| {
                begin += len;
                begin - len..begin
            })
            .collect()
    }
}

/// Floats that an image's output takes in memory.
fn stored(layer: &shapes::Layer) -> usize {
    let channels = match layer.parameters() {
        Some(_) => layer.output.channels.next_multiple_of(GRANULE),
        None => layer.output.channels,
    };
    channels * layer.output.height * layer.output.width
}
