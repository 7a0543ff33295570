//! Memory of a device, with its type and length.

use std::marker::PhantomData;
use std::ops::Range;
use std::sync::Arc;

use anyhow::{Context, Result};
use bytemuck::Pod;

use super::Device;

/// Memory of a device, or a part of it.
///
/// Clones and parts share the memory, which is given back with the last of them; a
/// stream keeps what its work uses until that has run.
pub struct Buffer<T> {
    memory: Arc<Allocation>,
    begin: *mut T,
    len: usize,
    element: PhantomData<T>,
}

// SAFETY: an address in a device's memory; only the work of streams looks behind it,
// in the order that `Device::stream` asks for.
unsafe impl<T: Send> Send for Buffer<T> {}
// SAFETY: the same.
unsafe impl<T: Send> Sync for Buffer<T> {}

impl<T> Clone for Buffer<T> {
    fn clone(&self) -> Self {
        Buffer {
            memory: self.memory.clone(),
            ..*self
        }
    }
}

impl<T: Pod> Buffer<T> {
    /// `len` zeros.
    pub fn new(device: &Arc<dyn Device>, len: usize) -> Result<Self> {
        let memory = Arc::new(Allocation::new(device, len * size_of::<T>())?);
        Ok(Buffer {
            begin: memory.begin.cast(),
            len,
            memory,
            element: PhantomData,
        })
    }

    /// The same memory as elements of another type.
    ///
    /// # Panics
    /// It does not begin or end with a whole one.
    pub fn cast<U: Pod>(&self) -> Buffer<U> {
        assert!(self.bytes().is_multiple_of(size_of::<U>()));
        assert!(self.begin.addr().is_multiple_of(align_of::<U>()));
        Buffer {
            memory: self.memory.clone(),
            begin: self.begin.cast(),
            len: self.bytes() / size_of::<U>(),
            element: PhantomData,
        }
    }
}

impl<T> Buffer<T> {
    /// Number of elements.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Its length in bytes.
    pub fn bytes(&self) -> usize {
        self.len * size_of::<T>()
    }

    /// The elements in `range`.
    ///
    /// # Panics
    /// They are not all there.
    pub fn slice(&self, range: Range<usize>) -> Buffer<T> {
        assert!(
            range.start <= range.end && range.end <= self.len,
            "{range:?} of {}",
            self.len
        );
        // Within the memory, as just checked; not an access.
        Buffer {
            memory: self.memory.clone(),
            begin: self.begin.wrapping_add(range.start),
            len: range.len(),
            element: PhantomData,
        }
    }

    /// The device whose memory it is.
    pub fn device(&self) -> &dyn Device {
        &*self.memory.device
    }

    /// Where it begins, in the device's memory.
    pub(super) fn address(&self) -> *mut T {
        self.begin
    }

    /// What keeps the memory.
    pub(super) fn memory(&self) -> &Arc<Allocation> {
        &self.memory
    }
}

/// Memory of a device, from `allocate` to `release`.
pub struct Allocation {
    device: Arc<dyn Device>,
    begin: *mut u8,
    bytes: usize,
}

// SAFETY: as of `Buffer`.
unsafe impl Send for Allocation {}
// SAFETY: the same.
unsafe impl Sync for Allocation {}

impl Allocation {
    fn new(device: &Arc<dyn Device>, bytes: usize) -> Result<Self> {
        let begin = device.allocate(bytes).with_context(|| {
            let megabytes = bytes as f64 / 1e6;
            format!("{}: {megabytes:.1} MB of memory", device.describe())
        })?;
        Ok(Allocation {
            device: device.clone(),
            begin,
            bytes,
        })
    }
}

impl Drop for Allocation {
    fn drop(&mut self) {
        // SAFETY: from `allocate` with this length; work that uses it would keep it.
        unsafe { self.device.release(self.begin, self.bytes) }
    }
}
