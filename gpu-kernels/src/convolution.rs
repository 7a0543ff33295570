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
//! | [`convolution_weight_gradient`] | (channel, row, column) × filters | (pixel, image), in parts |
//!
//! Launch geometry: [`Shape::forward`] and its siblings. Section 3.5 of the paper.

use crate::device::*;
use crate::divisor::Divisor;
use crate::gemm::{Matrix, NativeTile, Source, Straight, Turned};

/// The sizes of a convolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Shape {
    images: Divisor,
    channels: u32,
    height: u32,
    width: Divisor,
    filters: Divisor,
    kernel: Divisor,
    window: Divisor,
    stride: Divisor,
    pad: u32,
    out_height: u32,
    out_width: Divisor,
}

/// A convolution's sizes by name, to make a [`Shape`] of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    /// Images in the batch, a multiple of 32.
    pub images: u32,
    /// Channels of the input.
    pub channels: u32,
    /// Height and width of the input.
    pub input: [u32; 2],
    /// Filters, a multiple of 16.
    pub filters: u32,
    /// Height and width of the window.
    pub kernel: u32,
    /// Pixels from one window to the next.
    pub stride: u32,
    /// Rows and columns of zeros above and left of the image.
    pub pad: u32,
    /// Height and width of the output.
    pub output: [u32; 2],
}

impl Shape {
    /// The shape of these sizes.
    pub const fn new(sizes: Sizes) -> Self {
        assert!(sizes.images % 32 == 0, "images must be a multiple of 32");
        assert!(sizes.filters % 16 == 0, "filters must be a multiple of 16");
        Shape {
            images: Divisor::new(sizes.images),
            channels: sizes.channels,
            height: sizes.input[0],
            width: Divisor::new(sizes.input[1]),
            filters: Divisor::new(sizes.filters),
            kernel: Divisor::new(sizes.kernel),
            window: Divisor::new(sizes.kernel * sizes.kernel),
            stride: Divisor::new(sizes.stride),
            pad: sizes.pad,
            out_height: sizes.output[0],
            out_width: Divisor::new(sizes.output[1]),
        }
    }

    /// Weights of one filter.
    #[inline(always)]
    pub const fn depth(&self) -> u32 {
        self.channels * self.window.get()
    }

    /// Numbers in one channel of the input.
    #[inline(always)]
    pub const fn in_columns(&self) -> u32 {
        self.height * self.width.get() * self.images.get()
    }

    /// Numbers in one map of the output.
    #[inline(always)]
    pub const fn out_columns(&self) -> u32 {
        self.out_height * self.out_width.get() * self.images.get()
    }
}

#[cfg(not(target_arch = "nvptx64"))]
mod launch {
    use super::Shape;
    use crate::target::Target;
    use cuda_std::simt::Launch;

    impl Shape {
        /// Launch of [`convolution_forward`](super::convolution_forward).
        pub const fn forward(&self, target: Target) -> Launch {
            target.product(self.filters.get(), self.out_columns(), 1)
        }

        /// Launch of [`convolution_input_gradient`](super::convolution_input_gradient).
        pub const fn input_gradient(&self, target: Target) -> Launch {
            target.product(self.channels, self.in_columns(), 1)
        }

        /// Launch of [`convolution_weight_gradient`](super::convolution_weight_gradient).
        pub const fn weight_gradient(&self, target: Target) -> Launch {
            target.product(self.depth(), self.filters.get(), self.parts())
        }

        /// In how many parts the weights' gradient is summed: one for each
        /// [`CHUNK`](super::CHUNK) of (pixel, image).
        pub const fn parts(&self) -> u32 {
            self.out_columns().div_ceil(super::CHUNK)
        }
    }
}

/// Terms of one part of a weight gradient's sum: enough parts to keep a GPU
/// busy, and short enough sums to stay exact. Part of the result's bits.
pub const CHUNK: u32 = 8192;

/// Images under the moving window: element (row, column) is what filter weight
/// `row` = (channel, r, q) meets at output `column` = (pixel, image).
#[derive(Clone, Copy)]
struct Window {
    shape: Shape,
    x: *const f32,
}

impl Window {
    #[inline(always)]
    unsafe fn vector<V: Vector>(&self, row: u32, column: u32) -> V {
        let s = &self.shape;
        let (pixel, image) = s.images.div_rem(column);
        let (i, j) = s.out_width.div_rem(pixel);
        let (channel, offset) = s.window.div_rem(row);
        let (r, q) = s.kernel.div_rem(offset);
        // Left of or above the image the subtraction wraps to beyond its end.
        let y = (i * s.stride.get() + r).wrapping_sub(s.pad);
        let x = (j * s.stride.get() + q).wrapping_sub(s.pad);
        if y >= s.height || x >= s.width.get() || row >= s.depth() || column >= s.out_columns() {
            return V::splat(0.0);
        }
        let pixel = (channel * s.height + y) * s.width.get() + x;
        self.x.load_vector(pixel as usize * s.images.get() as usize + image as usize)
    }
}

/// The window with k down: operand B of the forward product.
struct WindowDown(Window);
/// The window with k across: operand A of the weights' gradient.
struct WindowAcross(Window);

impl<V: Vector> Source<V> for WindowDown {
    #[inline(always)]
    unsafe fn vector(&self, k: u32, i: u32) -> V {
        self.0.vector(k, i)
    }
}

impl<V: Vector> Source<V> for WindowAcross {
    #[inline(always)]
    unsafe fn vector(&self, k: u32, i: u32) -> V {
        self.0.vector(i, k)
    }
}

/// Output gradients as the input pixels see them: element (k, column) is the
/// gradient that reaches input `column` = (pixel, image) through weight
/// `k` = (r, q, filter).
#[derive(Clone, Copy)]
struct Reach {
    shape: Shape,
    dy: *const f32,
}

impl<V: Vector> Source<V> for Reach {
    #[inline(always)]
    unsafe fn vector(&self, k: u32, column: u32) -> V {
        let s = &self.shape;
        let (pixel, image) = s.images.div_rem(column);
        let (y, x) = s.width.div_rem(pixel);
        let (offset, filter) = s.filters.div_rem(k);
        let (r, q) = s.kernel.div_rem(offset);
        let (down, across) = ((y + s.pad).wrapping_sub(r), (x + s.pad).wrapping_sub(q));
        // Above and left of the first window the subtraction wraps.
        let outside = down > s.height + s.pad || across > s.width.get() + s.pad;
        if outside || offset >= s.window.get() || column >= s.in_columns() {
            return V::splat(0.0);
        }
        let ((i, down_rest), (j, across_rest)) = (s.stride.div_rem(down), s.stride.div_rem(across));
        let between = down_rest != 0 || across_rest != 0;
        if between || i >= s.out_height || j >= s.out_width.get() {
            return V::splat(0.0);
        }
        let pixel = (filter * s.out_height + i) * s.out_width.get() + j;
        self.dy.load_vector(pixel as usize * s.images.get() as usize + image as usize)
    }
}

/// The weights as operand A of the input's gradient: element (k, channel) with
/// `k` = (r, q, filter), filters being neighbours.
#[derive(Clone, Copy)]
struct WeightsOfChannel {
    shape: Shape,
    weights: *const f32,
}

impl<V: Vector> Source<V> for WeightsOfChannel {
    #[inline(always)]
    unsafe fn vector(&self, k: u32, channel: u32) -> V {
        let s = &self.shape;
        let length = s.window.get() * s.filters.get();
        if k >= length || channel >= s.channels {
            return V::splat(0.0);
        }
        self.weights.load_vector(channel as usize * length as usize + k as usize)
    }
}

/// The tile of C that this block computes: its first row and column.
#[inline(always)]
fn tile_origin() -> [u32; 2] {
    let [rows, cols] = [NativeTile::ROWS as u32, NativeTile::COLS as u32];
    [thread::block_idx_y() * rows, thread::block_idx_x() * cols]
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
    let (filters, columns) = (shape.filters.get(), shape.out_columns());
    let weights = Matrix {
        data: weights,
        stride: filters as usize,
        depth: shape.depth(),
        width: filters,
        turned: false,
    };
    NativeTile::product::<V, _, _>(
        Straight(weights),
        Straight(WindowDown(Window { shape, x })),
        [0, shape.depth()],
        tile_origin(),
        [filters, columns],
        |filter, column, sum: V| {
            let y_filter = y.add(filter as usize * columns as usize);
            y_filter.store_vector(column as usize, sum + V::splat(bias.load(filter as usize)));
        },
    );
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
    let columns = shape.in_columns();
    NativeTile::product::<V, _, _>(
        Turned(WeightsOfChannel { shape, weights }),
        Straight(Reach { shape, dy }),
        [0, shape.window.get() * shape.filters.get()],
        tile_origin(),
        [shape.channels, columns],
        |channel, column, sum: V| {
            dx.add(channel as usize * columns as usize).store_vector(column as usize, sum)
        },
    );
}

launch_bounds!("convolution_weight_gradient", 256, 2);
/// `dw` in parts, each as large as `dw`, from `x` and `dy`;
/// [`sum_parts`](crate::sum::sum_parts) adds them.
///
/// # Safety
/// The pointers are valid for the shape, `parts` for [`Shape::parts`] times the
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
    let begin = thread::block_idx_z() * CHUNK;
    let end = if begin + CHUNK < columns { begin + CHUNK } else { columns };
    let part = parts.add(thread::block_idx_z() as usize * rows as usize * filters as usize);
    let dy = Matrix {
        data: dy,
        stride: columns as usize,
        depth: columns,
        width: filters,
        turned: true,
    };
    NativeTile::product::<V, _, _>(
        Turned(WindowAcross(Window { shape, x })),
        Turned(dy),
        [begin, end],
        tile_origin(),
        [rows, filters],
        |row, filter, sum: V| {
            part.add(row as usize * filters as usize).store_vector(filter as usize, sum)
        },
    );
}
