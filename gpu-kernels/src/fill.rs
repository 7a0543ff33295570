//! Initial values: normal random numbers for weights, a constant for biases
//! (section 5 of the paper).
//!
//! A matrix has `rows` rows of `valid` elements, `stride` apart, a multiple of
//! 16; what lies between is set to zero. Element (r, c) is `sigma` times number
//! `c mod 4` of the four normal numbers made of `philox([c / 4, r, stream, 1],
//! seed)`, so it depends neither on the stride nor on the size of the matrix.
//! `seed` is the run's, `stream` differs from tensor to tensor.
//!
//! The pointers are multiples of 16 bytes. Launch as [`gaussian_fill_launch`]
//! says: a row for each block index along x, which walks along it in spans of
//! [`SPAN`] along y; [`constant_fill_launch`]: one
//! dimension, the same spans. Any number of threads.
//!
//! ```
//! use gpu_kernels::launch::{self, Floats, Gaussian, Out, Target};
//!
//! let pool = simt_executor::Pool::new(1)?;
//! let shape = Gaussian { rows: 64, stride: 112, valid: 100, sigma: 0.01, seed: [1, 2], stream: 0 };
//! let (mut weights, mut bias) = (Floats::zeros(64 * 112), Floats::zeros(112));
//! launch::gaussian_fill(shape, Out::from(&mut weights), Target::Cpu)?.run(&pool)?;
//! launch::constant_fill(100, 1.0, Out::from(&mut bias), Target::Cpu)?.run(&pool)?;
//! let variance = weights.iter().map(|w| w * w).sum::<f32>() / 6400.0;
//! assert!((variance.sqrt() - 0.01).abs() < 0.001);
//! assert_eq!((weights[100], bias[99], bias[100]), (0.0, 1.0, 0.0));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use crate::device::*;
use crate::elementwise::{SPAN, Walk};
use crate::random::{normal, philox};

#[cfg(not(target_arch = "nvptx64"))]
use {crate::elementwise, crate::target::Target, cuda_std::simt::Launch};

#[cfg(not(target_arch = "nvptx64"))]
pub use crate::elementwise::launch as constant_fill_launch;

/// The launch of [`gaussian_fill`].
#[cfg(not(target_arch = "nvptx64"))]
pub fn gaussian_fill_launch(rows: u32, stride: u32, target: Target) -> Launch {
    let spans = stride.div_ceil(SPAN);
    Launch {
        grid: [rows, spans, 1],
        block: [elementwise::threads(target), 1, 1],
        shared: 0,
    }
}

/// Normal numbers of mean 0 and deviation 1 for the elements of row `r` from
/// column `c` on, a multiple of 4.
///
/// # Safety
/// The processor has `V`'s instructions.
#[inline(always)]
pub unsafe fn normals<V: Vector>(r: u32, c: usize, seed: [u32; 2], stream: u32) -> V {
    let mut four = [0.0; 4];
    V::from_fn(|lane| {
        if lane % 4 == 0 {
            let words = philox([((c + lane) / 4) as u32, r, stream, 1], seed);
            let ((a, b), (c, d)) = (normal(words[0], words[1]), normal(words[2], words[3]));
            four = [a, b, c, d];
        }
        *four.as_ptr().add(lane % 4)
    })
}

/// `x` where the element's index is below `valid`, else 0.
///
/// # Safety
/// The processor has `V`'s instructions.
#[inline(always)]
unsafe fn below<V: Vector>(valid: u32, i: usize, x: V) -> V {
    if i + V::LANES <= valid as usize {
        return x;
    }
    let inside = V::from_fn(|lane| if i + lane < valid as usize { 1.0 } else { 0.0 });
    inside.select_gt(V::splat(0.0), x, V::splat(0.0))
}

/// Fills a matrix with normal numbers of mean 0 and deviation `sigma`.
///
/// # Safety
/// `out` is valid for `rows · stride` elements; launched as
/// [`gaussian_fill_launch`] says.
#[kernel]
pub unsafe fn gaussian_fill(
    rows: u32,
    stride: u32,
    valid: u32,
    sigma: f32,
    seed: [u32; 2],
    stream: u32,
    out: *mut f32,
) {
    let row = thread::block_idx_x();
    if row >= rows {
        return;
    }
    let out = out.wrapping_add(row as usize * stride as usize);
    let mut walk = Walk::of_block::<V>(thread::block_idx_y(), SPAN, stride);
    while walk.i < walk.end {
        let x = V::splat(sigma) * normals::<V>(row, walk.i, seed, stream);
        out.store_vector(walk.i, below(valid, walk.i, x));
        walk.i += walk.step;
    }
}

/// Sets the first `valid` of `len` elements to `value`, the rest to 0.
///
/// # Safety
/// `out` is valid for `len` elements; launched as [`constant_fill_launch`] says.
#[kernel]
pub unsafe fn constant_fill(len: u32, valid: u32, value: f32, out: *mut f32) {
    let mut walk = Walk::over::<V>(len);
    while walk.i < walk.end {
        out.store_vector(walk.i, below(valid, walk.i, V::splat(value)));
        walk.i += walk.step;
    }
}

#[cfg(all(not(target_arch = "nvptx64"), not(feature = "rust-cuda")))]
pub mod launch {
    //! Checked launches.

    use crate::launch::{Call, Check, Error, Out, Target, keep, needs};
    use crate::sizes::product;

    /// A matrix of normal numbers.
    #[derive(Clone, Copy, Debug, PartialEq)]
    pub struct Gaussian {
        /// Its rows.
        pub rows: u32,
        /// Elements from row to row, a multiple of 16.
        pub stride: u32,
        /// Elements of a row that are not 0.
        pub valid: u32,
        /// Their standard deviation.
        pub sigma: f32,
        /// The run's seed.
        pub seed: [u32; 2],
        /// The tensor's number.
        pub stream: u32,
    }

    /// Fills `out` with normal numbers.
    pub fn gaussian_fill<'a>(
        matrix: Gaussian,
        out: Out<'a, f32>,
        target: Target,
    ) -> Result<Call<'a>, Error> {
        let check = Check::new(&super::gaussian_fill, target);
        let Gaussian {
            rows,
            stride,
            valid,
            sigma,
            seed,
            stream,
        } = matrix;
        check.sixteens(stride as usize)?;
        check.size(keep(
            valid <= stride,
            "valid elements must be at most the stride",
            valid.into(),
        ))?;
        check.buffers(&needs![out: product(&[rows, stride])])?;
        let arguments = (rows, stride, valid, sigma, seed, stream, out.pointer());
        let launch = super::gaussian_fill_launch(rows, stride, target);
        // SAFETY: the buffer fits the checked sizes.
        unsafe { check.call(launch, arguments) }
    }

    /// Sets the first `valid` elements of `out` to `value`, the rest to 0.
    pub fn constant_fill<'a>(
        valid: u32,
        value: f32,
        out: Out<'a, f32>,
        target: Target,
    ) -> Result<Call<'a>, Error> {
        let check = Check::new(&super::constant_fill, target);
        let len = check.sixteens(out.len())?;
        check.size(keep(
            valid <= len,
            "valid elements must be at most all",
            valid.into(),
        ))?;
        check.buffers(&needs![out: out.len()])?;
        let arguments = (len, valid, value, out.pointer());
        // SAFETY: the buffer has `len` elements.
        unsafe { check.call(super::constant_fill_launch(len, target), arguments) }
    }
}
