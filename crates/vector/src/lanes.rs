//! A vector as a plain array: PTX's four floats, and the CPU's lowest common denominator.

use core::ops::{Add, Div, Mul, Sub};

use crate::{Vector, scalar};

/// `N` lanes in an array aligned as a GPU's widest access wants it.
#[derive(Clone, Copy, Debug, PartialEq)]
#[repr(C, align(16))]
pub struct Lanes<const N: usize>([f32; N]);

impl<const N: usize> Lanes<N> {
    #[inline(always)]
    fn zip(self, other: Self, mut f: impl FnMut(f32, f32) -> f32) -> Self {
        let mut out = self;
        let mut i = 0;
        while i < N {
            out.0[i] = f(self.0[i], other.0[i]);
            i += 1;
        }
        out
    }
}

macro_rules! operator {
    ($trait:ident, $method:ident, $op:tt) => {
        impl<const N: usize> $trait for Lanes<N> {
            type Output = Self;
            #[inline(always)]
            fn $method(self, other: Self) -> Self {
                self.zip(other, |a, b| a $op b)
            }
        }
    };
}
operator!(Add, add, +);
operator!(Sub, sub, -);
operator!(Mul, mul, *);
operator!(Div, div, /);

impl<const N: usize> Vector for Lanes<N> {
    const LANES: usize = N;
    // Of x86-64 without AVX; more elsewhere.
    const REGISTERS: usize = 64 / N;
    type Square = [Self; N];

    #[inline(always)]
    unsafe fn splat(x: f32) -> Self {
        Lanes([x; N])
    }

    #[inline(always)]
    unsafe fn from_fn(mut f: impl FnMut(usize) -> f32) -> Self {
        let mut out = Lanes([0.0; N]);
        let mut i = 0;
        while i < N {
            out.0[i] = f(i);
            i += 1;
        }
        out
    }

    #[inline(always)]
    unsafe fn read(from: *const f32) -> Self {
        // SAFETY: the caller vouches for `N` floats at a 16-byte boundary.
        unsafe { from.cast::<Self>().read() }
    }

    #[inline(always)]
    unsafe fn write(self, to: *mut f32) {
        // SAFETY: as for `read`.
        unsafe { to.cast::<Self>().write(self) }
    }

    #[inline(always)]
    unsafe fn lane(self, i: usize) -> f32 {
        debug_assert!(i < N);
        // SAFETY: `i` is below `N`, as the caller promises.
        unsafe { *self.0.as_ptr().add(i) }
    }

    #[inline(always)]
    fn fma(self, b: Self, c: Self) -> Self {
        let mut out = self;
        let mut i = 0;
        while i < N {
            out.0[i] = scalar::fma(self.0[i], b.0[i], c.0[i]);
            i += 1;
        }
        out
    }

    #[inline(always)]
    fn sqrt(self) -> Self {
        self.zip(self, |x, _| scalar::sqrt(x))
    }

    #[inline(always)]
    fn select_gt(self, other: Self, yes: Self, no: Self) -> Self {
        let mut out = no;
        let mut i = 0;
        while i < N {
            if self.0[i] > other.0[i] {
                out.0[i] = yes.0[i];
            }
            i += 1;
        }
        out
    }

    #[inline(always)]
    fn select_eq(self, other: Self, yes: Self, no: Self) -> Self {
        let mut out = no;
        let mut i = 0;
        while i < N {
            if self.0[i] == other.0[i] {
                out.0[i] = yes.0[i];
            }
            i += 1;
        }
        out
    }

    #[inline(always)]
    fn square(mut row: impl FnMut(usize) -> Self) -> [Self; N] {
        let mut out = [Lanes([0.0; N]); N];
        let mut i = 0;
        while i < N {
            out[i] = row(i);
            i += 1;
        }
        out
    }

    #[inline(always)]
    fn transpose(square: [Self; N]) -> [Self; N] {
        let mut out = square;
        let mut i = 0;
        while i < N {
            let mut j = 0;
            while j < N {
                out[i].0[j] = square[j].0[i];
                j += 1;
            }
            i += 1;
        }
        out
    }
}
