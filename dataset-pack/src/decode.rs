//! From a file's bytes to RGB pixels. The type is taken from the content, never from the name.

use std::io::Cursor;

use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader, Limits};
use zune_core::bytestream::ZCursor;
use zune_core::colorspace::ColorSpace;
use zune_core::options::DecoderOptions;
use zune_jpeg::JpegDecoder;

/// The decoder of JPEG files in this build; all else is decoded by the crate `image`.
pub const JPEG_DECODER: &str = if cfg!(feature = "turbojpeg") {
    "turbojpeg"
} else {
    "zune-jpeg"
};

/// The number of [`JPEG_DECODER`] in a shard's header.
pub(crate) const JPEG_DECODER_ID: u32 = cfg!(feature = "turbojpeg") as u32;

/// More pixels than this are not decoded unless the user says so.
pub const DEFAULT_MAX_PIXELS: u64 = 1 << 26;

/// Why an image cannot be packed.
#[derive(Debug, thiserror::Error)]
pub enum Rejection {
    /// The file has no bytes.
    #[error("the file is empty")]
    Empty,
    /// The content has the signature of no format that can be read.
    #[error("the content is no image that can be read")]
    NotAnImage,
    /// Width or height is zero.
    #[error("the image is {0}x{1} pixels")]
    ZeroSize(u32, u32),
    /// Decoding would take too much memory.
    #[error("the image is {width}x{height} pixels, over the limit of {limit} pixels")]
    TooLarge {
        /// Width that the header claims.
        width: u32,
        /// Height that the header claims.
        height: u32,
        /// Pixels allowed.
        limit: u64,
    },
    /// The file cannot be read from the disk, or is larger than any image worth packing.
    #[error("{0}")]
    Unreadable(String),
    /// The decoder found the content broken or cut short.
    #[error("damaged or not supported: {0}")]
    Damaged(String),
}

/// A decoded image.
pub(crate) struct Pixels {
    pub(crate) width: u32,
    pub(crate) height: u32,
    /// Rows from the top, three bytes a pixel.
    pub(crate) rgb: Vec<u8>,
    /// Whether there was transparency that went onto white.
    pub(crate) had_alpha: bool,
}

/// Whether these first bytes of a file are those of an image.
pub(crate) fn is_image(start: &[u8]) -> bool {
    image::guess_format(start).is_ok_and(|format| format.reading_enabled())
}

/// Decodes an image of any format to RGB.
///
/// Transparency is composited on white. EXIF orientation is not applied. Of an animation the
/// first frame is taken.
pub(crate) fn decode(bytes: &[u8], max_pixels: u64) -> Result<Pixels, Rejection> {
    if bytes.is_empty() {
        return Err(Rejection::Empty);
    }
    match image::guess_format(bytes) {
        Ok(ImageFormat::Jpeg) => decode_jpeg(bytes, max_pixels),
        Ok(format) if format.reading_enabled() => decode_other(bytes, format, max_pixels),
        _ => Err(Rejection::NotAnImage),
    }
}

fn check_size(width: u32, height: u32, limit: u64) -> Result<(), Rejection> {
    if width == 0 || height == 0 {
        Err(Rejection::ZeroSize(width, height))
    } else if u64::from(width) * u64::from(height) > limit {
        Err(Rejection::TooLarge {
            width,
            height,
            limit,
        })
    } else {
        Ok(())
    }
}

fn damaged(cause: impl std::fmt::Display) -> Rejection {
    // Some decoders' messages span lines; a report line must not.
    Rejection::Damaged(
        cause
            .to_string()
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" "),
    )
}

fn decode_jpeg(bytes: &[u8], max_pixels: u64) -> Result<Pixels, Rejection> {
    #[cfg(feature = "turbojpeg")]
    if let Some(pixels) = decode_turbojpeg(bytes, max_pixels)? {
        return Ok(pixels);
    }
    decode_zune(bytes, max_pixels)
}

/// Strict mode, since the decoder otherwise fills what a truncated file lacks with grey.
fn decode_zune(bytes: &[u8], max_pixels: u64) -> Result<Pixels, Rejection> {
    let options = DecoderOptions::default()
        .set_strict_mode(true)
        .set_max_width(usize::from(u16::MAX))
        .set_max_height(usize::from(u16::MAX))
        .jpeg_set_out_colorspace(ColorSpace::RGB);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(bytes), options);
    decoder.decode_headers().map_err(damaged)?;
    let info = decoder.info().ok_or_else(|| damaged("no frame header"))?;
    let (width, height) = (u32::from(info.width), u32::from(info.height));
    check_size(width, height, max_pixels)?;
    let rgb = decoder.decode().map_err(damaged)?;
    if rgb.len() != width as usize * height as usize * 3 {
        return Err(damaged("the decoder did not make RGB of it"));
    }
    Ok(Pixels {
        width,
        height,
        rgb,
        had_alpha: false,
    })
}

/// Decodes with libjpeg-turbo what it can (`None`: colour spaces that it does not turn to RGB).
#[cfg(feature = "turbojpeg")]
fn decode_turbojpeg(bytes: &[u8], max_pixels: u64) -> Result<Option<Pixels>, Rejection> {
    use turbojpeg::{Colorspace, Decompressor, Image, PixelFormat};
    let mut decoder = Decompressor::new().map_err(damaged)?;
    let header = decoder.read_header(bytes).map_err(damaged)?;
    if matches!(header.colorspace, Colorspace::CMYK | Colorspace::YCCK) {
        return Ok(None);
    }
    check_size(header.width as u32, header.height as u32, max_pixels)?;
    let (width, height) = (header.width, header.height);
    let mut rgb = vec![0; width * height * 3];
    let pixels = rgb.as_mut_slice();
    let image = Image {
        pixels,
        width,
        pitch: width * 3,
        height,
        format: PixelFormat::RGB,
    };
    decoder.decompress(bytes, image).map_err(damaged)?;
    Ok(Some(Pixels {
        width: width as u32,
        height: height as u32,
        rgb,
        had_alpha: false,
    }))
}

fn decode_other(bytes: &[u8], format: ImageFormat, max_pixels: u64) -> Result<Pixels, Rejection> {
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    // Up to 8 bytes a pixel, and as much again for the decoder's own buffers.
    let mut limits = Limits::default();
    limits.max_alloc = Some(max_pixels.saturating_mul(16));
    reader.limits(limits);
    let decoder = reader.into_decoder().map_err(damaged)?;
    let (width, height) = decoder.dimensions();
    check_size(width, height, max_pixels)?;
    let image = DynamicImage::from_decoder(decoder).map_err(damaged)?;
    let had_alpha = image.color().has_alpha();
    let rgb = if had_alpha {
        on_white(image)
    } else {
        image.into_rgb8().into_raw()
    };
    Ok(Pixels {
        width,
        height,
        rgb,
        had_alpha,
    })
}

/// Composites on white: c·a + 255·(1 − a), rounded.
fn on_white(image: DynamicImage) -> Vec<u8> {
    let rgba = image.into_rgba8();
    let mut rgb = Vec::with_capacity(rgba.len() / 4 * 3);
    for pixel in rgba.pixels() {
        let [r, g, b, a] = pixel.0.map(u32::from);
        rgb.extend([r, g, b].map(|c| ((c * a + 255 * (255 - a) + 127) / 255) as u8));
    }
    rgb
}
