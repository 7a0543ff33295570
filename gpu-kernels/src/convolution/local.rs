//! Locally connected layer: a convolution whose filters are others at every pixel of the output.
//!
//! ```text
//! y[m][i][j][n]  = b[m][i][j] + Σ_c Σ_r Σ_q  w[i][j][c][r][q][m] · x[c][i·s + r − p][j·s + q − p][n]
//! dx[c][i][j][n] = Σ_r Σ_q Σ_m  w[i'][j'][c][r][q][m] · dy[m][i'][j'][n],    i' = (i + p − r)/s, j' = (j + p − q)/s
//! dw[i][j][c][r][q][m] = Σ_n  x[c][i·s + r − p][j·s + q − p][n] · dy[m][i][j][n]
//! db[m][i][j]    = Σ_n  dy[m][i][j][n]
//! ```
//!
//! Images, sizes and what lies beyond an edge are those of a [`convolution`](super), whose [`Shape`] it takes. Weights
//! are a convolution's for each pixel of the output, `[row][column][channel][row][column][filter]`, as many as
//! [`Shape::local_weights_len`]; biases `[filter][row][column]`, which [`sum_maps`](crate::sum::sum_maps) gives the
//! gradient of, over a pixel's images.
//!
//! Every pixel is a matrix product of its own, in the blocks that are at its place along z:
//!
//! | kernel | pixels of | rows × columns of a product | summed over |
//! |---|---|---|---|
//! | [`local_forward`] | the output | filters × images | (channel, row, column) |
//! | [`local_input_gradient`] | the input | channels × images | (row, column, filter) |
//! | [`local_weight_gradient`] | the output | (channel, row, column) × filters | images |
//!
//! Launch configuration: [`Shape::local_forward`] and its siblings.
//!
//! ```
//! use gpu_kernels::launch::{self, Floats, In, Out, Target};
//! use gpu_kernels::convolution::{Shape, Sizes};
//!
//! let pool = simt_executor::Pool::new(1)?;
//! // 32 images of 1 × 2 ones; 16 filters of one weight, 1 at the first pixel and 2 at the second.
//! let shape = Shape::try_new(Sizes {
//!     images: 32,
//!     channels: 1,
//!     input: [1, 2],
//!     filters: 16,
//!     kernel: 1,
//!     stride: 1,
//!     pad: 0,
//!     output: [1, 2],
//! })?;
//! let (x, bias) = (Floats::from(&[1.0; 64][..]), Floats::from(&[0.5; 32][..]));
//! let weights = Floats::from(&[[1.0; 16], [2.0; 16]].concat()[..]);
//! let dy = Floats::from(&[1.0; 16 * 64][..]);
//! let (mut y, mut dx) = (Floats::zeros(shape.output_len()), Floats::zeros(shape.input_len()));
//! let mut dw = Floats::zeros(shape.local_weights_len());
//! let (x, weights, bias, dy) =
//!     (In::from(&x), In::from(&weights), In::from(&bias), In::from(&dy));
//!
//! let out = Out::from(&mut y);
//! launch::local_forward(shape, x, weights, bias, out, Target::Cpu)?.run(&pool)?;
//! assert_eq!((y[0], y[32]), (1.5, 2.5));
//! let out = Out::from(&mut dx);
//! launch::local_input_gradient(shape, weights, dy, out, Target::Cpu)?.run(&pool)?;
//! assert_eq!((dx[0], dx[32]), (16.0, 32.0));
//! let out = Out::from(&mut dw);
//! launch::local_weight_gradient(shape, x, dy, out, Target::Cpu)?.run(&pool)?;
//! assert_eq!((dw[0], dw[16]), (32.0, 32.0));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use super::operand::{Reach, Window, WindowAcross, WindowDown};
use super::{Shape, tile_origin};
use crate::device::*;
use crate::gemm::{Matrix, NativeTile, Source};

#[cfg(not(target_arch = "nvptx64"))]
use {crate::sizes::product, crate::target::Target, cuda_std::simt::Launch};

#[cfg(not(target_arch = "nvptx64"))]
impl Shape {
    /// Pixels of an output.
    const fn out_pixels(&self) -> u32 {
        self.out_height * self.out_width.get()
    }

    /// Length of a locally connected layer's weights and of `dw`.
    pub const fn local_weights_len(&self) -> usize {
        product(&[self.out_pixels(), self.depth(), self.filters.get()])
    }

    /// Length of a locally connected layer's biases.
    pub const fn local_bias_len(&self) -> usize {
        product(&[self.out_pixels(), self.filters.get()])
    }

    /// Launch of [`local_forward`].
    pub const fn local_forward(&self, target: Target) -> Launch {
        target.product(self.filters.get(), self.images.get(), self.out_pixels())
    }

    /// Launch of [`local_input_gradient`].
    pub const fn local_input_gradient(&self, target: Target) -> Launch {
        let pixels = self.height * self.width.get();
        target.product(self.channels, self.images.get(), pixels)
    }

    /// Launch of [`local_weight_gradient`].
    pub const fn local_weight_gradient(&self, target: Target) -> Launch {
        target.product(self.depth(), self.filters.get(), self.out_pixels())
    }
}

/// The weights of output pixel `pixel`.
///
/// # Safety
/// `weights` is valid for the shape and `pixel` lies in the output.
#[inline(always)]
unsafe fn filters_of(shape: &Shape, weights: *const f32, pixel: u32) -> *const f32 {
    weights.add(pixel as usize * (shape.depth() * shape.filters.get()) as usize)
}

/// Weights as the pixel of the input at (`y`, `x`), padding counted, meets them: element (k, channel) is what leads from
/// that channel to the output by weight `k` = (r, q, filter).
#[derive(Clone, Copy)]
struct Leading {
    shape: Shape,
    weights: *const f32,
    y: u32,
    x: u32,
}

/// A weight that leads from channel 0, if it does: its number k, and its offset.
#[derive(Clone, Copy)]
struct Lead {
    k: u32,
    offset: Option<u32>,
}

// SAFETY: an address is given, and a vector is read, where a weight is; filters are a multiple of 16, as the shape has
// them, and neighbours in memory.
unsafe impl<V: Vector> Source<V> for Leading {
    const TRANSPOSED: bool = true;
    type AtK = Lead;
    type AtI = u32;

    #[inline(always)]
    fn at_k(&self, k: u32) -> Lead {
        let s = &self.shape;
        let (place, filter) = s.filters.div_rem(k);
        let (r, q) = s.kernel.div_rem(place);
        let ([i, j], inside) = s.reached(self.y.wrapping_sub(r), self.x.wrapping_sub(q));
        let pixel = i.wrapping_mul(s.out_width.get()).wrapping_add(j);
        let offset = pixel.wrapping_mul(s.depth()).wrapping_add(place);
        let offset = offset.wrapping_mul(s.filters.get()).wrapping_add(filter);
        let leads = inside && place < s.window.get();
        Lead {
            k,
            offset: leads.then_some(offset),
        }
    }

    #[inline(always)]
    fn at_i(&self, i: u32) -> u32 {
        i
    }

    #[inline(always)]
    unsafe fn address(&self, k: Lead, i: u32) -> Option<*const f32> {
        let s = &self.shape;
        match k.offset {
            Some(offset) if i < s.channels => {
                let channel = i * s.window.get() * s.filters.get();
                Some(self.weights.add((offset + channel) as usize))
            }
            _ => None,
        }
    }

    /// The next filters may be those of another place in the window.
    #[inline(always)]
    unsafe fn load<const N: usize>(&self, k: Lead, i: u32) -> [V; N] {
        let mut out = [V::splat(0.0); N];
        let mut n = 0;
        while n < N {
            let next = match n {
                0 => k,
                _ => Source::<V>::at_k(self, k.k + (n * V::LANES) as u32),
            };
            if let Some(address) = Source::<V>::address(self, next, i) {
                out[n] = address.load_vector(0);
            }
            n += 1;
        }
        out
    }
}

launch_bounds!("local_forward", 256, 2);
/// `y`, from `x`, `weights` and `bias`.
///
/// # Safety
/// The pointers are valid for the shape, `y` overlaps none of the others; launched as [`Shape::local_forward`] says.
#[kernel]
pub unsafe fn local_forward(
    shape: Shape,
    x: *const f32,
    weights: *const f32,
    bias: *const f32,
    y: *mut f32,
) {
    let pixel = thread::block_idx_z();
    let (filters, images, columns) = (
        shape.filters.get(),
        shape.images.get(),
        shape.out_columns() as usize,
    );
    let pixels = shape.out_height * shape.out_width.get();
    let weights = Matrix::<false> {
        data: filters_of(&shape, weights, pixel),
        stride: filters,
        depth: shape.depth(),
        width: filters,
    };
    let [row, column] = tile_origin();
    NativeTile::product::<V, _, _>(
        weights,
        WindowDown(Window { shape, x }),
        [0, shape.depth()],
        [row, pixel * images + column],
        [filters, (pixel + 1) * images],
        |filter, column, sum: V| {
            let bias = bias.load((filter * pixels + pixel) as usize);
            let y_filter = y.add(filter as usize * columns);
            y_filter.store_vector(column as usize, sum + V::splat(bias));
        },
    );
}

launch_bounds!("local_input_gradient", 256, 2);
/// `dx`, from `weights` and `dy`.
///
/// # Safety
/// The pointers are valid for the shape, `dx` overlaps none of the others; launched as [`Shape::local_input_gradient`]
/// says.
#[kernel]
pub unsafe fn local_input_gradient(
    shape: Shape,
    weights: *const f32,
    dy: *const f32,
    dx: *mut f32,
) {
    let pixel = thread::block_idx_z();
    let (images, columns) = (shape.images.get(), shape.in_columns() as usize);
    let (y, x) = shape.width.div_rem(pixel);
    let leading = Leading {
        shape,
        weights,
        y: y + shape.pad,
        x: x + shape.pad,
    };
    let [row, column] = tile_origin();
    NativeTile::product::<V, _, _>(
        leading,
        Reach { shape, dy },
        [0, shape.window.get() * shape.filters.get()],
        [row, pixel * images + column],
        [shape.channels, (pixel + 1) * images],
        |channel, column, sum: V| {
            dx.add(channel as usize * columns)
                .store_vector(column as usize, sum)
        },
    );
}

launch_bounds!("local_weight_gradient", 256, 2);
/// `dw`, from `x` and `dy`.
///
/// # Safety
/// The pointers are valid for the shape, `dw` overlaps none of the others; launched as [`Shape::local_weight_gradient`]
/// says.
#[kernel]
pub unsafe fn local_weight_gradient(shape: Shape, x: *const f32, dy: *const f32, dw: *mut f32) {
    let pixel = thread::block_idx_z();
    let (rows, filters) = (shape.depth(), shape.filters.get());
    let (images, columns) = (shape.images.get(), shape.out_columns());
    let dw = dw.add(pixel as usize * (rows * filters) as usize);
    let dy = Matrix::<true> {
        data: dy,
        stride: columns,
        depth: columns,
        width: filters,
    };
    NativeTile::product::<V, _, _>(
        WindowAcross(Window { shape, x }),
        dy,
        [pixel * images, (pixel + 1) * images],
        tile_origin(),
        [rows, filters],
        |row, filter, sum: V| {
            dw.add(row as usize * filters as usize)
                .store_vector(filter as usize, sum)
        },
    );
}

#[cfg(all(not(target_arch = "nvptx64"), not(feature = "rust-cuda")))]
pub mod launch {
    //! Checked launches.

    use super::Shape;
    use crate::launch::{BadSize, Call, Check, Error, In, Out, Target, keep, needs};
    use crate::sizes::LIMIT;

    fn countable(shape: &Shape) -> Result<(), BadSize> {
        let weights = shape.local_weights_len() as u64;
        keep(
            weights < LIMIT,
            "weights of all pixels must be fewer than 2³¹",
            weights,
        )
    }

    /// `y`, from `x` by the weights of each pixel, and `bias` added.
    pub fn local_forward<'a>(
        shape: Shape,
        x: In<'a, f32>,
        weights: In<'a, f32>,
        bias: In<'a, f32>,
        y: Out<'a, f32>,
        target: Target,
    ) -> Result<Call<'a>, Error> {
        let check = Check::new(&super::local_forward, target);
        check.size(countable(&shape))?;
        check.buffers(&needs![
            x: shape.input_len(),
            weights: shape.local_weights_len(),
            bias: shape.local_bias_len(),
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
        unsafe { check.call(shape.local_forward(target), arguments) }
    }

    /// `dx`, the gradient to a locally connected layer's input.
    pub fn local_input_gradient<'a>(
        shape: Shape,
        weights: In<'a, f32>,
        dy: In<'a, f32>,
        dx: Out<'a, f32>,
        target: Target,
    ) -> Result<Call<'a>, Error> {
        let check = Check::new(&super::local_input_gradient, target);
        check.size(countable(&shape))?;
        check.buffers(&needs![
            weights: shape.local_weights_len(),
            dy: shape.output_len(),
            dx: shape.input_len(),
        ])?;
        let arguments = (shape, weights.pointer(), dy.pointer(), dx.pointer());
        // SAFETY: a shape is valid, the buffers fit it.
        unsafe { check.call(shape.local_input_gradient(target), arguments) }
    }

    /// `dw`, the gradient to a locally connected layer's weights.
    pub fn local_weight_gradient<'a>(
        shape: Shape,
        x: In<'a, f32>,
        dy: In<'a, f32>,
        dw: Out<'a, f32>,
        target: Target,
    ) -> Result<Call<'a>, Error> {
        let check = Check::new(&super::local_weight_gradient, target);
        check.size(countable(&shape))?;
        check.buffers(&needs![
            x: shape.input_len(),
            dy: shape.output_len(),
            dw: shape.local_weights_len(),
        ])?;
        let arguments = (shape, x.pointer(), dy.pointer(), dw.pointer());
        // SAFETY: a shape is valid, the buffers fit it.
        unsafe { check.call(shape.local_weight_gradient(target), arguments) }
    }
}
