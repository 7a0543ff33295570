//! A CPU's loads of B: row by row straight from memory, with the rows of the next
//! slab prefetched into the cache meanwhile.

use core::marker::PhantomData;
use core::ptr::null;

use super::Source;
use crate::device::*;

/// Passes over a slab in which the next one is prefetched. Prefetches made all at
/// once would wait for each other.
const PASSES: usize = 4;

/// The addresses of the next `BK` rows of a panel; null where they are zero.
pub struct Lookahead<V: Vector, S: Source<V>, const BK: usize> {
    addresses: [*const f32; BK],
    cursor: Cursor<V, S>,
}

/// The row of a panel whose address is to be found next.
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
    /// The row's address; the cursor goes on to the next row.
    ///
    /// # Safety
    /// Those of the source's methods.
    #[inline(always)]
    unsafe fn advance(&mut self, source: &S) -> *const f32 {
        let address = source.address(self.at_k, self.at_i).unwrap_or(null());
        self.k += 1;
        self.at_k = source.next(self.at_k, self.k);
        address
    }
}

impl<V: Vector, S: Source<V>, const BK: usize> Clone for Lookahead<V, S, BK> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<V: Vector, S: Source<V>, const BK: usize> Copy for Lookahead<V, S, BK> {}

impl<V: Vector, S: Source<V>, const BK: usize> Lookahead<V, S, BK> {
    /// Of columns from `i` on, rows from `k` on; of a transposed operand nothing.
    ///
    /// # Safety
    /// The memory of `source` can be read; the same is given to the other methods.
    #[inline(always)]
    pub unsafe fn new(source: &S, k: u32, i: u32) -> Self {
        let mut cursor = Cursor {
            k,
            at_k: source.at_k(k),
            at_i: source.at_i(i),
            vectors: PhantomData,
        };
        let mut addresses = [null::<f32>(); BK];
        let mut step = 0;
        while step < BK && !S::TRANSPOSED {
            *addresses.as_mut_ptr().add(step) = cursor.advance(source);
            step += 1;
        }
        Lookahead { addresses, cursor }
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

    /// Loads row `step` of this slab; its address is replaced by that of the next
    /// slab, at the cursor.
    ///
    /// # Safety
    /// The processor has `V`'s instructions, `step` is below `BK`, and the source is
    /// that of [`new`](Self::new).
    #[inline(always)]
    pub unsafe fn take<const N: usize>(
        &mut self,
        source: &S,
        step: usize,
        cursor: &mut Cursor<V, S>,
    ) -> [V; N] {
        let address = &mut *self.addresses.as_mut_ptr().add(step);
        let mut vectors = [V::splat(0.0); N];
        if !address.is_null() {
            let mut n = 0;
            while n < N {
                vectors[n] = address.load_vector(n * V::LANES);
                n += 1;
            }
        }
        *address = cursor.advance(source);
        vectors
    }

    /// Prefetches the next slab, part by part: called at each `step` of each `pass`.
    #[inline(always)]
    pub fn prefetch(&self, pass: usize, step: usize) {
        if !S::TRANSPOSED && step.is_multiple_of(PASSES) {
            let next = (pass * (BK / PASSES) + step / PASSES) % BK;
            // SAFETY: `next` is below BK.
            prefetch(unsafe { *self.addresses.as_ptr().add(next) });
        }
    }
}
