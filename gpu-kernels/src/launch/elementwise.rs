//! What works on each element by itself.

use super::{Call, Check, Error, In, Out, Target};
use crate::dropout::Mask;
use crate::{dropout, elementwise, needs, relu, sgd, tanh};

/// `y = relu(x)`; y may be x.
pub fn relu_forward<'a>(
    x: In<'a, f32>,
    y: Out<'a, f32>,
    target: Target,
) -> Result<Call<'a>, Error> {
    let check = Check::new(&relu::relu_forward, target);
    let len = check.sixteens(x.len())?;
    check.in_place(&needs![x: x.len(), y: x.len()])?;
    let arguments = (len, x.pointer(), y.pointer());
    // SAFETY: all buffers have `len` elements.
    unsafe { check.call(elementwise::launch(len, target), arguments) }
}

/// The gradient `dx` of ReLU to its input from its output and the gradient to it;
/// dx may be dy.
pub fn relu_backward<'a>(
    y: In<'a, f32>,
    dy: In<'a, f32>,
    dx: Out<'a, f32>,
    target: Target,
) -> Result<Call<'a>, Error> {
    let check = Check::new(&relu::relu_backward, target);
    let len = check.sixteens(y.len())?;
    check.in_place(&needs![y: y.len(), dy: y.len(), dx: y.len()])?;
    let arguments = (len, y.pointer(), dy.pointer(), dx.pointer());
    // SAFETY: all buffers have `len` elements.
    unsafe { check.call(elementwise::launch(len, target), arguments) }
}

/// `y = tanh(x)`; y may be x.
pub fn tanh_forward<'a>(
    x: In<'a, f32>,
    y: Out<'a, f32>,
    target: Target,
) -> Result<Call<'a>, Error> {
    let check = Check::new(&tanh::tanh_forward, target);
    let len = check.sixteens(x.len())?;
    check.in_place(&needs![x: x.len(), y: x.len()])?;
    let arguments = (len, x.pointer(), y.pointer());
    // SAFETY: all buffers have `len` elements.
    unsafe { check.call(elementwise::launch(len, target), arguments) }
}

/// The gradient `dx` of tanh to its input from its output and the gradient to it;
/// dx may be dy.
pub fn tanh_backward<'a>(
    y: In<'a, f32>,
    dy: In<'a, f32>,
    dx: Out<'a, f32>,
    target: Target,
) -> Result<Call<'a>, Error> {
    let check = Check::new(&tanh::tanh_backward, target);
    let len = check.sixteens(y.len())?;
    check.in_place(&needs![y: y.len(), dy: y.len(), dx: y.len()])?;
    let arguments = (len, y.pointer(), dy.pointer(), dx.pointer());
    // SAFETY: all buffers have `len` elements.
    unsafe { check.call(elementwise::launch(len, target), arguments) }
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
    let Mask {
        probability,
        seed,
        stream,
        step,
    } = mask;
    let arguments = (
        len,
        probability,
        seed,
        stream,
        step,
        x.pointer(),
        y.pointer(),
    );
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
    let Mask {
        probability,
        seed,
        stream,
        step,
    } = mask;
    let arguments = (
        len,
        probability,
        seed,
        stream,
        step,
        dy.pointer(),
        dx.pointer(),
    );
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
