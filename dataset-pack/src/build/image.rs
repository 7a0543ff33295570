//! One image, from its bytes to those that are stored.

use std::cell::RefCell;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use crate::pixels::decode::{self, Damaged, Pixels, Rejection};
use crate::pixels::memory::{DEFAULT_MAX_DECODED_BYTES, Memory};
use crate::pixels::{Resize, Scaler, Status, geometry, statistics};
use crate::shard::{Packed, format};
use crate::source::Content;

thread_local! {
    static SCALER: RefCell<Scaler> = RefCell::default();
}

/// Prepares an image file exactly as packing does: decoded, resized and cropped to
/// `size`×`size`, rows from the top, three bytes R, G, B a pixel.
pub fn load_image(path: impl AsRef<Path>, size: usize, rule: Resize) -> Result<Vec<u8>, Rejection> {
    let memory = Memory::new(DEFAULT_MAX_DECODED_BYTES);
    let packer = Packer {
        size,
        rule,
        memory: &memory,
        damaged: Damaged::Reject,
    };
    let bytes = read(path.as_ref(), memory.max_file_bytes())?;
    let name = path.as_ref().to_string_lossy();
    let mut pixels = vec![0; size * size * 3];
    packer.pack_encoded(&bytes, &name, &mut pixels)?;
    Ok(pixels)
}

/// How images are packed.
#[derive(Clone, Copy)]
pub(crate) struct Packer<'a> {
    pub(crate) size: usize,
    pub(crate) rule: Resize,
    pub(crate) memory: &'a Memory,
    pub(crate) damaged: Damaged,
}

/// What is known of an image, and what is wrong with it if it was kept all the same.
pub(crate) type Attempt = Result<(Packed, Option<Rejection>), Rejection>;

impl Packer<'_> {
    /// Writes what is stored of an image to `out`, of `size`×`size` pixels.
    pub(crate) fn pack(&self, content: &Content, name: &str, out: &mut [u8]) -> Attempt {
        match content {
            Content::Unusable(reason) => Err(Rejection::Unreadable(reason.clone())),
            Content::Encoded(bytes) => self.pack_encoded(bytes, name, out),
            Content::Planes(planes) => {
                let side = (planes.len() / 3).isqrt();
                let [red, green, blue] = [0, 1, 2].map(|c| &planes[c * side * side..]);
                let pixels = red.iter().zip(green).zip(blue).take(side * side);
                let rgb = pixels.flat_map(|((r, g), b)| [*r, *g, *b]).collect();
                Ok((
                    self.scale(&self.pixels(side as u32, side as u32, rgb), out),
                    None,
                ))
            }
            Content::Grey {
                width,
                height,
                pixels,
            } => {
                let rgb = pixels.iter().flat_map(|&grey| [grey; 3]).collect();
                let mut pixels = self.pixels(*width, *height, rgb);
                pixels.status = Status::GREY;
                let packed = if is_padded(*width, *height, self.size) {
                    self.pad(&pixels, out)
                } else {
                    self.scale(&pixels, out)
                };
                Ok((packed, None))
            }
        }
    }

    /// An image that needs no decoding.
    fn pixels(&self, width: u32, height: u32, rgb: Vec<u8>) -> Pixels<'_> {
        Pixels {
            width,
            height,
            status: 0,
            _share: self.memory.decoding.take(rgb.len() as u64),
            rgb,
        }
    }

    fn pack_encoded(&self, bytes: &[u8], name: &str, out: &mut [u8]) -> Attempt {
        let columns = |width, height| geometry::sides(width, height, self.size)[0].touched();
        let (mut pixels, trouble) = decode::decode(bytes, self.memory, self.damaged, columns)?;
        if decode::is_misnamed(name, bytes) {
            pixels.status |= Status::MISNAMED;
        }
        Ok((self.scale(&pixels, out), trouble))
    }

    fn scale(&self, image: &Pixels, out: &mut [u8]) -> Packed {
        let sides = (image.width, image.height);
        SCALER.with_borrow_mut(|s| s.scale(&image.rgb, sides, out, self.size, self.rule));
        let enlarged = (image.width.min(image.height) as usize) < self.size;
        packed(image, if enlarged { Status::ENLARGED } else { 0 }, out)
    }

    /// Puts an image, as it is, in the middle of zeros.
    fn pad(&self, image: &Pixels, out: &mut [u8]) -> Packed {
        let [width, height] = [image.width, image.height].map(|n| n as usize);
        let (left, above) = ((self.size - width) / 2, (self.size - height) / 2);
        out.fill(0);
        let rows = out.chunks_exact_mut(self.size * 3).skip(above);
        for (row, pixels) in rows.zip(image.rgb.chunks_exact(width * 3)) {
            row[left * 3..][..pixels.len()].copy_from_slice(pixels);
        }
        packed(image, Status::PADDED, out)
    }
}

/// Whether a grey image that is not encoded is put in the middle of zeros, not resized: if it fills at least three
/// quarters of the square, across and down, as the 28×28 pixels of MNIST do one of 32×32.
fn is_padded(width: u32, height: u32, size: usize) -> bool {
    let sides = [width, height].map(|side| side as usize);
    sides
        .iter()
        .all(|&side| side <= size && 4 * side >= 3 * size)
        && sides != [size; 2]
}

fn packed(image: &Pixels, status: u32, out: &[u8]) -> Packed {
    Packed {
        width: image.width,
        height: image.height,
        status: image.status | status,
        checksum: format::checksum(out),
        products: statistics::products(out),
    }
}

fn read(path: &Path, limit: u64) -> Result<Vec<u8>, Rejection> {
    let unreadable = |cause: std::io::Error| Rejection::Unreadable(format!("cannot read: {cause}"));
    let file = File::open(path).map_err(unreadable)?;
    let mut bytes = Vec::new();
    // One byte more than allowed tells a file that is too long, whatever its metadata say.
    file.take(limit + 1)
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    if bytes.len() as u64 > limit {
        let cause = format!("the file is longer than {limit} bytes");
        return Err(Rejection::Unreadable(cause));
    }
    Ok(bytes)
}
