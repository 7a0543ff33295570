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
//! let mut dw = Floats::zeros(shape.parts() as usize * shape.weights_len());
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
use crate::gemm::{Matrix, NativeTile, Source};

mod shape;

pub use shape::{Shape, Sizes};

/// Terms of one part of a weight gradient's sum: enough parts to keep a GPU
/// busy, and short enough sums to stay exact. Part of the result's bits.
pub const CHUNK: u32 = 8192;

/// Far outside of every image, and still when added to a place in one.
const OUTSIDE: u32 = 1 << 30;

/// A place in the images: floats before it, row and column; or how far it is
/// from one to another. Numbers wrap around where it lies outside.
#[derive(Clone, Copy)]
struct Place {
    offset: u32,
    y: u32,
    x: u32,
    /// How many more are in a row like this one.
    left: u32,
}

/// Images under the moving window: element (weight, column) is what filter weight
/// `weight` = (channel, r, q) meets at output `column` = (pixel, image).
#[derive(Clone, Copy)]
struct Window {
    shape: Shape,
    x: *const f32,
}

impl Window {
    /// From the window's corner to what weight `weight` meets.
    #[inline(always)]
    fn weight(&self, weight: u32) -> Place {
        let s = &self.shape;
        let (channel, offset) = s.window.div_rem(weight);
        let (r, q) = s.kernel.div_rem(offset);
        let pixel = (channel * s.height + r) * s.width.get() + q;
        let y = if weight < s.depth() { r } else { OUTSIDE };
        let offset = pixel.wrapping_mul(s.images.get());
        Place {
            offset,
            y,
            x: q,
            left: s.kernel.get() - 1 - q,
        }
    }

    /// The corner of the window of output `column`.
    #[inline(always)]
    fn column(&self, column: u32) -> Place {
        let s = &self.shape;
        let (pixel, image) = s.images.div_rem(column);
        let (i, j) = s.out_width.div_rem(pixel);
        let x = (j * s.stride.get()).wrapping_sub(s.pad);
        let y = (i * s.stride.get()).wrapping_sub(s.pad);
        let pixel = y.wrapping_mul(s.width.get()).wrapping_add(x);
        let y = if column < s.out_columns() { y } else { OUTSIDE };
        let offset = pixel.wrapping_mul(s.images.get()).wrapping_add(image);
        Place {
            offset,
            y,
            x,
            left: 0,
        }
    }

    #[inline(always)]
    unsafe fn find(&self, weight: Place, column: Place) -> Option<*const f32> {
        let s = &self.shape;
        let (y, x) = (
            column.y.wrapping_add(weight.y),
            column.x.wrapping_add(weight.x),
        );
        let at = column.offset.wrapping_add(weight.offset);
        (y < s.height && x < s.width.get()).then(|| self.x.add(at as usize))
    }
}

/// The window with k down: operand B of the forward product.
struct WindowDown(Window);
/// The window with k across: operand A of the weights' gradient.
struct WindowAcross(Window);

impl<V: Vector> Source<V> for WindowDown {
    const TURNED: bool = false;
    type AtK = Place;
    type AtI = Place;

    #[inline(always)]
    unsafe fn at_k(&self, k: u32) -> Place {
        self.0.weight(k)
    }

    #[inline(always)]
    unsafe fn next(&self, before: Place, k: u32) -> Place {
        if before.left == 0 {
            return self.0.weight(k);
        }
        Place {
            offset: before.offset.wrapping_add(self.0.shape.images.get()),
            x: before.x + 1,
            left: before.left - 1,
            ..before
        }
    }

    #[inline(always)]
    unsafe fn at_i(&self, i: u32) -> Place {
        self.0.column(i)
    }

    #[inline(always)]
    unsafe fn find(&self, k: Place, i: Place) -> Option<*const f32> {
        self.0.find(k, i)
    }
}

impl<V: Vector> Source<V> for WindowAcross {
    const TURNED: bool = true;
    type AtK = Place;
    type AtI = Place;

    #[inline(always)]
    unsafe fn at_k(&self, k: u32) -> Place {
        self.0.column(k)
    }

    #[inline(always)]
    unsafe fn at_i(&self, i: u32) -> Place {
        self.0.weight(i)
    }

    #[inline(always)]
    unsafe fn find(&self, k: Place, i: Place) -> Option<*const f32> {
        self.0.find(i, k)
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
    const TURNED: bool = false;
    type AtK = Place;
    type AtI = Place;

    /// Row and column in the window, and the filter's first pixel.
    #[inline(always)]
    unsafe fn at_k(&self, k: u32) -> Place {
        let s = &self.shape;
        let (offset, filter) = s.filters.div_rem(k);
        let (r, q) = s.kernel.div_rem(offset);
        let x = if offset < s.window.get() { q } else { OUTSIDE };
        Place {
            offset: filter.wrapping_mul(s.out_columns()),
            y: r,
            x,
            left: s.filters.get() - 1 - filter,
        }
    }

    #[inline(always)]
    unsafe fn next(&self, before: Place, k: u32) -> Place {
        if before.left == 0 {
            return Source::<V>::at_k(self, k);
        }
        Place {
            offset: before.offset.wrapping_add(self.shape.out_columns()),
            left: before.left - 1,
            ..before
        }
    }

    /// Row and column in the padded image.
    #[inline(always)]
    unsafe fn at_i(&self, column: u32) -> Place {
        let s = &self.shape;
        let (pixel, image) = s.images.div_rem(column);
        let (y, x) = s.width.div_rem(pixel);
        let y = if column < s.in_columns() {
            y + s.pad
        } else {
            OUTSIDE
        };
        Place {
            offset: image,
            y,
            x: x + s.pad,
            left: 0,
        }
    }

    #[inline(always)]
    unsafe fn find(&self, k: Place, i: Place) -> Option<*const f32> {
        let s = &self.shape;
        // Above and left of the first window the subtraction wraps, to beyond any
        // output; a divisor takes 31 bits.
        const WRAPPED: u32 = u32::MAX >> 1;
        let (down, across) = (i.y.wrapping_sub(k.y), i.x.wrapping_sub(k.x));
        let (mut y, mut x, mut whole) = (down, across, true);
        if s.stride.get() > 1 {
            let (quotient_y, rest_y) = s.stride.div_rem(down & WRAPPED);
            let (quotient_x, rest_x) = s.stride.div_rem(across & WRAPPED);
            (y, x, whole) = (quotient_y, quotient_x, rest_y == 0 && rest_x == 0);
        }
        let pixel = y.wrapping_mul(s.out_width.get()).wrapping_add(x);
        let offset = pixel.wrapping_mul(s.images.get());
        let at = offset.wrapping_add(k.offset).wrapping_add(i.offset) as usize;
        let inside = whole && y < s.out_height && x < s.out_width.get();
        inside.then(|| self.dy.add(at))
    }
}

/// The tile of C that this block computes: its first row and column.
#[inline(always)]
fn tile_origin() -> [u32; 2] {
    let [rows, cols] = [NativeTile::ROWS as u32, NativeTile::COLS as u32];
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
        y_filter.store_vector(column as usize, sum + V::splat(bias.load(filter as usize)));
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
                .store_vector(column as usize, sum)
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
    let end = if begin + CHUNK < columns {
        begin + CHUNK
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
