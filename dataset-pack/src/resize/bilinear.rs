//! Antialiased bilinear resampling that gives Pillow's pixels to the bit: across, rounded to
//! whole levels, then down.
//!
//! Along one side, with `s` source pixels to an output pixel, output pixel `i` is centred on
//! `c = (i + ½)·s` and is the sum of `w(p)·x(p)` over the source pixels `p` in
//! `[⌊c − S + ½⌋, ⌊c + S + ½⌋)`, where `S = max(s, 1)` and `w(p)` is `1 − |p + ½ − c|/S`, or 0 where
//! that is negative, divided by the sum of all. Weights are rounded to 22 bits after the point, and
//! the sum to whole levels, half up.

use std::ops::Range;

use crate::geometry::Side;

/// Bits after the point in a weight.
const FRACTION: u32 = 22;
const HALF: i32 = 1 << (FRACTION - 1);
/// Writes what is kept of an image to `out`; `narrowed` is scratch memory.
pub(super) fn scale(rgb: &[u8], [across, down]: [Side; 2], narrowed: &mut Vec<u8>, out: &mut [u8]) {
    let size = (out.len() / 3).isqrt();
    let (row_bytes, out_bytes) = (across.source as usize * 3, size * 3);
    let (columns, rows) = (Taps::new(across, size), Taps::new(down, size));
    let used = rows.reach();
    let rgb = &rgb[used.start * row_bytes..used.end * row_bytes];
    narrowed.resize(used.len() * out_bytes, 0);
    let mut done = 0;
    for (tap, out) in rows.iter().zip(out.chunks_exact_mut(out_bytes)) {
        let [start, end] = [tap.first, tap.first + tap.weights.len()].map(|row| row - used.start);
        // No sooner than it is needed: a row is still in the cache then.
        while done < end {
            let rows = (used.len() - done).min(2);
            let narrowed = &mut narrowed[done * out_bytes..][..rows * out_bytes];
            narrow(&rgb[done * row_bytes..], row_bytes, &columns, narrowed);
            done += rows;
        }
        blend(&narrowed[start * out_bytes..end * out_bytes], tap, out);
    }
}

/// Resamples one row or two, as `out` has.
fn narrow(rgb: &[u8], row_bytes: usize, columns: &Taps, out: &mut [u8]) {
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx2") {
        // SAFETY: the processor has AVX2.
        if unsafe { avx2::narrow(rgb, row_bytes, columns, out) } {
            return;
        }
    }
    let rows = rgb.chunks_exact(row_bytes);
    for (row, out) in rows.zip(out.chunks_exact_mut(columns.spans.len() * 3)) {
        narrow_row(row, columns, 0, out);
    }
}

/// Resamples a row, from output pixel `start` on.
fn narrow_row(row: &[u8], columns: &Taps, start: usize, out: &mut [u8]) {
    let out = out.as_chunks_mut::<3>().0;
    for (tap, out) in columns.iter().zip(out).skip(start) {
        let source = row[tap.first * 3..].as_chunks::<3>().0;
        let mut sums = [HALF; 3];
        for (pixel, weight) in source.iter().zip(tap.weights) {
            for (sum, &level) in sums.iter_mut().zip(pixel) {
                *sum += weight * i32::from(level);
            }
        }
        *out = sums.map(|sum| (sum >> FRACTION) as u8);
    }
}

/// One row out of as many as there are weights.
fn blend(rows: &[u8], tap: Tap, out: &mut [u8]) {
    #[cfg(target_arch = "x86_64")]
    let done = if is_x86_feature_detected!("avx2") {
        // SAFETY: the processor has AVX2.
        unsafe { avx2::blend(rows, tap, out) }
    } else {
        0
    };
    #[cfg(not(target_arch = "x86_64"))]
    let done = 0;
    let row_bytes = out.len();
    for (at, out) in out.iter_mut().enumerate().skip(done) {
        let column = rows[at..].iter().step_by(row_bytes).zip(tap.weights);
        let sum = column.fold(HALF, |sum, (&x, weight)| sum + weight * i32::from(x));
        *out = (sum >> FRACTION) as u8;
    }
}

/// The source pixels that every output pixel along a side is made of, and their weights.
struct Taps {
    /// First of the source pixels, and how many.
    spans: Vec<(usize, usize)>,
    /// As many groups for each output pixel; beyond its count they are zero.
    weights: Vec<[i32; GROUP]>,
    pairs: Vec<Pairs>,
}

/// Those of one output pixel.
#[derive(Clone, Copy)]
struct Tap<'a> {
    first: usize,
    weights: &'a [i32],
    pairs: &'a [Pairs],
}

/// The vector code takes source pixels by fours.
const GROUP: usize = 4;

/// A group's weights w0..w3 in pairs of 16 bits, as the instruction that multiplies and adds takes
/// them: what lies above the lowest eight bits and these, each of (w0, w1) and of (w2, w3).
type Pairs = [i32; GROUP];

fn pairs(weights: &[i32; GROUP]) -> Pairs {
    let pair = |i: usize, shift: u32, mask: i32| {
        let part = |weight: i32| weight >> shift & mask;
        part(weights[i]) | part(weights[i + 1]) << 16
    };
    [
        pair(0, 8, -1),
        pair(2, 8, -1),
        pair(0, 0, 255),
        pair(2, 0, 255),
    ]
}

impl Taps {
    fn new(side: Side, size: usize) -> Taps {
        let support = side.step().max(1.0);
        let span = |i: usize| {
            let centre = side.at(i as f64 + 0.5);
            let first = (centre - support + 0.5).max(0.0) as usize;
            let end = (centre + support + 0.5).min(f64::from(side.source)) as usize;
            (first, end - first)
        };
        let spans: Vec<_> = (0..size).map(span).collect();
        let most = spans.iter().map(|span| span.1).max().unwrap_or(0);
        let mut weights = vec![[0; GROUP]; size * most.div_ceil(GROUP)];
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

    fn iter(&self) -> impl Iterator<Item = Tap<'_>> {
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
    fn groups(&self) -> usize {
        self.weights.len() / self.spans.len()
    }

    /// The source pixels that are used at all.
    fn reach(&self) -> Range<usize> {
        let end = |&(first, count): &(usize, usize)| first + count;
        self.spans.first().map_or(0, |span| span.0)..self.spans.last().map_or(0, end)
    }
}

#[cfg(target_arch = "x86_64")]
mod avx2 {
    use std::arch::x86_64::*;

    use super::*;
    use crate::simd;

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
        _mm256_add_epi32(_mm256_slli_epi32::<8>(high), low)
    }

    /// Adds pairs of levels, times the two parts of their weights.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn add(high: &mut __m256i, low: &mut __m256i, levels: __m256i, upper: i32, lower: i32) {
        *high = _mm256_add_epi32(*high, _mm256_madd_epi16(levels, _mm256_set1_epi32(upper)));
        *low = _mm256_add_epi32(*low, _mm256_madd_epi16(levels, _mm256_set1_epi32(lower)));
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
                add(
                    &mut high[0],
                    &mut low[0],
                    _mm256_unpacklo_epi8(even, zero),
                    upper,
                    lower,
                );
                add(
                    &mut high[1],
                    &mut low[1],
                    _mm256_unpackhi_epi8(even, zero),
                    upper,
                    lower,
                );
                add(
                    &mut high[2],
                    &mut low[2],
                    _mm256_unpacklo_epi8(odd, zero),
                    upper,
                    lower,
                );
                add(
                    &mut high[3],
                    &mut low[3],
                    _mm256_unpackhi_epi8(odd, zero),
                    upper,
                    lower,
                );
            }
            for (low, high) in low.iter_mut().zip(high) {
                *low = _mm256_add_epi32(_mm256_slli_epi32::<8>(high), *low);
            }
            // SAFETY: any bytes will do.
            *out = unsafe { std::mem::transmute::<__m256i, [u8; LANES]>(packed(low)) };
        }
        blocks.len() * LANES
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geometry::sides;
    use proptest::prelude::*;

    fn noise(bytes: usize) -> Vec<u8> {
        let mut state = 1u64;
        let mut next = || {
            state = state
                .wrapping_mul(6364136223846793005)
                .wrapping_add(1442695040888963407);
            (state >> 56) as u8
        };
        (0..bytes).map(|_| next()).collect()
    }

    #[test]
    fn white_stays_white_however_many_pixels_are_added_up() {
        for (width, height, size) in [(65535, 3, 8), (300, 200, 8), (3000, 2000, 1)] {
            let rgb = vec![255; width as usize * height as usize * 3];
            let mut out = vec![0; size * size * 3];
            scale(&rgb, sides(width, height, size), &mut Vec::new(), &mut out);
            assert!(out.iter().all(|&level| level == 255), "{width}x{height}");
        }
    }

    proptest! {
        #[test]
        fn taps_lie_within_what_is_touched(
            width in 1u32..3000, height in 1u32..3000, size in 1usize..300,
        ) {
            for side in sides(width, height, size) {
                let (taps, touched) = (Taps::new(side, size).reach(), side.touched(size));
                prop_assert!(touched.start as usize <= taps.start);
                prop_assert!(taps.end <= touched.end as usize);
            }
        }

        #[test]
        fn vectors_give_what_single_pixels_give(
            width in 1u32..300, height in 1u32..20, size in 1usize..40,
        ) {
            let row_bytes = width as usize * 3;
            let rgb = noise(row_bytes * height as usize);
            let columns = Taps::new(sides(width, height, size)[0], size);
            let mut expected = vec![0; size * height as usize * 3];
            let rows = rgb.chunks_exact(row_bytes).zip(expected.chunks_exact_mut(size * 3));
            rows.for_each(|(row, out)| narrow_row(row, &columns, 0, out));
            let mut out = vec![0; expected.len()];
            for (two, out) in out.chunks_mut(2 * size * 3).enumerate() {
                narrow(&rgb[2 * two * row_bytes..], row_bytes, &columns, out);
            }
            prop_assert_eq!(out, expected);
        }

        #[test]
        fn two_sums_in_f64_are_the_measure(
            width in 1u32..80, height in 1u32..80, size in 1usize..40,
        ) {
            let rgb = noise((width * height * 3) as usize);
            let sides = sides(width, height, size);
            let mut out = vec![0; size * size * 3];
            scale(&rgb, sides, &mut Vec::new(), &mut out);
            let weigh = |side: Side, i: usize| -> Vec<(usize, f64)> {
                let centre = side.at(i as f64 + 0.5);
                let weight = |p: u32| 1.0 - (f64::from(p) + 0.5 - centre).abs() / side.step().max(1.0);
                let near = (0..side.source).filter(|&p| weight(p) > 0.0);
                let all: Vec<_> = near.map(|p| (p as usize, weight(p))).collect();
                let sum: f64 = all.iter().map(|(_, w)| w).sum();
                all.into_iter().map(|(p, w)| (p, w / sum)).collect()
            };
            for (at, &level) in out.iter().enumerate() {
                let (i, j, channel) = (at / 3 / size, at / 3 % size, at % 3);
                let mut exact = 0.0;
                for (y, down) in weigh(sides[1], i) {
                    for &(x, across) in &weigh(sides[0], j) {
                        let source = (y * width as usize + x) * 3 + channel;
                        exact += down * across * f64::from(rgb[source]);
                    }
                }
                // Rounded twice.
                prop_assert!((f64::from(level) - exact).abs() < 1.001, "{level} for {exact}");
            }
        }
    }
}
