//! Which image comes when.
//!
//! Training walks through the images epoch by epoch, each epoch in an order of its own that depends on nothing but the
//! seed and the epoch's number: the place in the epoch is all there is to save. Every batch is full. Where the images
//! do not divide into batches, the last batch of an epoch is filled from the beginning of the next, so that every image
//! is used equally often.

use std::ops::Range;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use super::random::{Purpose, words};

/// The order of the images within an epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Order {
    /// A new random order each epoch.
    #[default]
    Shuffled,
    /// As stored.
    Sequential,
}

/// How far the training has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cursor {
    /// Epoch, counted from 0.
    pub epoch: u32,
    /// Images of this epoch that are used already.
    pub position: u32,
}

impl Cursor {
    /// The epoch, counted from 0, to which the next of `images` images belongs.
    pub fn epoch_of(self, images: usize) -> u32 {
        self.epoch + u32::from(self.position as usize >= images)
    }

    /// Epochs done, with fraction.
    pub fn epochs(self, images: usize) -> f64 {
        f64::from(self.epoch) + f64::from(self.position) / images as f64
    }
}

/// One image of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Draw {
    /// Which image of the set.
    pub image: u32,
    /// How many images were used before this one since the training began: what its view is drawn from.
    pub number: u64,
}

/// Deals the images out.
#[derive(Clone, Debug)]
pub struct Sampler {
    order: Order,
    seed: u64,
    images: u32,
    /// The epoch dealt last and its order.
    current: Option<(u32, Vec<u32>)>,
}

impl Sampler {
    /// For a set of `images` images, which must not be 0.
    pub fn new(order: Order, seed: u64, images: u32) -> Self {
        assert!(images > 0, "a sampler needs images");
        Self {
            order,
            seed,
            images,
            current: None,
        }
    }

    /// Deals `batch` images from `cursor` on, and moves `cursor` behind them.
    pub fn deal(&mut self, cursor: &mut Cursor, batch: usize) -> Vec<Draw> {
        (0..batch).map(|_| self.draw(cursor)).collect()
    }

    fn draw(&mut self, cursor: &mut Cursor) -> Draw {
        if cursor.position >= self.images {
            *cursor = Cursor {
                epoch: cursor.epoch + 1,
                position: 0,
            };
        }
        let Cursor { epoch, position } = *cursor;
        let number = u64::from(epoch) * u64::from(self.images) + u64::from(position);
        cursor.position += 1;
        Draw {
            image: self.order_of(epoch)[position as usize],
            number,
        }
    }

    fn order_of(&mut self, epoch: u32) -> &[u32] {
        let stale = self
            .current
            .as_ref()
            .is_none_or(|(current, _)| *current != epoch);
        if stale {
            self.current = None;
        }
        let (order, seed, images) = (self.order, self.seed, self.images);
        &self
            .current
            .get_or_insert_with(|| (epoch, epoch_order(order, seed, epoch, images)))
            .1
    }
}

/// The order of an epoch.
pub fn epoch_order(order: Order, seed: u64, epoch: u32, images: u32) -> Vec<u32> {
    let mut list: Vec<u32> = (0..images).collect();
    if order == Order::Shuffled {
        for last in (1..images).rev() {
            let [a, b, ..] = words(seed, Purpose::Order, u64::from(last), epoch);
            // 64 random bits: the bias is below 2⁻³² even for the largest sets.
            let random = u128::from(a) << 32 | u128::from(b);
            let other = (random * (u128::from(last) + 1)) >> 64;
            list.swap(last as usize, other as usize);
        }
    }
    list
}

/// A batch of a pass over a whole set, for validation and testing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WholeBatch {
    /// The images in it.
    pub images: Range<u32>,
    /// Its size; the slots behind `images` hold no image and their results do not count.
    pub slots: usize,
}

impl WholeBatch {
    /// How many slots hold an image.
    pub fn valid(&self) -> usize {
        self.images.len()
    }

    /// An image for every slot: the last one again where there is none.
    pub fn padded(&self) -> impl Iterator<Item = u32> {
        let Range { start, end } = self.images;
        (0..self.slots).map(move |slot| (start + slot as u32).min(end - 1))
    }
}

/// The batches of a pass over a whole set, as stored.
pub fn whole_batches(images: u32, batch: usize) -> impl ExactSizeIterator<Item = WholeBatch> {
    (0..images).step_by(batch).map(move |start| {
        let end = (u64::from(start) + batch as u64).min(u64::from(images)) as u32;
        WholeBatch {
            images: start..end,
            slots: batch,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn images(draws: &[Draw]) -> Vec<u32> {
        draws.iter().map(|draw| draw.image).collect()
    }

    #[test]
    fn an_epoch_uses_every_image_once() {
        let order = epoch_order(Order::Shuffled, 1, 0, 1000);
        let mut sorted = order.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, (0..1000).collect::<Vec<_>>());
        assert_ne!(order, sorted);
    }

    #[test]
    fn orders_differ_by_epoch_and_by_seed() {
        let order = |seed, epoch| epoch_order(Order::Shuffled, seed, epoch, 100);
        assert_eq!(order(1, 0), order(1, 0));
        assert_ne!(order(1, 0), order(1, 1));
        assert_ne!(order(1, 0), order(2, 0));
        assert_ne!(order(1, 0), order(1 << 32 | 1, 0));
    }

    /// Each image should come first about equally often.
    #[test]
    fn the_shuffle_is_even() {
        let mut first = [0u32; 5];
        for epoch in 0..5000 {
            first[epoch_order(Order::Shuffled, 3, epoch, 5)[0] as usize] += 1;
        }
        // Chi-squared with 4 degrees of freedom: 18.5 is passed once in a thousand seeds.
        let chi: f64 = first
            .iter()
            .map(|&n| (f64::from(n) - 1000.0).powi(2) / 1000.0)
            .sum();
        assert!(chi < 18.5, "{first:?}");
    }

    #[test]
    fn the_last_batch_of_an_epoch_is_filled_from_the_next() {
        let mut sampler = Sampler::new(Order::Sequential, 0, 5);
        let mut cursor = Cursor::default();
        let batches: Vec<Vec<u32>> = (0..3)
            .map(|_| images(&sampler.deal(&mut cursor, 4)))
            .collect();
        assert_eq!(batches, [[0, 1, 2, 3], [4, 0, 1, 2], [3, 4, 0, 1]]);
        assert_eq!(
            cursor,
            Cursor {
                epoch: 2,
                position: 2
            }
        );
    }

    #[test]
    fn draws_are_numbered_through() {
        let mut sampler = Sampler::new(Order::Shuffled, 9, 7);
        let mut cursor = Cursor::default();
        let numbers: Vec<u64> = sampler
            .deal(&mut cursor, 30)
            .iter()
            .map(|draw| draw.number)
            .collect();
        assert_eq!(numbers, (0..30).collect::<Vec<_>>());
    }

    #[test]
    fn a_saved_place_goes_on_exactly() {
        let mut straight = Sampler::new(Order::Shuffled, 5, 11);
        let mut cursor = Cursor::default();
        straight.deal(&mut cursor, 8);
        let saved = cursor;
        let expected: Vec<Draw> = (0..5).flat_map(|_| straight.deal(&mut cursor, 8)).collect();
        let mut cursor = saved;
        let found: Vec<Draw> = (0..5)
            .flat_map(|_| Sampler::new(Order::Shuffled, 5, 11).deal(&mut cursor, 8))
            .collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn a_batch_may_be_larger_than_the_set() {
        let mut sampler = Sampler::new(Order::Sequential, 0, 2);
        assert_eq!(
            images(&sampler.deal(&mut Cursor::default(), 5)),
            [0, 1, 0, 1, 0]
        );
    }

    #[test]
    fn a_whole_pass_pads_its_last_batch() {
        let batches: Vec<WholeBatch> = whole_batches(10, 4).collect();
        assert_eq!(
            batches.iter().map(WholeBatch::valid).collect::<Vec<_>>(),
            [4, 4, 2]
        );
        assert_eq!(batches[2].padded().collect::<Vec<_>>(), [8, 9, 9, 9]);
        assert_eq!(whole_batches(0, 4).len(), 0);
        assert_eq!(
            whole_batches(8, 4)
                .map(|batch| batch.valid())
                .sum::<usize>(),
            8
        );
    }
}
