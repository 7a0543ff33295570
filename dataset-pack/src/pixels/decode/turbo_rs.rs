//! libjpeg-turbo-rs, for what it can turn to RGB: libjpeg-turbo in Rust, pixel for pixel.

use std::ops::Range;

use libjpeg_turbo_rs::{ColorSpace, DecodeLimits, Decoder, PixelFormat};

use super::{Pixels, Rejection, admit, broken, spare};
use crate::pixels::Status;
use crate::pixels::memory::{MOST_PER_BYTE, Memory};

/// `None`: a kind of JPEG for the other decoder. All columns are decoded, as little is saved by fewer.
pub(super) fn decode<'a>(
    bytes: &[u8],
    memory: &'a Memory,
    _columns: impl Fn(u32, u32) -> Range<u32>,
) -> Result<Option<Pixels<'a>>, Rejection> {
    let limits = DecodeLimits {
        max_width: usize::from(u16::MAX),
        max_height: usize::from(u16::MAX),
        max_pixels: memory.max_decoded_bytes,
        ..DecodeLimits::default()
    };
    let mut decoder = Decoder::new_with_limits(bytes, limits).map_err(broken)?;
    let frame = decoder.header();
    let status = match (decoder.jpeg_color_space(), frame.components.len()) {
        (ColorSpace::Grayscale, 1) => Status::GREY,
        (ColorSpace::Rgb | ColorSpace::YCbCr, 3) => 0,
        _ => return Ok(None),
    };
    if frame.precision != 8 || frame.is_lossless {
        return Ok(None);
    }
    if decoder.is_arithmetic() {
        // The decoder gives Pillow's pixels, but does not notice where such an image is cut short.
        return Err(Rejection::Unread("arithmetic-coded JPEG"));
    }
    let [width, height] = [frame.width, frame.height].map(u32::from);
    // Of a baseline image the samples are in memory, and the pixels.
    let per_byte = if frame.is_progressive {
        MOST_PER_BYTE
    } else {
        2
    };
    let share = admit(width, height, 3, per_byte, memory)?;
    decoder.set_output_format(PixelFormat::Rgb);
    decoder.set_block_smoothing(true);
    decoder.set_stop_on_warning(true);
    // What was there before is overwritten, or else the decoder fails.
    let mut rgb = spare(width, height);
    let made = decoder.decode_image_into(&mut rgb).map_err(broken)?;
    if made.bytes_written != rgb.len() {
        return Err(broken("the decoder did not make RGB of it"));
    }
    Ok(Some(Pixels {
        width,
        height,
        rgb,
        status,
        _share: share,
    }))
}
