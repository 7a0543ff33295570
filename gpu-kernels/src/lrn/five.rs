//! Windows of five channels, as the paper has them: the terms of a sum stay in registers.

use super::Shape;
use crate::device::*;

/// Five neighbouring channels' values.
#[derive(Clone, Copy)]
struct Five<V>([V; 5]);

impl<V: Vector> Five<V> {
    /// Drops the first and takes in a new last one.
    #[inline(always)]
    fn push(&mut self, last: V) {
        let [_, b, c, d, e] = self.0;
        self.0 = [b, c, d, e, last];
    }

    /// # Safety
    /// The processor has `V`'s instructions.
    #[inline(always)]
    unsafe fn squares(&self) -> V {
        let [a, b, c, d, e] = self.0;
        e.fma(e, d.fma(d, c.fma(c, b.fma(b, a.fma(a, V::splat(0.0))))))
    }

    /// # Safety
    /// The processor has `V`'s instructions.
    #[inline(always)]
    unsafe fn sum(&self) -> V {
        let [a, b, c, d, e] = self.0;
        V::splat(0.0) + a + b + c + d + e
    }
}

/// Forward for n = 5 at one place and channels `first..last`: `y(channel, vector)` gets
/// each result, `x(channel)` is asked once for each channel of the tower that a window
/// reaches. So a kernel can normalise what it has just computed.
///
/// # Safety
/// `shape.size` is 5 and `last` at most `shape.channels`; the processor has `V`'s
/// instructions.
#[inline(always)]
pub unsafe fn normalise5<V: Vector>(
    shape: &Shape,
    [first, last]: [u32; 2],
    x: impl Fn(u32) -> V,
    mut y: impl FnMut(u32, V),
) {
    let row = |back: u32| shape.or_zero(first.wrapping_sub(back), &x);
    let ahead = shape.or_zero(first + 1, &x);
    let mut window = Five([V::splat(0.0), row(2), row(1), row(0), ahead]);
    let mut channel = first;
    while channel < last {
        window.push(shape.or_zero(channel + 2, &x));
        let s = shape.scale(window.squares());
        y(channel, shape.normalised(window.0[2], s));
        channel += 1;
    }
}

/// Forward for n = 5 at one column and channels `first..last`.
///
/// # Safety
/// As of [`lrn_forward`](super::lrn_forward); the vector at `column` lies within the columns.
#[inline(always)]
pub unsafe fn forward5<V: Vector>(
    shape: &Shape,
    channels: [u32; 2],
    column: usize,
    x: *const f32,
    y: *mut f32,
) {
    normalise5::<V>(
        shape,
        channels,
        |channel| x.load_vector(shape.at(channel, column)),
        |channel, value| y.store_vector(shape.at(channel, column), value),
    );
}

/// Backward for n = 5 at one column and channels `first..last`.
///
/// In step j the window of x reaches to channel j + 2, tⱼ becomes known, and with it
/// the sum for channel j − 2.
///
/// # Safety
/// As of [`lrn_backward`](super::lrn_backward); the vector at `column` lies within the columns.
#[inline(always)]
pub unsafe fn backward5<V: Vector>(
    shape: &Shape,
    [first, last]: [u32; 2],
    column: usize,
    x: *const f32,
    dy: *const f32,
    dx: *mut f32,
) {
    let zero = V::splat(0.0);
    let row = |back: u32| shape.row::<V>(x, first.wrapping_sub(back), column);
    let mut xs = Five([zero, row(4), row(3), row(2), row(1)]);
    let mut ts = Five([zero; 5]);
    let mut own = [zero; 3];
    let mut ahead = first;
    while ahead < last + 4 {
        xs.push(shape.row(x, ahead, column));
        let j = ahead.wrapping_sub(2);
        let mut terms = [zero; 2];
        if j < shape.channels {
            let s = shape.scale(xs.squares());
            terms = shape.terms(xs.0[2], dy.load_vector(shape.at(j, column)), s);
        }
        own = [own[1], own[2], terms[0]];
        ts.push(terms[1]);
        if ahead >= first + 4 {
            let value = shape.gradient(own[0], xs.0[0], ts.sum());
            dx.stream_vector(shape.at(ahead - 4, column), value);
        }
        ahead += 1;
    }
}
