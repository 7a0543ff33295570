//! What a kernel needs from its device, under the names of Rust-CUDA's
//! `cuda_std`, for the stock Rust compiler.
//!
//! The same kernel compiles for PTX (`core::arch::nvptx` and inline assembly)
//! and for the CPU (`simt-executor`).
//!
//! | here | in `cuda_std` 0.2.2 |
//! |---|---|
//! | [`kernel`], [`cpu_kernel`] | the same; not there |
//! | [`thread`] | the same names |
//! | [`simt`] | not there: vectors, checked memory access, shared memory as a handle |
#![no_std]
#![cfg_attr(target_arch = "nvptx64", feature(asm_experimental_arch, stdarch_nvptx))]

pub mod simt;
pub mod thread;

pub use simt_std_macros::{cpu_kernel, kernel};

/// What kernels commonly use.
pub mod prelude {
    pub use crate::{kernel, thread};
}

/// A kernel that panics stops; the launch fails.
#[cfg(target_arch = "nvptx64")]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    // SAFETY: ends the kernel.
    unsafe { core::arch::nvptx::trap() }
}

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
