//! What `cuda_std` does not have: vectors, and memory accessed by 16 bytes.
//!
//! Global memory is reached through [`Load`] and [`Store`] on plain pointers,
//! shared memory through a [`Shared`] handle. In PTX they are single `ld` and
//! `st` instructions of the right state space; on the CPU, in the checked mode,
//! they verify bounds and alignment first.

mod global;
mod shared;

pub use global::{Load, Store};
pub use shared::Shared;
#[cfg(not(target_arch = "nvptx64"))]
pub use simt_executor::{InstructionSet, Kernel, Launch};
pub use simt_vector as vector;
pub use simt_vector::{Vector, fma, prefetch, prefetch_l1, sqrt};

/// The vector type of the code it is written in.
///
/// In PTX this alias: four lanes. On the CPU the `#[kernel]` attribute shadows
/// it with the type of the instruction set it compiles the body for.
#[allow(unused)]
pub type V = simt_vector::Native;

/// Asks `ptxas` for code of kernel `$name` that runs `$threads` threads a block
/// and at least `$blocks` blocks a multiprocessor: `launch_bounds!("gemm", 256, 2)`.
///
/// The PTX builder turns the comment into `.maxntid` and `.minnctapersm`.
#[macro_export]
macro_rules! launch_bounds {
    ($name:literal, $threads:literal, $blocks:literal) => {
        #[cfg(target_arch = "nvptx64")]
        ::core::arch::global_asm!(concat!(
            "//@launch_bounds ",
            $name,
            " ",
            $threads,
            " ",
            $blocks
        ));
    };
}
pub use launch_bounds;
