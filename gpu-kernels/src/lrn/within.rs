//! Local response normalisation within each map: over a square of its pixels.
//!
//! ```text
//! s[i] = k + α · Σ_j x[j]²,    j the pixels of the n × n square around i, clipped to the image
//! y[i] = x[i] · s[i]^(−β)
//! ```
//!
//! for each channel and image. As with the windows over channels ([`lrn`](super)) the square is symmetric, so
//!
//! ```text
//! dx[i] = dy[i] · s[i]^(−β) − 2 α β x[i] · Σ_j t[j],    t[j] = dy[j] x[j] s[j]^(−β−1)
//! ```
//!
//! in two steps: [`lrn_within_terms`] makes t, and of dx what stands before the sum; [`lrn_within_backward`] takes off the
//! sum. Sums go over the square's rows, then its columns; an even n counts as n + 1.
//!
//! The authors' network has it once, after the second layer's normalisation over channels, with α divided by n²
//! (whoever wants that divides [`Shape::alpha`]); in Caffe, which divides too, it is `WITHIN_CHANNEL`, with k 1.
//!
//! x, y, dy, dx and t are `[channel][row][column][image]`, images a multiple of 32, the pointers of 16 bytes. The
//! output must not overlap an input. Launch as [`lrn_within_launch`] says: a block for each row (along x) of each channel
//! (along y); its threads take images along x and pixels along y, any number of either.
//!
//! ```
//! use gpu_kernels::launch::{self, Floats, In, Out, Target};
//! use gpu_kernels::lrn::within::Shape;
//!
//! let pool = simt_executor::Pool::new(1)?;
//! // A channel of 1 × 2 pixels: each is in the other's square.
//! let shape = Shape { channels: 1, height: 1, width: 2, images: 32, size: 3, k: 2.0, alpha: 0.1, beta: 0.75 };
//! let (x, dy) = (Floats::from(&[[3.0; 32], [4.0; 32]].concat()[..]), Floats::from(&[1.0; 64][..]));
//! let (mut y, mut dx, mut terms) = (Floats::zeros(64), Floats::zeros(64), Floats::zeros(64));
//! let (x, dy) = (In::from(&x), In::from(&dy));
//! launch::lrn_within_forward(shape, x, Out::from(&mut y), Target::Cpu)?.run(&pool)?;
//! let (dx_out, terms_out) = (Out::from(&mut dx), Out::from(&mut terms));
//! launch::lrn_within_terms(shape, x, dy, dx_out, terms_out, Target::Cpu)?.run(&pool)?;
//! let (terms, dx_out) = (In::from(&terms), Out::from(&mut dx));
//! launch::lrn_within_backward(shape, x, terms, dx_out, Target::Cpu)?.run(&pool)?;
//! let s = 2.0 + 0.1 * 25.0f64;
//! assert!((f64::from(y[0]) - 3.0 * s.powf(-0.75)).abs() < 1e-6);
//! let slope = s.powf(-0.75) - 2.0 * 0.1 * 0.75 * 3.0 * (3.0 + 4.0) * s.powf(-1.75);
//! assert!((f64::from(dx[0]) - slope).abs() < 1e-6);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use crate::device::*;
use crate::elementwise::Walk;

#[cfg(not(target_arch = "nvptx64"))]
use {
    crate::sizes::{self, BadSize, LIMIT, keep},
    crate::target::Target,
    cuda_std::simt::Launch,
};

/// Sizes and constants of a normalisation within maps.
#[derive(Clone, Copy, Debug, PartialEq)]
#[repr(C)]
pub struct Shape {
    /// Maps.
    pub channels: u32,
    /// Rows of a map.
    pub height: u32,
    /// Columns of a map.
    pub width: u32,
    /// Images, a multiple of 32.
    pub images: u32,
    /// n, the side of the square.
    pub size: u32,
    /// k.
    pub k: f32,
    /// α, divided by n² where that is wanted.
    pub alpha: f32,
    /// β.
    pub beta: f32,
}

#[cfg(not(target_arch = "nvptx64"))]
impl Shape {
    /// Length of each tensor.
    pub const fn len(&self) -> usize {
        sizes::product(&[self.channels, self.height, self.width, self.images])
    }

    /// Whether they are empty.
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// An error if no normalisation has this shape.
    pub fn check(&self) -> Result<(), BadSize> {
        keep(
            self.images.is_multiple_of(32),
            "images must be a multiple of 32",
            self.images.into(),
        )?;
        keep(
            0 < self.size && self.size < 1 << 16,
            "pixels of a square's side must be at least 1 and fewer than 2¹⁶",
            self.size.into(),
        )?;
        let len = self.len() as u64;
        keep(len < LIMIT, "numbers must be fewer than 2³¹", len)
    }
}

impl Shape {
    /// The same formula over channels.
    #[inline(always)]
    fn formula(&self) -> super::Shape {
        super::Shape {
            channels: self.channels,
            columns: self.images,
            size: self.size,
            k: self.k,
            alpha: self.alpha,
            beta: self.beta,
        }
    }

    /// The first element of pixel (`y`, `x`) of a channel.
    #[inline(always)]
    fn at(&self, channel: u32, y: u32, x: u32) -> usize {
        ((channel * self.height + y) * self.width + x) as usize * self.images as usize
    }

    /// What of the square around pixel `i` lies in the image, along an axis of `extent`: `begin..end`.
    #[inline(always)]
    fn square(&self, i: u32, extent: u32) -> [u32; 2] {
        let half = self.size / 2;
        let begin = i.saturating_sub(half);
        let end = i + half + 1;
        [begin, if end < extent { end } else { extent }]
    }
}

/// The launch of every kernel here.
#[cfg(not(target_arch = "nvptx64"))]
pub fn lrn_within_launch(shape: Shape, target: Target) -> Launch {
    let block = match target {
        Target::Cpu => [1, 1, 1],
        Target::Gpu => {
            let images = (shape.images / target.lanes() as u32).clamp(1, 32);
            [images, 256 / images, 1]
        }
    };
    Launch {
        grid: [shape.height, shape.channels, 1],
        block,
        shared: 0,
    }
}

/// Adds up, from zero, what `add(sum, values)` makes of the values of a square, for each vector of this thread's
/// pixels, and gives the sum to `end` with the vector's place.
///
/// # Safety
/// `values` is valid for the shape; launched as [`lrn_within_launch`] says.
#[inline(always)]
unsafe fn over_squares<V: Vector>(
    shape: &Shape,
    values: *const f32,
    add: impl Fn(V, V) -> V,
    end: impl Fn(usize, V),
) {
    let (row, channel) = (thread::block_idx_x(), thread::block_idx_y());
    let images = Walk::of_block::<V>(0, shape.images, shape.images);
    let rows = shape.square(row, shape.height);
    let mut column = thread::thread_idx_y();
    while column < shape.width {
        let columns = shape.square(column, shape.width);
        let mut image = images.i;
        while image < images.end {
            let mut sum = V::splat(0.0);
            let mut y = rows[0];
            while y < rows[1] {
                let mut x = columns[0];
                while x < columns[1] {
                    sum = add(sum, values.load_vector(shape.at(channel, y, x) + image));
                    x += 1;
                }
                y += 1;
            }
            end(shape.at(channel, row, column) + image, sum);
            image += images.step;
        }
        column += thread::block_dim_y();
    }
}

/// `y` from `x`.
///
/// # Safety
/// Both are valid for the shape and do not overlap; launched as [`lrn_within_launch`] says.
#[kernel]
pub unsafe fn lrn_within_forward(shape: Shape, x: *const f32, y: *mut f32) {
    let formula = shape.formula();
    over_squares::<V>(
        &shape,
        x,
        |sum, x| x.fma(x, sum),
        |at, squares| {
            let s = formula.scale(squares);
            y.store_vector(at, formula.normalised(x.load_vector(at), s));
        },
    );
}

/// `terms`, which is t, and in `dx` what stands before the sum over them, from `x` and `dy`.
///
/// # Safety
/// All are valid for the shape, what is written overlaps nothing else; launched as [`lrn_within_launch`] says.
#[kernel]
pub unsafe fn lrn_within_terms(
    shape: Shape,
    x: *const f32,
    dy: *const f32,
    dx: *mut f32,
    terms: *mut f32,
) {
    let formula = shape.formula();
    over_squares::<V>(
        &shape,
        x,
        |sum, x| x.fma(x, sum),
        |at, squares| {
            let (value, slope) = (x.load_vector::<V>(at), dy.load_vector(at));
            let [power, t] = formula.terms(value, slope, formula.scale(squares));
            // `terms` gives dy · s^(−β) first.
            dx.store_vector(at, power);
            terms.store_vector(at, t);
        },
    );
}

/// `dx` from `x`, `terms` and what [`lrn_within_terms`] left in `dx`.
///
/// # Safety
/// All are valid for the shape, `dx` overlaps none of the others; launched as [`lrn_within_launch`] says.
#[kernel]
pub unsafe fn lrn_within_backward(shape: Shape, x: *const f32, terms: *const f32, dx: *mut f32) {
    let formula = shape.formula();
    over_squares::<V>(
        &shape,
        terms,
        |sum, t| sum + t,
        |at, sum| {
            let own = dx.cast_const().load_vector::<V>(at);
            dx.store_vector(at, formula.gradient(own, x.load_vector(at), sum));
        },
    );
}

#[cfg(all(not(target_arch = "nvptx64"), not(feature = "rust-cuda")))]
pub mod launch {
    //! Checked launches.

    use super::Shape;
    use crate::launch::{Call, Check, Error, In, Out, Target, needs};

    /// `y`, `x` normalised within its maps.
    pub fn lrn_within_forward<'a>(
        shape: Shape,
        x: In<'a, f32>,
        y: Out<'a, f32>,
        target: Target,
    ) -> Result<Call<'a>, Error> {
        let check = Check::new(&super::lrn_within_forward, target);
        check.size(shape.check())?;
        check.buffers(&needs![x: shape.len(), y: shape.len()])?;
        let arguments = (shape, x.pointer(), y.pointer());
        // SAFETY: the shape was checked, the buffers fit it.
        unsafe { check.call(super::lrn_within_launch(shape, target), arguments) }
    }

    /// The terms of the gradient's sums, and in `dx` what they are taken off by [`lrn_within_backward`].
    pub fn lrn_within_terms<'a>(
        shape: Shape,
        x: In<'a, f32>,
        dy: In<'a, f32>,
        dx: Out<'a, f32>,
        terms: Out<'a, f32>,
        target: Target,
    ) -> Result<Call<'a>, Error> {
        let check = Check::new(&super::lrn_within_terms, target);
        check.size(shape.check())?;
        check.buffers(&needs![
            x: shape.len(),
            dy: shape.len(),
            dx: shape.len(),
            terms: shape.len(),
        ])?;
        let arguments = (
            shape,
            x.pointer(),
            dy.pointer(),
            dx.pointer(),
            terms.pointer(),
        );
        // SAFETY: the shape was checked, the buffers fit it.
        unsafe { check.call(super::lrn_within_launch(shape, target), arguments) }
    }

    /// `dx`, the gradient to the input, from what [`lrn_within_terms`] made.
    pub fn lrn_within_backward<'a>(
        shape: Shape,
        x: In<'a, f32>,
        terms: In<'a, f32>,
        dx: Out<'a, f32>,
        target: Target,
    ) -> Result<Call<'a>, Error> {
        let check = Check::new(&super::lrn_within_backward, target);
        check.size(shape.check())?;
        check.buffers(&needs![x: shape.len(), terms: shape.len(), dx: shape.len()])?;
        let arguments = (shape, x.pointer(), terms.pointer(), dx.pointer());
        // SAFETY: the shape was checked, the buffers fit it.
        unsafe { check.call(super::lrn_within_launch(shape, target), arguments) }
    }
}
