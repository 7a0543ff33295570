//! Defines the CUDA driver's functions that `cust` can call, so that a program that uses `cust` is built
//! without CUDA and starts without a driver. Each looks its namesake up in the driver's library, `libcuda.so.1` or what
//! `ALEXNET_LIBCUDA` names, when it is first called.
//!
//! Without the library they give `CUDA_ERROR_NO_DEVICE`, without the function
//! `CUDA_ERROR_SHARED_OBJECT_SYMBOL_NOT_FOUND`; codes newer than `cust_raw` become `CUDA_ERROR_UNKNOWN`.
//! [`last_failure`] tells them apart.
//!
//! ```
//! match libcuda_loader::library() {
//!     Ok(name) => println!("{name} is loaded"),
//!     Err(why) => println!("no GPU: {why}"),
//! }
//! ```

mod failure;
mod functions;
mod library;

pub use failure::{Failure, last_failure};
pub use functions::FUNCTIONS;
pub use library::{VARIABLE, library};
