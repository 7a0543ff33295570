//! Where the numbers of an operand come from.

use crate::device::*;

/// An operand of the product, element (k, i): `i` is the row of A or the column
/// of B.
///
/// An element's address is put together from what is known of `k` alone and of
/// `i` alone, so that a loop over one need not work out the other again.
pub trait Source<V: Vector> {
    /// Whether neighbours in memory are neighbours along k, not along i.
    const TURNED: bool;
    /// What is known of a `k`.
    type AtK: Copy;
    /// What is known of an `i`.
    type AtI: Copy;

    /// Prepares `k`.
    unsafe fn at_k(&self, k: u32) -> Self::AtK;

    /// Prepares `i`.
    unsafe fn at_i(&self, i: u32) -> Self::AtI;

    /// `N` vectors from (k, i) on, in the direction in which elements are
    /// neighbours in memory; zeros outside. All together are at most 32 floats,
    /// at a multiple of their number.
    unsafe fn vectors<const N: usize>(&self, k: Self::AtK, i: Self::AtI) -> [V; N];
}

/// A matrix in memory: the element at (`major`, `minor`) is
/// `data[major · stride + minor]`. k is major, or minor if `TURNED`.
#[derive(Clone, Copy)]
pub struct Matrix<const TURNED: bool> {
    /// Its first element.
    pub data: *const f32,
    /// Floats from one row to the next, a multiple of 16.
    pub stride: usize,
    /// Extent of k.
    pub depth: u32,
    /// Extent of i.
    pub width: u32,
}

impl<V: Vector, const TURNED: bool> Source<V> for Matrix<TURNED> {
    const TURNED: bool = TURNED;
    type AtK = u32;
    type AtI = u32;

    #[inline(always)]
    unsafe fn at_k(&self, k: u32) -> u32 {
        k
    }

    #[inline(always)]
    unsafe fn at_i(&self, i: u32) -> u32 {
        i
    }

    #[inline(always)]
    unsafe fn vectors<const N: usize>(&self, k: u32, i: u32) -> [V; N] {
        let mut out = [V::splat(0.0); N];
        let mut n = 0;
        while n < N {
            let next = (n * V::LANES) as u32;
            let (k, i) = if TURNED { (k + next, i) } else { (k, i + next) };
            if k < self.depth && i < self.width {
                let (major, minor) = if TURNED { (i, k) } else { (k, i) };
                out[n] = self
                    .data
                    .load_vector(major as usize * self.stride + minor as usize);
            }
            n += 1;
        }
        out
    }
}

/// `N` vectors from `at` on if `inside`, else zeros.
#[inline(always)]
pub unsafe fn vectors_if<V: Vector, const N: usize>(
    inside: bool,
    data: *const f32,
    at: usize,
) -> [V; N] {
    let mut out = [V::splat(0.0); N];
    if inside {
        let mut n = 0;
        while n < N {
            out[n] = data.load_vector(at + n * V::LANES);
            n += 1;
        }
    }
    out
}
