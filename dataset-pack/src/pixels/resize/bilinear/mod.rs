//! Antialiased bilinear resampling that gives Pillow's pixels to the bit: across, rounded to
//! whole levels, then down.
//!
//! Along one side, with `s` source pixels to an output pixel, output pixel `i` is centred on
//! `c = (i + ½)·s` and is the sum of `w(p)·x(p)` over the source pixels `p` in
//! `[⌊c − S + ½⌋, ⌊c + S + ½⌋)`, where `S = max(s, 1)` and `w(p)` is `1 − |p + ½ − c|/S`, or 0 where
//! that is negative, divided by the sum of all. Weights are rounded to 22 bits after the point, and
//! the sum to whole levels, half up.

#[cfg(target_arch = "x86_64")]
mod avx2;
mod taps;

use self::taps::{FRACTION, Tap, Taps};
use crate::pixels::geometry::Side;

/// What rounds half up when the bits after the point are dropped.
const HALF: i32 = 1 << (FRACTION - 1);

/// Writes what is kept of an image to `out`; `narrowed` is scratch memory.
pub(super) fn scale(rgb: &[u8], [across, down]: [Side; 2], narrowed: &mut Vec<u8>, out: &mut [u8]) {
    let (row_bytes, out_bytes) = (across.source as usize * 3, across.kept * 3);
    let (columns, rows) = (Taps::new(across), Taps::new(down));
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pixels::geometry::sides;
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
                let (taps, touched) = (Taps::new(side).reach(), side.touched());
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
            let columns = Taps::new(sides(width, height, size)[0]);
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
