//! Fully connected layers with their gradients.
//!
//! ```text
//! y[o][n]  = b[o] + Σ_i w[i][o] · x[i][n]
//! dx[i][n] = Σ_o w[i][o] · dy[o][n]
//! dw[i][o] = Σ_n x[i][n] · dy[o][n]
//! ```
//!
//! Layouts: activations `[unit][image]` with a multiple of 32 images, weights
//! `[input][output]` with a multiple of 16 outputs. An image's channels, rows and
//! columns make its inputs, in that order, so a convolution's output is read as
//! it lies.
//!
//! The first two products are split-K: [`splits`] of [`SPLIT_K`] terms each, whose
//! partial sums [`sum_parts`](crate::sum::sum_parts) adds (and the bias with them),
//! because a batch of 128 alone gives a GPU too few tiles to work on.
//!
//! ```
//! use gpu_kernels::launch::{self, Floats, In, Out, Target};
//! use gpu_kernels::fully_connected::Shape;
//!
//! let pool = simt_executor::Pool::new(1)?;
//! let shape = Shape { images: 32, inputs: 3, outputs: 16 };
//! let (x, dy) = (Floats::from(&[2.0; 3 * 32][..]), Floats::from(&[1.0; 16 * 32][..]));
//! let (w, bias) = (Floats::from(&[0.5; 3 * 16][..]), Floats::from(&[1.0; 16][..]));
//! let (mut y, mut dx) = (Floats::zeros(16 * 32), Floats::zeros(3 * 32));
//! let (mut parts, mut dw) = (Floats::zeros(16 * 32), Floats::zeros(3 * 16));
//! let (x, w, dy, bias) = (In::from(&x), In::from(&w), In::from(&dy), In::from(&bias));
//!
//! // Few terms, so there is one split.
//! launch::fully_connected_forward(shape, x, w, Out::from(&mut parts), Target::Cpu)?.run(&pool)?;
//! let sum = launch::sum_parts_with_bias(32, 1, In::from(&parts), bias, Out::from(&mut y), Target::Cpu)?;
//! sum.run(&pool)?;
//! assert_eq!(y[..], [3.0 * 2.0 * 0.5 + 1.0; 16 * 32]);
//! let gradient = launch::fully_connected_input_gradient(shape, w, dy, Out::from(&mut dx), Target::Cpu)?;
//! gradient.run(&pool)?;
//! assert_eq!(dx[..], [16.0 * 0.5; 3 * 32]);
//! let gradient = launch::fully_connected_weight_gradient(shape, x, dy, Out::from(&mut dw), Target::Cpu)?;
//! gradient.run(&pool)?;
//! assert_eq!(dw[..], [32.0 * 2.0; 3 * 16]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use crate::device::*;
use crate::gemm::{Matrix, NativeTile};

#[cfg(not(target_arch = "nvptx64"))]
use {
    crate::sizes::{BadSize, LIMIT, keep, product},
    crate::target::Target,
    cuda_std::simt::Launch,
};

/// Terms of a sum that one split adds. Part of the result's bits.
pub const SPLIT_K: u32 = 1024;

/// Into how many splits a sum of `terms` terms is cut.
pub const fn splits(terms: u32) -> u32 {
    terms.div_ceil(SPLIT_K)
}

/// The sizes of a fully connected layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Shape {
    /// Images in the batch, a multiple of 32.
    pub images: u32,
    /// Inputs.
    pub inputs: u32,
    /// Outputs, a multiple of 16.
    pub outputs: u32,
}

#[cfg(not(target_arch = "nvptx64"))]
impl Shape {
    /// Length of `x` and `dx`.
    pub const fn input_len(&self) -> usize {
        product(&[self.inputs, self.images])
    }

    /// Length of `y` and `dy`.
    pub const fn output_len(&self) -> usize {
        product(&[self.outputs, self.images])
    }

    /// Length of the weights and of `dw`.
    pub const fn weights_len(&self) -> usize {
        product(&[self.inputs, self.outputs])
    }

    /// An error if no layer has this shape.
    pub fn check(&self) -> Result<(), BadSize> {
        const FEW: &str = "numbers of input, output and weights must each be fewer than 2³¹";
        let (images, outputs) = (self.images, self.outputs);
        let lengths = [self.input_len(), self.output_len(), self.weights_len()];
        let most = lengths.into_iter().fold(0, usize::max) as u64;
        keep(
            images.is_multiple_of(32),
            "images must be a multiple of 32",
            images.into(),
        )?;
        keep(
            outputs.is_multiple_of(16),
            "outputs must be a multiple of 16",
            outputs.into(),
        )?;
        keep(most < LIMIT, FEW, most)
    }

    /// Launch of [`fully_connected_forward`].
    pub const fn forward(&self, target: Target) -> Launch {
        target.product(self.outputs, self.images, splits(self.inputs))
    }

    /// Launch of [`fully_connected_input_gradient`].
    pub const fn input_gradient(&self, target: Target) -> Launch {
        target.product(self.inputs, self.images, splits(self.outputs))
    }

    /// Launch of [`fully_connected_weight_gradient`].
    pub const fn weight_gradient(&self, target: Target) -> Launch {
        target.product(self.inputs, self.outputs, 1)
    }
}

/// This block's tile, its split of a sum of `terms` terms, and where in the output
/// the partial sums of that split begin, each split having `len`.
#[inline(always)]
fn tile_and_split(terms: u32, len: usize) -> ([u32; 2], [u32; 2], usize) {
    let [rows, cols] = [NativeTile::BM as u32, NativeTile::BN as u32];
    let split = thread::block_idx_z();
    let begin = split * SPLIT_K;
    let end = if begin + SPLIT_K < terms {
        begin + SPLIT_K
    } else {
        terms
    };
    let origin = [thread::block_idx_y() * rows, thread::block_idx_x() * cols];
    (origin, [begin, end], split as usize * len)
}

launch_bounds!("fully_connected_forward", 256, 2);
/// `y` without the bias, as [`splits`]`(inputs)` partial sums, from `x` and `weights`.
///
/// # Safety
/// The pointers are valid for the shape, `y_parts` for `splits(inputs)` times the
/// output, and overlaps none of the others; launched as [`Shape::forward`] says.
#[kernel]
pub unsafe fn fully_connected_forward(
    shape: Shape,
    x: *const f32,
    weights: *const f32,
    y_parts: *mut f32,
) {
    let Shape {
        images,
        inputs,
        outputs,
    } = shape;
    let (origin, range, before) = tile_and_split(inputs, outputs as usize * images as usize);
    let y = y_parts.add(before);
    let matrix = |data, width| Matrix::<false> {
        data,
        stride: width,
        depth: inputs,
        width,
    };
    NativeTile::product::<V, _, _>(
        matrix(weights, outputs),
        matrix(x, images),
        range,
        origin,
        [outputs, images],
        |o, n, sum: V| y.store_vector(o as usize * images as usize + n as usize, sum),
    );
}

launch_bounds!("fully_connected_input_gradient", 256, 2);
/// `dx` as [`splits`]`(outputs)` partial sums, from `weights` and `dy`.
///
/// # Safety
/// The pointers are valid for the shape, `dx_parts` for `splits(outputs)` times
/// the input, and overlaps none of the others; launched as
/// [`Shape::input_gradient`] says.
#[kernel]
pub unsafe fn fully_connected_input_gradient(
    shape: Shape,
    weights: *const f32,
    dy: *const f32,
    dx_parts: *mut f32,
) {
    let Shape {
        images,
        inputs,
        outputs,
    } = shape;
    let (origin, range, before) = tile_and_split(outputs, inputs as usize * images as usize);
    let dx = dx_parts.add(before);
    let weights = Matrix::<true> {
        data: weights,
        stride: outputs,
        depth: outputs,
        width: inputs,
    };
    let dy = Matrix::<false> {
        data: dy,
        stride: images,
        depth: outputs,
        width: images,
    };
    NativeTile::product::<V, _, _>(
        weights,
        dy,
        range,
        origin,
        [inputs, images],
        |i, n, sum: V| dx.store_vector(i as usize * images as usize + n as usize, sum),
    );
}

launch_bounds!("fully_connected_weight_gradient", 256, 2);
/// `dw`, from `x` and `dy`.
///
/// # Safety
/// The pointers are valid for the shape, `dw` overlaps none of the others;
/// launched as [`Shape::weight_gradient`] says.
#[kernel]
pub unsafe fn fully_connected_weight_gradient(
    shape: Shape,
    x: *const f32,
    dy: *const f32,
    dw: *mut f32,
) {
    let Shape {
        images,
        inputs,
        outputs,
    } = shape;
    let (origin, _, _) = tile_and_split(images, 0);
    let matrix = |data, width| Matrix::<true> {
        data,
        stride: images,
        depth: images,
        width,
    };
    NativeTile::product::<V, _, _>(
        matrix(x, inputs),
        matrix(dy, outputs),
        [0, images],
        origin,
        [inputs, outputs],
        |i, o, sum: V| dw.stream_vector(i as usize * outputs as usize + o as usize, sum),
    );
}

#[cfg(all(not(target_arch = "nvptx64"), not(feature = "rust-cuda")))]
pub mod launch {
    //! Checked launches.

    use super::{Shape, splits};
    use crate::launch::{Call, Check, Error, In, Out, Target, needs};

    /// `y` without the bias as [`splits`]`(inputs)` partial sums, which
    /// [`sum_parts_with_bias`](crate::launch::sum_parts_with_bias) adds.
    pub fn fully_connected_forward<'a>(
        shape: Shape,
        x: In<'a, f32>,
        weights: In<'a, f32>,
        y_parts: Out<'a, f32>,
        target: Target,
    ) -> Result<Call<'a>, Error> {
        let check = Check::new(&super::fully_connected_forward, target);
        check.size(shape.check())?;
        let splits = splits(shape.inputs) as usize;
        check.buffers(&needs![
            x: shape.input_len(),
            weights: shape.weights_len(),
            y_parts: shape.output_len().saturating_mul(splits),
        ])?;
        let arguments = (shape, x.pointer(), weights.pointer(), y_parts.pointer());
        // SAFETY: the shape was checked, the buffers fit it.
        unsafe { check.call(shape.forward(target), arguments) }
    }

    /// The gradient to the input as [`splits`]`(outputs)` partial sums, which
    /// [`sum_parts`](crate::launch::sum_parts) adds.
    pub fn fully_connected_input_gradient<'a>(
        shape: Shape,
        weights: In<'a, f32>,
        dy: In<'a, f32>,
        dx_parts: Out<'a, f32>,
        target: Target,
    ) -> Result<Call<'a>, Error> {
        let check = Check::new(&super::fully_connected_input_gradient, target);
        check.size(shape.check())?;
        let splits = splits(shape.outputs) as usize;
        check.buffers(&needs![
            weights: shape.weights_len(),
            dy: shape.output_len(),
            dx_parts: shape.input_len().saturating_mul(splits),
        ])?;
        let arguments = (shape, weights.pointer(), dy.pointer(), dx_parts.pointer());
        // SAFETY: the shape was checked, the buffers fit it.
        unsafe { check.call(shape.input_gradient(target), arguments) }
    }

    /// `dw`, the gradient to a fully connected layer's weights.
    pub fn fully_connected_weight_gradient<'a>(
        shape: Shape,
        x: In<'a, f32>,
        dy: In<'a, f32>,
        dw: Out<'a, f32>,
        target: Target,
    ) -> Result<Call<'a>, Error> {
        let check = Check::new(&super::fully_connected_weight_gradient, target);
        check.size(shape.check())?;
        check.buffers(&needs![
            x: shape.input_len(),
            dy: shape.output_len(),
            dw: shape.weights_len(),
        ])?;
        let arguments = (shape, x.pointer(), dy.pointer(), dw.pointer());
        // SAFETY: the shape was checked, the buffers fit it.
        unsafe { check.call(shape.weight_gradient(target), arguments) }
    }
}
