//! Memory for floats.

use core::fmt;
use core::ops::{Deref, DerefMut};
use core::slice;
use simt_executor::memory;
use std::vec::Vec;

/// Floats where vectors of them can be read and written, at a multiple of 64
/// bytes, which a `Vec` does not promise; and known to the executor's checked mode,
/// which refuses memory that it was not told of.
///
/// ```
/// let mut x = gpu_kernels::launch::Floats::zeros(48);
/// x[3] = 1.0;
/// assert_eq!(x.iter().sum::<f32>(), 1.0);
/// ```
pub struct Floats {
    lines: Vec<Line>,
    len: usize,
}

#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Line([f32; 16]);

impl Floats {
    /// `len` zeros.
    pub fn zeros(len: usize) -> Floats {
        let lines = std::vec![Line([0.0; 16]); len.div_ceil(16)];
        // The checked mode wants to know a kernel's memory.
        memory::register(lines.as_ptr().cast(), len * size_of::<f32>());
        Floats { lines, len }
    }
}

impl Drop for Floats {
    fn drop(&mut self) {
        memory::unregister(self.lines.as_ptr().cast());
    }
}

impl From<&[f32]> for Floats {
    fn from(floats: &[f32]) -> Floats {
        let mut copy = Floats::zeros(floats.len());
        copy.copy_from_slice(floats);
        copy
    }
}

impl Deref for Floats {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        // SAFETY: the lines hold at least so many floats.
        unsafe { slice::from_raw_parts(self.lines.as_ptr().cast(), self.len) }
    }
}

impl DerefMut for Floats {
    fn deref_mut(&mut self) -> &mut [f32] {
        // SAFETY: as above, and nobody else has them.
        unsafe { slice::from_raw_parts_mut(self.lines.as_mut_ptr().cast(), self.len) }
    }
}

impl AsRef<[f32]> for Floats {
    fn as_ref(&self) -> &[f32] {
        self
    }
}

impl AsMut<[f32]> for Floats {
    fn as_mut(&mut self) -> &mut [f32] {
        self
    }
}

impl fmt::Debug for Floats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.deref().fmt(f)
    }
}
