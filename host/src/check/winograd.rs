//! The cases of convolutions by Winograd's algorithm.

use gpu_kernels::convolution::winograd::{Direction, Winograd};
use gpu_kernels::launch::{self, Target};

use super::Cases;
use super::data::{random, scratch, unwritten};

/// Its kernels; back to the input if anybody asks for that.
pub fn cases(winograd: Winograd, backward: bool, text: &str, all: &mut Cases) {
    let shape = winograd.shape();
    let (x, y, w) = (shape.input_len(), shape.output_len(), shape.weights_len());
    let transformed = winograd.weights_len();
    // A device takes what it needs of the memory to work in.
    let most = |len: &dyn Fn(Target) -> usize| scratch(len(Target::Cpu).max(len(Target::Gpu)));
    for direction in [Direction::Forward, Direction::Backward] {
        let text = format!("{text}, {direction:?}").to_lowercase();
        let tensors = [random(1, w, 0.1), unwritten(transformed)];
        all.add("winograd_weights", text, tensors, move |at| {
            let (w, to) = (at.read(0), at.write(1));
            launch::winograd_weights(winograd, direction, w, to, at.target())
        });
    }
    let tensors = [
        random(1, x, 1.0),
        random(2, transformed, 0.1),
        random(3, shape.filters() as usize, 1.0),
        unwritten(y),
        most(&|target| winograd.forward_scratch(target)),
    ];
    all.add("winograd_forward", text, tensors, move |at| {
        let memory = at.scratch(4, winograd.forward_scratch(at.target()));
        let (x, w, b) = (at.read(0), at.read(1), at.read(2));
        launch::winograd_forward(winograd, x, w, b, at.write(3), memory, at.target())
    });
    if backward {
        let tensors = [
            random(1, y, 1.0),
            random(2, transformed, 0.1),
            unwritten(x),
            most(&|target| winograd.input_gradient_scratch(target)),
        ];
        all.add("winograd_input_gradient", text, tensors, move |at| {
            let memory = at.scratch(3, winograd.input_gradient_scratch(at.target()));
            let (dy, w, dx) = (at.read(0), at.read(1), at.write(2));
            launch::winograd_input_gradient(winograd, dy, w, dx, memory, at.target())
        });
    }
    let tensors = [
        random(1, x, 1.0),
        random(2, y, 1.0),
        unwritten(winograd.parts_len()),
        most(&|target| winograd.weight_gradient_scratch(target)),
    ];
    all.add("winograd_weight_gradient", text, tensors, move |at| {
        let memory = at.scratch(3, winograd.weight_gradient_scratch(at.target()));
        let (x, dy, parts) = (at.read(0), at.read(1), at.write(2));
        launch::winograd_weight_gradient(winograd, x, dy, parts, memory, at.target())
    });
    let tensors = [random(1, winograd.part_len(), 1.0), unwritten(w)];
    all.add("winograd_weight_transform", text, tensors, move |at| {
        launch::winograd_weight_transform(winograd, at.read(0), at.write(1), at.target())
    });
}
