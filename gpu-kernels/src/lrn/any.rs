//! Windows of any number of channels: each sum is made anew.

use super::Shape;
use crate::device::*;

/// s of one channel for any n.
///
/// # Safety
/// As of [`lrn_forward`](super::lrn_forward); the vector at `column` lies within
/// the columns.
#[inline(always)]
unsafe fn scale_at<V: Vector>(shape: &Shape, channel: u32, column: usize, x: *const f32) -> V {
    let half = shape.size / 2;
    let mut squares = V::splat(0.0);
    let mut j = 0;
    while j <= 2 * half {
        let value = shape.row::<V>(x, channel.wrapping_sub(half).wrapping_add(j), column);
        squares = value.fma(value, squares);
        j += 1;
    }
    shape.scale(squares)
}

/// Forward for any n at one column and channels `first..last`.
///
/// # Safety
/// As of [`lrn_forward`](super::lrn_forward); the vector at `column` lies within the columns.
#[inline(always)]
pub unsafe fn forward_any<V: Vector>(
    shape: &Shape,
    [first, last]: [u32; 2],
    column: usize,
    x: *const f32,
    y: *mut f32,
) {
    let mut channel = first;
    while channel < last {
        let s = scale_at::<V>(shape, channel, column, x);
        let value = x.load_vector::<V>(shape.at(channel, column));
        y.store_vector(shape.at(channel, column), shape.normalised(value, s));
        channel += 1;
    }
}

/// Backward for any n at one column and channels `first..last`.
///
/// # Safety
/// As of [`lrn_backward`](super::lrn_backward); the vector at `column` lies within the columns.
#[inline(always)]
pub unsafe fn backward_any<V: Vector>(
    shape: &Shape,
    [first, last]: [u32; 2],
    column: usize,
    x: *const f32,
    dy: *const f32,
    dx: *mut f32,
) {
    let half = shape.size / 2;
    let mut channel = first;
    while channel < last {
        let mut own = V::splat(0.0);
        let mut sum = V::splat(0.0);
        let mut step = 0;
        while step <= 2 * half {
            let j = channel.wrapping_sub(half).wrapping_add(step);
            if j < shape.channels {
                let at = shape.at(j, column);
                let s = scale_at::<V>(shape, j, column, x);
                let [power, t] = shape.terms(x.load_vector(at), dy.load_vector(at), s);
                sum = sum + t;
                if j == channel {
                    own = power;
                }
            }
            step += 1;
        }
        let value = shape.gradient(own, x.load_vector(shape.at(channel, column)), sum);
        dx.store_vector(shape.at(channel, column), value);
        channel += 1;
    }
}
