//! Average-pooling, of the small networks with which Figure 1 of the paper compares ReLU and tanh.
//!
//! ```text
//! y[oy][ox] = 1/n · Σ x[oy · stride + ky − pad][ox · stride + kx − pad],    0 ≤ ky, kx < size
//! ```
//!
//! for each channel and image, over the n pixels of the window that lie in the image, summed in scan order. Padding is
//! neither summed nor counted: so do the authors' programs and PyTorch with `count_include_pad=False`, while Caffe, and
//! PyTorch unless told otherwise, divide by the pixels of padding as well. The gradient to a pixel is summed over the
//! windows that have it, in scan order:
//!
//! ```text
//! dx[iy][ix] = Σ dy[oy][ox] / n[oy][ox]
//! ```
//!
//! Shapes, layouts and launches are those of [`pool`](crate::pool).
//!
//! ```
//! use gpu_kernels::launch::{self, Floats, In, Out, Target};
//! use gpu_kernels::pool::Shape;
//!
//! let pool = simt_executor::Pool::new(1)?;
//! // A channel of 3 × 3 pixels; the second window of each row and column has one pixel of that row or column.
//! let shape = Shape::try_new([1, 3, 3], [2, 2], 2, 2, 32)?;
//! let x: Vec<f32> = (0..9 * 32).map(|i| (i / 32) as f32).collect();
//! let (x, dy) = (Floats::from(&x[..]), Floats::from(&[4.0; 4 * 32][..]));
//! let (mut y, mut dx) = (Floats::zeros(4 * 32), Floats::zeros(9 * 32));
//! launch::average_pool_forward(shape, In::from(&x), Out::from(&mut y), Target::Cpu)?.run(&pool)?;
//! assert_eq!([y[0], y[32], y[64], y[96]], [2.0, 3.5, 6.5, 8.0]);
//! launch::average_pool_backward(shape, In::from(&dy), Out::from(&mut dx), Target::Cpu)?.run(&pool)?;
//! assert_eq!([dx[0], dx[2 * 32], dx[8 * 32]], [1.0, 2.0, 4.0]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use crate::device::*;
use crate::elementwise::Walk;
use crate::pool::Shape;

#[cfg(not(target_arch = "nvptx64"))]
pub use crate::pool::{
    max_pool_backward_launch as average_pool_backward_launch,
    max_pool_forward_launch as average_pool_forward_launch,
};

impl Shape {
    /// Pixels that a window has in the image.
    #[inline(always)]
    fn pixels(&self, rows: [u32; 2], cols: [u32; 2]) -> u32 {
        (rows[1] - rows[0]) * (cols[1] - cols[0])
    }
}

/// `y` from `x`.
///
/// # Safety
/// The pointers are valid for the shape, `y` does not overlap `x`; launched as
/// [`average_pool_forward_launch`] says.
#[kernel]
pub unsafe fn average_pool_forward(shape: Shape, x: *const f32, y: *mut f32) {
    let (oy, channel) = (thread::block_idx_x(), thread::block_idx_y());
    let images = Walk::of_block::<V>(0, shape.images, shape.images);
    let rows = shape.clipped(oy, shape.height);
    let mut ox = thread::thread_idx_y();
    while ox < shape.out_width {
        let cols = shape.clipped(ox, shape.width);
        let pixels = V::splat(shape.pixels(rows, cols) as f32);
        let mut image = images.i;
        while image < images.end {
            let mut sum = V::splat(0.0);
            let mut ky = rows[0];
            while ky < rows[1] {
                let mut kx = cols[0];
                while kx < cols[1] {
                    let at = shape.input(channel, shape.place(oy, ky), shape.place(ox, kx)) + image;
                    sum = sum + x.load_vector::<V>(at);
                    kx += 1;
                }
                ky += 1;
            }
            y.store_vector(shape.output(channel, oy, ox) + image, sum / pixels);
            image += images.step;
        }
        ox += thread::block_dim_y();
    }
}

/// `dx` from `dy`.
///
/// # Safety
/// The pointers are valid for the shape, `dx` does not overlap `dy`; launched as
/// [`average_pool_backward_launch`] says.
#[kernel]
pub unsafe fn average_pool_backward(shape: Shape, dy: *const f32, dx: *mut f32) {
    let (iy, channel) = (thread::block_idx_x(), thread::block_idx_y());
    let images = Walk::of_block::<V>(0, shape.images, shape.images);
    let rows = shape.windows(iy, shape.out_height);
    let mut ix = thread::thread_idx_y();
    while ix < shape.width {
        let cols = shape.windows(ix, shape.out_width);
        let mut image = images.i;
        while image < images.end {
            let mut sum = V::splat(0.0);
            let mut oy = rows[0];
            while oy < rows[1] {
                let mut ox = cols[0];
                while ox < cols[1] {
                    let down = shape.clipped(oy, shape.height);
                    let pixels = shape.pixels(down, shape.clipped(ox, shape.width));
                    let at = shape.output(channel, oy, ox) + image;
                    sum = sum + dy.load_vector::<V>(at) / V::splat(pixels as f32);
                    ox += 1;
                }
                oy += 1;
            }
            dx.store_vector(shape.input(channel, iy, ix) + image, sum);
            image += images.step;
        }
        ix += thread::block_dim_y();
    }
}

#[cfg(all(not(target_arch = "nvptx64"), not(feature = "rust-cuda")))]
pub mod launch {
    //! Checked launches.

    use crate::launch::{Call, Check, Error, In, Out, Target, needs};
    use crate::pool::Shape;

    /// `y`, the means of `x`'s windows.
    pub fn average_pool_forward<'a>(
        shape: Shape,
        x: In<'a, f32>,
        y: Out<'a, f32>,
        target: Target,
    ) -> Result<Call<'a>, Error> {
        let check = Check::new(&super::average_pool_forward, target);
        check.size(shape.check())?;
        check.buffers(&needs![x: shape.input_len(), y: shape.output_len()])?;
        let arguments = (shape, x.pointer(), y.pointer());
        // SAFETY: the shape was checked, the buffers fit it.
        unsafe { check.call(super::average_pool_forward_launch(shape, target), arguments) }
    }

    /// `dx`, the gradient to an average-pooling's input.
    pub fn average_pool_backward<'a>(
        shape: Shape,
        dy: In<'a, f32>,
        dx: Out<'a, f32>,
        target: Target,
    ) -> Result<Call<'a>, Error> {
        let check = Check::new(&super::average_pool_backward, target);
        check.size(shape.check())?;
        check.buffers(&needs![dy: shape.output_len(), dx: shape.input_len()])?;
        let arguments = (shape, dy.pointer(), dx.pointer());
        // SAFETY: the shape was checked, the buffers fit it.
        unsafe {
            check.call(
                super::average_pool_backward_launch(shape, target),
                arguments,
            )
        }
    }
}
