//! Convolution with its three gradients.
//!
//! Formula, for stride s, padding p and a K×K window:
//!
//! ```text
//! y[m][i][j][n]  = b[m] + Σ_c Σ_r Σ_q  w[c][r][q][m] · x[c][i·s + r − p][j·s + q − p][n]
//! dx[c][i][j][n] = Σ_r Σ_q Σ_m  w[c][r][q][m] · dy[m][(i + p − r)/s][(j + p − q)/s][n]
//! dw[c][r][q][m] = Σ_i Σ_j Σ_n  x[c][i·s + r − p][j·s + q − p][n] · dy[m][i][j][n]
//! db[m]          = Σ_i Σ_j Σ_n  dy[m][i][j][n]
//! ```
//!
//! What lies outside the image reads as zero, on every side, so an output may
//! hang over the right and lower edge; in `dx` only whole quotients count.
//!
//! Layouts, the last index fastest: images `[channel][row][column][image]`, with
//! a multiple of 32 images; weights `[channel][row][column][filter]`, with a
//! multiple of 16 filters. Each sum is one matrix product without an im2col
//! buffer: a row of its operand is a row of images at one pixel.
//!
//! | kernel | rows × columns of the product | summed over |
//! |---|---|---|
//! | [`convolution_forward`] | filters × (pixel, image) | (channel, row, column) |
//! | [`convolution_input_gradient`] | channels × (pixel, image) | (row, column, filter) |
//! | [`convolution_weight_gradient`] | (channel, row, column) × filters | (pixel, image), split-K |
//!
//! A convolution with filters of its own at each pixel of the output is in [`local`].
//!
//! Launch configuration: [`Shape::forward`] and its siblings. Section 3.5 of the paper.
//!
//! ```
//! use gpu_kernels::launch::{self, Floats, In, Out, Target};
//! use gpu_kernels::convolution::{Shape, Sizes};
//!
//! let pool = simt_executor::Pool::new(1)?;
//! // 32 images of 3 × 3 ones; 16 filters of 3 × 3 ones.
//! let shape = Shape::try_new(Sizes {
//!     images: 32,
//!     channels: 1,
//!     input: [3, 3],
//!     filters: 16,
//!     kernel: 3,
//!     stride: 1,
//!     pad: 1,
//!     output: [3, 3],
//! })?;
//! let (x, weights) = (Floats::from(&[1.0; 9 * 32][..]), Floats::from(&[1.0; 9 * 16][..]));
//! let (bias, dy) = (Floats::from(&[0.5; 16][..]), Floats::from(&[1.0; 16 * 9 * 32][..]));
//! let (mut y, mut dx) = (Floats::zeros(shape.output_len()), Floats::zeros(shape.input_len()));
//! let mut dw = Floats::zeros(shape.splits() as usize * shape.weights_len());
//! let (x, weights, bias, dy) =
//!     (In::from(&x), In::from(&weights), In::from(&bias), In::from(&dy));
//!
//! let out = Out::from(&mut y);
//! launch::convolution_forward(shape, x, weights, bias, out, Target::Cpu)?.run(&pool)?;
//! assert_eq!((y[0], y[4 * 32]), (4.5, 9.5)); // corner, centre
//! let out = Out::from(&mut dx);
//! launch::convolution_input_gradient(shape, weights, dy, out, Target::Cpu)?.run(&pool)?;
//! assert_eq!((dx[0], dx[4 * 32]), (16.0 * 4.0, 16.0 * 9.0));
//! let out = Out::from(&mut dw);
//! launch::convolution_weight_gradient(shape, x, dy, out, Target::Cpu)?.run(&pool)?;
//! assert_eq!((dw[0], dw[4 * 16]), (32.0 * 4.0, 32.0 * 9.0));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use crate::device::*;
use crate::gemm::{Matrix, NativeTile};

pub mod local;
mod operand;
mod shape;
pub mod winograd;

use operand::{Reach, Window, WindowAcross, WindowDown};
pub use shape::{Shape, Sizes};

/// Terms of a weight gradient's sum that one split adds: enough splits to keep a GPU
/// busy, and short enough sums to stay exact. Part of the result's bits.
pub const SPLIT_K: u32 = 8192;

/// The tile of C that this block computes: its first row and column.
#[inline(always)]
fn tile_origin() -> [u32; 2] {
    let [rows, cols] = [NativeTile::BM as u32, NativeTile::BN as u32];
    [thread::block_idx_y() * rows, thread::block_idx_x() * cols]
}

/// This block's tile of the convolution without its bias, for a kernel that does
/// something of its own with the sums: `store(filter, column, sums)` gets each
/// vector of them, where `column` counts (row, column, image) of the output.
///
/// # Safety
/// `x` and `weights` are valid for the shape. All threads of a block call this
/// with the same arguments, launched as [`Shape::forward`] says.
#[inline(always)]
pub unsafe fn forward_tile<V: Vector>(
    shape: &Shape,
    x: *const f32,
    weights: *const f32,
    store: impl FnMut(u32, u32, V),
) {
    let shape = *shape;
    let filters = shape.filters.get();
    let weights = Matrix::<false> {
        data: weights,
        stride: filters,
        depth: shape.depth(),
        width: filters,
    };
    NativeTile::product::<V, _, _>(
        weights,
        WindowDown(Window { shape, x }),
        [0, shape.depth()],
        tile_origin(),
        [filters, shape.out_columns()],
        store,
    );
}

launch_bounds!("convolution_forward", 256, 2);
/// `y`, from `x`, `weights` and `bias`.
///
/// # Safety
/// The pointers are valid for the shape, `y` overlaps none of the others; launched
/// as [`Shape::forward`] says.
#[kernel]
pub unsafe fn convolution_forward(
    shape: Shape,
    x: *const f32,
    weights: *const f32,
    bias: *const f32,
    y: *mut f32,
) {
    let columns = shape.out_columns() as usize;
    forward_tile::<V>(&shape, x, weights, |filter, column, sum| {
        let y_filter = y.add(filter as usize * columns);
        y_filter.stream_vector(column as usize, sum + V::splat(bias.load(filter as usize)));
    });
}

launch_bounds!("convolution_input_gradient", 256, 2);
/// `dx`, from `weights` and `dy`.
///
/// # Safety
/// The pointers are valid for the shape, `dx` overlaps none of the others;
/// launched as [`Shape::input_gradient`] says.
#[kernel]
pub unsafe fn convolution_input_gradient(
    shape: Shape,
    weights: *const f32,
    dy: *const f32,
    dx: *mut f32,
) {
    let (columns, length) = (shape.in_columns(), shape.window.get() * shape.filters.get());
    let weights = Matrix::<true> {
        data: weights,
        stride: length,
        depth: length,
        width: shape.channels,
    };
    NativeTile::product::<V, _, _>(
        weights,
        Reach { shape, dy },
        [0, length],
        tile_origin(),
        [shape.channels, columns],
        |channel, column, sum: V| {
            dx.add(channel as usize * columns as usize)
                .stream_vector(column as usize, sum)
        },
    );
}

launch_bounds!("convolution_weight_gradient", 256, 2);
/// `dw` as partial sums, each as large as `dw`, from `x` and `dy`;
/// [`sum_parts`](crate::sum::sum_parts) adds them.
///
/// # Safety
/// The pointers are valid for the shape, `parts` for [`Shape::splits`] times the
/// weights, and overlaps none of the others; launched as
/// [`Shape::weight_gradient`] says.
#[kernel]
pub unsafe fn convolution_weight_gradient(
    shape: Shape,
    x: *const f32,
    dy: *const f32,
    parts: *mut f32,
) {
    let (rows, filters, columns) = (shape.depth(), shape.filters.get(), shape.out_columns());
    let begin = thread::block_idx_z() * SPLIT_K;
    let end = if begin + SPLIT_K < columns {
        begin + SPLIT_K
    } else {
        columns
    };
    let part = parts.add(thread::block_idx_z() as usize * rows as usize * filters as usize);
    let dy = Matrix::<true> {
        data: dy,
        stride: columns,
        depth: columns,
        width: filters,
    };
    NativeTile::product::<V, _, _>(
        WindowAcross(Window { shape, x }),
        dy,
        [begin, end],
        tile_origin(),
        [rows, filters],
        |row, filter, sum: V| {
            part.add(row as usize * filters as usize)
                .store_vector(filter as usize, sum)
        },
    );
}

#[cfg(all(not(target_arch = "nvptx64"), not(feature = "rust-cuda")))]
pub mod launch {
    //! Checked launches.

    use super::Shape;
    use crate::launch::{Call, Check, Error, In, Out, Target, needs};

    /// `y`, the convolution of `x` with `weights`, and `bias` added.
    pub fn convolution_forward<'a>(
        shape: Shape,
        x: In<'a, f32>,
        weights: In<'a, f32>,
        bias: In<'a, f32>,
        y: Out<'a, f32>,
        target: Target,
    ) -> Result<Call<'a>, Error> {
        let check = Check::new(&super::convolution_forward, target);
        check.buffers(&needs![
            x: shape.input_len(),
            weights: shape.weights_len(),
            bias: shape.filters() as usize,
            y: shape.output_len(),
        ])?;
        let arguments = (
            shape,
            x.pointer(),
            weights.pointer(),
            bias.pointer(),
            y.pointer(),
        );
        // SAFETY: a shape is valid, the buffers fit it.
        unsafe { check.call(shape.forward(target), arguments) }
    }

    /// `dx`, the gradient to a convolution's input.
    pub fn convolution_input_gradient<'a>(
        shape: Shape,
        weights: In<'a, f32>,
        dy: In<'a, f32>,
        dx: Out<'a, f32>,
        target: Target,
    ) -> Result<Call<'a>, Error> {
        let check = Check::new(&super::convolution_input_gradient, target);
        check.buffers(&needs![
            weights: shape.weights_len(),
            dy: shape.output_len(),
            dx: shape.input_len(),
        ])?;
        let arguments = (shape, weights.pointer(), dy.pointer(), dx.pointer());
        // SAFETY: a shape is valid, the buffers fit it.
        unsafe { check.call(shape.input_gradient(target), arguments) }
    }

    /// The gradient to a convolution's weights as [`Shape::splits`] partial sums, which
    /// [`sum_parts`](crate::launch::sum_parts) adds.
    pub fn convolution_weight_gradient<'a>(
        shape: Shape,
        x: In<'a, f32>,
        dy: In<'a, f32>,
        parts: Out<'a, f32>,
        target: Target,
    ) -> Result<Call<'a>, Error> {
        let check = Check::new(&super::convolution_weight_gradient, target);
        let count = shape.weights_len().saturating_mul(shape.splits() as usize);
        check.buffers(&needs![x: shape.input_len(), dy: shape.output_len(), parts: count])?;
        let arguments = (shape, x.pointer(), dy.pointer(), parts.pointer());
        // SAFETY: a shape is valid, the buffers fit it.
        unsafe { check.call(shape.weight_gradient(target), arguments) }
    }
}
