//! Layers that see more than one element at a time.

use super::{Call, Check, Error, In, Out, Target};
use crate::convolution::{self, Shape};
use crate::fully_connected as fc;
use crate::lrn::{self, Lrn};
use crate::needs;
use crate::pool::{self, Pool};

/// `y`, the convolution of `x` with `weights`, and `bias` added.
pub fn convolution_forward<'a>(
    shape: Shape,
    x: In<'a, f32>,
    weights: In<'a, f32>,
    bias: In<'a, f32>,
    y: Out<'a, f32>,
    target: Target,
) -> Result<Call<'a>, Error> {
    let check = Check::new(&convolution::convolution_forward, target);
    check.buffers(&needs![
        x: shape.input_len(),
        weights: shape.weights_len(),
        bias: shape.filters() as usize,
        y: shape.output_len(),
    ])?;
    let arguments = (
        shape,
        x.pointer(),
        weights.pointer(),
        bias.pointer(),
        y.pointer(),
    );
    // SAFETY: a shape is valid, the buffers fit it.
    unsafe { check.call(shape.forward(target), arguments) }
}

/// `dx`, the gradient to a convolution's input.
pub fn convolution_input_gradient<'a>(
    shape: Shape,
    weights: In<'a, f32>,
    dy: In<'a, f32>,
    dx: Out<'a, f32>,
    target: Target,
) -> Result<Call<'a>, Error> {
    let check = Check::new(&convolution::convolution_input_gradient, target);
    check.buffers(&needs![
        weights: shape.weights_len(),
        dy: shape.output_len(),
        dx: shape.input_len(),
    ])?;
    let arguments = (shape, weights.pointer(), dy.pointer(), dx.pointer());
    // SAFETY: a shape is valid, the buffers fit it.
    unsafe { check.call(shape.input_gradient(target), arguments) }
}

/// The gradient to a convolution's weights in [`Shape::parts`] parts, which
/// [`sum_parts`](super::sum_parts) adds.
pub fn convolution_weight_gradient<'a>(
    shape: Shape,
    x: In<'a, f32>,
    dy: In<'a, f32>,
    parts: Out<'a, f32>,
    target: Target,
) -> Result<Call<'a>, Error> {
    let check = Check::new(&convolution::convolution_weight_gradient, target);
    let count = shape.weights_len().saturating_mul(shape.parts() as usize);
    check.buffers(&needs![x: shape.input_len(), dy: shape.output_len(), parts: count])?;
    let arguments = (shape, x.pointer(), dy.pointer(), parts.pointer());
    // SAFETY: a shape is valid, the buffers fit it.
    unsafe { check.call(shape.weight_gradient(target), arguments) }
}

/// `y` without the bias in [`parts`](fc::parts)`(inputs)` parts, which
/// [`sum_parts_with_bias`](super::sum_parts_with_bias) adds.
pub fn fully_connected_forward<'a>(
    shape: fc::Shape,
    x: In<'a, f32>,
    weights: In<'a, f32>,
    y_parts: Out<'a, f32>,
    target: Target,
) -> Result<Call<'a>, Error> {
    let check = Check::new(&fc::fully_connected_forward, target);
    check.size(shape.check())?;
    let parts = fc::parts(shape.inputs) as usize;
    check.buffers(&needs![
        x: shape.input_len(),
        weights: shape.weights_len(),
        y_parts: shape.output_len().saturating_mul(parts),
    ])?;
    let arguments = (shape, x.pointer(), weights.pointer(), y_parts.pointer());
    // SAFETY: the shape was checked, the buffers fit it.
    unsafe { check.call(shape.forward(target), arguments) }
}

/// The gradient to the input in [`parts`](fc::parts)`(outputs)` parts, which
/// [`sum_parts`](super::sum_parts) adds.
pub fn fully_connected_input_gradient<'a>(
    shape: fc::Shape,
    weights: In<'a, f32>,
    dy: In<'a, f32>,
    dx_parts: Out<'a, f32>,
    target: Target,
) -> Result<Call<'a>, Error> {
    let check = Check::new(&fc::fully_connected_input_gradient, target);
    check.size(shape.check())?;
    let parts = fc::parts(shape.outputs) as usize;
    check.buffers(&needs![
        weights: shape.weights_len(),
        dy: shape.output_len(),
        dx_parts: shape.input_len().saturating_mul(parts),
    ])?;
    let arguments = (shape, weights.pointer(), dy.pointer(), dx_parts.pointer());
    // SAFETY: the shape was checked, the buffers fit it.
    unsafe { check.call(shape.input_gradient(target), arguments) }
}

/// `dw`, the gradient to a fully connected layer's weights.
pub fn fully_connected_weight_gradient<'a>(
    shape: fc::Shape,
    x: In<'a, f32>,
    dy: In<'a, f32>,
    dw: Out<'a, f32>,
    target: Target,
) -> Result<Call<'a>, Error> {
    let check = Check::new(&fc::fully_connected_weight_gradient, target);
    check.size(shape.check())?;
    check.buffers(&needs![
        x: shape.input_len(),
        dy: shape.output_len(),
        dw: shape.weights_len(),
    ])?;
    let arguments = (shape, x.pointer(), dy.pointer(), dw.pointer());
    // SAFETY: the shape was checked, the buffers fit it.
    unsafe { check.call(shape.weight_gradient(target), arguments) }
}

/// `y`, `x` normalised over the maps.
pub fn lrn_forward<'a>(
    shape: Lrn,
    x: In<'a, f32>,
    y: Out<'a, f32>,
    target: Target,
) -> Result<Call<'a>, Error> {
    let check = Check::new(&lrn::lrn_forward, target);
    check.size(shape.check())?;
    check.buffers(&needs![x: shape.len(), y: shape.len()])?;
    let arguments = (shape, x.pointer(), y.pointer());
    // SAFETY: the shape was checked, the buffers fit it.
    unsafe { check.call(lrn::lrn_forward_launch(shape, target), arguments) }
}

/// `dx`, the gradient to the input of a normalisation.
pub fn lrn_backward<'a>(
    shape: Lrn,
    x: In<'a, f32>,
    dy: In<'a, f32>,
    dx: Out<'a, f32>,
    target: Target,
) -> Result<Call<'a>, Error> {
    let check = Check::new(&lrn::lrn_backward, target);
    check.size(shape.check())?;
    check.buffers(&needs![x: shape.len(), dy: shape.len(), dx: shape.len()])?;
    let arguments = (shape, x.pointer(), dy.pointer(), dx.pointer());
    // SAFETY: the shape was checked, the buffers fit it.
    unsafe { check.call(lrn::lrn_backward_launch(shape, target), arguments) }
}

/// `y`, the maxima of `x`'s windows, and where in its window each stands.
pub fn max_pool_forward<'a>(
    shape: Pool,
    x: In<'a, f32>,
    y: Out<'a, f32>,
    winner: Out<'a, f32>,
    target: Target,
) -> Result<Call<'a>, Error> {
    let check = Check::new(&pool::max_pool_forward, target);
    check.size(shape.check())?;
    check.buffers(&needs![
        x: shape.input_len(),
        y: shape.output_len(),
        winner: shape.output_len(),
    ])?;
    let arguments = (shape, x.pointer(), y.pointer(), winner.pointer());
    // SAFETY: the shape was checked, the buffers fit it.
    unsafe { check.call(pool::max_pool_forward_launch(shape, target), arguments) }
}

/// `dx`, the gradient to a pooling's input.
pub fn max_pool_backward<'a>(
    shape: Pool,
    winner: In<'a, f32>,
    dy: In<'a, f32>,
    dx: Out<'a, f32>,
    target: Target,
) -> Result<Call<'a>, Error> {
    let check = Check::new(&pool::max_pool_backward, target);
    check.size(shape.check())?;
    check.buffers(&needs![
        winner: shape.output_len(),
        dy: shape.output_len(),
        dx: shape.input_len(),
    ])?;
    let arguments = (shape, winner.pointer(), dy.pointer(), dx.pointer());
    // SAFETY: the shape was checked, the buffers fit it.
    unsafe { check.call(pool::max_pool_backward_launch(shape, target), arguments) }
}
