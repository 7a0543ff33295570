//! What works on each element by itself.

use super::{Call, Check, Error, In, Out, Target};
use crate::dropout::Mask;
use crate::{dropout, elementwise, needs, relu, sgd, tanh};
use simt_executor::Kernel;

/// `y = relu(x)`; y may be x.
pub fn relu_forward<'a>(
    x: In<'a, f32>,
    y: Out<'a, f32>,
    target: Target,
) -> Result<Call<'a>, Error> {
    // SAFETY: the kernel goes element by element.
    unsafe { forward(&relu::relu_forward, x, y, target) }
}

/// The gradient `dx` of ReLU to its input from its output and the gradient to it;
/// dx may be dy.
pub fn relu_backward<'a>(
    y: In<'a, f32>,
    dy: In<'a, f32>,
    dx: Out<'a, f32>,
    target: Target,
) -> Result<Call<'a>, Error> {
    // SAFETY: the kernel goes element by element.
    unsafe { backward(&relu::relu_backward, y, dy, dx, target) }
}

/// `y = tanh(x)`; y may be x.
pub fn tanh_forward<'a>(
    x: In<'a, f32>,
    y: Out<'a, f32>,
    target: Target,
) -> Result<Call<'a>, Error> {
    // SAFETY: the kernel goes element by element.
    unsafe { forward(&tanh::tanh_forward, x, y, target) }
}

/// The gradient `dx` of tanh to its input from its output and the gradient to it;
/// dx may be dy.
pub fn tanh_backward<'a>(
    y: In<'a, f32>,
    dy: In<'a, f32>,
    dx: Out<'a, f32>,
    target: Target,
) -> Result<Call<'a>, Error> {
    // SAFETY: the kernel goes element by element.
    unsafe { backward(&tanh::tanh_backward, y, dy, dx, target) }
}

/// `y = x` without the elements that `mask` drops; y may be x.
pub fn dropout_forward<'a>(
    mask: Mask,
    x: In<'a, f32>,
    y: Out<'a, f32>,
    target: Target,
) -> Result<Call<'a>, Error> {
    let check = Check::new(&dropout::dropout_forward, target);
    let len = check.sixteens(x.len())?;
    check.in_place(&needs![x: x.len(), y: x.len()])?;
    let arguments = masked(len, mask, x, y);
    // SAFETY: all buffers have `len` elements.
    unsafe { check.call(elementwise::launch(len, target), arguments) }
}

/// `dx = dy` without the elements that `mask` drops; dx may be dy.
pub fn dropout_backward<'a>(
    mask: Mask,
    dy: In<'a, f32>,
    dx: Out<'a, f32>,
    target: Target,
) -> Result<Call<'a>, Error> {
    let check = Check::new(&dropout::dropout_backward, target);
    let len = check.sixteens(dy.len())?;
    check.in_place(&needs![dy: dy.len(), dx: dy.len()])?;
    let arguments = masked(len, mask, dy, dx);
    // SAFETY: all buffers have `len` elements.
    unsafe { check.call(elementwise::launch(len, target), arguments) }
}

/// `y = factor · x`; y may be x.
pub fn scale<'a>(
    factor: f32,
    x: In<'a, f32>,
    y: Out<'a, f32>,
    target: Target,
) -> Result<Call<'a>, Error> {
    let check = Check::new(&dropout::scale, target);
    let len = check.sixteens(x.len())?;
    check.in_place(&needs![x: x.len(), y: x.len()])?;
    let arguments = (len, factor, x.pointer(), y.pointer());
    // SAFETY: all buffers have `len` elements.
    unsafe { check.call(elementwise::launch(len, target), arguments) }
}

/// A step of gradient descent on `weights`, by learning rate, momentum and decay.
pub fn sgd_update<'a>(
    [rate, momentum, decay]: [f32; 3],
    gradient: In<'a, f32>,
    velocity: Out<'a, f32>,
    weights: Out<'a, f32>,
    target: Target,
) -> Result<Call<'a>, Error> {
    let check = Check::new(&sgd::sgd_update, target);
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
    unsafe { check.call(elementwise::launch(len, target), arguments) }
}

/// # Safety
/// The kernel reads `len` elements of one buffer and writes as many of another.
unsafe fn forward<'a>(
    kernel: &Kernel<(u32, *const f32, *mut f32)>,
    x: In<'a, f32>,
    y: Out<'a, f32>,
    target: Target,
) -> Result<Call<'a>, Error> {
    let check = Check::new(kernel, target);
    let len = check.sixteens(x.len())?;
    check.in_place(&needs![x: x.len(), y: x.len()])?;
    let arguments = (len, x.pointer(), y.pointer());
    // SAFETY: all buffers have `len` elements.
    unsafe { check.call(elementwise::launch(len, target), arguments) }
}

/// # Safety
/// The kernel reads `len` elements of two buffers and writes as many of a third.
unsafe fn backward<'a>(
    kernel: &Kernel<(u32, *const f32, *const f32, *mut f32)>,
    y: In<'a, f32>,
    dy: In<'a, f32>,
    dx: Out<'a, f32>,
    target: Target,
) -> Result<Call<'a>, Error> {
    let check = Check::new(kernel, target);
    let len = check.sixteens(y.len())?;
    check.in_place(&needs![y: y.len(), dy: y.len(), dx: y.len()])?;
    let arguments = (len, y.pointer(), dy.pointer(), dx.pointer());
    // SAFETY: all buffers have `len` elements.
    unsafe { check.call(elementwise::launch(len, target), arguments) }
}

/// The arguments of either dropout kernel.
fn masked(
    len: u32,
    mask: Mask,
    x: In<f32>,
    y: Out<f32>,
) -> (u32, f32, [u32; 2], u32, u32, *const f32, *mut f32) {
    let Mask {
        probability,
        seed,
        stream,
        step,
    } = mask;
    let (x, y) = (x.pointer(), y.pointer());
    (len, probability, seed, stream, step, x, y)
}
