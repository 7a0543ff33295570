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
    cursor: Cursor<V, S>,
}

/// The row of some columns that is to be found next.
pub struct Cursor<V: Vector, S: Source<V>> {
    k: u32,
    at_k: S::AtK,
    at_i: S::AtI,
    vectors: PhantomData<V>,
}

impl<V: Vector, S: Source<V>> Clone for Cursor<V, S> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<V: Vector, S: Source<V>> Copy for Cursor<V, S> {}

impl<V: Vector, S: Source<V>> Cursor<V, S> {
    /// Finds the row and goes on to the next.
    #[inline(always)]
    unsafe fn find(&mut self, source: &S) -> *const f32 {
        let place = source.find(self.at_k, self.at_i).unwrap_or(null());
        self.k += 1;
        self.at_k = source.next(self.at_k, self.k);
        place
    }
}

impl<V: Vector, S: Source<V>, const DEPTH: usize> Clone for Ahead<V, S, DEPTH> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<V: Vector, S: Source<V>, const DEPTH: usize> Copy for Ahead<V, S, DEPTH> {}

impl<V: Vector, S: Source<V>, const DEPTH: usize> Ahead<V, S, DEPTH> {
    /// Columns from `i` on, rows from `k` on. Of a turned operand nothing is known.
    #[inline(always)]
    pub unsafe fn new(source: &S, k: u32, i: u32) -> Self {
        let mut cursor = Cursor {
            k,
            at_k: source.at_k(k),
            at_i: source.at_i(i),
            vectors: PhantomData,
        };
        let mut places = [null::<f32>(); DEPTH];
        let mut step = 0;
        while step < DEPTH && !S::TURNED {
            *places.as_mut_ptr().add(step) = cursor.find(source);
            step += 1;
        }
        Ahead { places, cursor }
    }

    /// Where to look next, for a loop over [`take`](Self::take) to keep in
    /// registers.
    #[inline(always)]
    pub fn cursor(&self) -> Cursor<V, S> {
        self.cursor
    }

    /// Hands the cursor back.
    #[inline(always)]
    pub fn set_cursor(&mut self, cursor: Cursor<V, S>) {
        self.cursor = cursor;
    }

    /// Row `step` of this slab; in its place comes that of the next slab, at the
    /// cursor.
    #[inline(always)]
    pub unsafe fn take<const N: usize>(
        &mut self,
        source: &S,
        step: usize,
        cursor: &mut Cursor<V, S>,
    ) -> [V; N] {
        let place = &mut *self.places.as_mut_ptr().add(step);
        let mut vectors = [V::splat(0.0); N];
        if !place.is_null() {
            let mut n = 0;
            while n < N {
                vectors[n] = place.load_vector(n * V::LANES);
                n += 1;
            }
        }
        *place = cursor.find(source);
        vectors
    }

    /// Announces the next slab to the cache, part by part: called at each `step`
    /// of each `pass`.
    #[inline(always)]
    pub unsafe fn hint(&self, pass: usize, step: usize) {
        if !S::TURNED && step.is_multiple_of(PASSES) {
            let next = (pass * (DEPTH / PASSES) + step / PASSES) % DEPTH;
            prefetch(*self.places.as_ptr().add(next));
        }
    }
}
