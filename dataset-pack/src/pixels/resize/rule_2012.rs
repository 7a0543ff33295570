//! Area averaging when shrinking, cubic when enlarging, as the authors' packer did.

use crate::pixels::geometry::Side;

/// Writes what is kept of an image to `out`.
pub(super) fn scale(rgb: &[u8], [across, down]: [Side; 2], out: &mut [u8]) {
    let weigh = if across.step().min(down.step()) > 1.0 {
        area
    } else {
        cubic
    };
    let spans = |side: Side| -> Vec<Span> { (0..side.kept).map(|i| weigh(side, i)).collect() };
    resample(
        rgb,
        across.source as usize,
        &spans(across),
        &spans(down),
        out,
    );
}

/// The source pixels that make one output pixel, with their weights, along one side.
struct Span {
    first: usize,
    weights: Vec<f32>,
}

/// Output pixel `i` is the mean of the source under it: weights are shares of area.
fn area(side: Side, i: usize) -> Span {
    let (from, to) = (side.at(i as f64), side.at((i + 1) as f64));
    // An edge that differs from a whole pixel by rounding alone covers nothing beyond it.
    let (first, last) = ((from + 1e-9).floor() as usize, (to - 1e-9).ceil() as usize);
    let overlap = |p: usize| (to.min(p as f64 + 1.0) - from.max(p as f64)) / side.step();
    Span {
        first,
        weights: (first..last).map(|p| overlap(p) as f32).collect(),
    }
}

/// Output pixel `i` is interpolated from four; beyond the image its edge goes on.
fn cubic(side: Side, i: usize) -> Span {
    let last = i64::from(side.source) - 1;
    let centre = side.at(i as f64 + 0.5) - 0.5;
    let left = centre.floor() as i64 - 1;
    let first = left.clamp(0, last);
    let mut weights = vec![0.0; ((left + 3).clamp(0, last) - first + 1) as usize];
    for p in left..left + 4 {
        weights[(p.clamp(0, last) - first) as usize] += keys(centre - p as f64) as f32;
    }
    Span {
        first: first as usize,
        weights,
    }
}

/// Keys' cubic with a = −0.75.
fn keys(x: f64) -> f64 {
    const A: f64 = -0.75;
    let x = x.abs();
    if x < 1.0 {
        ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0
    } else if x < 2.0 {
        (((x - 5.0) * x + 8.0) * x - 4.0) * A
    } else {
        0.0
    }
}

/// Applies the weights down, then across, and rounds once.
fn resample(rgb: &[u8], width: usize, columns: &[Span], rows: &[Span], out: &mut [u8]) {
    let mut row_sums = vec![0f32; width * 3];
    for (row, out_row) in rows.iter().zip(out.chunks_exact_mut(columns.len() * 3)) {
        row_sums.fill(0.0);
        for (y, &weight) in (row.first..).zip(&row.weights) {
            let source_row = &rgb[y * width * 3..(y + 1) * width * 3];
            for (sum, &value) in row_sums.iter_mut().zip(source_row) {
                *sum += weight * f32::from(value);
            }
        }
        for (column, pixel) in columns.iter().zip(out_row.as_chunks_mut::<3>().0) {
            let (source, _) = row_sums[column.first * 3..].as_chunks::<3>();
            let mut sums = [0f32; 3];
            for (values, &weight) in source.iter().zip(&column.weights) {
                for (sum, value) in sums.iter_mut().zip(values) {
                    *sum += weight * value;
                }
            }
            // The cast saturates: cubic weights can overshoot either way.
            *pixel = sums.map(|sum| (sum + 0.5) as u8);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pixels::geometry::sides;

    #[test]
    fn area_halves_by_averaging_four_pixels() {
        let rgb: Vec<u8> = (0..4 * 4 * 3).map(|i| (i * 5) as u8).collect();
        let mut out = [0; 12];
        scale(&rgb, sides(4, 4, 2), &mut out);
        let mean = |x: usize, y: usize, c: usize| {
            let at = |dx, dy| f64::from(rgb[((2 * y + dy) * 4 + 2 * x + dx) * 3 + c]);
            ((at(0, 0) + at(1, 0) + at(0, 1) + at(1, 1)) / 4.0 + 0.5) as u8
        };
        assert_eq!(out[0..3], [mean(0, 0, 0), mean(0, 0, 1), mean(0, 0, 2)]);
        assert_eq!(out[9..12], [mean(1, 1, 0), mean(1, 1, 1), mean(1, 1, 2)]);
    }

    #[test]
    fn spans_lie_within_what_is_touched() {
        for (width, height) in [(375, 500), (1, 7), (40, 31), (4000, 3001), (64, 64)] {
            for side in sides(width, height, 64) {
                let touched = side.touched();
                for span in (0..64).flat_map(|i| [area(side, i), cubic(side, i)]) {
                    assert!(touched.start as usize <= span.first, "{side:?}");
                    let end = span.first + span.weights.len();
                    assert!(end <= touched.end as usize, "{side:?}");
                }
            }
        }
    }

    #[test]
    fn spans_share_out_every_source_pixel() {
        for (length, size) in [(375, 256), (3000, 256), (256, 256), (5, 3)] {
            let spans: Vec<Span> = (0..size)
                .map(|i| area(sides(length, length, size)[0], i))
                .collect();
            let mut covered = vec![0.0; length as usize];
            for span in &spans {
                let total: f32 = span.weights.iter().sum();
                assert!((total - 1.0).abs() < 1e-5);
                for (p, w) in (span.first..).zip(&span.weights) {
                    covered[p] += f64::from(*w) * f64::from(length) / size as f64;
                }
            }
            assert!(covered.iter().all(|c| (c - 1.0).abs() < 1e-4));
        }
    }
}
