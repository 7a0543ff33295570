//! Local response normalisation across channels (section 3.3 of the paper). Within each channel it is [`within`].
//!
//! ```text
//! sᵢ = k + α · Σⱼ xⱼ²,    j = i − ⌊n/2⌋ … i + ⌊n/2⌋, clipped to the tower's channels
//! yᵢ = xᵢ · sᵢ^(−β)
//! ```
//!
//! at each place of each image. The window is symmetric, so sⱼ depends on xᵢ
//! exactly where sᵢ depends on xⱼ, by `∂sⱼ/∂xᵢ = 2 α xᵢ`. Hence
//!
//! ```text
//! dxᵢ = Σⱼ dyⱼ · ∂yⱼ/∂xᵢ = dyᵢ · sᵢ^(−β) − 2 α β xᵢ · Σⱼ tⱼ,    tⱼ = dyⱼ xⱼ sⱼ^(−β−1)
//! ```
//!
//! with j in the same window. The backward pass computes the sums again rather
//! than have them kept.
//!
//! The paper has k 2, n 5, α 1e-4, β 0.75, and does not divide α by n, as its
//! authors' program does: whoever wants that divides [`Shape::alpha`].
//!
//! For β = ¾ the power is exact square roots: `s^¾ = √s · √√s`; otherwise it is
//! `libm`'s `powf`. Every sum is made anew, in the order of the channels, terms
//! beyond the tower being zeros; for n = 5 its terms stay in registers.
//!
//! x, y, dx and dy are `[channels][columns]`, where a channel's columns are its height ·
//! width · images; `columns` is a multiple of 16, the pointers of 16 bytes. The
//! output must not overlap an input. Launch as [`lrn_forward_launch`] and
//! [`lrn_backward_launch`] say: blocks along x take equal shares of the channels,
//! along y [`COLUMNS`] columns each; any number of threads along x.
//!
//! ```
//! use gpu_kernels::launch::{self, Floats, In, Out, Target};
//! use gpu_kernels::lrn::Shape;
//!
//! let pool = simt_executor::Pool::new(1)?;
//! // One channel alone.
//! let shape = Shape { channels: 1, columns: 32, size: 5, k: 2.0, alpha: 0.1, beta: 0.75 };
//! let (x, dy) = (Floats::from(&[3.0; 32][..]), Floats::from(&[1.0; 32][..]));
//! let (mut y, mut dx) = (Floats::zeros(32), Floats::zeros(32));
//! let (x, dy) = (In::from(&x), In::from(&dy));
//! launch::lrn_forward(shape, x, Out::from(&mut y), Target::Cpu)?.run(&pool)?;
//! launch::lrn_backward(shape, x, dy, Out::from(&mut dx), Target::Cpu)?.run(&pool)?;
//! let s = 2.0 + 0.1 * 9.0f64;
//! assert!((f64::from(y[0]) - 3.0 * s.powf(-0.75)).abs() < 1e-6);
//! let slope = s.powf(-0.75) - 2.0 * 0.1 * 0.75 * 9.0 * s.powf(-1.75);
//! assert!((f64::from(dx[0]) - slope).abs() < 1e-6);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use crate::device::*;
use crate::elementwise::Walk;

#[cfg(not(target_arch = "nvptx64"))]
use {crate::elementwise, crate::target::Target, cuda_std::simt::Launch};

mod any;
mod five;
mod shape;
pub mod within;

pub use any::{backward_any, forward_any};
pub use five::{backward5, forward5, normalise5};
pub use shape::Shape;

/// Columns of a block.
pub const COLUMNS: u32 = 1024;

/// The launch of [`lrn_forward`].
#[cfg(not(target_arch = "nvptx64"))]
pub fn lrn_forward_launch(shape: Shape, target: Target) -> Launch {
    launch(shape, target)
}

/// The launch of [`lrn_backward`].
#[cfg(not(target_arch = "nvptx64"))]
pub fn lrn_backward_launch(shape: Shape, target: Target) -> Launch {
    launch(shape, target)
}

/// A block's share of the channels is a compromise: the windows at its ends are read
/// by two blocks, but fewer channels are walked through at a time.
#[cfg(not(target_arch = "nvptx64"))]
fn launch(shape: Shape, target: Target) -> Launch {
    let shares = match target {
        Target::Cpu => shape.channels.div_ceil(12),
        Target::Gpu => shape.channels.div_ceil(32),
    };
    let grid = [shares, shape.columns.div_ceil(COLUMNS), 1];
    Launch {
        grid,
        block: [elementwise::threads(target), 1, 1],
        shared: 0,
    }
}

/// This block's share of the channels.
#[inline(always)]
fn share(channels: u32) -> [u32; 2] {
    let blocks = thread::grid_dim_x();
    let bound = |block: u32| channels * block / blocks.max(1);
    [
        bound(thread::block_idx_x()),
        bound(thread::block_idx_x() + 1),
    ]
}

/// `y` from `x`.
///
/// # Safety
/// Both are valid for the shape and do not overlap; launched as
/// [`lrn_forward_launch`] says.
#[kernel]
pub unsafe fn lrn_forward(shape: Shape, x: *const f32, y: *mut f32) {
    let channels = share(shape.channels);
    let mut walk = Walk::of_block::<V>(thread::block_idx_y(), COLUMNS, shape.columns);
    while walk.i < walk.end {
        if shape.size == 5 {
            forward5::<V>(&shape, channels, walk.i, x, y);
        } else {
            forward_any::<V>(&shape, channels, walk.i, x, y);
        }
        walk.i += walk.step;
    }
}

/// `dx` from `x` and `dy`.
///
/// # Safety
/// All are valid for the shape, `dx` overlaps none of the others; launched as
/// [`lrn_backward_launch`] says.
#[kernel]
pub unsafe fn lrn_backward(shape: Shape, x: *const f32, dy: *const f32, dx: *mut f32) {
    let channels = share(shape.channels);
    let mut walk = Walk::of_block::<V>(thread::block_idx_y(), COLUMNS, shape.columns);
    while walk.i < walk.end {
        if shape.size == 5 {
            backward5::<V>(&shape, channels, walk.i, x, dy, dx);
        } else {
            backward_any::<V>(&shape, channels, walk.i, x, dy, dx);
        }
        walk.i += walk.step;
    }
}

#[cfg(all(not(target_arch = "nvptx64"), not(feature = "rust-cuda")))]
pub mod launch {
    //! Checked launches.

    use super::Shape;
    use crate::launch::{Call, Check, Error, In, Out, Target, needs};

    /// `y`, `x` normalised over the channels.
    pub fn lrn_forward<'a>(
        shape: Shape,
        x: In<'a, f32>,
        y: Out<'a, f32>,
        target: Target,
    ) -> Result<Call<'a>, Error> {
        let check = Check::new(&super::lrn_forward, target);
        check.size(shape.check())?;
        check.buffers(&needs![x: shape.len(), y: shape.len()])?;
        let arguments = (shape, x.pointer(), y.pointer());
        // SAFETY: the shape was checked, the buffers fit it.
        unsafe { check.call(super::lrn_forward_launch(shape, target), arguments) }
    }

    /// `dx`, the gradient to the input of a normalisation.
    pub fn lrn_backward<'a>(
        shape: Shape,
        x: In<'a, f32>,
        dy: In<'a, f32>,
        dx: Out<'a, f32>,
        target: Target,
    ) -> Result<Call<'a>, Error> {
        let check = Check::new(&super::lrn_backward, target);
        check.size(shape.check())?;
        check.buffers(&needs![x: shape.len(), dy: shape.len(), dx: shape.len()])?;
        let arguments = (shape, x.pointer(), dy.pointer(), dx.pointer());
        // SAFETY: the shape was checked, the buffers fit it.
        unsafe { check.call(super::lrn_backward_launch(shape, target), arguments) }
    }
}
