//! Access to global memory.

use simt_vector::Vector;

#[cfg(not(target_arch = "nvptx64"))]
use simt_executor::memory::check;

/// Alignment of a vector in bytes: a GPU's widest access.
const WIDEST: usize = 16;

/// Nothing is checked on a GPU: compute-sanitizer does that.
#[cfg(target_arch = "nvptx64")]
#[inline(always)]
fn check<T>(_: *const T, _: usize, _: usize) {}

/// Loads relative to a pointer of a kernel, `i` counted in elements.
pub trait Load: Copy {
    /// What the pointer points at.
    type Element: Copy;

    /// Element `i`.
    ///
    /// # Safety
    /// It lies in the buffer, and nobody writes it meanwhile.
    unsafe fn load(self, i: usize) -> Self::Element;

    /// Elements `i .. i + V::LANES`.
    ///
    /// # Safety
    /// They lie in the buffer at a multiple of 16 bytes, and nobody writes them
    /// meanwhile.
    unsafe fn load_vector<V: Vector>(self, i: usize) -> V
    where
        Self: Load<Element = f32>;
}

/// Stores relative to a pointer of a kernel, `i` counted in elements.
pub trait Store: Load {
    /// Sets element `i`.
    ///
    /// # Safety
    /// It lies in the buffer, and nobody else reads or writes it meanwhile.
    unsafe fn store(self, i: usize, value: Self::Element);

    /// Sets elements `i .. i + V::LANES`.
    ///
    /// # Safety
    /// They lie in the buffer at a multiple of 16 bytes, and nobody else reads or
    /// writes them meanwhile.
    unsafe fn store_vector<V: Vector>(self, i: usize, value: V)
    where
        Self: Load<Element = f32>;

    /// The same by [`Vector::stream`].
    ///
    /// # Safety
    /// As of [`store_vector`](Self::store_vector); this launch does not read them again.
    unsafe fn stream_vector<V: Vector>(self, i: usize, value: V)
    where
        Self: Load<Element = f32>;
}

impl<T: Copy> Load for *const T {
    type Element = T;

    #[inline(always)]
    unsafe fn load(self, i: usize) -> T {
        check(self.wrapping_add(i), 1, align_of::<T>());
        // SAFETY: the caller's.
        unsafe { *self.add(i) }
    }

    #[inline(always)]
    unsafe fn load_vector<V: Vector>(self, i: usize) -> V {
        check(self.wrapping_add(i), V::LANES, WIDEST);
        // SAFETY: the caller's; `T` is f32 by the trait's bound.
        unsafe { V::read(self.add(i).cast()) }
    }
}

impl<T: Copy> Load for *mut T {
    type Element = T;

    #[inline(always)]
    unsafe fn load(self, i: usize) -> T {
        // SAFETY: the caller's.
        unsafe { self.cast_const().load(i) }
    }

    #[inline(always)]
    unsafe fn load_vector<V: Vector>(self, i: usize) -> V
    where
        Self: Load<Element = f32>,
    {
        // SAFETY: the caller's.
        unsafe { self.cast::<f32>().cast_const().load_vector(i) }
    }
}

impl<T: Copy> Store for *mut T {
    #[inline(always)]
    unsafe fn store(self, i: usize, value: T) {
        check(self.wrapping_add(i).cast_const(), 1, align_of::<T>());
        // SAFETY: the caller's.
        unsafe { *self.add(i) = value }
    }

    #[inline(always)]
    unsafe fn store_vector<V: Vector>(self, i: usize, value: V) {
        check(self.wrapping_add(i).cast_const(), V::LANES, WIDEST);
        // SAFETY: the caller's; `T` is f32 by the trait's bound.
        unsafe { value.write(self.add(i).cast()) }
    }

    #[inline(always)]
    unsafe fn stream_vector<V: Vector>(self, i: usize, value: V) {
        check(self.wrapping_add(i).cast_const(), V::LANES, WIDEST);
        // SAFETY: the caller's; `T` is f32 by the trait's bound.
        unsafe { value.stream(self.add(i).cast()) }
    }
}
