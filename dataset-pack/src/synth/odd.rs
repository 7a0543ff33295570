//! Files as odd as those in ImageNet, each under the name of its oddity.

use image::codecs::gif::GifEncoder;
use image::{DynamicImage, Frame, ImageFormat, RgbImage};

use super::{Named, draw, to_format, to_jpeg};
use crate::error::Error;

/// A CMYK JPEG of 48×36 pixels, as Pillow writes them. Nothing here could.
const CMYK: &[u8] = include_bytes!("cmyk.jpg");

/// Every odd file, its name with `prefix` before it.
pub(super) fn files(prefix: &str) -> Result<Vec<Named>, Error> {
    let files = encode()
        .map_err(|cause| Error::io("odd files".as_ref(), "encode")(std::io::Error::other(cause)))?;
    let named = |(name, bytes): (&str, Vec<u8>)| (format!("{prefix}{name}.JPEG"), bytes);
    Ok(files.into_iter().map(named).collect())
}

fn encode() -> image::ImageResult<Vec<(&'static str, Vec<u8>)>> {
    let picture = |number| DynamicImage::from(draw::draw(0, number, 0));
    let jpeg = |number| to_jpeg(&draw::draw(0, number, 0));
    let png = |image: DynamicImage| to_format(&image, ImageFormat::Png);
    let mut ycck = CMYK.to_vec();
    if let Some(adobe) = find(&ycck, b"Adobe") {
        ycck[adobe + 11] = 2; // the transform: from YCCK
    }
    let whole = jpeg(4)?;
    let mut flipped = jpeg(5)?;
    let scan = find(&flipped, &[0xff, 0xda]).unwrap_or(0);
    // A marker that has no place in the middle of the pixels.
    let middle = (scan + flipped.len()) / 2;
    flipped[middle..middle + 2].copy_from_slice(&[0xff, 0xc4]);
    let mut extra = whole.clone();
    extra.splice(whole.len() - 2..whole.len() - 2, [0x12, 0x34, 0x56]);
    Ok(vec![
        ("cmyk", CMYK.to_vec()),
        ("ycck", ycck),
        ("png", png(picture(0))?),
        ("exif", with_broken_exif(&jpeg(1)?)),
        (
            "grey",
            to_format(&picture(2).into_luma8().into(), ImageFormat::Jpeg)?,
        ),
        ("16-bits", png(picture(3).into_rgb16().into())?),
        ("palette", palette()),
        ("alpha", png(with_alpha(draw::draw(0, 6, 0)))?),
        ("animation", animation()?),
        (
            "small",
            to_jpeg(&image::imageops::thumbnail(&draw::draw(0, 7, 0), 50, 40))?,
        ),
        ("one-wide", png(picture(8).crop_imm(0, 0, 1, 90))?),
        (
            "junk-behind",
            [&whole[..], b"<!-- served by a proxy -->"].concat(),
        ),
        ("junk-before-the-end", extra),
        ("truncated", whole[..whole.len() * 2 / 3].to_vec()),
        ("broken", flipped),
        ("empty", Vec::new()),
        (
            "page",
            b"<!DOCTYPE html><html><body>404 Not Found</body></html>".to_vec(),
        ),
        ("huge", huge()),
    ])
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes
        .windows(wanted.len())
        .position(|window| window == wanted)
}

/// An EXIF block whose directory points beyond its end.
fn with_broken_exif(jpeg: &[u8]) -> Vec<u8> {
    let exif = b"\xff\xe1\x00\x16Exif\0\0II*\0\xff\xff\xff\x7f\x01\x02\x03\x04\x05\x06";
    [&jpeg[..2], exif, &jpeg[2..]].concat()
}

/// A two-colour picture by palette, as GIF has it.
fn palette() -> Vec<u8> {
    let mut bytes = b"GIF87a\x02\0\x02\0\x80\0\0\xff\0\0\0\0\xff".to_vec();
    bytes.extend(b",\0\0\0\0\x02\0\x02\0\0\x02\x03\x44\x02\x05\0;");
    bytes
}

fn with_alpha(image: RgbImage) -> DynamicImage {
    let mut image = DynamicImage::from(image).into_rgba8();
    let width = image.width();
    for (x, _, pixel) in image.enumerate_pixels_mut() {
        pixel.0[3] = (x * 255 / width) as u8;
    }
    image.into()
}

fn animation() -> image::ImageResult<Vec<u8>> {
    let mut bytes = Vec::new();
    let frame = |number| {
        let image = image::imageops::thumbnail(&draw::draw(0, number, 0), 64, 48);
        Frame::new(DynamicImage::from(image).into_rgba8())
    };
    GifEncoder::new(&mut bytes).encode_frames([9, 10].map(frame))?;
    Ok(bytes)
}

/// The header of a BMP that would decode to 10 gigabytes.
fn huge() -> Vec<u8> {
    let mut bytes = b"BM\0\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0".to_vec();
    bytes.extend([60_000i32, 60_000].map(i32::to_le_bytes).concat());
    bytes.extend([1, 0, 24, 0]);
    bytes.resize(54, 0);
    bytes
}
