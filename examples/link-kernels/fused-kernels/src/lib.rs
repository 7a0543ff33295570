//! A kernel of this project's own, of the library's device functions.
#![no_std]
#![cfg_attr(target_arch = "nvptx64", feature(abi_ptx))]

#[cfg(not(feature = "rust-cuda"))]
use cuda_std::kernel;
#[cfg(feature = "rust-cuda")]
use rust_cuda_std::kernel;

use gpu_kernels::device::*;
use gpu_kernels::elementwise::Walk;
use gpu_kernels::lrn::{COLUMNS, Shape, normalise5};
use gpu_kernels::relu::relu;

/// `y = normalised(relu(x + bias))`, which would otherwise be three passes over memory. Tensors are `[channels][columns]`,
/// the bias `[channels]`.
///
/// # Safety
/// The pointers are valid for the shape, `y` overlaps none of the others, `shape.size` is 5 and `shape.columns` a
/// multiple of 16; a block for each [`COLUMNS`] columns, along x, of any number of threads.
#[kernel]
pub unsafe fn bias_relu_lrn(shape: Shape, x: *const f32, bias: *const f32, y: *mut f32) {
    let columns = shape.columns as usize;
    unsafe {
        let mut walk = Walk::of_block::<V>(thread::block_idx_x(), COLUMNS, shape.columns);
        while walk.i < walk.end {
            normalise5::<V>(
                &shape,
                [0, shape.channels],
                |channel| {
                    let x = x.load_vector::<V>(channel as usize * columns + walk.i);
                    relu(x + V::splat(bias.load(channel as usize)))
                },
                |channel, value| y.store_vector(channel as usize * columns + walk.i, value),
            );
            walk.i += walk.step;
        }
    }
}
