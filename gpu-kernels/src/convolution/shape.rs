//! What a convolution's sizes are, and the launches that follow from them.

use crate::divisor::Divisor;
use crate::sizes::{BadSize, LIMIT, keep, product};

/// The sizes of a convolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Shape {
    pub(super) images: Divisor,
    pub(super) channels: u32,
    pub(super) height: u32,
    pub(super) width: Divisor,
    pub(super) filters: Divisor,
    pub(super) kernel: Divisor,
    pub(super) window: Divisor,
    pub(super) stride: Divisor,
    pub(super) pad: u32,
    pub(super) out_height: u32,
    pub(super) out_width: Divisor,
}

const fn numbers(channels: u32, [height, width]: [u32; 2], images: u32) -> u64 {
    product(&[channels, height, width, images]) as u64
}

/// A convolution's sizes by name, to make a [`Shape`] of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    /// Images in the batch, a multiple of 32.
    pub images: u32,
    /// Channels of the input.
    pub channels: u32,
    /// Height and width of the input.
    pub input: [u32; 2],
    /// Filters, a multiple of 16.
    pub filters: u32,
    /// Height and width of the window.
    pub kernel: u32,
    /// Pixels from one window to the next.
    pub stride: u32,
    /// Rows and columns of zeros above and left of the image.
    pub pad: u32,
    /// Height and width of the output.
    pub output: [u32; 2],
}

impl Sizes {
    /// What no convolution of these sizes can be, or nothing.
    const fn check(&self) -> Result<(), BadSize> {
        const SPAN: u64 = 1 << 29;
        const WEIGHTS: &str = "weights must be fewer than 2³¹ and not none";
        const REACH: &str = "pixels from first to last window must be fewer than 2²⁹";
        let inputs = numbers(self.channels, self.input, self.images);
        let outputs = numbers(self.filters, self.output, self.images);
        let weights = numbers(self.channels, [self.kernel; 2], self.filters);
        let [last, wide] = [max(self.output), max(self.input)];
        let reach = last as u64 * self.stride as u64 + self.kernel as u64 + self.pad as u64;
        let rules = [
            keep(
                self.images.is_multiple_of(32),
                "images must be a multiple of 32",
                self.images as u64,
            ),
            keep(
                self.filters.is_multiple_of(16),
                "filters must be a multiple of 16",
                self.filters as u64,
            ),
            keep(
                0 < inputs && inputs < LIMIT,
                "input must have fewer than 2³¹ numbers and not none",
                inputs,
            ),
            keep(
                0 < outputs && outputs < LIMIT,
                "output must have fewer than 2³¹ numbers and not none",
                outputs,
            ),
            keep(0 < weights && weights < LIMIT, WEIGHTS, weights),
            keep(
                self.stride > 0,
                "pixels from window to window must be at least 1",
                0,
            ),
            keep(reach < SPAN && (wide as u64) < SPAN, REACH, reach),
        ];
        let mut i = 0;
        while i < rules.len() {
            if let Err(bad) = rules[i] {
                return Err(bad);
            }
            i += 1;
        }
        Ok(())
    }
}

const fn max([a, b]: [u32; 2]) -> u32 {
    if a > b { a } else { b }
}

impl Shape {
    /// The shape of these sizes.
    ///
    /// # Panics
    /// Where [`try_new`](Self::try_new) gives an error.
    pub const fn new(sizes: Sizes) -> Self {
        match Self::try_new(sizes) {
            Ok(shape) => shape,
            Err(bad) => panic!("{}", bad.rule),
        }
    }

    /// The shape of these sizes.
    ///
    /// # Errors
    /// Images are no multiple of 32 or filters of 16; input, output or weights are
    /// none or 2³¹ numbers; the windows are not apart; or the last one ends beyond
    /// pixel 2²⁹.
    pub const fn try_new(sizes: Sizes) -> Result<Self, BadSize> {
        if let Err(bad) = sizes.check() {
            return Err(bad);
        }
        Ok(Self::of(sizes))
    }

    const fn of(sizes: Sizes) -> Self {
        Shape {
            images: Divisor::new(sizes.images),
            channels: sizes.channels,
            height: sizes.input[0],
            width: Divisor::new(sizes.input[1]),
            filters: Divisor::new(sizes.filters),
            kernel: Divisor::new(sizes.kernel),
            window: Divisor::new(sizes.kernel * sizes.kernel),
            stride: Divisor::new(sizes.stride),
            pad: sizes.pad,
            out_height: sizes.output[0],
            out_width: Divisor::new(sizes.output[1]),
        }
    }

    /// Weights of one filter.
    #[inline(always)]
    pub const fn depth(&self) -> u32 {
        self.channels * self.window.get()
    }

    /// Numbers in one channel of the input.
    #[inline(always)]
    pub const fn in_columns(&self) -> u32 {
        self.height * self.width.get() * self.images.get()
    }

    /// Numbers in one channel of the output.
    #[inline(always)]
    pub const fn out_columns(&self) -> u32 {
        self.out_height * self.out_width.get() * self.images.get()
    }

    /// Filters, which is the length of the bias.
    pub const fn filters(&self) -> u32 {
        self.filters.get()
    }

    /// Length of `x` and `dx`.
    pub const fn input_len(&self) -> usize {
        product(&[self.channels, self.in_columns()])
    }

    /// Length of `y` and `dy`.
    pub const fn output_len(&self) -> usize {
        product(&[self.filters.get(), self.out_columns()])
    }

    /// Length of the weights and of `dw`.
    pub const fn weights_len(&self) -> usize {
        product(&[self.depth(), self.filters.get()])
    }
}

#[cfg(not(target_arch = "nvptx64"))]
mod launch {
    use super::Shape;
    use crate::target::Target;
    use cuda_std::simt::Launch;

    impl Shape {
        /// Launch of [`convolution_forward`](crate::convolution::convolution_forward).
        pub const fn forward(&self, target: Target) -> Launch {
            target.product(self.filters.get(), self.out_columns(), 1)
        }

        /// Launch of [`convolution_input_gradient`](crate::convolution::convolution_input_gradient).
        pub const fn input_gradient(&self, target: Target) -> Launch {
            target.product(self.channels, self.in_columns(), 1)
        }

        /// Launch of [`convolution_weight_gradient`](crate::convolution::convolution_weight_gradient).
        pub const fn weight_gradient(&self, target: Target) -> Launch {
            target.product(self.depth(), self.filters.get(), self.splits())
        }

        /// Into how many splits the sum of the weight gradient is cut: one for each
        /// [`SPLIT_K`](crate::convolution::SPLIT_K) of (pixel, image).
        pub const fn splits(&self) -> u32 {
            self.out_columns().div_ceil(crate::convolution::SPLIT_K)
        }
    }
}
