//! Batches prepared on a thread of their own, while the previous one is computed.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};

use anyhow::{Context, Result};
use dataset_pack::Dataset;

use super::sampler::{Place, Sampler};
use super::views::{View, Views};
use crate::net::Batch;

/// Batches that are ready before they are asked for.
const AHEAD: usize = 2;

/// A batch, and where in the epochs the next one begins.
pub struct Prepared {
    /// The images.
    pub batch: Batch,
    /// After them.
    pub place: Place,
}

/// An endless row of training batches.
pub struct Loader {
    batches: Receiver<Result<Prepared>>,
}

impl Loader {
    /// Begins to prepare batches of `size` images from `place` on.
    pub fn start(
        data: Arc<Dataset>,
        mut sampler: Sampler,
        views: Views,
        mut place: Place,
        size: usize,
    ) -> Result<Loader> {
        let (send, batches) = sync_channel(AHEAD);
        let prepare = move || {
            loop {
                let draws = sampler.deal(&mut place, size);
                let images: Vec<u32> = draws.iter().map(|draw| draw.image).collect();
                let crops = draws
                    .iter()
                    .map(|draw| views.training(draw.number))
                    .collect();
                let batch = gather(&data, &images, crops, size);
                let damaged = batch.is_err();
                let prepared = batch.map(|batch| Prepared { batch, place });
                if send.send(prepared).is_err() || damaged {
                    return; // nobody wants more, or there is no more
                }
            }
        };
        std::thread::Builder::new()
            .name("loader".into())
            .spawn(prepare)
            .context("starting the loader's thread")?;
        Ok(Loader { batches })
    }

    /// The next batch.
    pub fn next(&self) -> Result<Prepared> {
        self.batches
            .recv()
            .context("the loader's thread has died")?
    }
}

/// Copies images out of the shards, where they must be whole; the first `valid` of them count.
pub fn gather(data: &Dataset, images: &[u32], views: Vec<View>, valid: usize) -> Result<Batch> {
    let mut pixels = vec![0; images.len() * data.image_bytes()];
    let places = pixels.chunks_exact_mut(data.image_bytes());
    for (&image, place) in images.iter().zip(places) {
        data.read_checked(image as usize, place)?;
    }
    let labels = images
        .iter()
        .map(|&image| data.label(image as usize))
        .collect();
    Ok(Batch {
        pixels: pixels.into(),
        views,
        labels,
        valid,
    })
}
