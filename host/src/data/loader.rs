//! Batches prepared on a thread of their own, while the previous one is computed.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};

use anyhow::{Context, Result};
use dataset_pack::{Crop, Dataset};

use super::sampler::{Cursor, Draw, Sampler, WholeBatch};
use super::views::{View, Views};
use crate::net::Batch;
use crate::net::shares::Shares;

/// Batches, or shares of them, that are ready before they are asked for.
const AHEAD: usize = 2;

/// Batches after the one that is read whose images the system is asked to fetch from the disk.
const TOLD_AHEAD: usize = 4;

/// A batch, or a share of one, and where in the epochs the next batch begins.
pub struct Prepared {
    /// The images.
    pub batch: Batch,
    /// After the whole batch.
    pub cursor: Cursor,
}

/// An endless row of training batches, or of the shares of them that pass here.
pub struct Loader {
    batches: Receiver<Result<Prepared>>,
}

impl Loader {
    /// Begins to prepare the own `shares` of batches of `size` images from `cursor` on.
    pub fn start(
        data: Arc<Dataset>,
        mut sampler: Sampler,
        views: Views,
        mut cursor: Cursor,
        size: usize,
        shares: &Shares,
    ) -> Result<Loader> {
        let (images, places) = (shares.images(size), shares.places(size));
        let (send, batches) = sync_channel(AHEAD);
        let mut gatherer = Gatherer::new(views.crop());
        let prepare = move || {
            let mut dealt = VecDeque::new();
            let mut deal = || loop {
                if let Some(share) = dealt.pop_front() {
                    return share;
                }
                let draws = sampler.deal(&mut cursor, size);
                for share in draws[places.clone()].chunks(images) {
                    let prefetch = |draw: &Draw| data.prefetch(draw.image as usize);
                    share.iter().for_each(prefetch);
                    dealt.push_back((share.to_vec(), cursor));
                }
            };
            let mut told: [_; TOLD_AHEAD] = std::array::from_fn(|_| deal());
            for oldest in (0..TOLD_AHEAD).cycle() {
                let (draws, cursor) = std::mem::replace(&mut told[oldest], deal());
                let numbers: Vec<u32> = draws.iter().map(|draw| draw.image).collect();
                let crops = draws
                    .iter()
                    .map(|draw| views.training(draw.number))
                    .collect();
                let batch = gatherer.batch(&data, &numbers, crops, images);
                let damaged = batch.is_err();
                let prepared = batch.map(|batch| Prepared { batch, cursor });
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

/// Copies images out of the shards, into memory that is used again once nobody holds it.
pub struct Gatherer {
    side: usize,
    buffers: Vec<Arc<[u8]>>,
}

impl Gatherer {
    /// Copies squares of `side`: images as they are stored, for any view, or what a batch's views take.
    pub fn new(side: usize) -> Self {
        Gatherer {
            side,
            buffers: Vec::new(),
        }
    }

    /// A batch of images, which must be whole; the first `valid` of them count.
    pub fn batch(
        &mut self,
        data: &Dataset,
        images: &[u32],
        views: Vec<View>,
        valid: usize,
    ) -> Result<Batch> {
        let (side, whole) = (self.side, self.side == data.size());
        let crop = |view: &View| match whole {
            true => Crop { y: 0, x: 0, side },
            false => Crop {
                y: view.y as usize,
                x: view.x as usize,
                side,
            },
        };
        let buffer = self.buffer(images.len() * 3 * side * side);
        let places = Arc::make_mut(buffer).chunks_exact_mut(3 * side * side);
        for ((&image, view), place) in images.iter().zip(&views).zip(places) {
            data.read_crop(image as usize, crop(view), place)?;
        }
        let label = |&image: &u32| data.label(image as usize);
        Ok(Batch {
            pixels: buffer.clone(),
            side,
            views,
            labels: images.iter().map(label).collect(),
            valid,
        })
    }

    /// A batch of a pass over a whole set, with the same view of every image.
    pub fn whole(&mut self, data: &Dataset, batch: &WholeBatch, view: View) -> Result<Batch> {
        let images: Vec<u32> = batch.padded().collect();
        let views = vec![view; images.len()];
        self.batch(data, &images, views, batch.valid())
    }

    fn buffer(&mut self, bytes: usize) -> &mut Arc<[u8]> {
        let free = |buffer: &mut Arc<[u8]>| buffer.len() == bytes && Arc::get_mut(buffer).is_some();
        let at = self.buffers.iter_mut().position(free).unwrap_or_else(|| {
            self.buffers.push(std::iter::repeat_n(0, bytes).collect());
            self.buffers.len() - 1
        });
        &mut self.buffers[at]
    }
}

#[cfg(test)]
mod tests {
    use dataset_pack::{BuildOptions, SynthOptions, build, synth};

    use super::*;
    use crate::data::random::{Purpose, below, words};

    /// A packed set of drawn images.
    fn packed(folder: &std::path::Path) -> Dataset {
        let (drawn, sets) = (folder.join("drawn"), folder.join("sets"));
        synth(&SynthOptions::new(&drawn, 2, 16), &|_| {}).unwrap();
        let mut options = BuildOptions::new(&drawn, &sets);
        options.size = 24;
        build(&options, &|_| {}).unwrap();
        Dataset::open(sets).unwrap()
    }

    #[test]
    fn squares_are_what_the_views_take_of_the_whole_images() {
        let folder = tempfile::tempdir().unwrap();
        let data = packed(folder.path());
        let (size, side) = (data.size(), 15);
        let images: Vec<u32> = (0..data.len() as u32).rev().collect();
        let view = |&image: &u32| {
            let [y, x, mirror, _] = words(1, Purpose::View, image.into(), 0);
            let [y, x] = [y, x].map(|word| below(word, (size - side) as u32 + 1));
            View {
                y,
                x,
                mirror: mirror >> 31,
                ..View::default()
            }
        };
        let views: Vec<View> = images.iter().map(view).collect();
        let gather = |side| {
            let views = views.clone();
            Gatherer::new(side)
                .batch(&data, &images, views, images.len())
                .unwrap()
        };
        let (whole, squares) = (gather(size), gather(side));
        let cut = views.iter().enumerate().flat_map(|(n, view)| {
            let at = move |i: usize| {
                let (y, x) = (
                    view.y as usize + i / (3 * side),
                    3 * view.x as usize + i % (3 * side),
                );
                ((n * size + y) * size) * 3 + x
            };
            (0..3 * side * side).map(at)
        });
        let cut: Vec<u8> = cut.map(|at| whole.pixels[at]).collect();
        assert!(*squares.pixels == cut);
        assert_eq!((whole.side, squares.side), (size, side));
        for (n, &image) in images.iter().enumerate() {
            let stored = data.image(image as usize).unwrap();
            assert!(whole.pixels[n * stored.len()..][..stored.len()] == stored);
            assert_eq!(squares.labels[n], data.label(image as usize));
        }
    }

    #[test]
    fn memory_is_used_again_once_nobody_holds_it() {
        let folder = tempfile::tempdir().unwrap();
        let data = packed(folder.path());
        let mut gatherer = Gatherer::new(data.size());
        let mut one = || {
            gatherer
                .batch(&data, &[0], vec![View::default()], 1)
                .unwrap()
                .pixels
        };
        let (a, b) = (one(), one());
        let (at_a, at_b) = (a.as_ptr(), b.as_ptr());
        assert_ne!(at_a, at_b);
        drop(a);
        assert_eq!(one().as_ptr(), at_a);
        assert_eq!(one().as_ptr(), at_a);
        drop(b);
        assert!([at_a, at_b].contains(&one().as_ptr()));
    }
}
