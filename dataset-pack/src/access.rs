//! An order of reading that a disk can follow.
//!
//! Images at random keep up with a trainer from memory or from a fast disk. From a slow one, or
//! over a network, only long reads do. A set is shuffled already when it is packed, so an epoch
//! may go through it in runs of neighbours, with the runs in random order and the images of some
//! of them mixed.

use twox_hash::XxHash3_64;

/// How far an epoch's order departs from that of the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AccessPlan {
    /// Neighbours that are read together: 64 images of 256×256 are 12 MiB.
    pub run: usize,
    /// Runs whose images are mixed with each other. What lies between the first and the last use
    /// of a run must fit into memory.
    pub window: usize,
}

impl Default for AccessPlan {
    fn default() -> Self {
        AccessPlan {
            run: 64,
            window: 64,
        }
    }
}

impl AccessPlan {
    /// The order of the `images` of a set in an epoch: each of them once. Every epoch has its own.
    pub fn order(&self, images: usize, seed: u64, epoch: u64) -> Vec<u32> {
        let (run, window) = (self.run.max(1), self.window.max(1));
        let runs = shuffled(images.div_ceil(run), seed, epoch);
        let mut order = Vec::with_capacity(images);
        for (number, runs) in (1..).zip(runs.chunks(window)) {
            let of_run = |&r: &u32| r as usize * run..images.min((r as usize + 1) * run);
            let together: Vec<u32> = runs.iter().flat_map(of_run).map(|i| i as u32).collect();
            let mixed = shuffled(
                together.len(),
                seed ^ XxHash3_64::oneshot_with_seed(number, b"window"),
                epoch,
            );
            order.extend(mixed.into_iter().map(|at| together[at as usize]));
        }
        order
    }
}

/// The numbers below `count` in an order of their own for each seed and epoch.
fn shuffled(count: usize, seed: u64, epoch: u64) -> Vec<u32> {
    let key = XxHash3_64::oneshot_with_seed(seed, &epoch.to_le_bytes());
    let mut numbers: Vec<u32> = (0..count as u32).collect();
    let hash = |number: &u32| XxHash3_64::oneshot_with_seed(key, &number.to_le_bytes());
    numbers.sort_by_cached_key(|number| (hash(number), *number));
    numbers
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_image_comes_once(
            images in 0usize..500, run in 0usize..40, window in 0usize..10, seed: u64, epoch: u64,
        ) {
            let plan = AccessPlan { run, window };
            let mut order = plan.order(images, seed, epoch);
            order.sort();
            prop_assert_eq!(order, (0..images as u32).collect::<Vec<_>>());
        }
    }

    #[test]
    fn an_epoch_reads_few_runs_at_a_time_and_no_two_are_alike() {
        let plan = AccessPlan { run: 8, window: 4 };
        let order = plan.order(1000, 1, 0);
        for together in order[..992].chunks(32) {
            let mut runs: Vec<u32> = together.iter().map(|image| image / 8).collect();
            assert!(runs.windows(2).any(|two| two[0] != two[1]), "not mixed");
            runs.sort();
            runs.dedup();
            // The last run may be short, which shifts those after it by a little.
            assert!(runs.len() <= 5, "{runs:?}");
        }
        assert_ne!(order, plan.order(1000, 1, 1));
        assert_ne!(order, plan.order(1000, 2, 0));
    }
}
