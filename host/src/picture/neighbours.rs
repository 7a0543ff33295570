//! Images and those most like them, as the right of the paper's Figure 4 shows them: a row for each image, itself
//! first.

use std::path::Path;

use anyhow::Result;
use image::RgbImage;

use super::canvas::{Canvas, FAINT, Place, TEXT};
use super::write_png;

const SIDE: u32 = 140;
const GAP: u32 = 10;
/// Between an image and those like it.
const WIDE: u32 = 24;
const LINE: u32 = 18;

/// A picture and two lines under it.
pub struct Cell {
    /// The image, square.
    pub picture: RgbImage,
    /// Its class or file.
    pub title: String,
    /// How far it is.
    pub note: String,
}

/// Draws rows, the first of each apart, and writes them as PNG.
pub fn write(path: &Path, rows: &[Vec<Cell>]) -> Result<()> {
    write_png(path, &draw(rows)?)
}

fn draw(rows: &[Vec<Cell>]) -> Result<RgbImage> {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(1) as u32;
    let step = SIDE + 2 * LINE + GAP;
    let width = GAP + columns * (SIDE + GAP) + WIDE;
    let mut canvas = Canvas::new(width, GAP + rows.len() as u32 * step)?;
    for (row, cells) in rows.iter().enumerate() {
        for (column, cell) in cells.iter().enumerate() {
            let apart = if column > 0 { WIDE } else { 0 };
            let at = Place {
                x: GAP + column as u32 * (SIDE + GAP) + apart,
                y: GAP + row as u32 * step,
                width: SIDE,
            };
            canvas.picture(&cell.picture, at);
            let below = |line: u32| Place {
                y: at.y + SIDE + 2 + line * LINE,
                ..at
            };
            canvas.text(&cell.title, below(0), 13, TEXT)?;
            canvas.text(&cell.note, below(1), 12, FAINT)?;
        }
    }
    Ok(canvas.finish())
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::Rgb;

    #[test]
    fn every_image_is_there_and_the_first_apart() {
        let cell = |colour| Cell {
            picture: RgbImage::from_pixel(4, 4, Rgb(colour)),
            title: "a class with a name that is far too long to stand there".into(),
            note: "12.5".into(),
        };
        let (red, blue) = ([255, 0, 0], [0, 0, 255]);
        let rows = [vec![cell(red), cell(blue), cell(blue)], vec![cell(red)]];
        let picture = draw(&rows).unwrap();
        let count = |colour| picture.pixels().filter(|pixel| pixel.0 == colour).count();
        let area = (SIDE * SIDE) as usize;
        assert_eq!((count(red), count(blue)), (2 * area, 2 * area));
        let first = (0..picture.width()).find(|&x| picture.get_pixel(x, GAP).0 == blue);
        assert_eq!(first, Some(GAP + SIDE + GAP + WIDE));
    }
}
