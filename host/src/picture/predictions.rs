//! What a network takes images for, as the left of the paper's Figure 4 shows it: the picture, its class where that is
//! known, and bars for the likeliest classes, the right one's in another colour.

use std::path::Path;

use anyhow::Result;
use image::RgbImage;

use super::canvas::{Canvas, Colour, FAINT, Place, TEXT};
use super::write_png;

const SIDE: u32 = 200;
const GAP: u32 = 16;
const LINE: u32 = 20;
const IN_A_ROW: usize = 4;
/// Bars that are shown.
pub const BARS: usize = 5;

const RIGHT: Colour = [0xf2, 0xa0, 0x98];
const OTHER: Colour = [0xa9, 0xc8, 0xec];

/// An image and its likeliest classes.
pub struct Panel {
    /// The image, square.
    pub picture: RgbImage,
    /// Its file.
    pub name: String,
    /// Its class, if that is known.
    pub class: Option<String>,
    /// Classes with their probabilities, the likeliest first.
    pub bars: Vec<(String, f32)>,
}

/// Draws the panels, four in a row, and writes them as PNG.
pub fn write(path: &Path, panels: &[Panel]) -> Result<()> {
    write_png(path, &draw(panels)?)
}

fn draw(panels: &[Panel]) -> Result<RgbImage> {
    let columns = panels.len().clamp(1, IN_A_ROW) as u32;
    let rows = panels.len().div_ceil(IN_A_ROW) as u32;
    let height = SIDE + LINE * (1 + BARS as u32) + GAP;
    let mut canvas = Canvas::new(GAP + columns * (SIDE + GAP), GAP + rows * (height + GAP))?;
    for (number, panel) in panels.iter().enumerate() {
        let (row, column) = (number / IN_A_ROW, number % IN_A_ROW);
        let at = Place {
            x: GAP + column as u32 * (SIDE + GAP),
            y: GAP + row as u32 * (height + GAP),
            width: SIDE,
        };
        draw_panel(&mut canvas, panel, at)?;
    }
    Ok(canvas.finish())
}

fn draw_panel(canvas: &mut Canvas, panel: &Panel, at: Place) -> Result<()> {
    canvas.picture(&panel.picture, at);
    let mut y = at.y + SIDE + 4;
    let (title, colour) = match &panel.class {
        Some(class) => (class, TEXT),
        None => (&panel.name, FAINT),
    };
    canvas.text(title, Place { y, ..at }, 15, colour)?;
    for (class, probability) in panel.bars.iter().take(BARS) {
        y += LINE;
        let of_it = panel.class.as_ref() == Some(class);
        let bar = Place {
            y,
            width: (probability.clamp(0.0, 1.0) * at.width as f32).round() as u32,
            ..at
        };
        canvas.bar(bar, LINE - 3, if of_it { RIGHT } else { OTHER });
        let words = Place {
            x: at.x + 4,
            y: y + 1,
            width: at.width - 4,
        };
        canvas.text(class, words, 13, TEXT)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::Rgb;

    fn panel(probability: f32, class: Option<&str>) -> Panel {
        Panel {
            picture: RgbImage::from_pixel(8, 8, Rgb([0, 200, 0])),
            name: "some/file.jpg".into(),
            class: class.map(Into::into),
            bars: vec![("leopard".into(), probability), ("jaguar".into(), 0.01)],
        }
    }

    fn count(picture: &RgbImage, colour: Colour) -> usize {
        picture.pixels().filter(|pixel| pixel.0 == colour).count()
    }

    #[test]
    fn a_bar_is_as_long_as_the_class_is_likely() {
        let area = |probability| {
            let picture = draw(&[panel(probability, None)]).unwrap();
            count(&picture, OTHER) as f64
        };
        // The words over the bars hide the same of both but for what sticks out.
        assert!(area(1.0) > 1.8 * area(0.5), "{} {}", area(1.0), area(0.5));
        assert!(area(f32::NAN) < area(0.1));
    }

    #[test]
    fn the_right_class_has_its_own_colour() {
        let picture = draw(&[panel(0.9, Some("leopard"))]).unwrap();
        assert!(count(&picture, RIGHT) > 500);
        let picture = draw(&[panel(0.9, Some("tiger"))]).unwrap();
        assert_eq!(count(&picture, RIGHT), 0);
    }

    #[test]
    fn five_panels_take_two_rows() {
        let panels: Vec<Panel> = (0..5).map(|_| panel(0.5, None)).collect();
        let one = draw(&panels[..4]).unwrap();
        let two = draw(&panels).unwrap();
        assert_eq!(one.width(), two.width());
        assert_eq!(two.height() - one.height(), one.height() - GAP);
        assert_eq!(count(&two, [0, 200, 0]), 5 * (SIDE * SIDE) as usize);
    }
}
