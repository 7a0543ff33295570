//! The same on Rust-CUDA's `cuda_std`, which has neither vectors nor a handle to
//! shared memory.
//!
//! Plain pointers suffice here: telling the state spaces of memory apart is the
//! business of Rust-CUDA's compiler.

#[cfg(feature = "kernels")]
pub use rust_cuda_std::kernel;
pub use rust_cuda_std::thread;
#[cfg(not(feature = "kernels"))]
pub(crate) use simt_std_macros::no_kernel as kernel;
pub use simt_vector::{Vector, fma, prefetch, prefetch_l1, sqrt};

/// The vector type of kernels: four lanes, a GPU's widest access.
pub type V = simt_vector::Lanes<4>;

// Launch bounds are the launcher's business with Rust-CUDA.
pub(crate) use super::no_bounds as launch_bounds;

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

macro_rules! load {
    ($pointer:ty) => {
        impl<T: Copy> Load for $pointer {
            type Element = T;

            #[inline(always)]
            unsafe fn load(self, i: usize) -> T {
                *self.add(i)
            }

            #[inline(always)]
            unsafe fn load_vector<V: Vector>(self, i: usize) -> V {
                V::read(self.add(i).cast())
            }
        }
    };
}
load!(*const T);
load!(*mut T);

impl<T: Copy> Store for *mut T {
    #[inline(always)]
    unsafe fn store(self, i: usize, value: T) {
        *self.add(i) = value
    }

    #[inline(always)]
    unsafe fn store_vector<V: Vector>(self, i: usize, value: V) {
        value.write(self.add(i).cast())
    }

    #[inline(always)]
    unsafe fn stream_vector<V: Vector>(self, i: usize, value: V) {
        value.stream(self.add(i).cast())
    }
}

/// The block's dynamic shared memory as floats; offsets count floats, those of
/// vectors are multiples of 4.
#[derive(Clone, Copy)]
pub struct Shared(*mut f32);

impl Shared {
    /// The shared memory that the launch asked for.
    #[inline(always)]
    pub fn dynamic() -> Self {
        Shared(rust_cuda_std::shared::dynamic_shared_mem())
    }

    /// The part from float `offset` on.
    #[inline(always)]
    pub fn from(self, offset: usize) -> Self {
        Shared(self.0.wrapping_add(offset))
    }

    /// Its address.
    #[cfg(not(target_arch = "nvptx64"))]
    #[inline(always)]
    pub fn as_mut_ptr(self) -> *mut f32 {
        self.0
    }

    /// The float at `i`.
    ///
    /// # Safety
    /// Within the shared memory that the launch asked for; written by this
    /// thread, or by another one before a barrier.
    #[inline(always)]
    pub unsafe fn load(self, i: usize) -> f32 {
        self.0.load(i)
    }

    /// Sets the float at `i`.
    ///
    /// # Safety
    /// Within the shared memory; no other thread uses it before the next barrier.
    #[inline(always)]
    pub unsafe fn store(self, i: usize, x: f32) {
        self.0.store(i, x)
    }

    /// `N` consecutive floats; `N` and `i` are multiples of 4.
    ///
    /// # Safety
    /// As [`load`](Self::load).
    #[inline(always)]
    pub unsafe fn load_array<const N: usize>(self, i: usize) -> [f32; N] {
        self.0.add(i).cast::<[f32; N]>().read()
    }

    /// A vector at `i`.
    ///
    /// # Safety
    /// As [`load`](Self::load).
    #[inline(always)]
    pub unsafe fn load_vector<V: Vector>(self, i: usize) -> V {
        self.0.load_vector(i)
    }

    /// Sets the floats from `i` on to a vector's lanes.
    ///
    /// # Safety
    /// As [`store`](Self::store).
    #[inline(always)]
    pub unsafe fn store_vector<V: Vector>(self, i: usize, v: V) {
        self.0.store_vector(i, v)
    }
}
