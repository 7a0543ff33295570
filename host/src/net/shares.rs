//! How a batch is cut into equal shares, and which of them pass here.
//!
//! Each share passes forward and back by itself, and the gradients of all shares are added in one binary tree over their
//! numbers. So the sum, and all that follows from it, depends on how many shares there are, but not on who computes which
//! of them: neighbours whose number is a power of two are a subtree.

use std::ops::Range;

use anyhow::{Result, ensure};

use super::IMAGES;

/// The shares of a batch, and which of them pass here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shares {
    /// How many there are; a power of two.
    pub of: u32,
    /// Those that pass here.
    pub own: Range<u32>,
}

impl Shares {
    /// One share, which is the batch.
    pub const WHOLE: Shares = Shares { of: 1, own: 0..1 };

    /// The shares of one of `ranks` that share a batch of `batch` images among them.
    pub fn new(of: u32, batch: usize, [rank, ranks]: [u32; 2]) -> Result<Shares> {
        ensure!(
            of.is_power_of_two(),
            "--shares {of}: it must be a power of two, so that their sums form a binary tree"
        );
        ensure!(
            of == 1 || batch.is_multiple_of(of as usize * IMAGES),
            "--shares {of}: batch {batch} cannot be cut into {of} equal shares of a multiple of {IMAGES} images"
        );
        ensure!(
            of.is_multiple_of(ranks),
            "--shares {of}: {ranks} ranks cannot have as many shares each; their number must divide that of the shares"
        );
        let each = of / ranks;
        Ok(Shares {
            of,
            own: rank * each..(rank + 1) * each,
        })
    }

    /// Images of each share of a batch.
    pub fn images(&self, batch: usize) -> usize {
        batch / self.of as usize
    }

    /// Where in a batch the images are that pass here.
    pub fn places(&self, batch: usize) -> Range<usize> {
        let [start, end] = [self.own.start, self.own.end].map(|n| n as usize);
        start * self.images(batch)..end * self.images(batch)
    }

    /// This rank's number, and how many ranks have shares of the batch.
    pub(super) fn rank(&self) -> [usize; 2] {
        let each = self.own.len();
        [self.own.start as usize / each, self.of as usize / each]
    }

    /// Sums of gradients that are kept while they pass: one for each level of their tree.
    pub(super) fn sums(&self) -> usize {
        self.own.len().ilog2() as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_have_neighbours() {
        let own = |rank| Shares::new(8, 256, [rank, 2]).unwrap();
        assert_eq!([own(0).own, own(1).own], [0..4, 4..8]);
        assert_eq!((own(1).images(256), own(1).places(256)), (32, 128..256));
        assert_eq!(Shares::new(1, 128, [0, 1]).unwrap(), Shares::WHOLE);
        assert_eq!([own(0).sums(), Shares::WHOLE.sums()], [2, 0]);
        assert_eq!([own(1).rank(), Shares::WHOLE.rank()], [[1, 2], [0, 1]]);
    }

    #[test]
    fn what_has_no_tree_is_refused() {
        for (of, batch, ranks, told) in [
            (0, 128, 1, "power of two"),
            (3, 96, 1, "power of two"),
            (4, 96, 1, "batch 96"),
            (2, 128, 4, "4 ranks"),
            (4, 128, 3, "3 ranks"),
        ] {
            let error = Shares::new(of, batch, [0, ranks]).unwrap_err().to_string();
            assert!(error.contains(told), "{error}");
        }
    }
}
