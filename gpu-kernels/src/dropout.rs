//! Dropout (section 4.2 of the paper; Hinton et al., arXiv:1207.0580).
//!
//! In training each element is set to zero with probability `p` and left alone
//! otherwise; in testing all are multiplied by `1 − p` ([`scale`]). This is the
//! paper's way round, not today's "inverted" dropout.
//!
//! Element `i` is dropped when the uniform number made of word `i mod 4` of
//! `philox([i / 4, stream, step, share], seed)` is below `p`: a function of the
//! tensor (`stream`), the training step, the share of the batch that it holds
//! (0 where it holds all) and the seed, which the backward pass computes again. `seed` is the run's; `stream` differs from tensor to tensor
//! and, where a tensor is cut in towers, from tower to tower.
//!
//! The tensors have `len` elements; `len` is a multiple of 16 and the pointers
//! of 16 bytes. The output may be the input. Launch as [`dropout_launch`] (and
//! [`scale_launch`]) say: one dimension, [`SPAN`](crate::elementwise::SPAN)
//! elements a block, any number of threads.
//!
//! ```
//! use gpu_kernels::launch::{self, Floats, In, Out, Target};
//! use gpu_kernels::dropout::Mask;
//!
//! let pool = simt_executor::Pool::new(1)?;
//! let mask = Mask { probability: 0.5, seed: [1, 2], stream: 0, step: 7, share: 0 };
//! let ones = Floats::from(&[1.0; 4096][..]);
//! let (mut y, mut dx) = (Floats::zeros(4096), Floats::zeros(4096));
//! launch::dropout_forward(mask, In::from(&ones), Out::from(&mut y), Target::Cpu)?.run(&pool)?;
//! launch::dropout_backward(mask, In::from(&ones), Out::from(&mut dx), Target::Cpu)?.run(&pool)?;
//! let kept = y.iter().sum::<f32>();
//! assert!((kept - 2048.0).abs() < 200.0);
//! assert_eq!(y[..], dx[..]);
//!
//! // In testing:
//! launch::scale(0.5, In::from(&ones), Out::from(&mut y), Target::Cpu)?.run(&pool)?;
//! assert_eq!(y[..], [0.5; 4096]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use crate::device::*;
use crate::elementwise::Walk;
use crate::random::{philox, uniform};

#[cfg(not(target_arch = "nvptx64"))]
pub use crate::elementwise::{launch as dropout_launch, launch as scale_launch};

/// What decides which elements are dropped.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Mask {
    /// The share of elements that are dropped.
    pub probability: f32,
    /// The run's seed.
    pub seed: [u32; 2],
    /// The tensor's number.
    pub stream: u32,
    /// The training step.
    pub step: u32,
    /// Which share of the batch it is, where a batch is computed in several.
    pub share: u32,
}

impl Mask {
    /// `x`, the elements from `i` on, without those that are dropped; `i` is a
    /// multiple of 4.
    ///
    /// # Safety
    /// The processor has `V`'s instructions.
    #[inline(always)]
    pub unsafe fn apply<V: Vector>(self, i: usize, x: V) -> V {
        let mut words = [0; 4];
        let drawn = V::from_fn(|lane| {
            if lane % 4 == 0 {
                words = philox(
                    [((i + lane) / 4) as u32, self.stream, self.step, self.share],
                    self.seed,
                );
            }
            uniform(*words.as_ptr().add(lane % 4))
        });
        V::splat(self.probability).select_gt(drawn, V::splat(0.0), x)
    }
}

/// `y = dropped ? 0 : x` for `len` elements.
///
/// # Safety
/// The pointers are valid for `len` elements; launched as [`dropout_launch`] says.
#[kernel]
pub unsafe fn dropout_forward(
    len: u32,
    drop_probability: f32,
    seed: [u32; 2],
    stream: u32,
    step: u32,
    share: u32,
    x: *const f32,
    y: *mut f32,
) {
    let mask = Mask {
        probability: drop_probability,
        seed,
        stream,
        step,
        share,
    };
    let mut walk = Walk::over::<V>(len);
    while walk.i < walk.end {
        y.store_vector(walk.i, mask.apply(walk.i, x.load_vector::<V>(walk.i)));
        walk.i += walk.step;
    }
}

/// `dx = dropped ? 0 : dy` for `len` elements, with the mask of the forward pass.
///
/// # Safety
/// The pointers are valid for `len` elements; launched as [`dropout_launch`] says.
#[kernel]
pub unsafe fn dropout_backward(
    len: u32,
    drop_probability: f32,
    seed: [u32; 2],
    stream: u32,
    step: u32,
    share: u32,
    dy: *const f32,
    dx: *mut f32,
) {
    let mask = Mask {
        probability: drop_probability,
        seed,
        stream,
        step,
        share,
    };
    let mut walk = Walk::over::<V>(len);
    while walk.i < walk.end {
        dx.store_vector(walk.i, mask.apply(walk.i, dy.load_vector::<V>(walk.i)));
        walk.i += walk.step;
    }
}

/// `y = factor · x` for `len` elements.
///
/// # Safety
/// The pointers are valid for `len` elements; launched as [`scale_launch`] says.
#[kernel]
pub unsafe fn scale(len: u32, factor: f32, x: *const f32, y: *mut f32) {
    let mut walk = Walk::over::<V>(len);
    while walk.i < walk.end {
        y.store_vector(walk.i, V::splat(factor) * x.load_vector::<V>(walk.i));
        walk.i += walk.step;
    }
}

#[cfg(all(not(target_arch = "nvptx64"), not(feature = "rust-cuda")))]
pub mod launch {
    //! Checked launches.

    use super::Mask;
    use crate::launch::{Call, Check, Error, In, Out, Target, needs};

    /// `y = x` without the elements that `mask` drops; y may be x.
    pub fn dropout_forward<'a>(
        mask: Mask,
        x: In<'a, f32>,
        y: Out<'a, f32>,
        target: Target,
    ) -> Result<Call<'a>, Error> {
        let check = Check::new(&super::dropout_forward, target);
        let len = check.sixteens(x.len())?;
        check.in_place(&needs![x: x.len(), y: x.len()])?;
        let arguments = masked(len, mask, x, y);
        // SAFETY: all buffers have `len` elements.
        unsafe { check.call(super::dropout_launch(len, target), arguments) }
    }

    /// `dx = dy` without the elements that `mask` drops; dx may be dy.
    pub fn dropout_backward<'a>(
        mask: Mask,
        dy: In<'a, f32>,
        dx: Out<'a, f32>,
        target: Target,
    ) -> Result<Call<'a>, Error> {
        let check = Check::new(&super::dropout_backward, target);
        let len = check.sixteens(dy.len())?;
        check.in_place(&needs![dy: dy.len(), dx: dy.len()])?;
        let arguments = masked(len, mask, dy, dx);
        // SAFETY: all buffers have `len` elements.
        unsafe { check.call(super::dropout_launch(len, target), arguments) }
    }

    /// `y = factor · x`; y may be x.
    pub fn scale<'a>(
        factor: f32,
        x: In<'a, f32>,
        y: Out<'a, f32>,
        target: Target,
    ) -> Result<Call<'a>, Error> {
        let check = Check::new(&super::scale, target);
        let len = check.sixteens(x.len())?;
        check.in_place(&needs![x: x.len(), y: x.len()])?;
        let arguments = (len, factor, x.pointer(), y.pointer());
        // SAFETY: all buffers have `len` elements.
        unsafe { check.call(super::dropout_launch(len, target), arguments) }
    }

    /// Length, probability, seed, stream, step, share, from where and to where.
    type Masked = (u32, f32, [u32; 2], u32, u32, u32, *const f32, *mut f32);

    /// The arguments of either dropout kernel.
    fn masked(len: u32, mask: Mask, x: In<f32>, y: Out<f32>) -> Masked {
        let Mask {
            probability,
            seed,
            stream,
            step,
            share,
        } = mask;
        let (x, y) = (x.pointer(), y.pointer());
        (len, probability, seed, stream, step, share, x, y)
    }
}
