//! Squares cut out of images.

/// A square of an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Crop {
    /// Its first row.
    pub y: usize,
    /// Its first column.
    pub x: usize,
    /// Its rows, as many as columns.
    pub side: usize,
}

impl Crop {
    /// Its bytes: rows from the top, three bytes R, G, B a pixel.
    pub fn bytes(&self) -> usize {
        3 * self.side * self.side
    }

    /// Copies it from an image of `size` × `size`.
    ///
    /// # Panics
    /// If it does not lie within the image, or `out` has not its bytes.
    pub(crate) fn copy(&self, image: &[u8], size: usize, out: &mut [u8]) {
        assert!(
            self.x + self.side <= size && self.y + self.side <= size,
            "{self:?} of an image of {size}×{size}"
        );
        assert_eq!(out.len(), self.bytes(), "a buffer for {self:?}");
        let length = 3 * self.side;
        for row in 0..self.side {
            let start = 3 * ((self.y + row) * size + self.x);
            stream(
                &image[start..][..length],
                &mut out[row * length..][..length],
            );
        }
        fence();
    }
}

/// Copies past the caches: a batch is larger than they are, and who reads it next is the bus.
#[cfg(target_arch = "x86_64")]
fn stream(from: &[u8], to: &mut [u8]) {
    use std::arch::x86_64::*;
    assert_eq!(from.len(), to.len());
    // SAFETY: any bytes are a vector.
    let (head, vectors, tail) = unsafe { to.align_to_mut::<__m128i>() };
    let (first, rest) = from.split_at(head.len());
    head.copy_from_slice(first);
    let (middle, last) = rest.split_at(rest.len() - tail.len());
    for (from, to) in middle.as_chunks::<16>().0.iter().zip(vectors) {
        // SAFETY: SSE2 is part of x86-64; `to` is aligned.
        unsafe { _mm_stream_si128(to, _mm_loadu_si128(from.as_ptr().cast())) };
    }
    tail.copy_from_slice(last);
}

#[cfg(not(target_arch = "x86_64"))]
fn stream(from: &[u8], to: &mut [u8]) {
    to.copy_from_slice(from);
}

/// Lets other threads see what was streamed before what is written hereafter.
fn fence() {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: SSE is part of x86-64.
    unsafe {
        std::arch::x86_64::_mm_sfence()
    };
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_pixel_comes_from_its_place(side in 0..40usize, y in 0..9usize, x in 0..9usize, shift in 0..16usize) {
            let size = side + 9;
            let image: Vec<u8> = (0..3 * size * size).map(|i| ((i * 7919) >> 3) as u8).collect();
            let crop = Crop { y, x, side };
            let mut out = vec![0; shift + crop.bytes()];
            crop.copy(&image, size, &mut out[shift..]);
            for (i, &byte) in out[shift..].iter().enumerate() {
                let (row, column) = (i / (3 * side), i % (3 * side));
                prop_assert_eq!(byte, image[3 * ((y + row) * size + x) + column]);
            }
        }
    }
}
