//! All that kernels use of the device they run on: the one place that names the
//! platform.

#[cfg(not(feature = "rust-cuda"))]
pub use cuda_std::{
    kernel, launch_bounds,
    simt::{Load, Shared, Store, V, Vector, fma, prefetch, sqrt},
    thread,
};

#[cfg(feature = "rust-cuda")]
mod rust_cuda;
#[cfg(feature = "rust-cuda")]
pub use rust_cuda::*;
