//! Pictures: the curves of a training, the filters it learned, what a network makes of images.

mod canvas;
pub mod curves;
pub mod filters;
pub mod maps;
pub mod neighbours;
pub mod predictions;
pub mod saliency;

use std::path::Path;
use std::sync::OnceLock;

use anyhow::{Context, Result, ensure};
use console::escaped;
use image::{ImageFormat, RgbImage};
use plotters::style::{FontStyle, register_font};

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

/// The program brings its font along: a machine without any draws the same picture.
fn load_fonts() -> Result<()> {
    static LOADED: OnceLock<bool> = OnceLock::new();
    let load = || register_font("sans-serif", FontStyle::Normal, dejavu::sans::regular()).is_ok();
    ensure!(*LOADED.get_or_init(load), "the font cannot be read");
    Ok(())
}
