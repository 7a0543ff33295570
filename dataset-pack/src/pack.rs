//! One image, from its file to the bytes that are stored.

use std::cell::RefCell;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use crate::decode;
pub use crate::decode::{DEFAULT_MAX_PIXELS, JPEG_DECODER, Rejection};
use crate::format::{self, Status};
use crate::resize::{Resize, Scaler};
use crate::shard_writer::Packed;
use crate::statistics;

/// Files larger than this are not read.
const MAX_FILE_BYTES: u64 = 1 << 28;

thread_local! {
    static SCALER: RefCell<Scaler> = RefCell::default();
}

/// Prepares an image file exactly as packing does: decoded, resized and cropped to
/// `size`×`size`, rows from the top, three bytes R, G, B a pixel.
pub fn load_image(path: impl AsRef<Path>, size: usize, rule: Resize) -> Result<Vec<u8>, Rejection> {
    let packer = Packer {
        size,
        rule,
        max_pixels: DEFAULT_MAX_PIXELS,
    };
    packer.pack_file(path.as_ref()).map(|image| image.pixels)
}

/// How images are packed.
#[derive(Clone, Copy)]
pub(crate) struct Packer {
    pub(crate) size: usize,
    pub(crate) rule: Resize,
    pub(crate) max_pixels: u64,
}

impl Packer {
    pub(crate) fn pack_file(&self, path: &Path) -> Result<Packed, Rejection> {
        self.pack(&read(path)?)
    }

    pub(crate) fn pack(&self, bytes: &[u8]) -> Result<Packed, Rejection> {
        let image = decode::decode(bytes, self.max_pixels)?;
        let mut pixels = vec![0; self.size * self.size * 3];
        let sides = (image.width, image.height);
        SCALER
            .with_borrow_mut(|s| s.scale(&image.rgb, sides, &mut pixels, self.size, self.rule))
            .map_err(Rejection::Damaged)?;
        let enlarged = (image.width.min(image.height) as usize) < self.size;
        let flag = |flag: u32, set: bool| if set { flag } else { 0 };
        let status = flag(Status::ALPHA, image.had_alpha) | flag(Status::ENLARGED, enlarged);
        Ok(Packed {
            width: image.width,
            height: image.height,
            status,
            checksum: format::checksum(&pixels),
            products: statistics::products(&pixels),
            pixels,
        })
    }
}

fn read(path: &Path) -> Result<Vec<u8>, Rejection> {
    let unreadable = |cause: std::io::Error| Rejection::Unreadable(format!("cannot read: {cause}"));
    let file = File::open(path).map_err(unreadable)?;
    let length = file.metadata().map_err(unreadable)?.len();
    let mut bytes = Vec::with_capacity(length.min(MAX_FILE_BYTES) as usize);
    // One byte more than allowed tells a file that is too long, whatever its metadata say.
    file.take(MAX_FILE_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        let limit = MAX_FILE_BYTES >> 20;
        return Err(Rejection::Unreadable(format!(
            "the file is larger than {limit} MiB"
        )));
    }
    Ok(bytes)
}
