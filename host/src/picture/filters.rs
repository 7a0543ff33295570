//! The filters of the first layer, as the paper's Figure 3 shows them: a block for each tower, one under the other.
//!
//! Each filter is scaled to its own range: its smallest weight, of all three colours, is black and its largest full
//! light. So the shapes of faint filters can be seen; how strong a filter is cannot. A filter whose weights are all
//! the same is grey.

use std::path::Path;

use anyhow::{Result, bail, ensure};
use image::{Rgb, RgbImage};

use super::write_png;

const GAP: usize = 4;
const BLOCK_GAP: usize = 20;
const MARGIN: usize = 12;
const BACKGROUND: Rgb<u8> = Rgb([255, 255, 255]);

/// Side of a filter in the picture, about.
const SIDE: usize = 48;

/// Draws filters of shape [maps, 3, side, side], each tower's in a block of its own, and writes them as PNG.
pub fn write(path: &Path, weights: &[f32], shape: &[usize], towers: usize) -> Result<()> {
    write_png(path, &draw(weights, shape, towers)?)
}

/// Draws them.
pub fn draw(weights: &[f32], shape: &[usize], towers: usize) -> Result<RgbImage> {
    let &[maps, 3, side, width] = shape else {
        bail!("filters of shape {shape:?} cannot be shown: only such as read RGB images can");
    };
    ensure!(
        side == width && side > 0 && weights.len() == maps * 3 * side * side,
        "filters: {shape:?} does not fit"
    );
    ensure!(
        towers > 0 && maps > 0 && maps.is_multiple_of(towers),
        "{maps} filters in {towers} towers"
    );
    let sheet = Sheet::new(maps / towers, towers, side);
    let mut picture = RgbImage::from_pixel(sheet.width() as u32, sheet.height() as u32, BACKGROUND);
    for (map, filter) in weights.chunks_exact(3 * side * side).enumerate() {
        sheet.paste(&mut picture, map, filter);
    }
    Ok(picture)
}

/// Where each filter goes.
struct Sheet {
    per_tower: usize,
    columns: usize,
    rows: usize,
    towers: usize,
    side: usize,
    zoom: usize,
}

impl Sheet {
    fn new(per_tower: usize, towers: usize, side: usize) -> Self {
        // Figure 3 has 48 filters in rows of 16.
        let columns = per_tower.min(16);
        let zoom = (SIDE / side).max(1);
        Self {
            per_tower,
            columns,
            rows: per_tower.div_ceil(columns),
            towers,
            side,
            zoom,
        }
    }

    fn step(&self) -> usize {
        self.side * self.zoom + GAP
    }

    fn block(&self) -> usize {
        self.rows * self.step() - GAP + BLOCK_GAP
    }

    fn width(&self) -> usize {
        2 * MARGIN + self.columns * self.step() - GAP
    }

    fn height(&self) -> usize {
        2 * MARGIN + self.towers * self.block() - BLOCK_GAP
    }

    fn paste(&self, picture: &mut RgbImage, map: usize, filter: &[f32]) {
        let (tower, place) = (map / self.per_tower, map % self.per_tower);
        let left = MARGIN + place % self.columns * self.step();
        let top = MARGIN + tower * self.block() + place / self.columns * self.step();
        let light = lights(filter);
        for y in 0..self.side * self.zoom {
            for x in 0..self.side * self.zoom {
                let pixel = y / self.zoom * self.side + x / self.zoom;
                let colour = [0, 1, 2].map(|c| light(filter[c * self.side * self.side + pixel]));
                picture.put_pixel((left + x) as u32, (top + y) as u32, Rgb(colour));
            }
        }
    }
}

/// From a filter's range to 0..=255.
fn lights(filter: &[f32]) -> impl Fn(f32) -> u8 {
    let low = filter.iter().copied().fold(f32::INFINITY, f32::min);
    let high = filter.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    // Written so that what is not a number is grey as well.
    move |weight| {
        if high > low {
            ((weight - low) / (high - low) * 255.0).round() as u8
        } else {
            128
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_tower_has_its_block() {
        let shape = [96, 3, 11, 11];
        // Red in tower 0, blue in tower 1.
        let mut weights = vec![0.0; 96 * 363];
        for (i, weight) in weights.iter_mut().enumerate() {
            let (map, colour) = (i / 363, i / 121 % 3);
            *weight = f32::from(u8::from(colour == if map < 48 { 0 } else { 2 }));
        }
        let picture = draw(&weights, &shape, 2).unwrap();
        let (width, block) = (16 * 44 + 15 * 4 + 24, 3 * 44 + 2 * 4);
        assert_eq!(
            (picture.width(), picture.height()),
            (width, 2 * block + 20 + 24)
        );
        assert_eq!(picture.get_pixel(12, 12), &Rgb([255, 0, 0]));
        assert_eq!(
            picture.get_pixel(width - 13, 12 + block - 1),
            &Rgb([255, 0, 0])
        );
        assert_eq!(picture.get_pixel(12, 12 + block + 10), &BACKGROUND);
        assert_eq!(picture.get_pixel(12, 12 + block + 20), &Rgb([0, 0, 255]));
        assert_eq!(picture.get_pixel(12 + 44, 12), &BACKGROUND);
    }

    #[test]
    fn a_filter_is_scaled_to_its_own_range_and_upright() {
        // 2×2: red rises to the right, green downwards, blue stays in the middle.
        let filter = [
            -3.0, 5.0, -3.0, 5.0, -3.0, -3.0, 5.0, 5.0, 1.0, 1.0, 1.0, 1.0,
        ];
        let picture = draw(&filter, &[1, 3, 2, 2], 1).unwrap();
        assert_eq!(picture.get_pixel(12, 12), &Rgb([0, 0, 128]));
        assert_eq!(picture.get_pixel(12 + 47, 12), &Rgb([255, 0, 128]));
        assert_eq!(picture.get_pixel(12, 12 + 47), &Rgb([0, 255, 128]));
    }

    #[test]
    fn flat_and_broken_filters_are_grey() {
        for weights in [[0.5; 3], [f32::NAN; 3]] {
            let picture = draw(&weights, &[1, 3, 1, 1], 1).unwrap();
            assert_eq!(picture.get_pixel(20, 20), &Rgb([128, 128, 128]));
        }
    }

    #[test]
    fn filters_that_do_not_read_colours_are_refused() {
        let error = draw(&[0.0; 16], &[1, 16, 1, 1], 1).unwrap_err().to_string();
        assert!(error.contains("[1, 16, 1, 1]"), "{error}");
        assert!(draw(&[0.0; 9], &[3, 3, 1, 1], 2).is_err());
    }

    #[test]
    fn the_file_is_a_png() {
        let dir = tempfile::tempdir().unwrap();
        let path =
            std::env::var_os("FILTERS_PNG").map_or(dir.path().join("filters.png"), Into::into);
        // Waves of every direction and colour.
        let weight = |i: usize| {
            let (map, c, y, x) = (
                i / 363,
                i / 121 % 3,
                (i / 11 % 11) as f32 - 5.0,
                (i % 11) as f32 - 5.0,
            );
            let (angle, phase) = (
                map as f32 * 0.3,
                if map < 48 { 0.0 } else { c as f32 * 2.0 },
            );
            let wave = ((x * angle.cos() + y * angle.sin()) * (0.5 + map as f32 % 5.0 * 0.3)
                + phase)
                .sin();
            wave * (-(x * x + y * y) / 14.0).exp()
        };
        let weights: Vec<f32> = (0..96 * 363).map(weight).collect();
        write(&path, &weights, &[96, 3, 11, 11], 2).unwrap();
        assert_eq!(image::image_dimensions(&path).unwrap(), (788, 324));
    }
}
