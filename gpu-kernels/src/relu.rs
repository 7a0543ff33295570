//! Rectified linear units: `y = max(0, x)` (section 3.1 of the paper).
//!
//! | | |
//! |---|---|
//! | forward | `y = x < 0 ? 0 : x` |
//! | backward | `dx = y > 0 ? dy : 0` |
//!
//! Written as comparisons rather than a maximum so that a NaN goes through, both
//! ways, and the sign of a zero does not depend on the device.
//!
//! The tensors have `len` elements in any layout; `len` is a multiple of 16 and
//! the pointers of 16 bytes. The output may be the input (`y == x`, `dx == dy`).
//! Launch as [`relu_launch`] says: one dimension, [`SPAN`](crate::elementwise::SPAN)
//! elements a block, any number of threads.
//!
//! ```
//! use gpu_kernels::launch::{self, Floats, In, Out, Target};
//!
//! let pool = simt_executor::Pool::new(1)?;
//! let x = Floats::from(&[-1.0, 2.0].repeat(8)[..]);
//! let dy = Floats::from(&[3.0, 4.0].repeat(8)[..]);
//! let (mut y, mut dx) = (Floats::zeros(16), Floats::zeros(16));
//! launch::relu_forward(In::from(&x), Out::from(&mut y), Target::Cpu)?.run(&pool)?;
//! launch::relu_backward(In::from(&y), In::from(&dy), Out::from(&mut dx), Target::Cpu)?.run(&pool)?;
//! assert_eq!((y[0], y[1]), (0.0, 2.0));
//! assert_eq!((dx[0], dx[1]), (0.0, 4.0));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use crate::device::*;
use crate::elementwise::Walk;

#[cfg(not(target_arch = "nvptx64"))]
pub use crate::elementwise::launch as relu_launch;

/// `x < 0 ? 0 : x`.
///
/// # Safety
/// The processor has `V`'s instructions.
#[inline(always)]
pub unsafe fn relu<V: Vector>(x: V) -> V {
    let zero = V::splat(0.0);
    zero.select_gt(x, zero, x)
}

/// `y > 0 ? dy : 0`, and NaN where `y` is.
///
/// # Safety
/// The processor has `V`'s instructions.
#[inline(always)]
pub unsafe fn relu_gradient<V: Vector>(y: V, dy: V) -> V {
    let zero = V::splat(0.0);
    y.select_eq(y, y.select_gt(zero, dy, zero), y)
}

/// `y = relu(x)` for `len` elements.
///
/// # Safety
/// The pointers are valid for `len` elements; launched as [`relu_launch`] says.
#[kernel]
pub unsafe fn relu_forward(len: u32, x: *const f32, y: *mut f32) {
    let mut walk = Walk::over::<V>(len);
    while walk.i < walk.end {
        y.store_vector(walk.i, relu(x.load_vector::<V>(walk.i)));
        walk.i += walk.step;
    }
}

/// The gradient to the input from the gradient to the output and the output.
///
/// # Safety
/// The pointers are valid for `len` elements; launched as [`relu_launch`] says.
#[kernel]
pub unsafe fn relu_backward(len: u32, y: *const f32, dy: *const f32, dx: *mut f32) {
    let mut walk = Walk::over::<V>(len);
    while walk.i < walk.end {
        let (y, dy) = (y.load_vector::<V>(walk.i), dy.load_vector::<V>(walk.i));
        dx.store_vector(walk.i, relu_gradient(y, dy));
        walk.i += walk.step;
    }
}

#[cfg(all(not(target_arch = "nvptx64"), not(feature = "rust-cuda")))]
pub mod launch {
    //! Checked launches.

    use crate::launch::{Call, Check, Error, In, Out, Target};

    /// `y = relu(x)`; y may be x.
    pub fn relu_forward<'a>(
        x: In<'a, f32>,
        y: Out<'a, f32>,
        target: Target,
    ) -> Result<Call<'a>, Error> {
        // SAFETY: the kernel reads `len` elements of x and writes as many of y.
        unsafe { Check::new(&super::relu_forward, target).unary(x, y) }
    }

    /// The gradient `dx` of ReLU to its input from its output and the gradient to it;
    /// dx may be dy.
    pub fn relu_backward<'a>(
        y: In<'a, f32>,
        dy: In<'a, f32>,
        dx: Out<'a, f32>,
        target: Target,
    ) -> Result<Call<'a>, Error> {
        // SAFETY: the kernel reads `len` elements of y and dy and writes as many of dx.
        unsafe { Check::new(&super::relu_backward, target).binary([y, dy], dx) }
    }
}
