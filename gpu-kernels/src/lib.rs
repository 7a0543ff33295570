//! AlexNet's CUDA kernels, written once in Rust, for GPUs and for the CPU.
//!
//! Every operation of the paper's network is a file of its own: formula, device
//! functions and the kernels around them.
//!
//! | module | operation |
//! |---|---|
//! | [`augment`] | stored images → random crop, mirror, minus the mean, colour noise |
//! | [`convolution`] | convolution and its gradients to input and weights |
//! | [`fully_connected`] | fully connected layer and its gradients |
//! | [`relu`], [`mod@tanh`] | activations |
//! | [`lrn`] | local response normalisation over maps |
//! | [`pool`] | overlapping max-pooling |
//! | [`dropout`] | dropout, its mask drawn again for the gradient |
//! | [`mod@softmax`] | softmax, loss, and the place of the label |
//! | [`sgd`] | stochastic gradient descent with momentum and weight decay |
//! | [`fill`] | initial values |
//! | [`sum`] | sums of parts, and along a map |
//! | [`mod@transpose`] | for what leaves the device |
//!
//! and what they stand on: [`gemm`], the matrix product under the layers;
//! [`random`], numbers from counters; [`math`], exp, log and tanh; [`divisor`],
//! division without dividing; [`elementwise`], long rows shared out; [`device`],
//! all that is asked of the device.
//!
//! # Conventions
//! - Activations are `[channel][row][column][image]` (CHWN): neighbours in memory
//!   are the same pixel of neighbouring images. The number of images is a
//!   multiple of 32. Weights are `[input][output]`, outputs a multiple of 16.
//! - Pointers are multiples of 16 bytes, lengths count elements.
//! - A thread works on a vector of images: 4 on a GPU, 16 on a CPU. Only
//!   operations that IEEE 754 defines exactly, in an order that the shapes alone
//!   decide, so the results have the same bits on every device.
//! - Each kernel says how it is to be launched; on the host a function of the
//!   shapes gives the launch for a [`target::Target`].
//!
//! # Example
//! ```
//! use gpu_kernels::relu::{relu_forward, relu_launch};
//! use gpu_kernels::target::Target;
//! use simt_executor::Pool;
//!
//! #[repr(align(64))]
//! struct Buffer([f32; 32]);
//! let x = Buffer(std::array::from_fn(|i| i as f32 - 16.0));
//! let mut y = Buffer([0.0; 32]);
//! let gpu = Pool::new(2)?;
//! let arguments = (32, x.0.as_ptr(), y.0.as_mut_ptr());
//! // SAFETY: both buffers hold 32 floats and outlive the call.
//! unsafe { gpu.run(&relu_forward, relu_launch(32, Target::Cpu), arguments)? };
//! assert_eq!(y.0[31], 15.0);
//! assert_eq!(y.0[0], 0.0);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![no_std]
#![cfg_attr(
    target_arch = "nvptx64",
    feature(abi_ptx, asm_experimental_arch, core_intrinsics),
    allow(internal_features)
)]
// Rust-CUDA's #[kernel] makes an `extern "C"` function; arrays are passed as CUDA passes them.
#![cfg_attr(feature = "rust-cuda", allow(improper_ctypes_definitions))]
#![allow(clippy::missing_safety_doc, clippy::too_many_arguments)]

pub mod augment;
pub mod convolution;
pub mod device;
pub mod divisor;
pub mod dropout;
pub mod elementwise;
pub mod fill;
pub mod fully_connected;
pub mod gemm;
pub mod lrn;
pub mod math;
pub mod pool;
pub mod random;
pub mod relu;
pub mod sgd;
pub mod softmax;
pub mod sum;
pub mod tanh;
#[cfg(not(target_arch = "nvptx64"))]
pub mod target;
pub mod transpose;
