//! The sizes of a normalisation, and its formula for one element.

use crate::device::*;

#[cfg(not(target_arch = "nvptx64"))]
use crate::sizes::{self, BadSize, keep};

/// Sizes and constants of a normalisation.
#[derive(Clone, Copy, Debug, PartialEq)]
#[repr(C)]
pub struct Shape {
    /// Maps of the tower.
    pub channels: u32,
    /// Height · width · images.
    pub columns: u32,
    /// n, the channels of a window.
    pub size: u32,
    /// k.
    pub k: f32,
    /// α, divided by n where that is wanted.
    pub alpha: f32,
    /// β.
    pub beta: f32,
}

#[cfg(not(target_arch = "nvptx64"))]
impl Shape {
    /// Length of each tensor.
    pub const fn len(&self) -> usize {
        sizes::product(&[self.channels, self.columns])
    }

    /// Whether they are empty.
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// An error if no normalisation has this shape.
    pub fn check(&self) -> Result<(), BadSize> {
        let (channels, columns, size) = (self.channels, self.columns, self.size);
        keep(
            channels < 1 << 16,
            "channels must be fewer than 2¹⁶",
            channels.into(),
        )?;
        keep(
            columns.is_multiple_of(16) && columns < 1 << 31,
            "columns must be a multiple of 16 and fewer than 2³¹",
            columns.into(),
        )?;
        keep(
            0 < size && size < 1 << 16,
            "channels of a window must be at least 1 and fewer than 2¹⁶",
            size.into(),
        )
    }
}

impl Shape {
    /// Row `channel` of a tensor at `column`; zeros beyond the tower.
    ///
    /// # Safety
    /// The processor has `V`'s instructions, `x` is valid for the shape, and the
    /// vector at `column` lies within the columns.
    #[inline(always)]
    pub(super) unsafe fn row<V: Vector>(&self, x: *const f32, channel: u32, column: usize) -> V {
        self.or_zero(channel, |channel| x.load_vector(self.at(channel, column)))
    }

    /// What `x` gives for a channel of the tower, zeros for others.
    ///
    /// # Safety
    /// The processor has `V`'s instructions.
    #[inline(always)]
    pub(super) unsafe fn or_zero<V: Vector>(&self, channel: u32, x: impl Fn(u32) -> V) -> V {
        if channel >= self.channels {
            return V::splat(0.0);
        }
        x(channel)
    }

    /// Where `channel` has `column`.
    #[inline(always)]
    pub(super) fn at(&self, channel: u32, column: usize) -> usize {
        channel as usize * self.columns as usize + column
    }

    /// s from the sum of squares.
    ///
    /// # Safety
    /// The processor has `V`'s instructions.
    #[inline(always)]
    pub(super) unsafe fn scale<V: Vector>(&self, squares: V) -> V {
        V::splat(self.alpha).fma(squares, V::splat(self.k))
    }

    /// `x · s^(−β)`.
    ///
    /// # Safety
    /// The processor has `V`'s instructions.
    #[inline(always)]
    pub(super) unsafe fn normalised<V: Vector>(&self, x: V, s: V) -> V {
        if self.beta == 0.75 {
            return x / three_quarters(s);
        }
        x * s.map(|s| libm::powf(s, -self.beta))
    }

    /// `dy · s^(−β)` and `dy · x · s^(−β−1)`.
    ///
    /// # Safety
    /// The processor has `V`'s instructions.
    #[inline(always)]
    pub(super) unsafe fn terms<V: Vector>(&self, x: V, dy: V, s: V) -> [V; 2] {
        let (power, over_s) = if self.beta == 0.75 {
            let over_s = V::splat(1.0) / (three_quarters(s) * s);
            (over_s * s, over_s)
        } else {
            let power = s.map(|s| libm::powf(s, -self.beta));
            (power, power / s)
        };
        [dy * power, dy * x * over_s]
    }

    /// dx of one element from its own term and the sum over its window.
    ///
    /// # Safety
    /// The processor has `V`'s instructions.
    #[inline(always)]
    pub(super) unsafe fn gradient<V: Vector>(&self, own: V, x: V, sum: V) -> V {
        (V::splat(-2.0 * self.alpha * self.beta) * x).fma(sum, own)
    }
}

/// `s^¾`.
///
/// # Safety
/// The processor has `V`'s instructions.
#[inline(always)]
unsafe fn three_quarters<V: Vector>(s: V) -> V {
    let root = s.sqrt();
    root * root.sqrt()
}
