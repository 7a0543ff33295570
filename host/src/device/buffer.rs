//! Memory of a device, with its type and length.

use std::marker::PhantomData;
use std::ops::Range;
use std::sync::Arc;

use anyhow::{Context, Result};
use bytemuck::Pod;

use super::Device;

/// Owned memory of a device. It must outlive the work queued on it: whoever owns
/// buffers and streams synchronizes the streams first.
pub struct Buffer<T> {
    device: Arc<dyn Device>,
    view: View<T>,
}

/// A part of a [`Buffer`].
pub struct View<T> {
    ptr: *mut T,
    len: usize,
    element: PhantomData<T>,
}

// SAFETY: both are an address in a device's memory; only kernels, in the order of
// streams and events, look behind it.
unsafe impl<T: Send> Send for View<T> {}
unsafe impl<T: Send> Sync for View<T> {}

impl<T> Clone for View<T> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<T> Copy for View<T> {}

impl<T: Pod> Buffer<T> {
    /// `len` zeros.
    pub fn new(device: &Arc<dyn Device>, len: usize) -> Result<Self> {
        let bytes = len * size_of::<T>();
        let ptr = device.allocate(bytes).with_context(|| {
            format!(
                "{}: {:.1} MB of memory",
                device.describe(),
                bytes as f64 / 1e6
            )
        })?;
        let view = View {
            ptr: ptr.cast(),
            len,
            element: PhantomData,
        };
        Ok(Buffer {
            device: device.clone(),
            view,
        })
    }
}

impl<T> Buffer<T> {
    /// All of it.
    pub fn view(&self) -> View<T> {
        self.view
    }
}

impl<T> Drop for Buffer<T> {
    fn drop(&mut self) {
        // SAFETY: from `allocate` with this length; no work is queued on it, as the type says.
        unsafe {
            self.device
                .release(self.view.ptr.cast(), self.view.len * size_of::<T>())
        }
    }
}

impl<T> View<T> {
    /// Its address on the device, for a kernel to read.
    pub fn read(self) -> *const T {
        self.ptr
    }

    /// Its address on the device.
    pub fn ptr(self) -> *mut T {
        self.ptr
    }

    /// Number of elements.
    pub fn len(self) -> usize {
        self.len
    }

    /// Whether it has none.
    pub fn is_empty(self) -> bool {
        self.len == 0
    }

    /// Its length in bytes.
    pub fn bytes(self) -> usize {
        self.len * size_of::<T>()
    }

    /// The elements in `range`.
    pub fn slice(self, range: Range<usize>) -> View<T> {
        assert!(
            range.start <= range.end && range.end <= self.len,
            "{range:?} of {}",
            self.len
        );
        // Within the buffer, as just checked; not an access.
        View {
            ptr: self.ptr.wrapping_add(range.start),
            len: range.len(),
            element: PhantomData,
        }
    }
}
