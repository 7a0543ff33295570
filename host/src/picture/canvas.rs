//! A white sheet that pictures, bars and words are put on.

use anyhow::{Result, anyhow};
use image::imageops::{FilterType, replace, resize};
use image::{Rgb, RgbImage};
use plotters::prelude::*;

use super::load_fonts;

/// A colour, R, G, B.
pub type Colour = [u8; 3];

pub const TEXT: Colour = [0x22, 0x22, 0x22];
pub const FAINT: Colour = [0x70, 0x70, 0x70];

/// Where something goes, pixels from the left and from above, and how wide it may be.
#[derive(Clone, Copy)]
pub struct Place {
    pub x: u32,
    pub y: u32,
    pub width: u32,
}

/// The sheet.
pub struct Canvas {
    picture: RgbImage,
}

impl Canvas {
    pub fn new(width: u32, height: u32) -> Result<Self> {
        load_fonts()?;
        Ok(Canvas {
            picture: RgbImage::from_pixel(width, height, Rgb([255; 3])),
        })
    }

    /// A square picture, brought to the place's width.
    pub fn picture(&mut self, picture: &RgbImage, at: Place) {
        let scaled = resize(picture, at.width, at.width, FilterType::Triangle);
        replace(&mut self.picture, &scaled, at.x.into(), at.y.into());
    }

    /// A filled rectangle.
    pub fn bar(&mut self, at: Place, height: u32, colour: Colour) {
        for y in at.y..(at.y + height).min(self.picture.height()) {
            for x in at.x..(at.x + at.width).min(self.picture.width()) {
                self.picture.put_pixel(x, y, Rgb(colour));
            }
        }
    }

    /// A line of words, shortened to the place's width.
    pub fn text(&mut self, text: &str, at: Place, size: u32, colour: Colour) -> Result<()> {
        let (width, height) = self.picture.dimensions();
        let area = BitMapBackend::with_buffer(&mut self.picture, (width, height));
        let area = area.into_drawing_area();
        let [red, green, blue] = colour;
        let style = ("sans-serif", size)
            .into_font()
            .color(&RGBColor(red, green, blue));
        let failed = |error| anyhow!("cannot draw: {error}");
        let mut shown = text.to_owned();
        let mut kept = text.chars().count();
        while area.estimate_text_size(&shown, &style).map_err(failed)?.0 > at.width && kept > 0 {
            kept -= 1;
            shown = text.chars().take(kept).chain(['…']).collect();
        }
        let (x, y) = (at.x as i32, at.y as i32);
        area.draw_text(&shown, &style, (x, y)).map_err(failed)?;
        area.present().map_err(failed)
    }

    pub fn finish(self) -> RgbImage {
        self.picture
    }
}
