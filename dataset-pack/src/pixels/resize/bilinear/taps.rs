//! Of which source pixels an output pixel is made.

use std::ops::Range;

use crate::pixels::geometry::Side;

/// Bits after the point in a weight.
pub(super) const FRACTION: u32 = 22;

/// The vector code takes source pixels by fours.
pub(super) const GROUP: usize = 4;

/// A weight's lower part has so many bits.
pub(super) const LOWER: u32 = 8;

/// A group's weights w0..w3 in pairs of 16 bits, as the instruction that multiplies and adds takes
/// them: the upper part and the lower part, each of (w0, w1) and of (w2, w3).
pub(super) type Pairs = [i32; GROUP];

fn pairs(weights: &[i32; GROUP]) -> Pairs {
    let upper = weights.map(|weight| weight >> LOWER);
    let lower = weights.map(|weight| weight & ((1 << LOWER) - 1));
    let pair = |[first, second]: [i32; 2]| first | second << 16;
    [
        pair([upper[0], upper[1]]),
        pair([upper[2], upper[3]]),
        pair([lower[0], lower[1]]),
        pair([lower[2], lower[3]]),
    ]
}

/// The source pixels that every output pixel along a side is made of, and their weights.
pub(super) struct Taps {
    /// First of the source pixels, and how many.
    pub(super) spans: Vec<(usize, usize)>,
    /// As many groups for each output pixel; beyond its count they are zero.
    pub(super) weights: Vec<[i32; GROUP]>,
    pub(super) pairs: Vec<Pairs>,
}

/// Those of one output pixel.
#[derive(Clone, Copy)]
pub(super) struct Tap<'a> {
    pub(super) first: usize,
    pub(super) weights: &'a [i32],
    pub(super) pairs: &'a [Pairs],
}

impl Taps {
    pub(super) fn new(side: Side) -> Taps {
        let support = side.step().max(1.0);
        let span = |i: usize| {
            let centre = side.at(i as f64 + 0.5);
            let first = (centre - support + 0.5).max(0.0) as usize;
            let end = (centre + support + 0.5).min(f64::from(side.source)) as usize;
            (first, end - first)
        };
        let spans: Vec<_> = (0..side.kept).map(span).collect();
        let most = spans.iter().map(|span| span.1).max().unwrap_or(0);
        let mut weights = vec![[0; GROUP]; side.kept * most.div_ceil(GROUP)];
        let mut triangle = vec![0.0; most];
        let each = weights.chunks_exact_mut(most.div_ceil(GROUP)).zip(&spans);
        for (i, (weights, &(first, count))) in each.enumerate() {
            let centre = side.at(i as f64 + 0.5);
            let triangle = &mut triangle[..count];
            for (p, weight) in (first..).zip(triangle.iter_mut()) {
                *weight = (1.0 - ((p as f64 - centre + 0.5) * (1.0 / support)).abs()).max(0.0);
            }
            let sum: f64 = triangle.iter().sum();
            for (fixed, weight) in weights.as_flattened_mut().iter_mut().zip(triangle) {
                *fixed = (*weight / sum * f64::from(1 << FRACTION) + 0.5) as i32;
            }
        }
        let pairs = weights.iter().map(pairs).collect();
        Taps {
            spans,
            weights,
            pairs,
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = Tap<'_>> {
        let groups = self.groups();
        let weights = self
            .weights
            .chunks_exact(groups)
            .zip(self.pairs.chunks_exact(groups));
        self.spans
            .iter()
            .zip(weights)
            .map(|(&(first, count), (weights, pairs))| Tap {
                first,
                weights: &weights.as_flattened()[..count],
                pairs,
            })
    }

    /// For each output pixel.
    pub(super) fn groups(&self) -> usize {
        self.weights.len() / self.spans.len()
    }

    /// The source pixels that are used at all.
    pub(super) fn reach(&self) -> Range<usize> {
        let end = |&(first, count): &(usize, usize)| first + count;
        self.spans.first().map_or(0, |span| span.0)..self.spans.last().map_or(0, end)
    }
}
