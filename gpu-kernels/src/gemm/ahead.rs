//! A CPU's way to operand B: each thread its own columns, straight from memory,
//! with the cache told early what will be wanted.

use core::marker::PhantomData;
use core::ptr::null;

use super::Source;
use crate::device::*;

/// Passes over a slab in which the next one is announced. All at once would wait
/// for each other.
const PASSES: usize = 4;

/// Where the next `DEPTH` rows of a thread's columns lie; null where they are zero.
pub struct Ahead<V: Vector, S: Source<V>, const DEPTH: usize> {
    places: [*const f32; DEPTH],
    cursor: S::AtK,
    own: S::AtI,
    vectors: PhantomData<V>,
}

impl<V: Vector, S: Source<V>, const DEPTH: usize> Ahead<V, S, DEPTH> {
    /// Columns from `i` on, rows from `k` on. Of a turned operand nothing is known.
    #[inline(always)]
    pub unsafe fn new(source: &S, k: u32, i: u32) -> Self {
        let mut ahead = Ahead {
            places: [null(); DEPTH],
            cursor: source.at_k(k),
            own: source.at_i(i),
            vectors: PhantomData,
        };
        let mut step = 0;
        while step < DEPTH && !S::TURNED {
            ahead.find(source, step, k);
            step += 1;
        }
        ahead
    }

    /// Finds row `step` of the slab at `k`, to which the cursor points.
    #[inline(always)]
    unsafe fn find(&mut self, source: &S, step: usize, k: u32) {
        let place = source.find(self.cursor, self.own);
        *self.places.as_mut_ptr().add(step) = place.unwrap_or(null());
        self.cursor = source.next(self.cursor, k + step as u32 + 1);
    }

    /// Row `step` of this slab; in its place comes that of the next slab, at `k`.
    #[inline(always)]
    pub unsafe fn take<const N: usize>(&mut self, source: &S, step: usize, k: u32) -> [V; N] {
        let place = *self.places.as_ptr().add(step);
        let mut vectors = [V::splat(0.0); N];
        if !place.is_null() {
            let mut n = 0;
            while n < N {
                vectors[n] = place.load_vector(n * V::LANES);
                n += 1;
            }
        }
        self.find(source, step, k);
        vectors
    }

    /// Announces the next slab to the cache, part by part: called at each `step`
    /// of each `pass`.
    #[inline(always)]
    pub unsafe fn hint(&self, pass: usize, step: usize) {
        if step.is_multiple_of(PASSES) {
            let next = (pass * (DEPTH / PASSES) + step / PASSES) % DEPTH;
            prefetch(*self.places.as_ptr().add(next));
        }
    }
}
