//! Softmax, its loss, and the error counts (section 3.5 of the paper).
//!
//! For one image with logits z and label l:
//!
//! ```text
//! m = max z,    S = Σⱼ exp(zⱼ − m)
//! pⱼ = exp(zⱼ − m) / S
//! loss = −log p_l = (m − z_l) + log S
//! ∂(mean loss)/∂zⱼ = (pⱼ − [j = l]) / images
//! ```
//!
//! Sums and maxima over the classes are made in [`PARTS`] parts, part p of the
//! classes p, p + PARTS, …, each in order; then over the parts in order. `exp`
//! and `log` are the `libm` crate's. A NaN among an image's logits makes its
//! loss NaN.
//!
//! Logits and probabilities are `[classes][images]`, everything else `[images]`;
//! images are a multiple of 32, the pointers of 16 bytes. Fewer than 2²⁴ classes
//! and images. Launch [`softmax`] and [`cross_entropy`] as [`softmax_launch`]
//! says: a block for each [`IMAGES`] images, its threads along x a vector of
//! them each, along y a part each; [`softmax_gradient`] as
//! [`softmax_gradient_launch`] says: a block for each row.
//!
//! ```
//! use gpu_kernels::launch::{self, Floats, In, LossGradient, Out, Target};
//!
//! let pool = simt_executor::Pool::new(1)?;
//! // Two classes, 32 images, all of class 1.
//! let logits = Floats::from(&[[0.0; 32], [3f32.ln(); 32]].concat()[..]);
//! let labels = [1; 32];
//! let (mut p, mut dz) = (Floats::zeros(64), Floats::zeros(64));
//! let (mut loss, mut rank) = (Floats::zeros(32), Floats::zeros(32));
//! launch::softmax([2, 32], In::from(&logits), Out::from(&mut p), Target::Cpu)?.run(&pool)?;
//! assert!((p[0] - 0.25).abs() < 1e-6 && (p[32] - 0.75).abs() < 1e-6);
//!
//! let (loss_out, rank_out) = (Out::from(&mut loss), Out::from(&mut rank));
//! let (z, l) = (In::from(&logits), In::from(&labels));
//! launch::cross_entropy(2, z, l, loss_out, rank_out, Target::Cpu)?.run(&pool)?;
//! assert!((loss[0] + 0.75f32.ln()).abs() < 1e-6);
//! assert_eq!(rank[0], 0.0); // no class has a larger logit: top-1 is right
//!
//! let all = LossGradient { classes: 2, first: 0, rows: 2, rows_padded: 2, valid: 32 };
//! launch::softmax_gradient(all, In::from(&p), l, Out::from(&mut dz), Target::Cpu)?.run(&pool)?;
//! assert!((dz[0] - 0.25 / 32.0).abs() < 1e-7 && (dz[32] + 0.25 / 32.0).abs() < 1e-7);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use crate::device::*;
use crate::elementwise::Walk;
use crate::math;

#[cfg(not(target_arch = "nvptx64"))]
use {crate::target::Target, cuda_std::simt::Launch};

/// Parts in which the classes are summed.
pub const PARTS: u32 = 32;

/// Images of a block.
pub const IMAGES: u32 = 32;

/// The launch of [`softmax`] and [`cross_entropy`].
#[cfg(not(target_arch = "nvptx64"))]
pub fn softmax_launch(images: u32, target: Target) -> Launch {
    Launch {
        grid: [images / IMAGES, 1, 1],
        block: [IMAGES / target.lanes() as u32, PARTS, 1],
        shared: PARTS * IMAGES * size_of::<f32>() as u32,
    }
}

/// The launch of [`cross_entropy`].
#[cfg(not(target_arch = "nvptx64"))]
pub fn cross_entropy_launch(images: u32, target: Target) -> Launch {
    softmax_launch(images, target)
}

/// The launch of [`softmax_gradient`].
#[cfg(not(target_arch = "nvptx64"))]
pub fn softmax_gradient_launch(rows_padded: u32, images: u32, target: Target) -> Launch {
    let threads = match target {
        Target::Cpu => 1,
        Target::Gpu => (images / 4).clamp(1, 256),
    };
    Launch {
        grid: [rows_padded, 1, 1],
        block: [threads, 1, 1],
        shared: 0,
    }
}

/// One thread's classes of one vector of images.
struct Part<V> {
    logits: *const f32,
    classes: u32,
    images: usize,
    image: usize,
    lanes: core::marker::PhantomData<V>,
}

impl<V: Vector> Part<V> {
    #[inline(always)]
    fn of_thread(classes: u32, images: u32, logits: *const f32) -> Self {
        let image = thread::block_idx_x() * IMAGES + thread::thread_idx_x() * V::LANES as u32;
        Part {
            logits,
            classes,
            images: images as usize,
            image: image as usize,
            lanes: core::marker::PhantomData,
        }
    }

    #[inline(always)]
    fn at(&self, class: u32) -> usize {
        class as usize * self.images + self.image
    }

    /// # Safety
    /// The logits are valid for the classes and images, `class` is one of them.
    #[inline(always)]
    unsafe fn logit(&self, class: u32) -> V {
        self.logits.load_vector(self.at(class))
    }

    /// The parts of all threads, combined in order. Every thread of the block
    /// calls this.
    ///
    /// # Safety
    /// Launched as [`softmax_launch`] says.
    #[inline(always)]
    unsafe fn combine(&self, part: V, with: impl Fn(V, V) -> V) -> V {
        let column = Shared::dynamic().from(thread::thread_idx_x() as usize * V::LANES);
        column.store_vector((thread::thread_idx_y() * IMAGES) as usize, part);
        thread::sync_threads();
        let mut all = column.load_vector::<V>(0);
        // Not the constant: it would have all loads stand side by side in registers.
        let parts = thread::block_dim_y();
        let mut i = 1;
        while i < parts {
            all = with(all, column.load_vector((i * IMAGES) as usize));
            i += 1;
        }
        thread::sync_threads();
        all
    }

    /// The greatest logit, NaNs left out.
    ///
    /// # Safety
    /// The logits are valid for the classes and images; launched as
    /// [`softmax_launch`] says.
    #[inline(always)]
    unsafe fn maximum(&self) -> V {
        let mut part = V::splat(f32::NEG_INFINITY);
        let mut class = thread::thread_idx_y();
        while class < self.classes {
            let z = self.logit(class);
            part = z.select_gt(part, z, part);
            class += PARTS;
        }
        self.combine(part, |a, b| b.select_gt(a, b, a))
    }

    /// `Σ exp(z − maximum)`.
    ///
    /// # Safety
    /// As of [`maximum`](Self::maximum).
    #[inline(always)]
    unsafe fn sum(&self, maximum: V) -> V {
        let mut part = V::splat(0.0);
        let mut class = thread::thread_idx_y();
        while class < self.classes {
            part = part + (self.logit(class) - maximum).map(math::exp);
            class += PARTS;
        }
        self.combine(part, |a, b| a + b)
    }

    /// The label's rank: how many classes stand before it, given its logit `own`.
    ///
    /// # Safety
    /// As of [`maximum`](Self::maximum).
    #[inline(always)]
    unsafe fn rank(&self, label: V, own: V) -> V {
        let (zero, one) = (V::splat(0.0), V::splat(1.0));
        let mut part = zero;
        let mut class = thread::thread_idx_y();
        while class < self.classes {
            let z = self.logit(class);
            let tie = label.select_gt(V::splat(class as f32), one, zero);
            let before = own.select_gt(z, zero, one);
            part = part + own.select_eq(z, tie, before);
            class += PARTS;
        }
        self.combine(part, |a, b| a + b)
    }
}

/// The probabilities of each image's classes.
///
/// # Safety
/// Both are valid for `classes · images` elements and do not overlap; launched as
/// [`softmax_launch`] says.
#[kernel]
pub unsafe fn softmax(classes: u32, images: u32, logits: *const f32, probabilities: *mut f32) {
    let part = Part::<V>::of_thread(classes, images, logits);
    let maximum = part.maximum();
    let sum = part.sum(maximum);
    let mut class = thread::thread_idx_y();
    while class < classes {
        let p = (part.logit(class) - maximum).map(math::exp) / sum;
        probabilities.store_vector(part.at(class), p);
        class += PARTS;
    }
}

/// Each image's loss, and its label's place among the classes.
///
/// `rank` is the number of classes whose logit is greater than the label's, or
/// equal to it with a lower number: 0 is a top-1 hit, below 5 a top-5 hit. A NaN
/// counts as greater, and a NaN of the label's own as less than all. A label
/// that is no class gives a NaN loss and all classes.
///
/// # Safety
/// `logits` is valid for `classes · images` elements, the others for `images`; what
/// is written overlaps nothing else; launched as [`cross_entropy_launch`] says.
#[kernel]
pub unsafe fn cross_entropy(
    classes: u32,
    images: u32,
    logits: *const f32,
    labels: *const u32,
    loss: *mut f32,
    rank: *mut f32,
) {
    let part = Part::<V>::of_thread(classes, images, logits);
    let label = V::from_fn(|lane| labels.load(part.image + lane) as f32);
    let own = V::from_fn(|lane| {
        let class = labels.load(part.image + lane);
        if class < classes {
            logits.load(part.at(class) + lane)
        } else {
            f32::NAN
        }
    });
    let maximum = part.maximum();
    let sum = part.sum(maximum);
    let count = part.rank(label, own);
    if thread::thread_idx_y() == 0 {
        loss.store_vector(part.image, (maximum - own) + sum.map(math::log));
        rank.store_vector(part.image, count);
    }
}

/// The mean loss' gradient to the logits of classes `first .. first + rows`.
///
/// `out` is `[rows_padded][images]`; images from `valid` on, which do not count,
/// and rows from `rows` on are set to 0. `labels` has an entry for every image.
///
/// # Safety
/// The pointers are valid for so much, `out` overlaps none of the others; launched
/// as [`softmax_gradient_launch`] says.
#[kernel]
pub unsafe fn softmax_gradient(
    classes: u32,
    images: u32,
    first: u32,
    rows: u32,
    rows_padded: u32,
    valid: u32,
    probabilities: *const f32,
    labels: *const u32,
    out: *mut f32,
) {
    let row = thread::block_idx_x();
    let class = first + row;
    let mut walk = Walk::of_block::<V>(0, images, images);
    while row < rows_padded && walk.i < walk.end {
        let image = walk.i;
        let mut gradient = V::splat(0.0);
        if row < rows && class < classes {
            let p = probabilities.load_vector::<V>(class as usize * images as usize + image);
            let hit = V::from_fn(|lane| (labels.load(image + lane) == class) as u32 as f32);
            let index = V::from_fn(|lane| (image + lane) as f32);
            let count = V::splat(valid as f32);
            gradient = count.select_gt(index, (p - hit) / count, gradient);
        }
        out.store_vector(row as usize * images as usize + image, gradient);
        walk.i += walk.step;
    }
}

#[cfg(all(not(target_arch = "nvptx64"), not(feature = "rust-cuda")))]
pub mod launch {
    //! Checked launches.

    use crate::launch::{BadSize, Call, Check, Error, In, Out, Target, keep, needs};
    use crate::sizes::{self, LIMIT, product};

    /// The probabilities of the `classes` of each of `images`.
    pub fn softmax<'a>(
        [classes, images]: [u32; 2],
        logits: In<'a, f32>,
        probabilities: Out<'a, f32>,
        target: Target,
    ) -> Result<Call<'a>, Error> {
        let check = Check::new(&super::softmax, target);
        check.size(fits(classes, images))?;
        let len = product(&[classes, images]);
        check.buffers(&needs![logits: len, probabilities: len])?;
        let arguments = (classes, images, logits.pointer(), probabilities.pointer());
        // SAFETY: the buffers fit the checked sizes.
        unsafe { check.call(super::softmax_launch(images, target), arguments) }
    }

    /// Each image's loss, and how many of the `classes` stand before its label.
    pub fn cross_entropy<'a>(
        classes: u32,
        logits: In<'a, f32>,
        labels: In<'a, u32>,
        loss: Out<'a, f32>,
        rank: Out<'a, f32>,
        target: Target,
    ) -> Result<Call<'a>, Error> {
        let check = Check::new(&super::cross_entropy, target);
        let count = labels.len();
        let images = check.size(sizes::batch(count))?;
        check.size(fits(classes, images))?;
        let len = product(&[classes, images]);
        check.buffers(&needs![logits: len, labels: count, loss: count, rank: count])?;
        let arguments = (
            classes,
            images,
            logits.pointer(),
            labels.pointer(),
            loss.pointer(),
            rank.pointer(),
        );
        let launch = super::cross_entropy_launch(images, target);
        // SAFETY: the buffers fit the checked sizes.
        unsafe { check.call(launch, arguments) }
    }

    /// Which part of a loss' gradient is wanted.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct LossGradient {
        /// All classes.
        pub classes: u32,
        /// The first class that is wanted.
        pub first: u32,
        /// How many are wanted.
        pub rows: u32,
        /// Rows of the output, those beyond `rows` zeros.
        pub rows_padded: u32,
        /// Images that count; the others get zeros.
        pub valid: u32,
    }

    /// The mean loss' gradient to the logits.
    pub fn softmax_gradient<'a>(
        wanted: LossGradient,
        probabilities: In<'a, f32>,
        labels: In<'a, u32>,
        out: Out<'a, f32>,
        target: Target,
    ) -> Result<Call<'a>, Error> {
        let check = Check::new(&super::softmax_gradient, target);
        let images = check.size(sizes::batch(labels.len()))?;
        let LossGradient {
            classes,
            first,
            rows,
            rows_padded,
            valid,
        } = wanted;
        check.size(fits(classes.max(rows_padded), images))?;
        check.size(keep(
            first as u64 + rows as u64 <= classes as u64 && rows <= rows_padded,
            "rows must end within the classes and the padded rows",
            rows.into(),
        ))?;
        check.size(keep(
            valid <= images,
            "valid images must be at most all",
            valid.into(),
        ))?;
        check.buffers(&needs![
            probabilities: product(&[classes, images]),
            labels: labels.len(),
            out: product(&[rows_padded, images]),
        ])?;
        let arguments = (
            classes,
            images,
            first,
            rows,
            rows_padded,
            valid,
            probabilities.pointer(),
            labels.pointer(),
            out.pointer(),
        );
        let launch = super::softmax_gradient_launch(rows_padded, images, target);
        // SAFETY: the buffers fit the checked sizes.
        unsafe { check.call(launch, arguments) }
    }

    fn fits(classes: u32, images: u32) -> Result<(), BadSize> {
        sizes::batch(images as usize)?;
        keep(
            classes < 1 << 24,
            "classes must be fewer than 2²⁴",
            classes.into(),
        )?;
        let len = product(&[classes, images]) as u64;
        keep(len < LIMIT, "logits must be fewer than 2³¹", len)
    }
}
