//! AlexNet's CUDA kernels.
#![no_std]
#![cfg_attr(
    target_arch = "nvptx64",
    feature(abi_ptx, asm_experimental_arch, core_intrinsics),
    allow(internal_features)
)]
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
pub mod transpose;
#[cfg(not(target_arch = "nvptx64"))]
pub mod target;
