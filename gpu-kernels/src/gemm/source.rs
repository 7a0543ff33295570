//! Where the elements of an operand lie in memory.

use crate::device::*;

/// An operand of the product, element (k, i): `i` is the row of A or the column
/// of B.
///
/// An element's address is put together from what is known of `k` alone and of
/// `i` alone, so that a loop over one need not work out the other again.
///
/// # Safety
/// Where [`address`](Self::address) gives an address, that element can be read, and
/// with it those after it in memory up to the next multiple of 32 of the index in
/// which they are neighbours; of 16 where [`load`](Self::load) looks at each vector
/// by itself and the operand is not an untransposed B. At multiples of 16 the
/// address is a multiple of 16 bytes.
pub unsafe trait Source<V: Vector> {
    /// Whether neighbours in memory are neighbours along k, not along i.
    const TRANSPOSED: bool;
    /// What is known of a `k`.
    type AtK: Copy;
    /// What is known of an `i`.
    type AtI: Copy;

    /// Prepares `k`, which may lie outside.
    fn at_k(&self, k: u32) -> Self::AtK;

    /// Prepares `k`, given what is known of `k` − 1: the same as `at_k`, faster.
    #[inline(always)]
    fn next(&self, _before: Self::AtK, k: u32) -> Self::AtK {
        self.at_k(k)
    }

    /// Prepares `i`, which may lie outside.
    fn at_i(&self, i: u32) -> Self::AtI;

    /// Where element (k, i) lies; `None` outside, where it is zero.
    ///
    /// # Safety
    /// The operand's memory is there.
    unsafe fn address(&self, k: Self::AtK, i: Self::AtI) -> Option<*const f32>;

    /// `N` vectors from (k, i) on, in the direction in which elements are
    /// neighbours in memory.
    ///
    /// # Safety
    /// The processor has `V`'s instructions, the operand's memory can be read, and
    /// the vectors together are at most 32 floats, at a multiple of their number.
    #[inline(always)]
    unsafe fn load<const N: usize>(&self, k: Self::AtK, i: Self::AtI) -> [V; N] {
        let mut out = [V::splat(0.0); N];
        if let Some(first) = self.address(k, i) {
            let mut n = 0;
            while n < N {
                out[n] = first.load_vector(n * V::LANES);
                n += 1;
            }
        }
        out
    }
}

/// A matrix in memory of fewer than 2³² floats: the element at (`major`, `minor`)
/// is `data[major · stride + minor]`. k is major, or minor if `TRANSPOSED`. The extent
/// of the minor index is a multiple of 16.
#[derive(Clone, Copy)]
pub struct Matrix<const TRANSPOSED: bool> {
    /// Its first element.
    pub data: *const f32,
    /// Floats from one row to the next, a multiple of 16.
    pub stride: u32,
    /// Extent of k.
    pub depth: u32,
    /// Extent of i.
    pub width: u32,
}

impl<const TRANSPOSED: bool> Matrix<TRANSPOSED> {
    /// Floats before element (k, i).
    #[inline(always)]
    fn at(&self, k: u32, i: u32) -> usize {
        let (major, minor) = if TRANSPOSED { (i, k) } else { (k, i) };
        (major * self.stride + minor) as usize
    }
}

// SAFETY: an element has an address, and a vector is read, where (k, i) lies in the
// matrix; `stride` is a multiple of 16, the extent of the minor index too.
unsafe impl<V: Vector, const TRANSPOSED: bool> Source<V> for Matrix<TRANSPOSED> {
    const TRANSPOSED: bool = TRANSPOSED;
    type AtK = u32;
    type AtI = u32;

    #[inline(always)]
    fn at_k(&self, k: u32) -> u32 {
        k
    }

    #[inline(always)]
    fn at_i(&self, i: u32) -> u32 {
        i
    }

    #[inline(always)]
    unsafe fn address(&self, k: u32, i: u32) -> Option<*const f32> {
        (k < self.depth && i < self.width).then(|| self.data.add(self.at(k, i)))
    }

    /// The last vectors may lie outside alone.
    #[inline(always)]
    unsafe fn load<const N: usize>(&self, k: u32, i: u32) -> [V; N] {
        let mut out = [V::splat(0.0); N];
        let mut n = 0;
        while n < N {
            let next = (n * V::LANES) as u32;
            let (k, i) = if TRANSPOSED {
                (k + next, i)
            } else {
                (k, i + next)
            };
            if k < self.depth && i < self.width {
                out[n] = self.data.load_vector(self.at(k, i));
            }
            n += 1;
        }
        out
    }
}
