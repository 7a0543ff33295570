//! libjpeg-turbo, for what it can turn to RGB.

use std::ffi::{CStr, c_int};
use std::ops::Range;

use turbojpeg_sys as tj;

use super::{Pixels, Rejection, admit, broken, spare};
use crate::pixels::Status;
use crate::pixels::memory::Memory;

/// With several scans the coefficients are in memory, of two bytes, and the pixels.
const PER_BYTE: u64 = 3;

/// A decoder. One for each image: it keeps tables, which a broken image could take for its own.
struct Decoder(tj::tjhandle);

impl Drop for Decoder {
    fn drop(&mut self) {
        // SAFETY: it was made by `tj3Init` and is used no more.
        unsafe { tj::tj3Destroy(self.0) };
    }
}

impl Decoder {
    fn new() -> Result<Decoder, Rejection> {
        // SAFETY: a constant of the library.
        let decoder = Decoder(unsafe { tj::tj3Init(tj::TJINIT_TJINIT_DECOMPRESS as c_int) });
        let there = if decoder.0.is_null() { -1 } else { 0 };
        decoder.check(there).map(|()| decoder)
    }

    /// Warnings count as errors.
    fn check(&self, result: c_int) -> Result<(), Rejection> {
        if result == 0 {
            return Ok(());
        }
        // SAFETY: a string of the library, which is copied before its next call.
        Err(broken(
            unsafe { CStr::from_ptr(tj::tj3GetErrorStr(self.0)) }.to_string_lossy(),
        ))
    }

    fn get(&self, parameter: tj::TJPARAM) -> c_int {
        // SAFETY: the decoder is there.
        unsafe { tj::tj3Get(self.0, parameter as c_int) }
    }

    fn read_header(&self, bytes: &[u8]) -> Result<(), Rejection> {
        // SAFETY: the bytes are there.
        self.check(unsafe { tj::tj3DecompressHeader(self.0, bytes.as_ptr(), bytes.len() as _) })
    }

    /// Width of what is decoded together, where only some columns can be decoded.
    fn block(&self) -> Option<u32> {
        if self.get(tj::TJPARAM_TJPARAM_LOSSLESS) != 0 {
            return None;
        }
        match self.get(tj::TJPARAM_TJPARAM_SUBSAMP) as tj::TJSAMP {
            tj::TJSAMP_TJSAMP_444 | tj::TJSAMP_TJSAMP_GRAY | tj::TJSAMP_TJSAMP_440 => Some(8),
            tj::TJSAMP_TJSAMP_422 | tj::TJSAMP_TJSAMP_420 => Some(16),
            _ => None,
        }
    }

    /// Limits decoding to what surrounds some columns; returns the first that is decoded. One block
    /// more to either side, since chroma is interpolated from its neighbours; two more yet if a
    /// progressive image may lack scans, since blocks are then smoothed with the two beside them.
    fn crop(&self, wanted: Range<u32>, width: u32, height: u32) -> Result<u32, Rejection> {
        let Some(block) = self.block() else {
            return Ok(0);
        };
        let progressive = self.get(tj::TJPARAM_TJPARAM_PROGRESSIVE) != 0;
        let more = if progressive { 3 } else { 1 };
        let start = (wanted.start / block).saturating_sub(more) * block;
        let end = ((wanted.end.div_ceil(block) + more) * block).min(width);
        if (start, end) == (0, width) {
            return Ok(0);
        }
        let [x, w, h] = [start, end - start, height].map(|n| n as c_int);
        // SAFETY: the header was read.
        self.check(unsafe { tj::tj3SetCroppingRegion(self.0, tj::tjregion { x, y: 0, w, h }) })?;
        Ok(start)
    }

    /// To the place of its first decoded column in an image of this width.
    fn decode(
        &self,
        bytes: &[u8],
        first: u32,
        width: u32,
        rgb: &mut [u8],
    ) -> Result<(), Rejection> {
        let target = &mut rgb[first as usize * 3..];
        let (pitch, format) = (width as c_int * 3, tj::TJPF_TJPF_RGB as c_int);
        // SAFETY: the rows that begin `pitch` bytes apart, as long as set by `crop`, are there.
        self.check(unsafe {
            tj::tj3Decompress8(
                self.0,
                bytes.as_ptr(),
                bytes.len() as _,
                target.as_mut_ptr(),
                pitch,
                format,
            )
        })
    }
}

/// `None`: a colour space for the other decoder.
pub(super) fn decode<'a>(
    bytes: &[u8],
    memory: &'a Memory,
    columns: impl Fn(u32, u32) -> Range<u32>,
) -> Result<Option<Pixels<'a>>, Rejection> {
    let decoder = Decoder::new()?;
    decoder.read_header(bytes)?;
    let status = match decoder.get(tj::TJPARAM_TJPARAM_COLORSPACE) as tj::TJCS {
        tj::TJCS_TJCS_GRAY => Status::GREY,
        tj::TJCS_TJCS_RGB | tj::TJCS_TJCS_YCbCr => 0,
        _ => return Ok(None),
    };
    let [width, height] = [
        tj::TJPARAM_TJPARAM_JPEGWIDTH,
        tj::TJPARAM_TJPARAM_JPEGHEIGHT,
    ]
    .map(|parameter| decoder.get(parameter).max(0) as u32);
    let share = admit(width, height, 3, PER_BYTE, memory)?;
    let first = decoder.crop(columns(width, height), width, height)?;
    // What was there before is overwritten where it matters, or else the decoder fails.
    let mut rgb = spare(width, height);
    decoder.decode(bytes, first, width, &mut rgb)?;
    Ok(Some(Pixels {
        width,
        height,
        rgb,
        status,
        _share: share,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_columns_asked_for_are_those_of_the_whole_image() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/reference/images");
        let (memory, mut cropped) = (Memory::new(1 << 30), 0);
        for entry in std::fs::read_dir(folder).expect("the images are there") {
            let path = entry.expect("the folder can be read").path();
            let bytes = std::fs::read(&path).expect("the image can be read");
            let Ok(Some(whole)) = decode(&bytes, &memory, |width, _| 0..width) else {
                continue;
            };
            for start in (0..whole.width).step_by(7) {
                for end in [start + 1, start + 30, whole.width].map(|end| end.min(whole.width)) {
                    let part = decode(&bytes, &memory, |_, _| start..end);
                    let part = part.expect("a whole image").expect("in RGB");
                    let row = |rgb: &[u8], y: u32| {
                        let at = |x: u32| ((y * whole.width + x) * 3) as usize;
                        rgb[at(start)..at(end)].to_vec()
                    };
                    for y in 0..whole.height {
                        let (expected, got) = (row(&whole.rgb, y), row(&part.rgb, y));
                        assert_eq!(expected, got, "{path:?}, columns {start}..{end}, row {y}");
                    }
                    cropped += 1;
                }
            }
        }
        assert!(cropped > 100, "{cropped}");
    }
}
