//! Images and gradients as operands of the matrix product.

use super::Shape;
use crate::device::*;
use crate::gemm::Source;

/// Far outside of every image, and still when added to a position in one.
const OUTSIDE: u32 = 1 << 30;

/// A position in the images: its offset in floats, row and column; or the distance
/// from one to another. Numbers wrap around where it lies outside.
#[derive(Clone, Copy)]
pub(super) struct Position {
    offset: u32,
    y: u32,
    x: u32,
    /// How many more are in a row like this one.
    left: u32,
}

/// Images under the moving window, as im2col would lay them out: element (weight, column) is what filter weight
/// `weight` = (channel, r, q) meets at output `column` = (pixel, image).
#[derive(Clone, Copy)]
pub(super) struct Window {
    pub shape: Shape,
    pub x: *const f32,
}

impl Window {
    /// From the window's corner to what weight `weight` meets.
    #[inline(always)]
    fn weight(&self, weight: u32) -> Position {
        let s = &self.shape;
        let (channel, offset) = s.window.div_rem(weight);
        let (r, q) = s.kernel.div_rem(offset);
        let pixel = (channel * s.height + r) * s.width.get() + q;
        let y = if weight < s.depth() { r } else { OUTSIDE };
        let offset = pixel.wrapping_mul(s.images.get());
        Position {
            offset,
            y,
            x: q,
            left: s.kernel.get() - 1 - q,
        }
    }

    /// The corner of the window of output `column`.
    #[inline(always)]
    fn column(&self, column: u32) -> Position {
        let s = &self.shape;
        let (pixel, image) = s.images.div_rem(column);
        let (i, j) = s.out_width.div_rem(pixel);
        let x = (j * s.stride.get()).wrapping_sub(s.pad);
        let y = (i * s.stride.get()).wrapping_sub(s.pad);
        let pixel = y.wrapping_mul(s.width.get()).wrapping_add(x);
        let y = if column < s.out_columns() { y } else { OUTSIDE };
        let offset = pixel.wrapping_mul(s.images.get()).wrapping_add(image);
        Position {
            offset,
            y,
            x,
            left: 0,
        }
    }

    /// # Safety
    /// `x` is valid for the shape.
    #[inline(always)]
    unsafe fn address(&self, weight: Position, column: Position) -> Option<*const f32> {
        let s = &self.shape;
        let (y, x) = (
            column.y.wrapping_add(weight.y),
            column.x.wrapping_add(weight.x),
        );
        let at = column.offset.wrapping_add(weight.offset);
        (y < s.height && x < s.width.get()).then(|| self.x.add(at as usize))
    }
}

/// The window with k down: operand B of the forward product.
pub(super) struct WindowDown(pub Window);
/// The window with k across: operand A of the weights' gradient.
pub(super) struct WindowAcross(pub Window);

// SAFETY: an address is given for pixels inside of the image, whose images lie side by
// side; they are a multiple of 32, as its shape has them.
unsafe impl<V: Vector> Source<V> for WindowDown {
    const TRANSPOSED: bool = false;
    type AtK = Position;
    type AtI = Position;

    #[inline(always)]
    fn at_k(&self, k: u32) -> Position {
        self.0.weight(k)
    }

    #[inline(always)]
    fn next(&self, before: Position, k: u32) -> Position {
        if before.left == 0 {
            return self.0.weight(k);
        }
        Position {
            offset: before.offset.wrapping_add(self.0.shape.images.get()),
            x: before.x + 1,
            left: before.left - 1,
            ..before
        }
    }

    #[inline(always)]
    fn at_i(&self, i: u32) -> Position {
        self.0.column(i)
    }

    #[inline(always)]
    unsafe fn address(&self, k: Position, i: Position) -> Option<*const f32> {
        self.0.address(k, i)
    }
}

// SAFETY: as of `WindowDown`.
unsafe impl<V: Vector> Source<V> for WindowAcross {
    const TRANSPOSED: bool = true;
    type AtK = Position;
    type AtI = Position;

    #[inline(always)]
    fn at_k(&self, k: u32) -> Position {
        self.0.column(k)
    }

    #[inline(always)]
    fn at_i(&self, i: u32) -> Position {
        self.0.weight(i)
    }

    #[inline(always)]
    unsafe fn address(&self, k: Position, i: Position) -> Option<*const f32> {
        self.0.address(i, k)
    }
}

impl Shape {
    /// The output pixel whose window begins `down` and `across` pixels into the padded image, and whether there is one.
    /// Both wrap above and left of the image, to beyond any output. No `Option`: without its branch all fits the registers.
    #[inline(always)]
    pub(super) fn reached(&self, down: u32, across: u32) -> ([u32; 2], bool) {
        // A divisor takes 31 bits.
        const WRAPPED: u32 = u32::MAX >> 1;
        let (mut y, mut x, mut whole) = (down, across, true);
        if self.stride.get() > 1 {
            let (quotient_y, rest_y) = self.stride.div_rem(down & WRAPPED);
            let (quotient_x, rest_x) = self.stride.div_rem(across & WRAPPED);
            (y, x, whole) = (quotient_y, quotient_x, rest_y == 0 && rest_x == 0);
        }
        let inside = whole && y < self.out_height && x < self.out_width.get();
        ([y, x], inside)
    }
}

/// Output gradients as the input pixels get them: element (k, column) is the
/// gradient that reaches input `column` = (pixel, image) through weight
/// `k` = (r, q, filter).
#[derive(Clone, Copy)]
pub(super) struct Reach {
    pub shape: Shape,
    pub dy: *const f32,
}

// SAFETY: an address is given for pixels inside of the output, whose images lie side by
// side; they are a multiple of 32, as its shape has them.
unsafe impl<V: Vector> Source<V> for Reach {
    const TRANSPOSED: bool = false;
    type AtK = Position;
    type AtI = Position;

    /// Row and column in the window, and the filter's first pixel.
    #[inline(always)]
    fn at_k(&self, k: u32) -> Position {
        let s = &self.shape;
        let (offset, filter) = s.filters.div_rem(k);
        let (r, q) = s.kernel.div_rem(offset);
        let x = if offset < s.window.get() { q } else { OUTSIDE };
        Position {
            offset: filter.wrapping_mul(s.out_columns()),
            y: r,
            x,
            left: s.filters.get() - 1 - filter,
        }
    }

    #[inline(always)]
    fn next(&self, before: Position, k: u32) -> Position {
        if before.left == 0 {
            return Source::<V>::at_k(self, k);
        }
        Position {
            offset: before.offset.wrapping_add(self.shape.out_columns()),
            left: before.left - 1,
            ..before
        }
    }

    /// Row and column in the padded image.
    #[inline(always)]
    fn at_i(&self, column: u32) -> Position {
        let s = &self.shape;
        let (pixel, image) = s.images.div_rem(column);
        let (y, x) = s.width.div_rem(pixel);
        let y = if column < s.in_columns() {
            y + s.pad
        } else {
            OUTSIDE
        };
        Position {
            offset: image,
            y,
            x: x + s.pad,
            left: 0,
        }
    }

    #[inline(always)]
    unsafe fn address(&self, k: Position, i: Position) -> Option<*const f32> {
        let s = &self.shape;
        let ([y, x], inside) = s.reached(i.y.wrapping_sub(k.y), i.x.wrapping_sub(k.x));
        let pixel = y.wrapping_mul(s.out_width.get()).wrapping_add(x);
        let offset = pixel.wrapping_mul(s.images.get());
        let at = offset.wrapping_add(k.offset).wrapping_add(i.offset) as usize;
        inside.then(|| self.dy.add(at))
    }
}
