//! Which image goes where, settled before any work starts.
//!
//! The order is that of a hash of each image's path, keyed by the seed. It depends on nothing
//! else: not on the order in which the disk lists files, nor on any random generator's version.

use std::collections::BTreeMap;

use xxhash_rust::xxh3::{Xxh3, xxh3_64_with_seed};

use crate::decode::JPEG_DECODER_ID;
use crate::format::{self, Header};
use crate::index::Split;
use crate::resize::Resize;
use crate::source::Candidate;

/// Brings the images into their seeded order.
pub(crate) fn shuffle(candidates: &mut [Candidate], seed: u64) {
    candidates.sort_by_cached_key(|c| {
        (
            xxh3_64_with_seed(c.source.as_bytes(), seed),
            c.source.clone(),
        )
    });
}

/// Parts off `fraction` of each class for validation: at least one image where a class has two,
/// and never all of them. Returns (train, val).
pub(crate) fn hold_out(
    candidates: Vec<Candidate>,
    fraction: f64,
    seed: u64,
) -> (Vec<Candidate>, Vec<Candidate>) {
    let mut classes: BTreeMap<u32, Vec<Candidate>> = BTreeMap::new();
    for candidate in candidates {
        classes.entry(candidate.label).or_default().push(candidate);
    }
    let (mut train, mut val) = (Vec::new(), Vec::new());
    for (_, mut images) in classes {
        shuffle(&mut images, seed);
        let wanted = (images.len() as f64 * fraction).round() as usize;
        let held = wanted.max(1).min(images.len() - 1);
        train.extend(images.split_off(held));
        val.append(&mut images);
    }
    (train, val)
}

/// All that decides the bytes of a set's shards.
pub(crate) struct Plan<'a> {
    pub(crate) split: Split,
    pub(crate) size: u32,
    pub(crate) resize: Resize,
    pub(crate) seed: u64,
    pub(crate) shard_images: usize,
    pub(crate) max_pixels: u64,
    pub(crate) classes: &'a [String],
    /// In the order in which they are packed.
    pub(crate) candidates: &'a [Candidate],
}

impl Plan<'_> {
    /// The header that all shards of the set share, but for their own number and counts.
    pub(crate) fn header(&self) -> Header {
        Header {
            magic: format::MAGIC,
            version: format::VERSION,
            byte_order: format::BYTE_ORDER,
            size: self.size,
            channels: 3,
            resize: self.resize.id(),
            decoder: JPEG_DECODER_ID,
            split: self.split.id(),
            shard_count: self.candidates.len().div_ceil(self.shard_images) as u32,
            class_count: self.classes.len() as u32,
            seed: self.seed,
            set_id: self.id(),
            ..bytemuck::Zeroable::zeroed()
        }
    }

    /// Hash of the plan, in the order that FORMAT.md gives.
    fn id(&self) -> u64 {
        let mut hash = Xxh3::new();
        let (classes, images) = (self.classes.len() as u64, self.candidates.len() as u64);
        let (split, size, resize) = (self.split.id(), self.size, self.resize.id());
        for number in [split, size, resize, JPEG_DECODER_ID].map(u64::from) {
            hash.update(&number.to_le_bytes());
        }
        let shard_images = self.shard_images as u64;
        for number in [self.seed, shard_images, self.max_pixels, classes, images] {
            hash.update(&number.to_le_bytes());
        }
        let mut text = |text: &str| {
            hash.update(&(text.len() as u64).to_le_bytes());
            hash.update(text.as_bytes());
        };
        self.classes.iter().for_each(|name| text(name));
        self.candidates.iter().for_each(|c| text(&c.source));
        for candidate in self.candidates {
            hash.update(&candidate.label.to_le_bytes());
        }
        hash.digest()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn images(classes: u32, each: usize) -> Vec<Candidate> {
        let image = |label, i| Candidate {
            source: format!("{label}/{i}.png"),
            label,
        };
        (0..classes)
            .flat_map(|label| (0..each).map(move |i| image(label, i)))
            .collect()
    }

    #[test]
    fn the_order_depends_on_the_seed_and_not_on_the_listing() {
        let (mut a, mut b, mut c) = (images(3, 50), images(3, 50), images(3, 50));
        b.reverse();
        shuffle(&mut a, 1);
        shuffle(&mut b, 1);
        shuffle(&mut c, 2);
        assert_eq!(a, b);
        assert_ne!(a, c);
        assert_ne!(a, images(3, 50));
    }

    #[test]
    fn every_class_keeps_images_on_both_sides() {
        for (each, fraction, held) in [(10, 0.2, 2), (10, 0.01, 1), (2, 0.9, 1), (1, 0.5, 0)] {
            let (train, val) = hold_out(images(4, each), fraction, 7);
            assert_eq!((train.len(), val.len()), (4 * (each - held), 4 * held));
            assert!(val.iter().all(|image| !train.contains(image)));
        }
    }
}
