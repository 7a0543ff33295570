//! All that kernels use of the device they run on: the one place that names the
//! platform.

#[cfg(not(feature = "rust-cuda"))]
pub use cuda_std::{
    simt::{Load, Shared, Store, V, Vector, fma, prefetch, prefetch_l1, sqrt},
    thread,
};

#[cfg(all(not(feature = "rust-cuda"), feature = "kernels"))]
pub use cuda_std::{kernel, simt::launch_bounds};

// A kernel that is no entry has no bounds either.
#[cfg(all(not(feature = "rust-cuda"), not(feature = "kernels")))]
pub(crate) use {cuda_std::cpu_kernel as kernel, no_bounds as launch_bounds};

#[cfg(feature = "rust-cuda")]
mod rust_cuda;
#[cfg(feature = "rust-cuda")]
pub use rust_cuda::*;

/// Launch bounds where there are none.
#[cfg(any(feature = "rust-cuda", not(feature = "kernels")))]
macro_rules! no_bounds {
    ($name:literal, $threads:literal, $blocks:literal) => {};
}
#[cfg(any(feature = "rust-cuda", not(feature = "kernels")))]
#[allow(unused_imports)]
pub(crate) use no_bounds;
