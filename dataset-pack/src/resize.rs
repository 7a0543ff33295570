//! The two resize rules.

use fast_image_resize::images::{TypedImage, TypedImageRef};
use fast_image_resize::pixels::U8x3;
use fast_image_resize::{FilterType, ResizeAlg, ResizeOptions, Resizer};
use serde::{Deserialize, Serialize};

use crate::geometry::{self, CropBox};

/// How an image is brought to the set's size.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
pub enum Resize {
    /// Antialiased bilinear, as Pillow and torchvision do.
    #[default]
    #[serde(rename = "bilinear")]
    Bilinear,
    /// Area averaging when shrinking, cubic (a = −0.75) when enlarging, as in 2012.
    #[serde(rename = "2012")]
    #[value(name = "2012")]
    Area2012,
}

impl Resize {
    /// The number that stands for the rule in a shard's header.
    pub(crate) fn id(self) -> u32 {
        match self {
            Resize::Bilinear => 0,
            Resize::Area2012 => 1,
        }
    }

    /// The rule's name, as on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Resize::Bilinear => "bilinear",
            Resize::Area2012 => "2012",
        }
    }
}

// With the pixel's type fixed here, the compiler is spared the resizer's code for all others:
// minutes of it.
type Source<'a> = TypedImageRef<'a, U8x3>;
type Target<'a> = TypedImage<'a, U8x3>;

/// Resizes and crops RGB images; keeps its buffers between images.
#[derive(Default)]
pub(crate) struct Scaler {
    resizer: Resizer,
    /// The rows that matter, already at their final width.
    narrowed: Vec<u8>,
}

impl Scaler {
    /// Writes the centre crop of `rgb` (`width`×`height`) to `out` (`size`×`size`).
    ///
    /// An error means that the buffers' lengths contradict the sizes.
    pub(crate) fn scale(
        &mut self,
        rgb: &[u8],
        (width, height): (u32, u32),
        out: &mut [u8],
        size: usize,
        rule: Resize,
    ) -> Result<(), String> {
        let crop = geometry::crop_box(width, height, size);
        if rule == Resize::Area2012 {
            let shrinking = width.min(height) as usize > size;
            let weigh = if shrinking { area } else { cubic };
            let columns = weigh(crop.left, crop.width, width as usize, size);
            let rows = weigh(crop.top, crop.height, height as usize, size);
            resample(rgb, width as usize, &columns, &rows, out);
            return Ok(());
        }
        self.bilinear(rgb, width, height, crop, out, size)
            .map_err(|e| e.to_string())
    }

    /// Across, rounding to whole levels, then down: Pillow's order, hence Pillow's pixels. (In one
    /// call the library goes down first, and a quarter of all levels comes out one off.)
    fn bilinear(
        &mut self,
        rgb: &[u8],
        width: u32,
        height: u32,
        crop: CropBox,
        out: &mut [u8],
        size: usize,
    ) -> Result<(), Box<dyn std::error::Error>> {
        let side = size as u32;
        // The filter reaches one output pixel beyond the box, and at least one source pixel.
        let reach = (crop.height / size as f64).max(1.0) + 1.0;
        let first = (crop.top - reach).floor().max(0.0) as u32;
        let last = ((crop.top + crop.height + reach).ceil() as u32).min(height);
        let rows = last - first;
        let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::Bilinear));

        let row_bytes = width as usize * 3;
        let rgb = &rgb[first as usize * row_bytes..last as usize * row_bytes];
        self.narrowed.resize(size * rows as usize * 3, 0);
        let across = options.crop(crop.left, 0.0, crop.width, f64::from(rows));
        let source = Source::from_buffer(width, rows, rgb)?;
        let mut narrowed = Target::from_buffer(side, rows, &mut self.narrowed)?;
        self.resizer.resize_typed(&source, &mut narrowed, &across)?;

        let down = options.crop(
            0.0,
            crop.top - f64::from(first),
            f64::from(side),
            crop.height,
        );
        let source = Source::from_buffer(side, rows, &self.narrowed)?;
        let mut target = Target::from_buffer(side, side, out)?;
        self.resizer.resize_typed(&source, &mut target, &down)?;
        Ok(())
    }
}

/// The source pixels that make one output pixel, with their weights, along one side.
struct Span {
    first: usize,
    weights: Vec<f32>,
}

/// Each output pixel is the mean of the source under it: weights are shares of area.
fn area(start: f64, length: f64, _side: usize, size: usize) -> Vec<Span> {
    let step = length / size as f64;
    let span = |i: usize| {
        let (from, to) = (start + step * i as f64, start + step * (i + 1) as f64);
        // An edge that differs from a whole pixel by rounding alone covers nothing beyond it.
        let (first, last) = ((from + 1e-9).floor() as usize, (to - 1e-9).ceil() as usize);
        let overlap = |p: usize| (to.min(p as f64 + 1.0) - from.max(p as f64)) / step;
        Span {
            first,
            weights: (first..last).map(|p| overlap(p) as f32).collect(),
        }
    };
    (0..size).map(span).collect()
}

/// Each output pixel is interpolated from four; beyond the image its edge goes on.
fn cubic(start: f64, length: f64, side: usize, size: usize) -> Vec<Span> {
    let step = length / size as f64;
    let last = side as i64 - 1;
    let span = |i: usize| {
        let centre = start + step * (i as f64 + 0.5) - 0.5;
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
    };
    (0..size).map(span).collect()
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
        for (column, pixel) in columns.iter().zip(out_row.chunks_exact_mut(3)) {
            let source = row_sums[column.first * 3..].chunks_exact(3);
            let mut sums = [0f32; 3];
            for (values, &weight) in source.zip(&column.weights) {
                for (sum, value) in sums.iter_mut().zip(values) {
                    *sum += weight * value;
                }
            }
            // The cast saturates: cubic weights can overshoot either way.
            pixel.copy_from_slice(&sums.map(|sum| (sum + 0.5) as u8));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn area_halves_by_averaging_four_pixels() {
        let rgb: Vec<u8> = (0..4 * 4 * 3).map(|i| (i * 5) as u8).collect();
        let mut out = [0; 12];
        let sizes = (4, 4);
        Scaler::default()
            .scale(&rgb, sizes, &mut out, 2, Resize::Area2012)
            .expect("scales");
        let mean = |x: usize, y: usize, c: usize| {
            let at = |dx, dy| f64::from(rgb[((2 * y + dy) * 4 + 2 * x + dx) * 3 + c]);
            ((at(0, 0) + at(1, 0) + at(0, 1) + at(1, 1)) / 4.0 + 0.5) as u8
        };
        assert_eq!(out[0..3], [mean(0, 0, 0), mean(0, 0, 1), mean(0, 0, 2)]);
        assert_eq!(out[9..12], [mean(1, 1, 0), mean(1, 1, 1), mean(1, 1, 2)]);
    }

    #[test]
    fn spans_share_out_every_source_pixel() {
        for (length, size) in [(375.0, 256), (3000.0, 256), (256.0, 256), (5.0, 3)] {
            let spans = area(0.0, length, length as usize, size);
            let mut covered = vec![0.0; length as usize];
            for span in &spans {
                let total: f32 = span.weights.iter().sum();
                assert!((total - 1.0).abs() < 1e-5);
                for (p, w) in (span.first..).zip(&span.weights) {
                    covered[p] += f64::from(*w) * length / size as f64;
                }
            }
            assert!(covered.iter().all(|c| (c - 1.0).abs() < 1e-4));
        }
    }

    #[test]
    fn an_image_of_the_right_size_is_left_as_it_is() {
        let rgb: Vec<u8> = (0..8 * 8 * 3).map(|i| (i * 37) as u8).collect();
        for rule in [Resize::Bilinear, Resize::Area2012] {
            let mut out = vec![0; rgb.len()];
            Scaler::default()
                .scale(&rgb, (8, 8), &mut out, 8, rule)
                .expect("scales");
            assert_eq!(out, rgb);
        }
    }
}
