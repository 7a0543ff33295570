//! Sixteen lanes in x86-64's registers: two of AVX2's, or one of AVX-512's.

use core::arch::x86_64::*;
use core::mem::transmute;
use core::ops::{Add, Div, Mul, Sub};

use crate::Vector;

/// Sixteen lanes in two 256-bit registers (needs AVX2 and FMA).
#[derive(Clone, Copy, Debug)]
pub struct Avx2([__m256; 2]);

/// Sixteen lanes in one 512-bit register (needs AVX-512F).
#[derive(Clone, Copy, Debug)]
#[repr(transparent)]
pub struct Avx512(__m512);

macro_rules! operator {
    ($trait:ident, $method:ident, $mm256:ident, $mm512:ident) => {
        impl $trait for Avx2 {
            type Output = Self;
            #[inline(always)]
            fn $method(self, other: Self) -> Self {
                // SAFETY: a value exists, so the processor has AVX2 and FMA.
                unsafe { Avx2([$mm256(self.0[0], other.0[0]), $mm256(self.0[1], other.0[1])]) }
            }
        }
        impl $trait for Avx512 {
            type Output = Self;
            #[inline(always)]
            fn $method(self, other: Self) -> Self {
                // SAFETY: a value exists, so the processor has AVX-512F.
                unsafe { Avx512($mm512(self.0, other.0)) }
            }
        }
    };
}
operator!(Add, add, _mm256_add_ps, _mm512_add_ps);
operator!(Sub, sub, _mm256_sub_ps, _mm512_sub_ps);
operator!(Mul, mul, _mm256_mul_ps, _mm512_mul_ps);
operator!(Div, div, _mm256_div_ps, _mm512_div_ps);

/// What does not depend on the registers.
macro_rules! sixteen_lanes {
    () => {
        const LANES: usize = 16;
        type Square = [Self; 16];

        #[inline(always)]
        unsafe fn from_fn(mut f: impl FnMut(usize) -> f32) -> Self {
            let mut lanes = [0.0; 16];
            for (i, lane) in lanes.iter_mut().enumerate() {
                *lane = f(i);
            }
            // SAFETY: the processor has the instructions, as the caller promises; `lanes` has sixteen floats.
            unsafe { Self::read(lanes.as_ptr()) }
        }

        #[inline(always)]
        unsafe fn lane(self, i: usize) -> f32 {
            let mut lanes = [0.0; 16];
            // SAFETY: sixteen floats have room in `lanes`.
            unsafe { self.write(lanes.as_mut_ptr()) };
            lanes[i]
        }

        #[inline(always)]
        fn square(mut row: impl FnMut(usize) -> Self) -> [Self; 16] {
            // Written out: a closure passed on through `core` would be compiled
            // apart, without this type's instructions.
            [
                row(0),
                row(1),
                row(2),
                row(3),
                row(4),
                row(5),
                row(6),
                row(7),
                row(8),
                row(9),
                row(10),
                row(11),
                row(12),
                row(13),
                row(14),
                row(15),
            ]
        }
    };
}

impl Vector for Avx2 {
    const REGISTERS: usize = 8;
    sixteen_lanes!();

    #[inline(always)]
    unsafe fn splat(x: f32) -> Self {
        // SAFETY: the processor has AVX2 and FMA, as the caller promises.
        unsafe { Avx2([_mm256_set1_ps(x); 2]) }
    }

    #[inline(always)]
    unsafe fn read(from: *const f32) -> Self {
        // SAFETY: the processor has AVX2 and FMA and `from` so many floats, as the caller promises.
        unsafe { Avx2([_mm256_loadu_ps(from), _mm256_loadu_ps(from.add(8))]) }
    }

    #[inline(always)]
    unsafe fn write(self, to: *mut f32) {
        // SAFETY: a value exists, so the processor has the instructions; `to` has room, as the caller promises.
        unsafe {
            _mm256_storeu_ps(to, self.0[0]);
            _mm256_storeu_ps(to.add(8), self.0[1]);
        }
    }

    #[inline(always)]
    unsafe fn stream(self, to: *mut f32) {
        if !to.addr().is_multiple_of(32) {
            // SAFETY: the caller's.
            return unsafe { self.write(to) };
        }
        // SAFETY: a value exists, so the processor has the instructions; `to` has room, as the caller promises, at a
        // multiple of 32 bytes.
        unsafe {
            _mm256_stream_ps(to, self.0[0]);
            _mm256_stream_ps(to.add(8), self.0[1]);
        }
    }

    #[inline(always)]
    fn fma(self, b: Self, c: Self) -> Self {
        // SAFETY: a value exists, so the processor has AVX2 and FMA.
        unsafe {
            Avx2([
                _mm256_fmadd_ps(self.0[0], b.0[0], c.0[0]),
                _mm256_fmadd_ps(self.0[1], b.0[1], c.0[1]),
            ])
        }
    }

    #[inline(always)]
    fn sqrt(self) -> Self {
        // SAFETY: a value exists, so the processor has AVX2 and FMA.
        unsafe { Avx2([_mm256_sqrt_ps(self.0[0]), _mm256_sqrt_ps(self.0[1])]) }
    }

    #[inline(always)]
    fn select_gt(self, other: Self, yes: Self, no: Self) -> Self {
        // SAFETY: a value exists, so the processor has AVX2 and FMA.
        unsafe {
            let half = |i: usize| {
                let mask = _mm256_cmp_ps::<_CMP_GT_OQ>(self.0[i], other.0[i]);
                _mm256_blendv_ps(no.0[i], yes.0[i], mask)
            };
            Avx2([half(0), half(1)])
        }
    }

    #[inline(always)]
    fn select_eq(self, other: Self, yes: Self, no: Self) -> Self {
        // SAFETY: a value exists, so the processor has AVX2 and FMA.
        unsafe {
            let half = |i: usize| {
                let mask = _mm256_cmp_ps::<_CMP_EQ_OQ>(self.0[i], other.0[i]);
                _mm256_blendv_ps(no.0[i], yes.0[i], mask)
            };
            Avx2([half(0), half(1)])
        }
    }

    #[inline(always)]
    fn transpose(square: [Self; 16]) -> [Self; 16] {
        let mut out = square;
        for half in 0..2 {
            for quarter in 0..2 {
                let mut rows = [square[0].0[0]; 8];
                for (i, row) in rows.iter_mut().enumerate() {
                    *row = square[8 * quarter + i].0[half];
                }
                // SAFETY: a value exists, so the processor has AVX2 and FMA.
                let columns = unsafe { transpose8(rows) };
                for (i, column) in columns.into_iter().enumerate() {
                    out[8 * half + i].0[quarter] = column;
                }
            }
        }
        out
    }
}

/// # Safety
/// The processor has AVX2.
#[inline(always)]
unsafe fn transpose8(r: [__m256; 8]) -> [__m256; 8] {
    // SAFETY: the processor has AVX2, as the caller promises.
    unsafe {
        // Pairs of rows, then fours, then the two halves.
        let lo = |i: usize| _mm256_unpacklo_ps(r[i], r[i + 1]);
        let hi = |i: usize| _mm256_unpackhi_ps(r[i], r[i + 1]);
        let pairs = [lo(0), hi(0), lo(2), hi(2), lo(4), hi(4), lo(6), hi(6)];
        let fours = |a: usize| {
            let (p, q, s, t) = (pairs[a], pairs[a + 2], pairs[a + 1], pairs[a + 3]);
            [
                _mm256_shuffle_ps::<0x44>(p, q),
                _mm256_shuffle_ps::<0xee>(p, q),
                _mm256_shuffle_ps::<0x44>(s, t),
                _mm256_shuffle_ps::<0xee>(s, t),
            ]
        };
        let (top, bottom) = (fours(0), fours(4));
        let mut out = r;
        for i in 0..4 {
            out[i] = _mm256_permute2f128_ps::<0x20>(top[i], bottom[i]);
            out[4 + i] = _mm256_permute2f128_ps::<0x31>(top[i], bottom[i]);
        }
        out
    }
}

impl Vector for Avx512 {
    const REGISTERS: usize = 32;
    sixteen_lanes!();

    #[inline(always)]
    unsafe fn splat(x: f32) -> Self {
        // SAFETY: the processor has AVX-512F, as the caller promises.
        unsafe { Avx512(_mm512_set1_ps(x)) }
    }

    #[inline(always)]
    unsafe fn read(from: *const f32) -> Self {
        // SAFETY: the processor has AVX-512F and `from` so many floats, as the caller promises.
        unsafe { Avx512(_mm512_loadu_ps(from)) }
    }

    #[inline(always)]
    unsafe fn write(self, to: *mut f32) {
        // SAFETY: a value exists, so the processor has the instructions; `to` has room, as the caller promises.
        unsafe { _mm512_storeu_ps(to, self.0) }
    }

    #[inline(always)]
    unsafe fn stream(self, to: *mut f32) {
        if !to.addr().is_multiple_of(64) {
            // SAFETY: the caller's.
            return unsafe { self.write(to) };
        }
        // SAFETY: a value exists, so the processor has AVX-512F; `to` has room, as the caller promises, at a multiple
        // of 64 bytes.
        unsafe { _mm512_stream_ps(to, self.0) }
    }

    #[inline(always)]
    fn fma(self, b: Self, c: Self) -> Self {
        // SAFETY: a value exists, so the processor has AVX-512F.
        unsafe { Avx512(_mm512_fmadd_ps(self.0, b.0, c.0)) }
    }

    #[inline(always)]
    fn sqrt(self) -> Self {
        // SAFETY: a value exists, so the processor has AVX-512F.
        unsafe { Avx512(_mm512_sqrt_ps(self.0)) }
    }

    #[inline(always)]
    fn select_gt(self, other: Self, yes: Self, no: Self) -> Self {
        // SAFETY: a value exists, so the processor has AVX-512F.
        unsafe {
            let mask = _mm512_cmp_ps_mask::<_CMP_GT_OQ>(self.0, other.0);
            Avx512(_mm512_mask_blend_ps(mask, no.0, yes.0))
        }
    }

    #[inline(always)]
    fn select_eq(self, other: Self, yes: Self, no: Self) -> Self {
        // SAFETY: a value exists, so the processor has AVX-512F.
        unsafe {
            let mask = _mm512_cmp_ps_mask::<_CMP_EQ_OQ>(self.0, other.0);
            Avx512(_mm512_mask_blend_ps(mask, no.0, yes.0))
        }
    }

    #[inline(always)]
    fn transpose(square: [Self; 16]) -> [Self; 16] {
        // SAFETY: `Avx512` is a struct of nothing but an `__m512`, and exists, so the processor has AVX-512F.
        unsafe { transmute(transpose16(transmute::<[Self; 16], [__m512; 16]>(square))) }
    }
}

/// # Safety
/// The processor has AVX-512F.
#[inline(always)]
unsafe fn transpose16(r: [__m512; 16]) -> [__m512; 16] {
    // SAFETY: the processor has AVX-512F, as the caller promises.
    unsafe {
        // 2×2 within each 128-bit quarter, then 4×4, then the quarters themselves.
        let (mut pairs, mut fours, mut out) = (r, r, r);
        for i in 0..8 {
            pairs[2 * i] = _mm512_unpacklo_ps(r[2 * i], r[2 * i + 1]);
            pairs[2 * i + 1] = _mm512_unpackhi_ps(r[2 * i], r[2 * i + 1]);
        }
        for i in 0..4 {
            let [p, s, q, t] = [
                pairs[4 * i],
                pairs[4 * i + 1],
                pairs[4 * i + 2],
                pairs[4 * i + 3],
            ];
            fours[4 * i] = _mm512_shuffle_ps::<0x44>(p, q);
            fours[4 * i + 1] = _mm512_shuffle_ps::<0xee>(p, q);
            fours[4 * i + 2] = _mm512_shuffle_ps::<0x44>(s, t);
            fours[4 * i + 3] = _mm512_shuffle_ps::<0xee>(s, t);
        }
        for i in 0..4 {
            let [a, b, c, d] = [fours[i], fours[4 + i], fours[8 + i], fours[12 + i]];
            let (ab, cd) = (
                _mm512_shuffle_f32x4::<0x44>(a, b),
                _mm512_shuffle_f32x4::<0x44>(c, d),
            );
            out[i] = _mm512_shuffle_f32x4::<0x88>(ab, cd);
            out[4 + i] = _mm512_shuffle_f32x4::<0xdd>(ab, cd);
            let (ab, cd) = (
                _mm512_shuffle_f32x4::<0xee>(a, b),
                _mm512_shuffle_f32x4::<0xee>(c, d),
            );
            out[8 + i] = _mm512_shuffle_f32x4::<0x88>(ab, cd);
            out[12 + i] = _mm512_shuffle_f32x4::<0xdd>(ab, cd);
        }
        out
    }
}
