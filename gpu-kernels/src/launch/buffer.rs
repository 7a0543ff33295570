//! Buffers as launches take them.

use core::any::TypeId;
use core::marker::PhantomData;
use core::ptr;

/// A buffer that a kernel reads: where it lies, and how many elements it has.
#[derive(Clone, Copy, Debug)]
pub struct In<'a, T> {
    pointer: *const T,
    len: usize,
    slice: Option<&'a [T]>,
}

/// A buffer that a kernel writes, or reads and writes.
#[derive(Debug)]
pub struct Out<'a, T> {
    pointer: *mut T,
    len: usize,
    slice: bool,
    memory: PhantomData<&'a mut [T]>,
}

impl<'a, T, S: AsRef<[T]> + ?Sized> From<&'a S> for In<'a, T> {
    fn from(slice: &'a S) -> Self {
        let slice = slice.as_ref();
        In {
            pointer: slice.as_ptr(),
            len: slice.len(),
            slice: Some(slice),
        }
    }
}

impl<'a, T, S: AsMut<[T]> + ?Sized> From<&'a mut S> for Out<'a, T> {
    fn from(slice: &'a mut S) -> Self {
        let slice = slice.as_mut();
        Out {
            pointer: slice.as_mut_ptr(),
            len: slice.len(),
            slice: true,
            memory: PhantomData,
        }
    }
}

impl<'a, T: 'static> In<'a, T> {
    /// `len` elements from `address` on, in the memory of the device that is to
    /// run the kernel: with `cust`, `buffer.as_device_ptr().as_raw()`.
    ///
    /// # Safety
    /// They can be read there, and nobody writes them, until the call that is made
    /// of this has run or is dropped; views (of [`augment`](super::augment)) lie
    /// inside their images. Only a call whose kernel works in place may have the
    /// same buffer as its `Out`.
    pub unsafe fn from_raw(address: u64, len: usize) -> Self {
        In {
            pointer: ptr::with_exposed_provenance(address as usize),
            len,
            slice: None,
        }
    }

    /// What the kernel gets.
    pub fn pointer(&self) -> *const T {
        self.pointer
    }

    /// How many elements there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The elements, where it was made of a slice.
    pub(crate) fn slice(&self) -> Option<&'a [T]> {
        self.slice
    }

    /// That it is the kernel's parameter `argument`, of `len` elements.
    pub fn needs(&self, argument: &'static str, len: usize) -> Need {
        Need {
            argument,
            address: self.pointer.addr(),
            size: size_of::<T>(),
            align: alignment::<T>(),
            have: self.len,
            need: len,
            slice: self.slice.is_some(),
            written: false,
        }
    }
}

impl<T: 'static> Out<'_, T> {
    /// `len` elements from `address` on, in the memory of the device that is to
    /// run the kernel: with `cust`, `buffer.as_device_ptr().as_raw()`.
    ///
    /// # Safety
    /// They can be read and written there, and nobody else does, until the call
    /// that is made of this has run or is dropped.
    pub unsafe fn from_raw(address: u64, len: usize) -> Self {
        Out {
            pointer: ptr::with_exposed_provenance_mut(address as usize),
            len,
            slice: false,
            memory: PhantomData,
        }
    }

    /// What the kernel gets.
    pub fn pointer(&self) -> *mut T {
        self.pointer
    }

    /// How many elements there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// That it is the kernel's parameter `argument`, of `len` elements.
    pub fn needs(&self, argument: &'static str, len: usize) -> Need {
        Need {
            argument,
            address: self.pointer.addr(),
            size: size_of::<T>(),
            align: alignment::<T>(),
            have: self.len,
            need: len,
            slice: self.slice,
            written: true,
        }
    }
}

/// Floats are read and written by vectors.
fn alignment<T: 'static>() -> usize {
    if TypeId::of::<T>() == TypeId::of::<f32>() {
        return 16;
    }
    align_of::<T>()
}

/// What is there for a parameter and what the kernel needs.
#[derive(Clone, Copy, Debug)]
pub struct Need {
    pub(super) argument: &'static str,
    pub(super) address: usize,
    size: usize,
    align: usize,
    pub(super) have: usize,
    pub(super) need: usize,
    pub(super) slice: bool,
    pub(super) written: bool,
}

impl Need {
    /// That the address must be a multiple of `bytes`. Where this is not said it
    /// is 16 for floats, which kernels take by vectors, and the alignment of the
    /// type for others.
    pub fn aligned(self, bytes: usize) -> Need {
        Need {
            align: bytes,
            ..self
        }
    }

    pub(super) fn align(&self) -> usize {
        self.align
    }

    pub(super) fn overlaps(&self, other: &Need) -> bool {
        let end = |buffer: &Need| {
            let bytes = buffer.have.saturating_mul(buffer.size);
            buffer.address.saturating_add(bytes)
        };
        self.address < end(other) && other.address < end(self)
    }
}

/// The buffers of a kernel and their lengths, by the names of its parameters:
/// `needs![x: inputs, y: outputs]`.
#[macro_export]
macro_rules! needs {
    ($($argument:ident: $len:expr),+ $(,)?) => {
        [$($argument.needs(stringify!($argument), $len)),+]
    };
}
