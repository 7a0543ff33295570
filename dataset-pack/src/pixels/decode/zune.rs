//! zune-jpeg, for CMYK and for what is damaged.

use zune_core::bytestream::ZCursor;
use zune_core::colorspace::ColorSpace;
use zune_core::options::DecoderOptions;
use zune_jpeg::JpegDecoder;

use super::{Pixels, Rejection, admit, broken};
use crate::pixels::Status;
use crate::pixels::memory::{MOST_PER_BYTE, Memory};

/// Strict, or else what a truncated file lacks comes out as grey.
pub(super) fn decode<'a>(
    bytes: &[u8],
    memory: &'a Memory,
    strict: bool,
) -> Result<Pixels<'a>, Rejection> {
    let options = DecoderOptions::default()
        .set_strict_mode(strict)
        .set_max_width(usize::from(u16::MAX))
        .set_max_height(usize::from(u16::MAX))
        .jpeg_set_out_colorspace(ColorSpace::RGB);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(bytes), options);
    decoder.decode_headers().map_err(broken)?;
    let info = decoder.info().ok_or_else(|| broken("no frame header"))?;
    let (width, height) = (u32::from(info.width), u32::from(info.height));
    let pixel_bytes = u64::from(info.components.max(3));
    let share = admit(width, height, pixel_bytes, MOST_PER_BYTE, memory)?;
    let rgb = decoder.decode().map_err(broken)?;
    if rgb.len() != width as usize * height as usize * 3 {
        return Err(broken("the decoder did not make RGB of it"));
    }
    let status = match info.components {
        1 => Status::GREY,
        4 => Status::CMYK,
        _ => 0,
    };
    Ok(Pixels {
        width,
        height,
        rgb,
        status,
        _share: share,
    })
}
