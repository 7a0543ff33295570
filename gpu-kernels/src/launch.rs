//! Launches that are checked before they are made: what a program calls that has
//! buffers of its own.
//!
//! Here is a function for every kernel, under the kernel's own name: shapes,
//! buffers and a [`Target`] in, a [`Call`] out. The call holds the kernel's name,
//! grid, block, shared memory and arguments. [`Call::run`] runs it on the
//! executor; [`Call::pointers`] are what `cuLaunchKernel` and `cust` take.
//!
//! A buffer is an [`In`] or an [`Out`], made of a slice for the executor or, by
//! [`In::from_raw`], of an address in a GPU's memory. The types of the elements are
//! checked by the compiler, all else by the function: a length, an alignment, a
//! size or an overlap that the kernel cannot have is an [`Error`] of one line.
//!
//! ```
//! use gpu_kernels::launch::{self, Floats, In, Out, Target};
//!
//! let (x, mut y) = (Floats::from(&[-1.0; 32][..]), Floats::zeros(32));
//! let call = launch::relu_forward(In::from(&x), Out::from(&mut y), Target::Cpu)?;
//! call.run(&simt_executor::Pool::new(2)?)?;
//! assert_eq!(y[..], [0.0; 32]);
//!
//! // Two buffers that do not fit each other:
//! let error = launch::relu_forward(In::from(&x[..16]), Out::from(&mut y), Target::Cpu);
//! assert_eq!(
//!     error.unwrap_err().to_string(),
//!     "relu_forward: y has 32 elements, but 16 are needed"
//! );
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! A buffer of another type does not compile:
//!
//! ```compile_fail,E0308
//! # use gpu_kernels::{launch::{self, In, Out}, target::Target};
//! let (x, mut y) = ([0u32; 16], [0.0f32; 16]);
//! let call = launch::relu_forward(In::from(&x), Out::from(&mut y), Target::Cpu);
//! ```
//!
//! nor does one that is read while it is still to be written:
//!
//! ```compile_fail,E0502
//! # use gpu_kernels::{launch::{self, In, Out}, target::Target};
//! # let pool = simt_executor::Pool::new(1).unwrap();
//! let (x, mut y) = ([0.0f32; 16], [0.0f32; 16]);
//! let call = launch::relu_forward(In::from(&x), Out::from(&mut y), Target::Cpu).unwrap();
//! println!("{y:?}");
//! call.run(&pool).unwrap();
//! ```
//!
//! A kernel of one's own gets the same by [`Check`].

mod buffer;
mod call;
mod error;
mod floats;

pub use buffer::{In, Need, Out};
pub use call::{Call, Check};
pub use error::Error;
pub use floats::Floats;

pub use crate::needs;
pub use crate::sizes::{BadSize, keep};
pub use crate::target::Target;
pub use cuda_std::simt::Launch;

// The launches stand beside their kernels.
pub use crate::augment::launch::*;
pub use crate::average_pool::launch::*;
pub use crate::convolution::launch::*;
pub use crate::convolution::local::launch::*;
pub use crate::convolution::winograd::launch::*;
pub use crate::convolution::winograd::weight_gradient::launch::*;
pub use crate::dropout::launch::*;
pub use crate::fill::launch::*;
pub use crate::fully_connected::launch::*;
pub use crate::lrn::launch::*;
pub use crate::lrn::within::launch::*;
pub use crate::pool::launch::*;
pub use crate::relu::launch::*;
pub use crate::sgd::launch::*;
pub use crate::softmax::launch::*;
pub use crate::sum::launch::*;
pub use crate::tanh::launch::*;
pub use crate::transpose::launch::*;
