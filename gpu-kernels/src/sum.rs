//! Sums in a fixed order: of the partial sums of split-K, and along a channel.
//!
//! How they are cut depends on the shapes alone, never by the device, so the bits are the
//! same everywhere.
//!
//! ```
//! use gpu_kernels::launch::{self, Floats, In, Out, Target};
//!
//! let pool = simt_executor::Pool::new(1)?;
//! // Three partial sums for 2 units and 32 images.
//! let parts = Floats::from(&[[1.0; 64], [2.0; 64], [3.0; 64]].concat()[..]);
//! let bias = Floats::from(&[10.0, 20.0][..]);
//! let (mut y, mut channels) = (Floats::zeros(64), Floats::zeros(2));
//! launch::sum_parts(3, In::from(&parts), Out::from(&mut y), Target::Cpu)?.run(&pool)?;
//! assert_eq!(y[..], [6.0; 64]);
//! let (parts, bias) = (In::from(&parts), In::from(&bias));
//! launch::sum_parts_with_bias(32, 3, parts, bias, Out::from(&mut y), Target::Cpu)?.run(&pool)?;
//! assert_eq!((y[0], y[32]), (16.0, 26.0));
//! launch::sum_maps(32, In::from(&y), Out::from(&mut channels), Target::Cpu)?.run(&pool)?;
//! assert_eq!(channels[..], [32.0 * 16.0, 32.0 * 26.0]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use crate::device::*;
use crate::divisor::Divisor;
use crate::elementwise::Walk;

#[cfg(not(target_arch = "nvptx64"))]
use {crate::target::Target, cuda_std::simt::Launch};

/// Launch of [`sum_parts`] and [`sum_parts_with_bias`].
#[cfg(not(target_arch = "nvptx64"))]
pub use crate::elementwise::launch as sum_parts_launch;

/// The sum of vector `i` of each partial sum, in order.
///
/// # Safety
/// `parts` is valid for `count · len` floats.
#[inline(always)]
pub unsafe fn sum_at<V: Vector>(i: usize, len: usize, count: u32, parts: *const f32) -> V {
    let mut sum: V = parts.load_vector(i);
    let mut part = 1;
    while part < count as usize {
        sum = sum + parts.load_vector(part * len + i);
        part += 1;
    }
    sum
}

/// `y[i] = Σ_p parts[p][i]` over `count` partial sums of `len` floats, a multiple of 16.
///
/// # Safety
/// `parts` is valid for `count · len` floats and `y` for `len`; `y` may be the
/// first part itself.
#[kernel]
pub unsafe fn sum_parts(len: u32, count: u32, parts: *const f32, y: *mut f32) {
    let mut walk = Walk::over::<V>(len);
    while walk.i < walk.end {
        y.store_vector(walk.i, sum_at::<V>(walk.i, len as usize, count, parts));
        walk.i += walk.step;
    }
}

/// `y[o][n] = b[o] + Σ_p parts[p][o][n]`: [`sum_parts`] of an output of so many
/// `images`, then the bias.
///
/// # Safety
/// As [`sum_parts`]; `bias` is valid for `len / images` floats.
#[kernel]
pub unsafe fn sum_parts_with_bias(
    len: u32,
    images: Divisor,
    count: u32,
    parts: *const f32,
    bias: *const f32,
    y: *mut f32,
) {
    let mut walk = Walk::over::<V>(len);
    while walk.i < walk.end {
        let (output, _) = images.div_rem(walk.i as u32);
        let sum = sum_at::<V>(walk.i, len as usize, count, parts);
        y.store_vector(walk.i, sum + V::splat(bias.load(output as usize)));
        walk.i += walk.step;
    }
}

/// Running sums of a channel: sum `l` takes every float at `l` modulo this.
const LINES: usize = 256;

/// Launch of [`sum_maps`].
#[cfg(not(target_arch = "nvptx64"))]
pub fn sum_maps_launch(channels: u32, target: Target) -> Launch {
    Launch {
        grid: [channels, 1, 1],
        block: match target {
            Target::Cpu => [1, 1, 1],
            Target::Gpu => [(LINES / target.lanes()) as u32, 1, 1],
        },
        shared: (LINES * size_of::<f32>()) as u32,
    }
}

/// `y[m] = Σ_j x[m][j]` over channels of `columns` floats, a multiple of 16: the
/// gradient of a bias.
///
/// 256 running sums, each over every 256th float in order, then added
/// pairwise: sum `l` and sum `l + 128`, and so on by halves.
///
/// # Safety
/// `x` is valid for `channels · columns` floats and `y` for `channels`; launched as
/// [`sum_maps_launch`] says.
#[kernel]
pub unsafe fn sum_maps(columns: u32, x: *const f32, y: *mut f32) {
    let channel = thread::block_idx_x() as usize;
    let x = x.add(channel * columns as usize);
    let sums = Shared::dynamic();
    if V::LANES > 4 {
        // A CPU's one thread reads on where it has read.
        running_sums::<V, 16>(columns as usize, x, sums);
    } else {
        running_sums::<V, 1>(columns as usize, x, sums);
    }
    let (line, step) = (
        thread::thread_idx_x() as usize * V::LANES,
        thread::block_dim_x() as usize * V::LANES,
    );
    thread::sync_threads();
    let mut half = LINES / 2;
    while half >= V::LANES {
        let mut l = line;
        while l < half {
            sums.store_vector(l, sums.load_vector::<V>(l) + sums.load_vector(l + half));
            l += step;
        }
        thread::sync_threads();
        half /= 2;
    }
    if line == 0 {
        y.store(channel, halves(sums, half));
    }
}

/// The running sums of a channel's `columns`, to `sums`: a thread has `N` neighbouring vectors of them.
///
/// # Safety
/// `x` is valid for `columns`, a multiple of a vector; `sums` has room for [`LINES`], which are `N` vectors for each
/// thread of the block. All of them call this.
#[inline(always)]
unsafe fn running_sums<V: Vector, const N: usize>(columns: usize, x: *const f32, sums: Shared) {
    let line = thread::thread_idx_x() as usize * N * V::LANES;
    let mut own = [V::splat(0.0); N];
    let mut j = line;
    while j + N * V::LANES <= columns {
        let mut n = 0;
        while n < N {
            own[n] = own[n] + x.load_vector(j + n * V::LANES);
            n += 1;
        }
        j += LINES;
    }
    let mut n = 0;
    while n < N {
        let at = j + n * V::LANES;
        // One vector never ends beyond the columns.
        if N > 1 && at < columns {
            own[n] = own[n] + x.load_vector(at);
        }
        sums.store_vector(line + n * V::LANES, own[n]);
        n += 1;
    }
}

/// The sum of the first `2 · half` floats, by halves.
///
/// # Safety
/// The first `2 · half` floats were written before the last barrier, and no other
/// thread uses them.
#[inline(always)]
unsafe fn halves(sums: Shared, mut half: usize) -> f32 {
    while half > 0 {
        let mut l = 0;
        while l < half {
            sums.store(l, sums.load(l) + sums.load(l + half));
            l += 1;
        }
        half /= 2;
    }
    sums.load(0)
}

#[cfg(all(not(target_arch = "nvptx64"), not(feature = "rust-cuda")))]
pub mod launch {
    //! Checked launches.

    use crate::divisor::Divisor;
    use crate::launch::{BadSize, Call, Check, Error, In, Out, Target, keep, needs};
    use crate::sizes::{LIMIT, product};

    /// `y`, the sum of `count` parts of y's length; y may be the first of them.
    pub fn sum_parts<'a>(
        count: u32,
        parts: In<'a, f32>,
        y: Out<'a, f32>,
        target: Target,
    ) -> Result<Call<'a>, Error> {
        let check = Check::new(&super::sum_parts, target);
        let len = check.sixteens(y.len())?;
        check.size(at_least_one(count))?;
        check.in_place(&needs![parts: product(&[len, count]), y: y.len()])?;
        let arguments = (len, count, parts.pointer(), y.pointer());
        // SAFETY: the buffers fit the checked sizes.
        unsafe { check.call(super::sum_parts_launch(len, target), arguments) }
    }

    /// The same, and an element of `bias` added for every so many `images`.
    pub fn sum_parts_with_bias<'a>(
        images: u32,
        count: u32,
        parts: In<'a, f32>,
        bias: In<'a, f32>,
        y: Out<'a, f32>,
        target: Target,
    ) -> Result<Call<'a>, Error> {
        let check = Check::new(&super::sum_parts_with_bias, target);
        let len = check.sixteens(y.len())?;
        check.size(at_least_one(count))?;
        check.size(keep(
            images > 0 && images.is_multiple_of(16) && len.is_multiple_of(images),
            "images must be a multiple of 16 and divide the sums",
            images.into(),
        ))?;
        check.in_place(&needs![
            parts: product(&[len, count]),
            bias: (len / images) as usize,
            y: y.len(),
        ])?;
        let arguments = (
            len,
            Divisor::new(images),
            count,
            parts.pointer(),
            bias.pointer(),
            y.pointer(),
        );
        // SAFETY: the buffers fit the checked sizes.
        unsafe { check.call(super::sum_parts_launch(len, target), arguments) }
    }

    /// `y`, the sum of each channel of `columns` floats: the gradient to a bias.
    pub fn sum_maps<'a>(
        columns: u32,
        x: In<'a, f32>,
        y: Out<'a, f32>,
        target: Target,
    ) -> Result<Call<'a>, Error> {
        let check = Check::new(&super::sum_maps, target);
        check.size(keep(
            columns.is_multiple_of(16) && (columns as u64) < LIMIT,
            "columns must be a multiple of 16 and fewer than 2³¹",
            columns.into(),
        ))?;
        let channels = check.size(count(y.len()))?;
        check.buffers(&needs![x: product(&[channels, columns]), y: y.len()])?;
        let arguments = (columns, x.pointer(), y.pointer());
        // SAFETY: the buffers fit the checked sizes.
        unsafe { check.call(super::sum_maps_launch(channels, target), arguments) }
    }

    fn at_least_one(parts: u32) -> Result<(), BadSize> {
        keep(parts > 0, "parts must be at least 1", parts.into())
    }

    fn count(channels: usize) -> Result<u32, BadSize> {
        let rule = "channels must be fewer than 2³¹";
        keep((channels as u64) < LIMIT, rule, channels as u64).map(|()| channels as u32)
    }
}
