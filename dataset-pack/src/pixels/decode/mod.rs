//! From a file's bytes to RGB pixels. The type is taken from the content, never from the name.

#[cfg(feature = "turbojpeg-portable")]
mod turbo;
#[cfg(not(feature = "turbojpeg-portable"))]
mod turbo_rs;
pub(crate) mod unread;
mod zune;

use std::cell::Cell;
use std::io::Cursor;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};

use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader, Limits};
use serde::{Deserialize, Serialize};

#[cfg(feature = "turbojpeg-portable")]
use self::turbo as libjpeg;
#[cfg(not(feature = "turbojpeg-portable"))]
use self::turbo_rs as libjpeg;
use crate::pixels::Status;
use crate::pixels::memory::{MOST_PER_BYTE, Memory, Share};

/// The decoder of JPEG files in this build; CMYK and what is damaged is decoded by zune-jpeg, all
/// else by the crate `image`.
pub const JPEG_DECODER: &str = if cfg!(feature = "turbojpeg-portable") {
    "turbojpeg"
} else {
    "libjpeg-turbo-rs"
};

/// The number of [`JPEG_DECODER`] in a shard's header.
pub(crate) const JPEG_DECODER_ID: u32 = if cfg!(feature = "turbojpeg-portable") {
    1
} else {
    2
};

/// Memory for more pixels than this is given back, not used again.
const MOST_SPARE: usize = 8 << 20;

/// What is done with an image of which only a part can be decoded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Damaged {
    /// It is left out.
    #[default]
    Reject,
    /// A JPEG is packed with what could be decoded of it; of other types nothing can be kept.
    Keep,
}

impl Damaged {
    /// The policy's name, as on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Damaged::Reject => "reject",
            Damaged::Keep => "keep",
        }
    }
}

/// Why an image cannot be packed.
#[derive(Debug, thiserror::Error)]
pub enum Rejection {
    /// The file has no bytes.
    #[error("the file is empty")]
    Empty,
    /// The content has the signature of no format that can be read.
    #[error("the content is no image that can be read")]
    NotAnImage,
    /// The image is of a type that is not read.
    #[error("{0} is a type that is not read; convert it to JPEG or PNG")]
    Unread(&'static str),
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
pub(crate) struct Pixels<'a> {
    pub(crate) width: u32,
    pub(crate) height: u32,
    /// Rows from the top, three bytes a pixel.
    pub(crate) rgb: Vec<u8>,
    /// Flags of [`Status`].
    pub(crate) status: u32,
    /// What this takes of the memory for decoding.
    pub(crate) _share: Share<'a>,
}

thread_local! {
    /// Memory of an image that is done with, for the next.
    static SPARE: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

impl Drop for Pixels<'_> {
    fn drop(&mut self) {
        if self.rgb.capacity() <= MOST_SPARE {
            SPARE.set(std::mem::take(&mut self.rgb));
        }
    }
}

/// Room for the pixels of an image, with whatever was there.
fn spare(width: u32, height: u32) -> Vec<u8> {
    let mut rgb = SPARE.take();
    rgb.resize(width as usize * height as usize * 3, 0);
    rgb
}

/// An image, and what is wrong with it if it is kept all the same.
pub(crate) type Decoded<'a> = Result<(Pixels<'a>, Option<Rejection>), Rejection>;

/// Whether these first bytes of a file are those of an image that is read.
pub(crate) fn is_image(start: &[u8]) -> bool {
    format_of(start).is_some()
}

/// The type of an image that is read.
fn format_of(start: &[u8]) -> Option<ImageFormat> {
    let big_tiff = [&b"II\x2b\0\x08\0\0\0"[..], b"MM\0\x2b\0\x08\0\0"];
    if big_tiff
        .iter()
        .any(|signature| start.starts_with(signature))
    {
        return Some(ImageFormat::Tiff);
    }
    let format = image::guess_format(start).ok();
    format.filter(|format| format.reading_enabled() && unread::by_content(start).is_none())
}

/// A name like an image's makes a file a candidate, so that a damaged one is not passed over.
pub(crate) fn is_named_like_an_image(name: &str) -> bool {
    let known = |name: &str| {
        let other_names = ["jpe", "jif", "jfi", "mpo", "dib"];
        ImageFormat::from_path(name).is_ok_and(|format| format.reading_enabled())
            || name
                .rsplit_once('.')
                .is_some_and(|(_, end)| other_names.contains(&end.to_ascii_lowercase().as_str()))
    };
    // What a browser or a crawler has not finished.
    let unfinished = [".part", ".partial", ".crdownload", ".download"];
    known(name)
        || unfinished
            .iter()
            .any(|end| name.strip_suffix(end).is_some_and(known))
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
pub(crate) fn decode<'a>(
    bytes: &[u8],
    memory: &'a Memory,
    damaged: Damaged,
    columns: impl Fn(u32, u32) -> Range<u32>,
) -> Decoded<'a> {
    if bytes.is_empty() {
        return Err(Rejection::Empty);
    }
    match format_of(bytes) {
        Some(ImageFormat::Jpeg) => caught(|| decode_jpeg(bytes, memory, damaged, columns)),
        Some(format) => caught(|| decode_other(bytes, format, memory)).map(|p| (p, None)),
        None => Err(unread::by_content(bytes).map_or(Rejection::NotAnImage, Rejection::Unread)),
    }
}

/// A decoder that panics has met a broken image, which shall not end the packing of a million others.
fn caught<T>(decode: impl FnOnce() -> Result<T, Rejection>) -> Result<T, Rejection> {
    let panicked = |_| Err(broken("the decoder panicked"));
    catch_unwind(AssertUnwindSafe(decode)).unwrap_or_else(panicked)
}

/// Checks the size that a header claims, and waits until there is room: `per_byte` times as much.
fn admit(
    width: u32,
    height: u32,
    pixel_bytes: u64,
    per_byte: u64,
    memory: &Memory,
) -> Result<Share<'_>, Rejection> {
    if width == 0 || height == 0 {
        return Err(Rejection::ZeroSize(width, height));
    }
    let bytes = (u64::from(width) * u64::from(height)).saturating_mul(pixel_bytes);
    let limit = memory.max_decoded_bytes;
    if bytes > limit {
        return Err(Rejection::TooLarge {
            width,
            height,
            limit,
        });
    }
    Ok(memory.decoding.take(bytes.saturating_mul(per_byte)))
}

fn broken(cause: impl std::fmt::Display) -> Rejection {
    // Some decoders' messages span lines; a report line must not.
    let cause = cause.to_string();
    Rejection::Damaged(cause.split_whitespace().collect::<Vec<_>>().join(" "))
}

/// What is wrong with a JPEG is found by decoding it strictly. If it is to be kept, a second
/// attempt takes what it can get.
fn decode_jpeg<'a>(
    bytes: &[u8],
    memory: &'a Memory,
    damaged: Damaged,
    columns: impl Fn(u32, u32) -> Range<u32>,
) -> Decoded<'a> {
    let attempt = libjpeg::decode(bytes, memory, columns)
        .transpose()
        .unwrap_or_else(|| zune::decode(bytes, memory, true));
    match attempt {
        Err(trouble @ Rejection::Damaged(_)) if damaged == Damaged::Keep => {
            match zune::decode(bytes, memory, false) {
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

fn decode_other<'a>(
    bytes: &[u8],
    format: ImageFormat,
    memory: &'a Memory,
) -> Result<Pixels<'a>, Rejection> {
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    // As much again for the decoder's own buffers.
    let mut limits = Limits::default();
    limits.max_alloc = Some(memory.max_decoded_bytes.saturating_mul(2));
    reader.limits(limits);
    let decoder = reader.into_decoder().map_err(broken)?;
    let (width, height) = decoder.dimensions();
    let colour = decoder.color_type();
    let pixel_bytes = u64::from(colour.bytes_per_pixel());
    let share = admit(width, height, pixel_bytes, MOST_PER_BYTE, memory)?;
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
        _share: share,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_a_broken_image() {
        let trouble = caught::<()>(|| panic!("out of bounds")).expect_err("panicked");
        assert_eq!(
            trouble.to_string(),
            "damaged or not supported: the decoder panicked"
        );
        assert_eq!(caught(|| Ok(3)).expect("did not"), 3);
    }

    #[test]
    fn an_image_has_its_share_of_the_memory_as_long_as_it_is_there() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/reference/images");
        let memory = Memory::new(1 << 20);
        let (all, mut decoded) = (memory.decoding.left(), 0);
        for entry in std::fs::read_dir(folder).expect("the images are there") {
            let path = entry.expect("the folder can be read").path();
            let bytes = std::fs::read(&path).expect("the image can be read");
            if let Ok((pixels, _)) = decode(&bytes, &memory, Damaged::Keep, |w, _| 0..w) {
                let share = all - memory.decoding.left();
                assert!(share > pixels.rgb.len() as u64, "{path:?}: {share}");
                decoded += 1;
            }
            assert_eq!(memory.decoding.left(), all, "{path:?}");
        }
        assert!(decoded > 20, "{decoded}");
    }

    #[cfg(not(feature = "turbojpeg-portable"))]
    #[test]
    fn an_arithmetic_coded_jpeg_has_a_reason() {
        use libjpeg_turbo_rs::{Encoder, PixelFormat};
        for progressive in [false, true] {
            let encoder = Encoder::new(&[7; 300], 10, 10, PixelFormat::Rgb);
            let encoder = encoder.arithmetic(true).progressive(progressive);
            let bytes = encoder.encode().expect("encodes");
            let memory = Memory::new(1 << 30);
            let decoded = decode(&bytes, &memory, Damaged::Keep, |width, _| 0..width).map(drop);
            let reason = decoded.expect_err("not read").to_string();
            assert!(
                reason.contains("arithmetic-coded JPEG is a type that is not read"),
                "{reason}"
            );
        }
    }

    #[test]
    fn a_tiff_with_long_offsets_is_read() {
        // Two grey pixels: the header, the pixels, and a directory of eight fields.
        let mut bytes = b"II\x2b\0\x08\0\0\0\x18\0\0\0\0\0\0\0\x10\xf0\0\0\0\0\0\0".to_vec();
        let fields: [(u16, u16); 8] = [
            (256, 2),
            (257, 1),
            (258, 8),
            (259, 1),
            (262, 1),
            (273, 16),
            (278, 1),
            (279, 2),
        ];
        bytes.extend(8u64.to_le_bytes());
        for (tag, value) in fields {
            bytes.extend([tag.to_le_bytes(), 3u16.to_le_bytes()].concat());
            bytes.extend(1u64.to_le_bytes());
            bytes.extend(u64::from(value).to_le_bytes());
        }
        bytes.extend([0; 8]);
        let memory = Memory::new(1 << 30);
        let decoded = decode(&bytes, &memory, Damaged::Reject, |width, _| 0..width);
        let (pixels, _) = decoded.map_err(|why| why.to_string()).expect("is read");
        assert_eq!(pixels.rgb, [0x10, 0x10, 0x10, 0xf0, 0xf0, 0xf0]);
    }

    #[test]
    fn a_jpeg_with_stray_bytes_between_its_markers_is_broken() {
        let whole = include_bytes!("../../../tests/reference/images/wide-420.jpg");
        let memory = Memory::new(1 << 30);
        let decode =
            |bytes: &[u8]| decode(bytes, &memory, Damaged::Reject, |width, _| 0..width).map(drop);
        decode(whole).expect("is whole");
        let tables = whole.windows(2).position(|marker| marker == [0xff, 0xdb]);
        let (before, after) = whole.split_at(tables.expect("has tables"));
        let stray = [before, b"stray", after].concat();
        let trouble = decode(&stray).expect_err("has stray bytes");
        assert!(matches!(trouble, Rejection::Damaged(_)), "{trouble}");
    }
}
