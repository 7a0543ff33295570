//! With AVX2: two rows across at a time, 32 bytes down at a time.

use std::arch::x86_64::*;

use super::taps::{FRACTION, GROUP, LOWER, Pairs, Tap, Taps};
use super::{HALF, narrow_row};
use crate::pixels::simd;

/// Bytes that are read of a group of pixels: four more than it has.
const READ: usize = 16;
/// Output pixels that are written together.
const TOGETHER: usize = 4;

/// Resamples two rows, one in each half of a register; `false`, and nothing is done, if there
/// is but one or so little behind them that more would be read than there is.
#[target_feature(enable = "avx2")]
pub(super) fn narrow(rgb: &[u8], row_bytes: usize, columns: &Taps, out: &mut [u8]) -> bool {
    let out_bytes = columns.spans.len() * 3;
    let last = columns.spans.last().map_or(0, |span| span.0);
    let groups = columns.groups();
    let read = (last + (groups - 1) * GROUP) * 3 + READ;
    if out.len() < 2 * out_bytes || rgb.len() < row_bytes + read {
        return false;
    }
    let starts = [rgb.as_ptr(), rgb[row_bytes..].as_ptr()];
    // SAFETY: no span starts later than the last, of which all can be read.
    let done = unsafe {
        match groups {
            1 => two_rows::<1>(starts, columns, out),
            _ => two_rows::<0>(starts, columns, out),
        }
    };
    if done < columns.spans.len() {
        let rows = rgb
            .chunks_exact(row_bytes)
            .zip(out.chunks_exact_mut(out_bytes));
        rows.for_each(|(row, out)| narrow_row(row, columns, done, out));
    }
    true
}

/// With the number of groups known beforehand, or 0. Returns how many output pixels are done.
///
/// # Safety
/// From either pointer on, every span can be read, of its last group [`READ`] bytes.
#[target_feature(enable = "avx2")]
unsafe fn two_rows<const GROUPS: usize>(
    rows: [*const u8; 2],
    columns: &Taps,
    out: &mut [u8],
) -> usize {
    let groups = if GROUPS == 0 {
        columns.groups()
    } else {
        GROUPS
    };
    let (first, second) = out.split_at_mut(columns.spans.len() * 3);
    let targets = first.as_chunks_mut::<{ TOGETHER * 3 }>().0.iter_mut();
    let targets = targets.zip(second.as_chunks_mut::<{ TOGETHER * 3 }>().0);
    let pixels = columns.spans.as_chunks::<TOGETHER>().0;
    let pairs = columns.pairs.chunks_exact(TOGETHER * groups);
    for ((spans, pairs), (first, second)) in pixels.iter().zip(pairs).zip(targets) {
        let mut sums = [_mm256_setzero_si256(); TOGETHER];
        for i in 0..TOGETHER {
            let (at, pairs) = (spans[i].0 * 3, &pairs[i * groups..][..groups]);
            // SAFETY: as the caller promises.
            sums[i] = unsafe { pixel(rows[0].add(at), rows[1].add(at), pairs) };
        }
        // SAFETY: any bytes will do.
        let bytes: [[u8; 16]; 2] = unsafe { std::mem::transmute(levels(sums)) };
        first.copy_from_slice(&bytes[0][..TOGETHER * 3]);
        second.copy_from_slice(&bytes[1][..TOGETHER * 3]);
    }
    pixels.len() * TOGETHER
}

/// R, G, B of one output pixel in either row, in 32 bits each.
///
/// # Safety
/// From either pointer on, a group for each of `pairs` can be read, the last of [`READ`] bytes.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn pixel(a: *const u8, b: *const u8, pairs: &[Pairs]) -> __m256i {
    let (mut high, mut low) = (_mm256_setzero_si256(), _mm256_set1_epi32(HALF));
    for (group, pairs) in pairs.iter().enumerate() {
        let at = group * GROUP * 3;
        // SAFETY: as the caller promises.
        let [first, second] = simd::pairs(unsafe { simd::load(a.add(at), b.add(at)) });
        add(&mut high, &mut low, first, pairs[0], pairs[2]);
        add(&mut high, &mut low, second, pairs[1], pairs[3]);
    }
    join(high, low)
}

/// Adds pairs of levels, times the two parts of their weights.
#[inline]
#[target_feature(enable = "avx2")]
fn add(high: &mut __m256i, low: &mut __m256i, levels: __m256i, upper: i32, lower: i32) {
    *high = _mm256_add_epi32(*high, _mm256_madd_epi16(levels, _mm256_set1_epi32(upper)));
    *low = _mm256_add_epi32(*low, _mm256_madd_epi16(levels, _mm256_set1_epi32(lower)));
}

/// The sums with the whole weights from those with their parts.
#[inline]
#[target_feature(enable = "avx2")]
fn join(high: __m256i, low: __m256i) -> __m256i {
    _mm256_add_epi32(_mm256_slli_epi32::<{ LOWER as i32 }>(high), low)
}

/// Sums to levels: of either row, R, G, B of the four pixels in the first 12 bytes.
#[inline]
#[target_feature(enable = "avx2")]
fn levels(sums: [__m256i; TOGETHER]) -> __m256i {
    let without_gaps = _mm_setr_epi8(0, 1, 2, 4, 5, 6, 8, 9, 10, 12, 13, 14, -1, -1, -1, -1);
    _mm256_shuffle_epi8(packed(sums), _mm256_broadcastsi128_si256(without_gaps))
}

/// Sums to levels, side by side within either half.
#[inline]
#[target_feature(enable = "avx2")]
fn packed([a, b, c, d]: [__m256i; 4]) -> __m256i {
    const SHIFT: i32 = FRACTION as i32;
    let (a, b) = (_mm256_srli_epi32::<SHIFT>(a), _mm256_srli_epi32::<SHIFT>(b));
    let (c, d) = (_mm256_srli_epi32::<SHIFT>(c), _mm256_srli_epi32::<SHIFT>(d));
    _mm256_packus_epi16(_mm256_packus_epi32(a, b), _mm256_packus_epi32(c, d))
}

/// Blends as much as fills whole registers; returns how many bytes that was.
#[target_feature(enable = "avx2")]
pub(super) fn blend(rows: &[u8], tap: Tap, out: &mut [u8]) -> usize {
    const LANES: usize = 32;
    let row_bytes = out.len();
    assert_eq!(rows.len(), row_bytes * tap.weights.len());
    let zero = _mm256_setzero_si256();
    let (blocks, _) = out.as_chunks_mut::<LANES>();
    for (block, out) in blocks.iter_mut().enumerate() {
        let (mut high, mut low) = ([zero; 4], [_mm256_set1_epi32(HALF); 4]);
        for row in (0..tap.weights.len()).step_by(2) {
            let load = |row: usize| {
                let at = row.min(tap.weights.len() - 1) * row_bytes + block * LANES;
                // SAFETY: there is such a row, and a block of it.
                unsafe { _mm256_loadu_si256(rows.as_ptr().add(at).cast()) }
            };
            let (a, b) = (load(row), load(row + 1));
            let (even, odd) = (_mm256_unpacklo_epi8(a, b), _mm256_unpackhi_epi8(a, b));
            let pairs = &tap.pairs[row / GROUP];
            let (upper, lower) = (pairs[row % GROUP / 2], pairs[row % GROUP / 2 + 2]);
            let words = [
                _mm256_unpacklo_epi8(even, zero),
                _mm256_unpackhi_epi8(even, zero),
                _mm256_unpacklo_epi8(odd, zero),
                _mm256_unpackhi_epi8(odd, zero),
            ];
            for ((high, low), words) in high.iter_mut().zip(&mut low).zip(words) {
                add(high, low, words, upper, lower);
            }
        }
        for (low, high) in low.iter_mut().zip(high) {
            *low = join(high, *low);
        }
        // SAFETY: any bytes will do.
        *out = unsafe { std::mem::transmute::<__m256i, [u8; LANES]>(packed(low)) };
    }
    blocks.len() * LANES
}
