//! All that kernels use of the device they run on.
pub use cuda_std::launch_bounds;
pub use cuda_std::simt::{Load, Shared, Store, V, Vector, fma, sqrt};
pub use cuda_std::{kernel, thread};
