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
                let share = self.memory.decoding.take(planes.len() as u64);
                let rgb = pixels.flat_map(|((r, g), b)| [*r, *g, *b]).collect();
                let (width, height, status) = (side as u32, side as u32, 0);
                let pixels = Pixels {
                    width,
                    height,
                    rgb,
                    status,
                    _share: share,
                };
                Ok((self.scale(&pixels, out), None))
            }
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
        Packed {
            width: image.width,
            height: image.height,
            status: image.status | if enlarged { Status::ENLARGED } else { 0 },
            checksum: format::checksum(out),
            products: statistics::products(out),
        }
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
