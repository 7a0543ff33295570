//! The sums with AVX2.

use std::arch::x86_64::*;

use crate::pixels::simd;

/// Eight pixels at a time, four in each half of a register.
const STEP: usize = 8 * 3;
/// After so many steps the sums of 32 bits are emptied: 4 · 255² a step stay below 2³².
const STEPS: usize = 16_000;

/// The same loop, which the compiler now does with wider vectors.
#[target_feature(enable = "avx2")]
pub(super) fn add_bytes(few: &mut [u16], images: &[u8]) {
    super::add_bytes_plain(few, images);
}

/// The sums over the pixels from the first on that can be added by vectors, and their bytes.
#[target_feature(enable = "avx2")]
pub(super) fn products(rgb: &[u8]) -> ([u64; 6], usize) {
    // Both halves are read with four bytes more than they have.
    let steps = rgb.len().saturating_sub(4) / STEP;
    let mut totals = [0; 6];
    for first in (0..steps).step_by(STEPS) {
        let count = STEPS.min(steps - first);
        let [squares, mixed] = sums(&rgb[first * STEP..(first + count) * STEP + 4]);
        let added = [
            squares[0], mixed[0], mixed[2], squares[1], mixed[1], squares[2],
        ];
        totals
            .iter_mut()
            .zip(added)
            .for_each(|(total, sum)| *total += sum);
    }
    (totals, steps * STEP)
}

/// Σ RR, GG, BB and Σ RG, GB, BR over all steps of `rgb`, which has four bytes more.
#[target_feature(enable = "avx2")]
fn sums(rgb: &[u8]) -> [[u64; 3]; 2] {
    let (mut squares, mut mixed) = (_mm256_setzero_si256(), _mm256_setzero_si256());
    for step in 0..rgb.len() / STEP {
        // SAFETY: a step's second half ends four bytes before the last that is read.
        let pixels = unsafe {
            let half = rgb.as_ptr().add(step * STEP);
            simd::load(half, half.add(STEP / 2))
        };
        for rgb in simd::pairs(pixels) {
            let gbr = _mm256_shuffle_epi32::<0b11_00_10_01>(rgb);
            squares = _mm256_add_epi32(squares, _mm256_madd_epi16(rgb, rgb));
            mixed = _mm256_add_epi32(mixed, _mm256_madd_epi16(rgb, gbr));
        }
    }
    [squares, mixed].map(|sums| {
        // SAFETY: any bits will do.
        let halves: [u32; 8] = unsafe { std::mem::transmute(sums) };
        [0, 1, 2].map(|i| u64::from(halves[i]) + u64::from(halves[i + 4]))
    })
}
