//! Every kernel, on the shapes of every layer of a network.

use std::collections::HashSet;

use gpu_kernels::dropout::Mask;
use gpu_kernels::launch::{self, Gaussian, LossGradient};
use gpu_kernels::{lrn, pool};

use super::data::{below, bytes, changed, random, unwritten, views, whole};
use super::products::{convolution, fully_connected};
use super::{Case, Cases};
use crate::net::shapes::{Layer, Net, Op, ParameterSpec};

/// The cases of one tower's layers for batches of `images`; where two layers make the same one it comes once.
pub fn cases(net: &Net, images: usize) -> Vec<Case> {
    let mut all = Cases::default();
    input(&mut all, net, images);
    for layer in &net.towers[0] {
        of_layer(&mut all, layer, images);
    }
    let last = net.towers[0]
        .iter()
        .rev()
        .find_map(|layer| layer.parameters());
    if let Some(own) = last {
        loss(&mut all, own, net.classes, images);
    }
    let mut seen = HashSet::new();
    all.0
        .retain(|case| seen.insert((case.kernel, case.shape.clone())));
    all.0
}

fn of_layer(all: &mut Cases, layer: &Layer, images: usize) {
    let len = layer.output.len() * images;
    match &layer.op {
        Op::Convolution { .. } => convolution(all, layer, images),
        Op::FullyConnected { parameters } => fully_connected(all, parameters, images),
        Op::Relu | Op::Tanh => activations(all, len),
        Op::Lrn(spec) => normalisation(
            all,
            lrn::Shape {
                channels: layer.input.channels as u32,
                columns: (layer.input.height * layer.input.width * images) as u32,
                size: spec.n as u32,
                k: spec.k as f32,
                alpha: spec.alpha as f32,
                beta: spec.beta as f32,
            },
        ),
        Op::MaxPool { kernel, stride, .. } => pooling(all, layer, [*kernel, *stride, images]),
        Op::Dropout { p } => dropouts(all, len, *p as f32),
        Op::Softmax => {}
    }
    if let Some(parameters) = layer.parameters() {
        weights(all, parameters);
    }
}

fn input(all: &mut Cases, net: &Net, images: usize) {
    let [size, crop] = [net.input.size, net.input.crop];
    let len = |side: usize| side * side * 3;
    for side in [size, crop] {
        let sizes = [size, side, crop].map(|n| n as u32);
        let tensors = [
            bytes(1, images * len(side)),
            views(2, images, (size - crop) as u32),
            random(3, len(size), 255.0),
            unwritten(images * len(crop)),
        ];
        let text = format!("{size} to {crop}, {images} images of {side}");
        all.add("augment", text, tensors, move |at| {
            let (pixels, views, mean) = (at.read(0), at.views(1), at.read(2));
            launch::augment(sizes, pixels, views, mean, at.write(3), at.target())
        });
    }
}

fn activations(all: &mut Cases, len: usize) {
    let forward = || [random(1, len, 4.0), unwritten(len)];
    all.add("relu_forward", len, forward(), |at| {
        launch::relu_forward(at.read(0), at.write(1), at.target())
    });
    all.add("tanh_forward", len, forward(), |at| {
        launch::tanh_forward(at.read(0), at.write(1), at.target())
    });
    let backward = || [random(1, len, 1.0), random(2, len, 1.0), unwritten(len)];
    all.add("relu_backward", len, backward(), |at| {
        launch::relu_backward(at.read(0), at.read(1), at.write(2), at.target())
    });
    all.add("tanh_backward", len, backward(), |at| {
        launch::tanh_backward(at.read(0), at.read(1), at.write(2), at.target())
    });
}

fn dropouts(all: &mut Cases, len: usize, probability: f32) {
    let mask = Mask {
        probability,
        seed: [7, 9],
        stream: 3,
        step: 4,
    };
    let tensors = || [random(1, len, 1.0), unwritten(len)];
    all.add("dropout_forward", len, tensors(), move |at| {
        launch::dropout_forward(mask, at.read(0), at.write(1), at.target())
    });
    all.add("dropout_backward", len, tensors(), move |at| {
        launch::dropout_backward(mask, at.read(0), at.write(1), at.target())
    });
    all.add("scale", len, tensors(), move |at| {
        launch::scale(1.0 - probability, at.read(0), at.write(1), at.target())
    });
}

fn normalisation(all: &mut Cases, shape: lrn::Shape) {
    let len = shape.len();
    let text = format!("{} channels of {}", shape.channels, shape.columns);
    let tensors = [random(1, len, 9.0), unwritten(len)];
    all.add("lrn_forward", &text, tensors, move |at| {
        launch::lrn_forward(shape, at.read(0), at.write(1), at.target())
    });
    let tensors = [random(1, len, 9.0), random(2, len, 1.0), unwritten(len)];
    all.add("lrn_backward", &text, tensors, move |at| {
        launch::lrn_backward(shape, at.read(0), at.read(1), at.write(2), at.target())
    });
}

fn pooling(all: &mut Cases, layer: &Layer, [size, stride, images]: [usize; 3]) {
    let (i, o) = (layer.input, layer.output);
    let shape = pool::Shape::new(
        [i.channels, i.height, i.width].map(|n| n as u32),
        [o.height as u32, o.width as u32],
        size as u32,
        stride as u32,
        images as u32,
    );
    let (x, y) = (shape.input_len(), shape.output_len());
    let text = format!(
        "{}x{}x{}, window {size}, stride {stride}, {images} images",
        i.channels, i.height, i.width
    );
    let tensors = [random(1, x, 1.0), unwritten(y), unwritten(y)];
    all.add("max_pool_forward", &text, tensors, move |at| {
        launch::max_pool_forward(shape, at.read(0), at.write(1), at.write(2), at.target())
    });
    // Any place in a window may have won, for the gradient's sake, if it lies in the image.
    let winner = whole(1, y, (size * size) as u32);
    let tensors = [winner, random(2, y, 1.0), unwritten(x)];
    all.add("max_pool_backward", &text, tensors, move |at| {
        launch::max_pool_backward(shape, at.read(0), at.read(1), at.write(2), at.target())
    });
}

fn weights(all: &mut Cases, p: &ParameterSpec) {
    let (rows, stride, valid) = (p.inputs as u32, p.padded_outputs() as u32, p.outputs as u32);
    let len = p.inputs * p.padded_outputs();
    let matrix = Gaussian {
        rows,
        stride,
        valid,
        sigma: p.init.sigma as f32,
        seed: [1, 2],
        stream: 3,
    };
    let text = format!("{rows}x{stride}");
    all.add("gaussian_fill", text, [unwritten(len)], move |at| {
        launch::gaussian_fill(matrix, at.write(0), at.target())
    });
    let tensors = [unwritten(p.padded_outputs())];
    all.add("constant_fill", stride, tensors, move |at| {
        launch::constant_fill(valid, 1.0, at.write(0), at.target())
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

fn loss(all: &mut Cases, own: &ParameterSpec, classes: usize, images: usize) {
    let len = classes * images;
    let shape = [classes, images].map(|n| n as u32);
    let text = format!("{classes} classes, {images} images");
    let tensors = [random(1, len, 9.0), unwritten(len)];
    all.add("softmax", &text, tensors, move |at| {
        launch::softmax(shape, at.read(0), at.write(1), at.target())
    });
    let tensors = [
        random(1, len, 9.0),
        below(2, images, shape[0]),
        unwritten(images),
        unwritten(images),
    ];
    all.add("cross_entropy", &text, tensors, move |at| {
        let (logits, labels) = (at.read(0), at.read(1));
        let (loss, rank) = (at.write(2), at.write(3));
        launch::cross_entropy(shape[0], logits, labels, loss, rank, at.target())
    });
    let wanted = LossGradient {
        classes: shape[0],
        first: own.first_output as u32,
        rows: own.outputs as u32,
        rows_padded: own.padded_outputs() as u32,
        valid: shape[1] - 1,
    };
    let tensors = [
        random(1, len, 1.0),
        below(2, images, shape[0]),
        unwritten(own.padded_outputs() * images),
    ];
    all.add("softmax_gradient", &text, tensors, move |at| {
        launch::softmax_gradient(wanted, at.read(0), at.read(1), at.write(2), at.target())
    });
}
