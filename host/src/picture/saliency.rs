//! What of an image a class's score depends on: the picture, the gradient, and the picture where the gradient is large.
//!
//! The gradient's map is black where it is 0 and white from its 99th percentile on: a few pixels far above all others
//! would leave the rest black. The third picture is as bright as that map, blurred.

use std::path::Path;

use anyhow::{Context, Result};
use image::imageops::fast_blur;
use image::{GrayImage, Luma, Rgb, RgbImage};

use super::canvas::{Canvas, FAINT, Place, TEXT};
use super::write_png;

const SIDE: u32 = 200;
const GAP: u32 = 8;
/// Between panels.
const WIDE: u32 = 24;
const LINE: u32 = 20;
const IN_A_ROW: usize = 2;

/// The part of the values that are white.
const WHITE: f64 = 0.01;
/// How far the map is blurred, as a part of the picture's side.
const BLUR: f32 = 0.02;
/// What is left of the picture's brightness where the map is black.
const DARKEST: f32 = 0.15;

/// An image and how much a score changes with its pixels.
pub struct Panel {
    /// What the network sees of the image, square.
    pub picture: RgbImage,
    /// Of each pixel, row by row, at least 0.
    pub map: Vec<f32>,
    /// The class.
    pub title: String,
    /// Which image it is.
    pub note: String,
}

/// Draws the panels, two in a row, and writes them as PNG.
pub fn write(path: &Path, panels: &[Panel]) -> Result<()> {
    write_png(path, &draw(panels)?)
}

fn draw(panels: &[Panel]) -> Result<RgbImage> {
    let columns = panels.len().clamp(1, IN_A_ROW) as u32;
    let rows = panels.len().div_ceil(IN_A_ROW) as u32;
    let [across, down] = [3 * SIDE + 2 * GAP + WIDE, SIDE + 2 * LINE + WIDE];
    let mut canvas = Canvas::new(columns * across + WIDE, rows * down + WIDE)?;
    for (number, panel) in panels.iter().enumerate() {
        let (row, column) = ((number / IN_A_ROW) as u32, (number % IN_A_ROW) as u32);
        let at = Place {
            x: WIDE + column * across,
            y: WIDE + row * down,
            width: SIDE,
        };
        draw_panel(&mut canvas, panel, at)?;
    }
    Ok(canvas.finish())
}

fn draw_panel(canvas: &mut Canvas, panel: &Panel, at: Place) -> Result<()> {
    let map = stretched(&panel.map, panel.picture.dimensions())?;
    let [grey, lit] = [shown(&map), dimmed(&panel.picture, &map)];
    for (place, picture) in [&panel.picture, &grey, &lit].into_iter().enumerate() {
        let x = at.x + place as u32 * (SIDE + GAP);
        canvas.picture(picture, Place { x, ..at });
    }
    let below = |line: u32| Place {
        y: at.y + SIDE + 4 + line * LINE,
        width: 3 * SIDE + 2 * GAP,
        ..at
    };
    canvas.text(&panel.title, below(0), 15, TEXT)?;
    canvas.text(&panel.note, below(1), 12, FAINT)
}

/// The map in 256 steps, white from its 99th percentile on; all black where that is 0.
fn stretched(map: &[f32], (width, height): (u32, u32)) -> Result<GrayImage> {
    let mut sorted = map.to_vec();
    sorted.sort_unstable_by(f32::total_cmp);
    let behind = (map.len() as f64 * WHITE) as usize;
    let white = sorted.iter().rev().nth(behind).copied().unwrap_or(0.0);
    let light = |&value: &f32| match white > 0.0 {
        true => (value / white * 255.0).round() as u8,
        false => 0,
    };
    let light = map.iter().map(light).collect();
    GrayImage::from_raw(width, height, light).context("a value for each pixel")
}

fn shown(map: &GrayImage) -> RgbImage {
    RgbImage::from_fn(map.width(), map.height(), |x, y| {
        Rgb([map.get_pixel(x, y).0[0]; 3])
    })
}

fn dimmed(picture: &RgbImage, map: &GrayImage) -> RgbImage {
    let blurred = fast_blur(map, BLUR * map.width() as f32);
    let most = blurred.pixels().map(|&Luma([light])| light).max();
    let most = f32::from(most.unwrap_or(0).max(1));
    RgbImage::from_fn(picture.width(), picture.height(), |x, y| {
        let light = f32::from(blurred.get_pixel(x, y).0[0]) / most;
        let factor = DARKEST + (1.0 - DARKEST) * light;
        Rgb(picture
            .get_pixel(x, y)
            .0
            .map(|colour| (f32::from(colour) * factor).round() as u8))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One pixel in ten thousand far above the others, a tenth of all at 2, the rest at 1.
    #[test]
    fn the_largest_percent_is_white_and_the_rest_in_proportion() {
        let mut map = vec![1.0; 10_000];
        map[..1000].fill(2.0);
        map[0] = 1e6;
        let image = stretched(&map, (100, 100)).unwrap();
        let light = |place: usize| image.as_raw()[place];
        assert_eq!([light(0), light(999), light(1000)], [255, 255, 128]);
        let none = stretched(&[0.0; 100], (10, 10)).unwrap();
        assert!(none.pixels().all(|pixel| pixel.0 == [0]));
        assert!(stretched(&[0.0; 99], (10, 10)).is_err());
    }

    #[test]
    fn the_picture_stays_bright_where_the_map_is() {
        let picture = RgbImage::from_pixel(100, 100, Rgb([200; 3]));
        let map = GrayImage::from_fn(100, 100, |x, _| Luma([if x < 50 { 255 } else { 0 }]));
        let lit = dimmed(&picture, &map);
        assert_eq!(lit.get_pixel(5, 50).0, [200; 3]);
        assert_eq!(lit.get_pixel(95, 50).0, [30; 3]);
    }

    #[test]
    fn three_panels_take_two_rows() {
        let panel = || Panel {
            picture: RgbImage::from_pixel(8, 8, Rgb([0, 200, 0])),
            map: vec![1.0; 64],
            title: "leopard".into(),
            note: "some/file.jpg".into(),
        };
        let panels = [panel(), panel(), panel()];
        let (two, three) = (draw(&panels[..2]).unwrap(), draw(&panels).unwrap());
        assert_eq!(two.width(), three.width());
        assert_eq!(three.height() - two.height(), two.height() - WIDE);
        let green = three
            .pixels()
            .filter(|pixel| pixel.0 == [0, 200, 0])
            .count();
        assert_eq!(green, 2 * 3 * (SIDE * SIDE) as usize);
    }
}
