//! The cases of what all layers with weights use: sums, initial values, updates.

use gpu_kernels::launch::{self, Gaussian};

use crate::check::Cases;
use crate::check::data::{changed, random, unwritten};
use crate::net::shapes::ParameterSpec;

/// Partial sums of split-K; a single one at other widths, or in other batches.
pub fn parts(all: &mut Cases, len: usize, count: u32) {
    for count in [count, 1] {
        let text = format!("{count} parts of {len}");
        let tensors = [random(1, len * count as usize, 1.0), unwritten(len)];
        all.add("sum_parts", text, tensors, move |at| {
            launch::sum_parts(count, at.read(0), at.write(1), at.target())
        });
    }
}

/// The gradient to a bias.
pub fn channels(all: &mut Cases, channels: usize, columns: u32) {
    let text = format!("{channels} channels of {columns}");
    let tensors = [
        random(1, channels * columns as usize, 1.0),
        unwritten(channels),
    ];
    all.add("sum_maps", text, tensors, move |at| {
        launch::sum_maps(columns, at.read(0), at.write(1), at.target())
    });
}

/// Initial values and an update of weights and biases.
pub fn parameters(all: &mut Cases, p: &ParameterSpec) {
    let [rows, stride, valid] = p.matrix().map(|n| n as u32);
    let len = p.inputs * p.padded_outputs();
    let matrix = Gaussian {
        rows,
        stride,
        valid,
        sigma: p.init.sigma as f32,
        seed: [1, 2],
        stream: 3,
    };
    let text = format!("{rows}x{stride}, {valid} in use, sigma {}", matrix.sigma);
    all.add("gaussian_fill", text, [unwritten(len)], move |at| {
        launch::gaussian_fill(matrix, at.write(0), at.target())
    });
    let tensors = [unwritten(p.padded_outputs())];
    let outputs = p.outputs as u32;
    let text = format!("{outputs} of {}", p.padded_outputs());
    all.add("constant_fill", text, tensors, move |at| {
        launch::constant_fill(outputs, 1.0, at.write(0), at.target())
    });
    let tensors = [
        random(1, len, 0.1),
        changed(2, len, 0.1),
        changed(3, len, 0.1),
    ];
    all.add("sgd_update", len, tensors, |at| {
        let (gradient, velocity, weights) = (at.read(0), at.write(1), at.write(2));
        launch::sgd_update(
            [0.01, 0.9, 0.0005],
            gradient,
            velocity,
            weights,
            at.target(),
        )
    });
}
