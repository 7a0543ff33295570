//! Convolution by Winograd's algorithm.

use anyhow::Result;
use gpu_kernels::convolution::Shape;
use gpu_kernels::convolution::winograd::{Direction, Winograd};
use gpu_kernels::launch::{self, Target};

use crate::device::Buffer;
use crate::net::context::Context;

/// What queues one group's kernels.
pub(super) struct Transformed {
    winograd: Winograd,
    target: Target,
}

impl Transformed {
    pub(super) fn new(shape: Shape, target: Target) -> Result<Self> {
        let winograd = Winograd::try_new(shape)?;
        Ok(Self { winograd, target })
    }

    /// `y` of x, weights and biases.
    pub(super) fn forward(&self, context: &Context, [x, w, b]: [&Buffer<f32>; 3], y: &Buffer<f32>) {
        let winograd = self.winograd;
        let len = winograd.forward_scratch(self.target);
        let [weights, memory] = self.memory(context, winograd.weights_len(), len);
        self.transform(context, Direction::Forward, w, &weights);
        context.stream.launch(|on| {
            let (x, w, b) = (on.read(x), on.read(&weights), on.read(b));
            let (y, memory) = (on.write(y), on.write(&memory));
            launch::winograd_forward(winograd, x, w, b, y, memory, on.target())
        });
    }

    /// `dx` of weights and dy.
    pub(super) fn input_gradient(
        &self,
        context: &Context,
        [w, dy]: [&Buffer<f32>; 2],
        dx: &Buffer<f32>,
    ) {
        let winograd = self.winograd;
        let len = winograd.input_gradient_scratch(self.target);
        let [weights, memory] = self.memory(context, winograd.weights_len(), len);
        self.transform(context, Direction::Backward, w, &weights);
        context.stream.launch(|on| {
            let (dy, w) = (on.read(dy), on.read(&weights));
            let (dx, memory) = (on.write(dx), on.write(&memory));
            launch::winograd_input_gradient(winograd, dy, w, dx, memory, on.target())
        });
    }

    /// `dw` of x and dy.
    pub(super) fn weight_gradient(
        &self,
        context: &Context,
        [x, dy]: [&Buffer<f32>; 2],
        dw: &Buffer<f32>,
    ) {
        let winograd = self.winograd;
        let len = winograd.weight_gradient_scratch(self.target);
        let [parts, memory] = self.memory(context, winograd.parts_len(), len);
        context.stream.launch(|on| {
            let (x, dy) = (on.read(x), on.read(dy));
            let (parts, memory) = (on.write(&parts), on.write(&memory));
            launch::winograd_weight_gradient(winograd, x, dy, parts, memory, on.target())
        });
        let sum = parts.slice(0..winograd.part_len());
        context.stream.launch(|on| {
            let (parts, sum) = (on.read(&parts), on.write(&sum));
            launch::sum_parts(winograd.parts(), parts, sum, on.target())
        });
        context.stream.launch(|on| {
            let (sum, dw) = (on.read(&sum), on.write(dw));
            launch::winograd_weight_transform(winograd, sum, dw, on.target())
        });
    }

    fn transform(
        &self,
        context: &Context,
        direction: Direction,
        w: &Buffer<f32>,
        to: &Buffer<f32>,
    ) {
        context.stream.launch(|on| {
            let (w, to) = (on.read(w), on.write(to));
            launch::winograd_weights(self.winograd, direction, w, to, on.target())
        });
    }

    /// Two pieces of the scratch memory.
    fn memory(&self, context: &Context, first: usize, second: usize) -> [Buffer<f32>; 2] {
        let scratch = context.scratch;
        [
            scratch.slice(0..first),
            scratch.slice(first..first + second),
        ]
    }

    /// Floats of scratch memory.
    pub(super) fn scratch(&self) -> usize {
        let (winograd, target) = (&self.winograd, self.target);
        let convolution = winograd
            .forward_scratch(target)
            .max(winograd.input_gradient_scratch(target));
        let gradient = winograd.parts_len() + winograd.weight_gradient_scratch(target);
        gradient.max(winograd.weights_len() + convolution)
    }
}
