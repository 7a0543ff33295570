//! Which image goes where, settled before any work starts.
//!
//! The order is that of a hash of each image's path, keyed by the seed. It depends on nothing
//! else: not on the order in which the disk lists files, nor on any random generator's version.

use std::hash::Hasher;

use twox_hash::XxHash3_64;

use super::options::BuildOptions;
use crate::error::Error;
use crate::pixels::decode::{JPEG_DECODER, JPEG_DECODER_ID};
use crate::shard::format::{self, Header};
use crate::shard::{Description, Split};
use crate::source::{Item, Items, NO_LABEL, Source};

/// All that decides the bytes of a set's shards.
pub(crate) struct Plan<'a> {
    pub(crate) description: Description,
    pub(crate) source: &'a Source,
    /// Numbers of the candidates, in the order in which they are packed.
    order: Vec<u32>,
}

/// Brings the images into their seeded order, and parts off what is held out.
pub(crate) fn plans<'a>(
    options: &BuildOptions,
    source: &'a Source,
) -> Result<Vec<Plan<'a>>, Error> {
    let order = shuffled(&source.items, options.seed)
        .map_err(|cause| Error::input(&options.source, cause))?;
    let parts = match options.val_fraction {
        None => vec![(options.split, order)],
        Some(fraction) => {
            let (train, val) = hold_out(&source.items, order, source.classes.len(), fraction);
            vec![(Split::Train, train), (Split::Val, val)]
        }
    };
    // What the source has besides images is told once, with the first set.
    let skipped = [source.skipped, 0];
    let plan = |((split, order), skipped): ((Split, Vec<u32>), u64)| {
        if order.is_empty() {
            let cause = format!("no images left for {}", split.name());
            return Err(Error::input(&options.source, cause));
        }
        Ok(Plan::new(options, source, split, order, skipped))
    };
    parts.into_iter().zip(skipped).map(plan).collect()
}

fn shuffled(items: &Items, seed: u64) -> Result<Vec<u32>, String> {
    let mut text = Vec::new();
    let key = |(index, item): (u32, Item)| {
        text.clear();
        text.extend_from_slice(item.folder.as_bytes());
        text.extend_from_slice(item.name.as_bytes());
        (XxHash3_64::oneshot_with_seed(seed, &text), index)
    };
    let mut keys: Vec<(u64, u32)> = (0..).zip(items.iter()).map(key).collect();
    let path = |index: u32| {
        let item = items.get(index as usize);
        item.folder.bytes().chain(item.name.bytes())
    };
    keys.sort_unstable_by(|a, b| a.0.cmp(&b.0).then_with(|| path(a.1).cmp(path(b.1))));
    let same = |two: &&[(u64, u32)]| two[0].0 == two[1].0 && path(two[0].1).eq(path(two[1].1));
    if let Some(two) = keys.windows(2).find(same) {
        let source = items.get(two[0].1 as usize).source();
        return Err(format!("{source} is there twice"));
    }
    Ok(keys.into_iter().map(|(_, index)| index).collect())
}

/// Parts off `fraction` of each class for validation: at least one image where a class has two,
/// and never all of them. Returns (train, val).
fn hold_out(items: &Items, order: Vec<u32>, classes: usize, fraction: f64) -> (Vec<u32>, Vec<u32>) {
    let label = |index: &u32| Some(items.get(*index as usize).label).filter(|&l| l != NO_LABEL);
    let mut left = vec![0usize; classes];
    let labels = || order.iter().filter_map(label);
    labels().for_each(|label| left[label as usize] += 1);
    for images in &mut left {
        let wanted = (*images as f64 * fraction).round() as usize;
        *images = wanted.max(1).min(images.saturating_sub(1));
    }
    order.into_iter().partition(|index| {
        let Some(held) = label(index).map(|label| &mut left[label as usize]) else {
            return true;
        };
        let train = *held == 0;
        *held = held.saturating_sub(1);
        train
    })
}

impl<'a> Plan<'a> {
    fn new(
        options: &BuildOptions,
        source: &'a Source,
        split: Split,
        order: Vec<u32>,
        skipped: u64,
    ) -> Self {
        let mut description = Description {
            tool: concat!("dataset-pack ", env!("CARGO_PKG_VERSION")).into(),
            split,
            size: options.size,
            resize: options.resize,
            decoder: JPEG_DECODER.into(),
            damaged: options.damaged,
            max_decoded_bytes: options.max_decoded_bytes,
            seed: options.seed,
            shard_images: options.shard_images as u64,
            shard_count: order.len().div_ceil(options.shard_images) as u32,
            val_fraction: options.val_fraction,
            set_id: 0,
            candidates: order.len() as u64,
            skipped,
            classes: source.classes.clone(),
        };
        let mut hash = description.hash(JPEG_DECODER_ID);
        for item in order.iter().map(|&index| source.items.get(index as usize)) {
            let length = item.folder.len() + item.name.len();
            hash.write(&(length as u64).to_le_bytes());
            hash.write(item.folder.as_bytes());
            hash.write(item.name.as_bytes());
            hash.write(&item.label.to_le_bytes());
            hash.write(&item.bytes.to_le_bytes());
        }
        description.set_id = hash.finish();
        Plan {
            description,
            source,
            order,
        }
    }

    /// The candidates of a shard, in order.
    pub(crate) fn shard(&self, number: u32) -> &[u32] {
        let each = self.description.shard_images as usize;
        let start = number as usize * each;
        &self.order[start..self.order.len().min(start + each)]
    }

    /// The header of a shard, but for its counts.
    pub(crate) fn header(&self, number: u32) -> Header {
        let description = &self.description;
        Header {
            magic: format::MAGIC,
            version: format::VERSION,
            byte_order: format::BYTE_ORDER,
            size: description.size,
            channels: 3,
            resize: description.resize.id(),
            decoder: JPEG_DECODER_ID,
            split: description.split.id(),
            shard: number,
            shard_count: description.shard_count,
            class_count: description.classes.len() as u32,
            candidates: self.shard(number).len() as u64,
            seed: description.seed,
            set_id: description.set_id,
            ..bytemuck::Zeroable::zeroed()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::Place;

    fn images(classes: u32, each: usize, reverse: bool) -> Items {
        let mut items = Items::default();
        let numbers = (0..classes as usize * each).map(|n| (n / each, n % each));
        let mut numbers: Vec<_> = numbers.collect();
        if reverse {
            numbers.reverse();
        }
        for (label, i) in numbers {
            let folder = items.folder(&format!("{label}/"));
            let name = format!("{i}.png");
            items
                .push(folder, &name, Place::File, 1, label as u32)
                .expect("pushes");
        }
        items
    }

    fn names(items: &Items, order: &[u32]) -> Vec<String> {
        order
            .iter()
            .map(|&i| items.get(i as usize).source())
            .collect()
    }

    #[test]
    fn the_order_depends_on_the_seed_and_not_on_the_listing() {
        let order = |seed, reverse| {
            let items = images(3, 50, reverse);
            names(&items, &shuffled(&items, seed).expect("shuffles"))
        };
        assert_eq!(order(1, false), order(1, true));
        assert_ne!(order(1, false), order(2, false));
        let listed = names(&images(3, 50, false), &(0..150).collect::<Vec<_>>());
        assert_ne!(order(1, false), listed);
    }

    #[test]
    fn the_order_is_that_of_the_document() {
        let items = images(2, 20, false);
        let order = names(&items, &shuffled(&items, 77).expect("shuffles"));
        let mut expected = order.clone();
        expected.sort_by_key(|name| XxHash3_64::oneshot_with_seed(77, name.as_bytes()));
        assert_eq!(order, expected);
    }

    #[test]
    fn a_path_that_is_there_twice_is_refused() {
        let mut items = images(1, 3, false);
        let folder = items.folder("0/");
        items
            .push(folder, "2.png", Place::File, 5, 0)
            .expect("pushes");
        assert_eq!(shuffled(&items, 0), Err("0/2.png is there twice".into()));
    }

    #[test]
    fn every_class_keeps_images_on_both_sides() {
        for (each, fraction, held) in [(10, 0.2, 2), (10, 0.01, 1), (2, 0.9, 1), (1, 0.5, 0)] {
            let items = images(4, each, false);
            let order = shuffled(&items, 7).expect("shuffles");
            let (train, val) = hold_out(&items, order, 4, fraction);
            assert_eq!((train.len(), val.len()), (4 * (each - held), 4 * held));
            assert!(val.iter().all(|image| !train.contains(image)));
            for label in 0..4 {
                let of_class = val
                    .iter()
                    .filter(|&&i| items.get(i as usize).label == label);
                assert_eq!(of_class.count(), held);
            }
        }
    }
}
