//! Images of a set as they stand on the page.

use anyhow::{Context, Result};
use dataset_pack::Dataset;
use image::imageops::thumbnail;
use image::{ImageFormat, RgbImage};

use crate::picture::encode;

/// Side of a picture, pixels.
const SIDE: u32 = 128;

/// An image of a set.
pub struct Picture {
    /// The file it was packed from.
    pub source: String,
    /// As JPEG.
    pub jpeg: Vec<u8>,
    /// Its class.
    pub class: String,
}

impl Picture {
    /// The image with this number.
    pub fn of(data: &Dataset, image: usize) -> Result<Self> {
        let side = data.size() as u32;
        let pixels = data.image(image)?;
        let pixels = RgbImage::from_raw(side, side, pixels).context("an image's bytes")?;
        let small = SIDE.min(side);
        Ok(Picture {
            source: data.source(image)?,
            jpeg: encode(&thumbnail(&pixels, small, small), ImageFormat::Jpeg)?,
            class: data.classes()[data.label(image) as usize].name.clone(),
        })
    }
}
