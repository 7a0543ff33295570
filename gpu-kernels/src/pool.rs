//! Overlapping max-pooling (section 3.4 of the paper: 3×3 windows, stride 2).
//!
//! ```text
//! y[oy][ox] = max x[oy · stride + ky − pad][ox · stride + kx − pad],    0 ≤ ky, kx < size
//! ```
//!
//! for each channel and image. The first window begins `pad` pixels (none, unless
//! [`Shape::padded`] says so) above and left of the image. A window that reaches beyond
//! the image is clipped: padding is never a maximum, and the output may be as large as
//! rounding up makes it. Every window must have a pixel of the image. A NaN in a window
//! makes its maximum NaN.
//!
//! The forward pass notes where in its window each maximum stands, as the number
//! `ky · size + kx`: the first in scan order of equals, the last NaN. The
//! backward pass lets each input pixel gather, in scan order of the windows, the
//! gradients of those that it won:
//!
//! ```text
//! dx[iy][ix] = Σ dy[oy][ox]   over the windows with winner[oy][ox] = (iy + pad − oy · stride) · size + (ix + pad − ox · stride)
//! ```
//!
//! x and dx are `[channels][height][width][images]`, y, dy and winner
//! `[channels][out_height][out_width][images]`; images are a multiple of 32, the
//! pointers of 16 bytes. The output must not overlap an input. Launch as
//! [`max_pool_forward_launch`] and [`max_pool_backward_launch`] say: a block for
//! each row (along x) of each channel (along y); its threads take images along x
//! and pixels along y, any number of either.
//!
//! ```
//! use gpu_kernels::launch::{self, Floats, In, Out, Target};
//! use gpu_kernels::pool::Shape;
//!
//! let pool = simt_executor::Pool::new(1)?;
//! // A channel of 3 × 3 pixels, one window; every pixel of an image is its number.
//! let shape = Shape::try_new([1, 3, 3], [1, 1], 3, 2, 32)?;
//! let x: Vec<f32> = (0..9 * 32).map(|i| (i / 32) as f32).collect();
//! let (x, dy) = (Floats::from(&x[..]), Floats::from(&[5.0; 32][..]));
//! let (mut y, mut winner) = (Floats::zeros(32), Floats::zeros(32));
//! let mut dx = Floats::zeros(9 * 32);
//! let (y_out, winner_out) = (Out::from(&mut y), Out::from(&mut winner));
//! launch::max_pool_forward(shape, In::from(&x), y_out, winner_out, Target::Cpu)?.run(&pool)?;
//! assert_eq!((y[0], winner[0]), (8.0, 8.0));
//! let (winner, dy) = (In::from(&winner), In::from(&dy));
//! launch::max_pool_backward(shape, winner, dy, Out::from(&mut dx), Target::Cpu)?.run(&pool)?;
//! assert_eq!((dx[7 * 32], dx[8 * 32]), (0.0, 5.0));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use crate::device::*;
use crate::divisor::Divisor;
use crate::elementwise::Walk;

#[cfg(not(target_arch = "nvptx64"))]
use {
    crate::sizes::{self, BadSize, LIMIT, keep},
    crate::target::Target,
    cuda_std::simt::Launch,
};

/// The sizes of a pooling.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Shape {
    channels: u32,
    pub(crate) height: u32,
    pub(crate) width: u32,
    pub(crate) out_height: u32,
    pub(crate) out_width: u32,
    size: u32,
    pub(crate) stride: Divisor,
    pad: u32,
    pub(crate) images: u32,
}

impl Shape {
    /// Pooling of `[channels, height, width]` to `[out_height, out_width]` by
    /// windows of `size` × `size` pixels, `stride` (not 0) apart.
    pub const fn new(
        [channels, height, width]: [u32; 3],
        [out_height, out_width]: [u32; 2],
        size: u32,
        stride: u32,
        images: u32,
    ) -> Self {
        let stride = Divisor::new(stride);
        Shape {
            channels,
            height,
            width,
            out_height,
            out_width,
            size,
            stride,
            pad: 0,
            images,
        }
    }

    /// The same, but the first window begins `pad` pixels above and left of the image.
    pub const fn padded(self, pad: u32) -> Self {
        Shape { pad, ..self }
    }

    /// The first element of pixel (`y`, `x`) of a channel of the input.
    #[inline(always)]
    pub(crate) fn input(&self, channel: u32, y: u32, x: u32) -> usize {
        ((channel * self.height + y) * self.width + x) as usize * self.images as usize
    }

    /// The first element of pixel (`y`, `x`) of a channel of the output.
    #[inline(always)]
    pub(crate) fn output(&self, channel: u32, y: u32, x: u32) -> usize {
        ((channel * self.out_height + y) * self.out_width + x) as usize * self.images as usize
    }

    /// The pixels `begin..end` of a window, along one axis, that lie in the image, of `extent`.
    #[inline(always)]
    pub(crate) fn clipped(&self, window: u32, extent: u32) -> [u32; 2] {
        let first = window * self.stride.get();
        let begin = self.pad.saturating_sub(first);
        let left = extent + self.pad - first;
        [begin, if left < self.size { left } else { self.size }]
    }

    /// Where pixel `pixel`, of those [`clipped`](Self::clipped) leaves, of a window stands in the image.
    #[inline(always)]
    pub(crate) fn place(&self, window: u32, pixel: u32) -> u32 {
        window * self.stride.get() + pixel - self.pad
    }

    /// The windows `begin..end` along one axis that have pixel `i`, of `count`.
    #[inline(always)]
    pub(crate) fn windows(&self, i: u32, count: u32) -> [u32; 2] {
        let i = i + self.pad;
        let last = self.stride.div_rem(i).0;
        let begin = if i < self.size {
            0
        } else {
            self.stride.div_rem(i - self.size).0 + 1
        };
        [begin, if last < count { last + 1 } else { count }]
    }
}

#[cfg(not(target_arch = "nvptx64"))]
impl Shape {
    /// [`new`](Self::new) for sizes that may be wrong.
    ///
    /// # Errors
    /// As [`check`](Self::check).
    pub fn try_new(
        input: [u32; 3],
        output: [u32; 2],
        size: u32,
        stride: u32,
        images: u32,
    ) -> Result<Self, BadSize> {
        // A divisor of 0 cannot be made.
        keep(stride > 0 && stride < 1 << 31, APART, stride.into())?;
        let shape = Shape::new(input, output, size, stride, images);
        shape.check().map(|()| shape)
    }

    /// Length of `x` and `dx`.
    pub const fn input_len(&self) -> usize {
        sizes::product(&[self.channels, self.height, self.width, self.images])
    }

    /// Length of `y`, `dy` and the winners.
    pub const fn output_len(&self) -> usize {
        sizes::product(&[self.channels, self.out_height, self.out_width, self.images])
    }

    /// Whether a pooling can be like this.
    ///
    /// # Errors
    /// Images are no multiple of 32, the stride or the window is 0, the window
    /// above 4096 or not above the padding, a window begins beyond the input, or
    /// input or output have 2³¹ numbers.
    pub fn check(&self) -> Result<(), BadSize> {
        const BEGINS: &str = "rows and columns must reach to where the last window begins";
        const WINDOW: &str = "rows of a window must be at least 1 and at most 4096";
        let Shape { size, images, .. } = *self;
        keep(
            images.is_multiple_of(32),
            "images must be a multiple of 32",
            images.into(),
        )?;
        keep(0 < size && size <= 4096, WINDOW, size.into())?;
        keep(
            self.pad < size,
            "pixels of padding must be fewer than those of a window's side",
            self.pad.into(),
        )?;
        let sides = [(self.height, self.out_height), (self.width, self.out_width)];
        for (pixels, windows) in sides {
            let last = windows.saturating_sub(1) as u64 * self.stride.get() as u64;
            keep(
                last < pixels as u64 + self.pad as u64,
                BEGINS,
                pixels.into(),
            )?;
        }
        let most = self.input_len().max(self.output_len()) as u64;
        keep(
            most < LIMIT,
            "numbers of input and output must each be fewer than 2³¹",
            most,
        )
    }
}

#[cfg(not(target_arch = "nvptx64"))]
const APART: &str = "pixels from window to window must be at least 1 and fewer than 2³¹";

/// The launch of [`max_pool_forward`].
#[cfg(not(target_arch = "nvptx64"))]
pub fn max_pool_forward_launch(shape: Shape, target: Target) -> Launch {
    launch(shape.out_height, shape, target)
}

/// The launch of [`max_pool_backward`].
#[cfg(not(target_arch = "nvptx64"))]
pub fn max_pool_backward_launch(shape: Shape, target: Target) -> Launch {
    launch(shape.height, shape, target)
}

#[cfg(not(target_arch = "nvptx64"))]
fn launch(rows: u32, shape: Shape, target: Target) -> Launch {
    let block = match target {
        Target::Cpu => [1, 1, 1],
        Target::Gpu => {
            let images = (shape.images / target.lanes() as u32).clamp(1, 32);
            [images, 256 / images, 1]
        }
    };
    Launch {
        grid: [rows, shape.channels, 1],
        block,
        shared: 0,
    }
}

/// The maximum of a window of `size` × `size` pixels, of which `rows` × `cols` (each
/// `begin..end`) lie in the image; and the number of its place. `x(ky, kx)` is asked
/// once for each of those pixels, in scan order.
///
/// # Safety
/// The processor has `V`'s instructions.
#[inline(always)]
pub unsafe fn maximum<V: Vector>(
    [rows, cols]: [[u32; 2]; 2],
    size: u32,
    x: impl Fn(u32, u32) -> V,
) -> (V, V) {
    let mut best = V::splat(f32::NEG_INFINITY);
    let mut winner = V::splat(0.0);
    let mut ky = rows[0];
    while ky < rows[1] {
        let mut kx = cols[0];
        while kx < cols[1] {
            let value = x(ky, kx);
            let place = V::splat((ky * size + kx) as f32);
            winner = value.select_eq(value, value.select_gt(best, place, winner), place);
            best = value.select_eq(value, value.select_gt(best, value, best), value);
            kx += 1;
        }
        ky += 1;
    }
    (best, winner)
}

/// `y` and the winners' places from `x`.
///
/// # Safety
/// The pointers are valid for the shape, what is written overlaps nothing else;
/// launched as [`max_pool_forward_launch`] says.
#[kernel]
pub unsafe fn max_pool_forward(shape: Shape, x: *const f32, y: *mut f32, winner: *mut f32) {
    let (oy, channel) = (thread::block_idx_x(), thread::block_idx_y());
    let (images, down) = (
        Walk::of_block::<V>(0, shape.images, shape.images),
        thread::block_dim_y(),
    );
    let strides = [
        shape.width as usize * shape.images as usize,
        shape.images as usize,
    ];
    let rows = shape.clipped(oy, shape.height);
    let top = shape.place(oy, rows[0]);
    let mut ox = thread::thread_idx_y();
    while ox < shape.out_width {
        let cols = shape.clipped(ox, shape.width);
        let corner = shape.input(channel, top, shape.place(ox, cols[0]));
        let out = shape.output(channel, oy, ox);
        let mut image = images.i;
        while image < images.end {
            let at = |ky: u32, kx: u32| {
                let (down, across) = (ky - rows[0], kx - cols[0]);
                let offset = down as usize * strides[0] + across as usize * strides[1];
                x.load_vector::<V>(corner + image + offset)
            };
            // The paper's own window gets loops of a known length.
            let (best, place) = if shape.size == 3 && rows == [0, 3] && cols == [0, 3] {
                let at = |ky: u32, kx: u32| {
                    let offset = ky as usize * strides[0] + kx as usize * strides[1];
                    x.load_vector::<V>(corner + image + offset)
                };
                maximum::<V>([[0, 3]; 2], 3, at)
            } else {
                maximum::<V>([rows, cols], shape.size, at)
            };
            y.stream_vector(out + image, best);
            winner.stream_vector(out + image, place);
            image += images.step;
        }
        ox += down;
    }
}

/// The sum of the gradients that pixel (`iy`, `ix`) won, for the images from
/// `image` on.
///
/// # Safety
/// The processor has `V`'s instructions, `winner` and `dy` are valid for the shape,
/// the windows lie in the output and the vector at `image` within the images.
#[inline(always)]
unsafe fn gathered<V: Vector>(
    shape: &Shape,
    [channel, iy, ix]: [u32; 3],
    [rows, cols]: [[u32; 2]; 2],
    image: usize,
    winner: *const f32,
    dy: *const f32,
) -> V {
    let stride = shape.stride.get();
    let mut sum = V::splat(0.0);
    let mut oy = rows[0];
    while oy < rows[1] {
        let mut ox = cols[0];
        while ox < cols[1] {
            let at = shape.output(channel, oy, ox) + image;
            let place =
                (iy + shape.pad - oy * stride) * shape.size + (ix + shape.pad - ox * stride);
            let place = V::splat(place as f32);
            let won = winner.load_vector::<V>(at);
            sum = won.select_eq(place, sum + dy.load_vector(at), sum);
            ox += 1;
        }
        oy += 1;
    }
    sum
}

/// `dx` from `dy` and the winners' places.
///
/// # Safety
/// The pointers are valid for the shape, `dx` overlaps none of the others;
/// launched as [`max_pool_backward_launch`] says.
#[kernel]
pub unsafe fn max_pool_backward(shape: Shape, winner: *const f32, dy: *const f32, dx: *mut f32) {
    let (iy, channel) = (thread::block_idx_x(), thread::block_idx_y());
    let (images, down) = (
        Walk::of_block::<V>(0, shape.images, shape.images),
        thread::block_dim_y(),
    );
    let rows = shape.windows(iy, shape.out_height);
    let mut ix = thread::thread_idx_y();
    while ix < shape.width {
        let cols = shape.windows(ix, shape.out_width);
        let mut image = images.i;
        while image < images.end {
            let sum = gathered::<V>(&shape, [channel, iy, ix], [rows, cols], image, winner, dy);
            dx.stream_vector(shape.input(channel, iy, ix) + image, sum);
            image += images.step;
        }
        ix += down;
    }
}

#[cfg(all(not(target_arch = "nvptx64"), not(feature = "rust-cuda")))]
pub mod launch {
    //! Checked launches.

    use super::Shape;
    use crate::launch::{Call, Check, Error, In, Out, Target, needs};

    /// `y`, the maxima of `x`'s windows, and where in its window each stands.
    pub fn max_pool_forward<'a>(
        shape: Shape,
        x: In<'a, f32>,
        y: Out<'a, f32>,
        winner: Out<'a, f32>,
        target: Target,
    ) -> Result<Call<'a>, Error> {
        let check = Check::new(&super::max_pool_forward, target);
        check.size(shape.check())?;
        check.buffers(&needs![
            x: shape.input_len(),
            y: shape.output_len(),
            winner: shape.output_len(),
        ])?;
        let arguments = (shape, x.pointer(), y.pointer(), winner.pointer());
        // SAFETY: the shape was checked, the buffers fit it.
        unsafe { check.call(super::max_pool_forward_launch(shape, target), arguments) }
    }

    /// `dx`, the gradient to a pooling's input.
    pub fn max_pool_backward<'a>(
        shape: Shape,
        winner: In<'a, f32>,
        dy: In<'a, f32>,
        dx: Out<'a, f32>,
        target: Target,
    ) -> Result<Call<'a>, Error> {
        let check = Check::new(&super::max_pool_backward, target);
        check.size(shape.check())?;
        check.buffers(&needs![
            winner: shape.output_len(),
            dy: shape.output_len(),
            dx: shape.input_len(),
        ])?;
        let arguments = (shape, winner.pointer(), dy.pointer(), dx.pointer());
        // SAFETY: the shape was checked, the buffers fit it.
        unsafe { check.call(super::max_pool_backward_launch(shape, target), arguments) }
    }
}
