//! What a layer makes of an image: a square for each of its maps, the smallest value black and the largest white, each
//! map by its own range; of a layer without maps a square for each unit, all by the same range.

use std::path::Path;

use anyhow::{Result, ensure};
use image::{Rgb, RgbImage};

use super::write_png;

const GAP: usize = 2;
/// Side of the sheet, about.
const SHEET: usize = 1000;
const BACKGROUND: Rgb<u8> = Rgb([0x30, 0x40, 0x60]);

/// Draws values `[map][row][column]` and writes them as PNG.
pub fn write(path: &Path, values: &[f32], [height, width]: [usize; 2]) -> Result<()> {
    write_png(path, &draw(values, [height, width])?)
}

fn draw(values: &[f32], [height, width]: [usize; 2]) -> Result<RgbImage> {
    let area = height * width;
    ensure!(area > 0 && values.len() >= area, "a layer without values");
    let maps = values.len() / area;
    let columns = maps.isqrt() + usize::from(maps.isqrt().pow(2) < maps);
    let zoom = (SHEET / columns / width.max(height)).clamp(1, 64);
    let [step_y, step_x] = [height, width].map(|side| side * zoom + GAP);
    let sides = [
        columns * step_x + GAP,
        maps.div_ceil(columns) * step_y + GAP,
    ];
    let [across, down] = sides.map(|side| side as u32);
    let mut picture = RgbImage::from_pixel(across, down, BACKGROUND);
    let all = range(values);
    for (map, values) in values.chunks_exact(area).enumerate() {
        let [low, high] = if area > 1 { range(values) } else { all };
        let (left, top) = (GAP + map % columns * step_x, GAP + map / columns * step_y);
        for y in 0..height * zoom {
            for x in 0..width * zoom {
                let value = values[y / zoom * width + x / zoom];
                // Written so that what is not a number, and a map that is the same everywhere, are black.
                let light = match high > low {
                    true => ((value - low) / (high - low) * 255.0).round() as u8,
                    false => 0,
                };
                picture.put_pixel((left + x) as u32, (top + y) as u32, Rgb([light; 3]));
            }
        }
    }
    Ok(picture)
}

fn range(values: &[f32]) -> [f32; 2] {
    let low = values.iter().copied().fold(f32::INFINITY, f32::min);
    [
        low,
        values.iter().copied().fold(f32::NEG_INFINITY, f32::max),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_map_has_its_own_range_and_lies_upright() {
        // Rising to the right; faint, rising downwards; the same everywhere.
        let values = [0.0, 9.0, 0.0, 9.0, 1.0, 1.0, 1.5, 1.5, 7.0, 7.0, 7.0, 7.0];
        let picture = draw(&values, [2, 2]).unwrap();
        let step = 2 * 64 + GAP as u32;
        let light = |x: u32, y: u32| picture.get_pixel(GAP as u32 + x, GAP as u32 + y).0[0];
        assert_eq!([light(0, 0), light(127, 0), light(0, 127)], [0, 255, 0]);
        assert_eq!(
            [light(step, 0), light(step + 127, 0), light(step, 127)],
            [0, 0, 255]
        );
        assert_eq!(light(0, step), 0);
        assert_eq!(picture.get_pixel(step + 5, step + 5), &BACKGROUND);
    }

    #[test]
    fn units_share_a_range() {
        let picture = draw(&[1.0, 2.0, 3.0], [1, 1]).unwrap();
        let step = 64 + GAP as u32;
        let light = |x, y| picture.get_pixel(x, y).0[0];
        assert_eq!(
            [light(9, 9), light(9 + step, 9), light(9, 9 + step)],
            [0, 128, 255]
        );
    }
}
