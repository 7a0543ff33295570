//! Counter-based random numbers of the input side: which image comes when, and which part of it is seen.
//!
//! A number is a pure function of a key and a counter ([`philox`]), so nothing but the place in the training has to be
//! saved to go on exactly.

use gpu_kernels::random::philox;

/// What a number is for: numbers of one purpose never repeat those of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// The order of the images.
    Order,
    /// Crop, mirror and colour noise.
    View,
    /// Which rows an auto-encoder learns from.
    Codes,
}

impl Purpose {
    /// The last word of the counter. The kernels number their tensors from 0; these are far from them.
    fn tag(self) -> u32 {
        match self {
            Self::Order => 0xffff_0001,
            Self::View => 0xffff_0002,
            Self::Codes => 0xffff_0003,
        }
    }
}

/// Four random words for the `index`-th thing of a kind and its `draw`-th draw.
pub fn words(seed: u64, purpose: Purpose, index: u64, draw: u32) -> [u32; 4] {
    philox(
        [low(index), high(index), draw, purpose.tag()],
        [low(seed), high(seed)],
    )
}

/// A number below `bound`, which must not be 0. The bias is below `bound`/2³².
pub fn below(word: u32, bound: u32) -> u32 {
    high(u64::from(word) * u64::from(bound))
}

fn low(x: u64) -> u32 {
    x as u32
}

fn high(x: u64) -> u32 {
    (x >> 32) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn below_reaches_both_ends_and_no_further() {
        assert_eq!(
            (below(0, 33), below(u32::MAX, 33), below(u32::MAX, 1)),
            (0, 32, 0)
        );
    }

    #[test]
    fn purposes_seeds_indices_and_draws_differ() {
        let base = words(1, Purpose::Order, 2, 3);
        assert_eq!(base, words(1, Purpose::Order, 2, 3));
        for other in [
            words(1 << 32 | 1, Purpose::Order, 2, 3),
            words(1, Purpose::View, 2, 3),
            words(1, Purpose::Order, 1 << 32 | 2, 3),
            words(1, Purpose::Order, 2, 4),
        ] {
            assert_ne!(base, other);
        }
    }
}
