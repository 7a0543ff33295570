//! Pictures of a run: the curves of its training and the filters it learned.

pub mod curves;
pub mod filters;

use std::path::Path;

use anyhow::{Context, Result};
use console::escaped;
use image::{ImageFormat, RgbImage};

use crate::atomic;

/// Writes a picture as PNG.
fn write_png(path: &Path, picture: &RgbImage) -> Result<()> {
    let mut bytes = std::io::Cursor::new(Vec::new());
    picture
        .write_to(&mut bytes, ImageFormat::Png)
        .with_context(|| escaped(path).to_string())?;
    atomic::write(path, |out| Ok(out.write_all(bytes.get_ref())?))
}
