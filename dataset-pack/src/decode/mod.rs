//! From a file's bytes to RGB pixels. The type is taken from the content, never from the name.

#[cfg(feature = "turbojpeg-portable")]
mod turbo;

use std::io::Cursor;
use std::ops::Range;
use std::sync::{Mutex, MutexGuard};

use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader, Limits};
use zune_core::bytestream::ZCursor;
use zune_core::colorspace::ColorSpace;
use zune_core::options::DecoderOptions;
use zune_jpeg::JpegDecoder;

use crate::description::Damaged;
use crate::format::Status;

/// The decoder of JPEG files in this build; all else is decoded by the crate `image`.
pub const JPEG_DECODER: &str = if cfg!(feature = "turbojpeg-portable") {
    "turbojpeg"
} else {
    "zune-jpeg"
};

/// The number of [`JPEG_DECODER`] in a shard's header.
pub(crate) const JPEG_DECODER_ID: u32 = cfg!(feature = "turbojpeg-portable") as u32;

/// Images that take more bytes than this once decoded are not decoded unless the user says so.
pub const DEFAULT_MAX_DECODED_BYTES: u64 = 200 << 20;

/// Images that take more than this are decoded one at a time, lest as many as there are threads
/// fill the memory.
const LARGE: u64 = 1 << 25;
static LARGE_IMAGES: Mutex<()> = Mutex::new(());

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
    #[error("the image is {width}x{height} pixels, over the limit of {limit} decoded bytes")]
    TooLarge {
        /// Width that the header claims.
        width: u32,
        /// Height that the header claims.
        height: u32,
        /// Decoded bytes allowed.
        limit: u64,
    },
    /// There is no file to be decoded: it cannot be read, or is larger than any image worth
    /// packing, or is known for another reason not to be a candidate.
    #[error("{0}")]
    Unreadable(String),
    /// The decoder found the content broken or cut short.
    #[error("damaged or not supported: {0}")]
    Damaged(String),
}

/// A decoded image.
#[derive(Debug)]
pub(crate) struct Pixels {
    pub(crate) width: u32,
    pub(crate) height: u32,
    /// Rows from the top, three bytes a pixel.
    pub(crate) rgb: Vec<u8>,
    /// Flags of [`Status`].
    pub(crate) status: u32,
    /// Held as long as a large image is.
    #[cfg_attr(
        not(feature = "turbojpeg-portable"),
        expect(dead_code, reason = "it is there to be dropped")
    )]
    pub(crate) alone: Option<MutexGuard<'static, ()>>,
}

/// An image, and what is wrong with it if it is kept all the same.
pub(crate) type Decoded = Result<(Pixels, Option<Rejection>), Rejection>;

/// Whether these first bytes of a file are those of an image.
pub(crate) fn is_image(start: &[u8]) -> bool {
    image::guess_format(start).is_ok_and(|format| format.reading_enabled())
}

/// Whether a file is called as if it were of another type than it is.
pub(crate) fn is_misnamed(name: &str, bytes: &[u8]) -> bool {
    match (ImageFormat::from_path(name), image::guess_format(bytes)) {
        (Ok(name), Ok(content)) => name != content,
        _ => false,
    }
}

/// Decodes an image of any format to RGB.
///
/// Transparency is composited on white. EXIF orientation is not applied. Of an animation the
/// first frame is taken. Only the columns that `columns` gives for a width and a height need be
/// decoded; in the others there may be anything.
pub(crate) fn decode(
    bytes: &[u8],
    limit: u64,
    damaged: Damaged,
    columns: impl Fn(u32, u32) -> Range<u32>,
) -> Decoded {
    if bytes.is_empty() {
        return Err(Rejection::Empty);
    }
    match image::guess_format(bytes) {
        Ok(ImageFormat::Jpeg) => decode_jpeg(bytes, limit, damaged, columns),
        Ok(format) if format.reading_enabled() => {
            decode_other(bytes, format, limit).map(|pixels| (pixels, None))
        }
        _ => Err(Rejection::NotAnImage),
    }
}

/// Checks the size that a header claims, and waits for other large images.
fn admit(
    width: u32,
    height: u32,
    pixel_bytes: u64,
    limit: u64,
) -> Result<Option<MutexGuard<'static, ()>>, Rejection> {
    if width == 0 || height == 0 {
        return Err(Rejection::ZeroSize(width, height));
    }
    let bytes = (u64::from(width) * u64::from(height)).saturating_mul(pixel_bytes);
    if bytes > limit {
        return Err(Rejection::TooLarge {
            width,
            height,
            limit,
        });
    }
    // A panic of the thread that held it says nothing about this image.
    let wait = || {
        LARGE_IMAGES
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    };
    Ok((bytes > LARGE).then(wait))
}

fn broken(cause: impl std::fmt::Display) -> Rejection {
    // Some decoders' messages span lines; a report line must not.
    let cause = cause.to_string();
    Rejection::Damaged(cause.split_whitespace().collect::<Vec<_>>().join(" "))
}

/// What is wrong with a JPEG is found by decoding it strictly. If it is to be kept, a second
/// attempt takes what it can get.
#[cfg_attr(not(feature = "turbojpeg-portable"), expect(unused_variables))]
fn decode_jpeg(
    bytes: &[u8],
    limit: u64,
    damaged: Damaged,
    columns: impl Fn(u32, u32) -> Range<u32>,
) -> Decoded {
    let attempt = {
        #[cfg(feature = "turbojpeg-portable")]
        {
            turbo::decode(bytes, limit, columns)
                .transpose()
                .unwrap_or_else(|| decode_zune(bytes, limit, true))
        }
        #[cfg(not(feature = "turbojpeg-portable"))]
        decode_zune(bytes, limit, true)
    };
    match attempt {
        Err(trouble @ Rejection::Damaged(_)) if damaged == Damaged::Keep => {
            match decode_zune(bytes, limit, false) {
                Ok(mut pixels) => {
                    pixels.status |= Status::DAMAGED;
                    Ok((pixels, Some(trouble)))
                }
                Err(_) => Err(trouble),
            }
        }
        attempt => attempt.map(|pixels| (pixels, None)),
    }
}

/// Strict, or else what a truncated file lacks comes out as grey.
fn decode_zune(bytes: &[u8], limit: u64, strict: bool) -> Result<Pixels, Rejection> {
    let options = DecoderOptions::default()
        .set_strict_mode(strict)
        .set_max_width(usize::from(u16::MAX))
        .set_max_height(usize::from(u16::MAX))
        .jpeg_set_out_colorspace(ColorSpace::RGB);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(bytes), options);
    decoder.decode_headers().map_err(broken)?;
    let info = decoder.info().ok_or_else(|| broken("no frame header"))?;
    let (width, height) = (u32::from(info.width), u32::from(info.height));
    let alone = admit(width, height, u64::from(info.components.max(3)), limit)?;
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
        alone,
    })
}

fn decode_other(bytes: &[u8], format: ImageFormat, limit: u64) -> Result<Pixels, Rejection> {
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    // As much again for the decoder's own buffers.
    let mut limits = Limits::default();
    limits.max_alloc = Some(limit.saturating_mul(2));
    reader.limits(limits);
    let decoder = reader.into_decoder().map_err(broken)?;
    let (width, height) = decoder.dimensions();
    let colour = decoder.color_type();
    let alone = admit(width, height, u64::from(colour.bytes_per_pixel()), limit)?;
    let image = DynamicImage::from_decoder(decoder).map_err(broken)?;
    let flag = |flag: u32, set: bool| if set { flag } else { 0 };
    let status = flag(Status::GREY, !colour.has_color())
        | flag(
            Status::DEEP,
            colour.bits_per_pixel() > 8 * u16::from(colour.channel_count()),
        );
    let (rgb, transparent) = if colour.has_alpha() {
        on_white(image)
    } else {
        (image.into_rgb8().into_raw(), false)
    };
    let status = status | flag(Status::ALPHA, transparent);
    Ok(Pixels {
        width,
        height,
        rgb,
        status,
        alone,
    })
}

/// Composites on white: c·a + 255·(1 − a), rounded. Tells whether that made a difference.
fn on_white(image: DynamicImage) -> (Vec<u8>, bool) {
    let rgba = image.into_rgba8();
    let transparent = rgba.pixels().any(|pixel| pixel.0[3] != 255);
    let mut rgb = Vec::with_capacity(rgba.len() / 4 * 3);
    for pixel in rgba.pixels() {
        let [r, g, b, a] = pixel.0.map(u32::from);
        rgb.extend([r, g, b].map(|c| ((c * a + 255 * (255 - a) + 127) / 255) as u8));
    }
    (rgb, transparent)
}
