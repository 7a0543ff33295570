//! AlexNet's CUDA kernels, written once in Rust, for GPUs and for the CPU.
//!
//! Every operation of the paper's network is a file of its own: formula, device
//! functions and the kernels around them.
//!
//! | module | operation |
//! |---|---|
//! | [`augment`] | stored images → random crop, mirror, minus the mean, colour noise |
//! | [`convolution`] | convolution and its gradients to input and weights |
//! | [`convolution::local`] | the same with filters of its own at every pixel |
//! | [`fully_connected`] | fully connected layer and its gradients |
//! | [`relu`], [`mod@tanh`] | activations |
//! | [`lrn`], [`lrn::within`] | local response normalisation over channels, and within each |
//! | [`pool`], [`average_pool`] | max- and average-pooling |
//! | [`dropout`] | dropout, its mask drawn again for the gradient |
//! | [`mod@softmax`] | softmax, loss, and the rank of the label |
//! | [`sgd`] | stochastic gradient descent with momentum and weight decay |
//! | [`fill`] | initial values |
//! | [`sum`] | sums of partial sums, and along a channel |
//! | [`mod@transpose`] | transposes, for what leaves the device |
//!
//! and [`mod@launch`], a checked launch for every kernel.
//!
//! What they stand on: [`gemm`], the matrix product under the layers;
//! [`random`], numbers from counters; [`math`], exp, log and tanh; [`divisor`],
//! division without dividing; [`elementwise`], one thread's elements of a long row; [`device`],
//! all that is asked of the device.
//!
//! # Conventions
//! - Activations are `[channel][row][column][image]` (CHWN): neighbours in memory
//!   are the same pixel of neighbouring images. The number of images is a
//!   multiple of 32. Weights are `[input][output]`, outputs a multiple of 16.
//!
//!   ```text
//!        one channel, 2 × 2 pixels, 32 images              the next channel
//!   ┌──────────┬──────────┬──────────┬──────────┐ ┌──────────┬───
//!   │ (0,0)    │ (0,1)    │ (1,0)    │ (1,1)    │ │ (0,0)    │ …
//!   │ n = 0…31 │ n = 0…31 │ n = 0…31 │ n = 0…31 │ │ n = 0…31 │
//!   └──────────┴──────────┴──────────┴──────────┘ └──────────┴───
//!   "columns" of a channel: all of its pixels and images, here 128
//!   ```
//! - Pointers are multiples of 16 bytes, lengths count elements.
//! - A thread works on a vector of images: 4 on a GPU, 16 on a CPU. Only
//!   operations that IEEE 754 defines exactly, in an order that the shapes alone
//!   decide, so the results have the same bits on every device.
//! - Each kernel says how it is to be launched; on the host a function of the
//!   shapes gives the launch for a [`target::Target`].
//!
//! # Example
//! ```
//! use gpu_kernels::launch::{self, Floats, In, Out, Target};
//! use simt_executor::Pool;
//!
//! let x: Vec<f32> = (0..32).map(|i| i as f32 - 16.0).collect();
//! let (x, mut y) = (Floats::from(&x[..]), Floats::zeros(32));
//! launch::relu_forward(In::from(&x), Out::from(&mut y), Target::Cpu)?.run(&Pool::new(2)?)?;
//! assert_eq!((y[0], y[31]), (0.0, 15.0));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Without the checks, as `relu_forward` stands for the kernel itself:
//! ```
//! # use gpu_kernels::launch::{Floats, Target};
//! use gpu_kernels::relu::{relu_forward, relu_launch};
//! # let (x, mut y) = (Floats::from(&[-1.0; 32][..]), Floats::from(&[1.0; 32][..]));
//! # let pool = simt_executor::Pool::new(2)?;
//! let arguments = (32, x.as_ptr(), y.as_mut_ptr());
//! // SAFETY: both buffers hold 32 floats and outlive the call.
//! unsafe { pool.run(&relu_forward, relu_launch(32, Target::Cpu), arguments)? };
//! # assert_eq!(y[..], [0.0; 32]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # In a kernel of one's own
//! The device functions are generic over [`Vector`](device::Vector) and inlined.
//! With the feature `kernels` off, the PTX of a crate that calls them holds none of
//! the kernels here.
//! ```
//! use cuda_std::kernel;
//! use gpu_kernels::device::*;
//! use gpu_kernels::elementwise::Walk;
//! use gpu_kernels::relu::relu;
//!
//! /// `y = relu(x + bias)`.
//! ///
//! /// # Safety
//! /// x and y are valid for `len` floats, a multiple of 16, at multiples of 16 bytes.
//! #[kernel]
//! pub unsafe fn bias_relu(len: u32, bias: f32, x: *const f32, y: *mut f32) {
//!     unsafe {
//!         let mut walk = Walk::over::<V>(len);
//!         while walk.i < walk.end {
//!             y.store_vector(walk.i, relu(x.load_vector::<V>(walk.i) + V::splat(bias)));
//!             walk.i += walk.step;
//!         }
//!     }
//! }
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # use gpu_kernels::launch::{Floats, Target};
//! # let (x, mut y) = (Floats::from(&[-1.0; 32][..]), Floats::zeros(32));
//! # let arguments = (32, 3.0, x.as_ptr(), y.as_mut_ptr());
//! # let launch = gpu_kernels::elementwise::launch(32, Target::Cpu);
//! # unsafe { simt_executor::Pool::new(2)?.run(&bias_relu, launch, arguments)? };
//! # assert_eq!(y[..], [2.0; 32]);
//! # Ok(())
//! # }
//! ```
#![no_std]
#![cfg_attr(target_arch = "nvptx64", feature(abi_ptx, asm_experimental_arch))]
// Rust-CUDA's #[kernel] makes an `extern "C"` function; arrays are passed as CUDA passes them.
#![cfg_attr(feature = "rust-cuda", allow(improper_ctypes_definitions))]
#![allow(clippy::too_many_arguments)]

// For those who launch.
#[cfg(all(not(target_arch = "nvptx64"), not(feature = "rust-cuda")))]
extern crate std;

pub mod augment;
pub mod average_pool;
pub mod convolution;
pub mod device;
pub mod divisor;
pub mod dropout;
pub mod elementwise;
pub mod fill;
pub mod fully_connected;
pub mod gemm;
#[cfg(all(not(target_arch = "nvptx64"), not(feature = "rust-cuda")))]
pub mod launch;
pub mod lrn;
pub mod math;
pub mod pool;
pub mod random;
pub mod relu;
pub mod sgd;
pub mod sizes;
pub mod softmax;
pub mod sum;
pub mod tanh;
#[cfg(not(target_arch = "nvptx64"))]
pub mod target;
pub mod transpose;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
