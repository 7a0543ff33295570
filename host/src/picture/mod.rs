//! Pictures of a run: the curves of its training and the filters it learned.

pub mod curves;
pub mod filters;

use std::path::Path;

use anyhow::{Context, Result};
use console::escaped;
use image::{ImageFormat, RgbImage};

use crate::atomic;

/// A picture's bytes as a file has them.
pub fn encode(picture: &RgbImage, format: ImageFormat) -> Result<Vec<u8>> {
    let mut bytes = std::io::Cursor::new(Vec::new());
    picture.write_to(&mut bytes, format)?;
    Ok(bytes.into_inner())
}

/// Writes a picture as PNG.
fn write_png(path: &Path, picture: &RgbImage) -> Result<()> {
    let bytes = encode(picture, ImageFormat::Png).with_context(|| escaped(path).to_string())?;
    atomic::write(path, |out| Ok(out.write_all(&bytes)?))
}
