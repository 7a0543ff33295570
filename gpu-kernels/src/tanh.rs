//! The saturating unit that the paper compares with ReLU: `y = tanh x`
//! (section 3.1, Figure 1).
//!
//! | | |
//! |---|---|
//! | forward | `y = tanh x` |
//! | backward | `dx = dy · (1 − y²)` |
//!
//! `tanh` is made of the `libm` crate's `expm1` on every device.
//!
//! The tensors have `len` elements in any layout; `len` is a multiple of 16 and
//! the pointers of 16 bytes. The output may be the input (`y == x`, `dx == dy`).
//! Launch as [`tanh_launch`] says: one dimension, [`SPAN`](crate::elementwise::SPAN)
//! elements a block, any number of threads.
//!
//! ```
//! use gpu_kernels::launch::{self, Floats, In, Out, Target};
//!
//! let pool = simt_executor::Pool::new(1)?;
//! let (x, dy) = (Floats::from(&[0.5; 16][..]), Floats::from(&[2.0; 16][..]));
//! let (mut y, mut dx) = (Floats::zeros(16), Floats::zeros(16));
//! launch::tanh_forward(In::from(&x), Out::from(&mut y), Target::Cpu)?.run(&pool)?;
//! launch::tanh_backward(In::from(&y), In::from(&dy), Out::from(&mut dx), Target::Cpu)?.run(&pool)?;
//! assert!((y[0] - 0.46211716).abs() < 1e-6);
//! assert!((dx[0] - 2.0 * (1.0 - 0.46211716 * 0.46211716)).abs() < 1e-6);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use crate::device::*;
use crate::elementwise::Walk;
use crate::math;

#[cfg(not(target_arch = "nvptx64"))]
pub use crate::elementwise::launch as tanh_launch;

/// `tanh x`.
///
/// # Safety
/// The processor has `V`'s instructions.
#[inline(always)]
pub unsafe fn tanh<V: Vector>(x: V) -> V {
    x.map(math::tanh)
}

/// `dy · (1 − y²)`, where `1 − y²` is rounded once.
///
/// # Safety
/// The processor has `V`'s instructions.
#[inline(always)]
pub unsafe fn tanh_gradient<V: Vector>(y: V, dy: V) -> V {
    dy * (V::splat(0.0) - y).fma(y, V::splat(1.0))
}

/// `y = tanh(x)` for `len` elements.
///
/// # Safety
/// The pointers are valid for `len` elements; launched as [`tanh_launch`] says.
#[kernel]
pub unsafe fn tanh_forward(len: u32, x: *const f32, y: *mut f32) {
    let mut walk = Walk::over::<V>(len);
    while walk.i < walk.end {
        y.store_vector(walk.i, tanh(x.load_vector::<V>(walk.i)));
        walk.i += walk.step;
    }
}

/// The gradient to the input from the gradient to the output and the output.
///
/// # Safety
/// The pointers are valid for `len` elements; launched as [`tanh_launch`] says.
#[kernel]
pub unsafe fn tanh_backward(len: u32, y: *const f32, dy: *const f32, dx: *mut f32) {
    let mut walk = Walk::over::<V>(len);
    while walk.i < walk.end {
        let (y, dy) = (y.load_vector::<V>(walk.i), dy.load_vector::<V>(walk.i));
        dx.store_vector(walk.i, tanh_gradient(y, dy));
        walk.i += walk.step;
    }
}

#[cfg(all(not(target_arch = "nvptx64"), not(feature = "rust-cuda")))]
pub mod launch {
    //! Checked launches.

    use crate::launch::{Call, Check, Error, In, Out, Target};

    /// `y = tanh(x)`; y may be x.
    pub fn tanh_forward<'a>(
        x: In<'a, f32>,
        y: Out<'a, f32>,
        target: Target,
    ) -> Result<Call<'a>, Error> {
        // SAFETY: the kernel reads `len` elements of x and writes as many of y.
        unsafe { Check::new(&super::tanh_forward, target).unary(x, y) }
    }

    /// The gradient `dx` of tanh to its input from its output and the gradient to it;
    /// dx may be dy.
    pub fn tanh_backward<'a>(
        y: In<'a, f32>,
        dy: In<'a, f32>,
        dx: Out<'a, f32>,
        target: Target,
    ) -> Result<Call<'a>, Error> {
        // SAFETY: the kernel reads `len` elements of y and dy and writes as many of dx.
        unsafe { Check::new(&super::tanh_backward, target).binary([y, dy], dx) }
    }
}
