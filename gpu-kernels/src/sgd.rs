//! Stochastic gradient descent with momentum and weight decay, as the paper
//! prints it (section 5):
//!
//! ```text
//! v ← momentum · v − decay · ε · w − ε · g
//! w ← w + v
//! ```
//!
//! with ε the learning rate and g the mean gradient over the batch. Rounded in
//! this order, each product fused with its sum:
//!
//! ```text
//! v ← momentum · v;   v ← fma(−(decay · ε), w, v);   v ← fma(−ε, g, v);   w ← w + v
//! ```
//!
//! `len` is a multiple of 16, the pointers of 16 bytes; padding that is zero in
//! all three stays zero. Launch as [`sgd_launch`] says: one dimension,
//! [`SPAN`](crate::elementwise::SPAN) elements a block, any number of threads.
//!
//! ```
//! use gpu_kernels::launch::{self, Floats, In, Out, Target};
//!
//! let pool = simt_executor::Pool::new(1)?;
//! let (rate, momentum, decay) = (0.1, 0.9, 0.0005);
//! let gradient = Floats::from(&[2.0; 16][..]);
//! let (mut velocity, mut weights) = (Floats::from(&[0.5; 16][..]), Floats::from(&[1.0; 16][..]));
//! let (v, w) = (Out::from(&mut velocity), Out::from(&mut weights));
//! launch::sgd_update([rate, momentum, decay], In::from(&gradient), v, w, Target::Cpu)?.run(&pool)?;
//! assert!((velocity[0] - (0.45 - 0.00005 - 0.2)).abs() < 1e-6);
//! assert!((weights[0] - 1.24995).abs() < 1e-6);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use crate::device::*;
use crate::elementwise::Walk;

#[cfg(not(target_arch = "nvptx64"))]
pub use crate::elementwise::launch as sgd_launch;

/// The new velocity, from the rate, momentum and decay, gradient `g`, velocity `v`
/// and weights `w`; the new weights are `w` + the new velocity.
///
/// # Safety
/// The processor has `V`'s instructions.
#[inline(always)]
pub unsafe fn velocity_after<V: Vector>([rate, momentum, decay]: [f32; 3], g: V, v: V, w: V) -> V {
    let kept = V::splat(momentum) * v;
    let decayed = V::splat(-(decay * rate)).fma(w, kept);
    V::splat(-rate).fma(g, decayed)
}

/// One step for `len` weights.
///
/// # Safety
/// The pointers are valid for `len` elements and do not overlap; launched as
/// [`sgd_launch`] says.
#[kernel]
pub unsafe fn sgd_update(
    len: u32,
    rate: f32,
    momentum: f32,
    decay: f32,
    gradient: *const f32,
    velocity: *mut f32,
    weights: *mut f32,
) {
    let mut walk = Walk::over::<V>(len);
    while walk.i < walk.end {
        let (v, w) = (
            velocity.load_vector::<V>(walk.i),
            weights.load_vector::<V>(walk.i),
        );
        let g = gradient.load_vector::<V>(walk.i);
        let v = velocity_after([rate, momentum, decay], g, v, w);
        velocity.store_vector(walk.i, v);
        weights.store_vector(walk.i, w + v);
        walk.i += walk.step;
    }
}

#[cfg(all(not(target_arch = "nvptx64"), not(feature = "rust-cuda")))]
pub mod launch {
    //! Checked launches.

    use crate::launch::{Call, Check, Error, In, Out, Target, needs};

    /// A step of gradient descent on `weights`, by learning rate, momentum and decay.
    pub fn sgd_update<'a>(
        [rate, momentum, decay]: [f32; 3],
        gradient: In<'a, f32>,
        velocity: Out<'a, f32>,
        weights: Out<'a, f32>,
        target: Target,
    ) -> Result<Call<'a>, Error> {
        let check = Check::new(&super::sgd_update, target);
        let count = weights.len();
        let len = check.sixteens(count)?;
        check.buffers(&needs![gradient: count, velocity: count, weights: count])?;
        let arguments = (
            len,
            rate,
            momentum,
            decay,
            gradient.pointer(),
            velocity.pointer(),
            weights.pointer(),
        );
        // SAFETY: all buffers have `len` elements.
        unsafe { check.call(super::sgd_launch(len, target), arguments) }
    }
}
