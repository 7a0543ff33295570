//! Every kernel, on the shapes of every layer of a network.

use std::collections::HashSet;

use anyhow::Result;
use gpu_kernels::{augment, dropout, elementwise, fill, lrn, pool, relu, sgd, softmax, tanh};

use super::Case;
use super::data::{below, bytes, changed, random, unwritten, views, whole};
use super::products::{convolution, fully_connected};
use crate::net::shapes::{Layer, Net, Op, Parameters};

/// The cases of one tower's layers for batches of `images`; where two layers make the same one it comes once.
pub fn cases(net: &Net, images: usize) -> Result<Vec<Case>> {
    let mut all = Vec::new();
    input(&mut all, net, images as u32);
    for layer in &net.towers[0] {
        of_layer(&mut all, layer, images);
    }
    let last = net.towers[0]
        .iter()
        .rev()
        .find_map(|layer| layer.parameters());
    if let Some(own) = last {
        loss(&mut all, own, net.classes as u32, images as u32);
    }
    let mut seen = HashSet::new();
    all.retain(|case| seen.insert((case.kernel, case.shape.clone())));
    Ok(all)
}

fn of_layer(all: &mut Vec<Case>, layer: &Layer, images: usize) {
    let len = layer.output.len() * images;
    match &layer.op {
        Op::Convolution { .. } => convolution(all, layer, images as u32),
        Op::FullyConnected { parameters } => fully_connected(all, parameters, images as u32),
        Op::Relu | Op::Tanh => activations(all, len),
        Op::Lrn(spec) => normalisation(
            all,
            layer,
            images,
            lrn::Lrn {
                maps: layer.input.channels as u32,
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

fn input(all: &mut Vec<Case>, net: &Net, images: u32) {
    let [size, crop] = [net.input.size, net.input.crop].map(|n| n as u32);
    let n = images as usize;
    let len = |side: u32| (side * side * 3) as usize;
    for side in [size, crop] {
        let [pixels, views, mean, out] = [
            bytes(1, n * len(side)),
            views(2, n, size - crop),
            random(3, len(size), 255.0),
            unwritten(n * len(crop)),
        ];
        case!(
            all,
            augment::augment,
            format!("{size} to {crop}, {images} images of {side}"),
            0,
            [pixels, views, mean, out],
            |target, at| augment::augment_launch(crop, images, target),
            (
                size,
                side,
                crop,
                images,
                at.read(0),
                at.read(1),
                at.read(2),
                at.write(3)
            )
        );
    }
}

fn activations(all: &mut Vec<Case>, len: usize) {
    let n = len as u32;
    for kernel in [&relu::relu_forward, &tanh::tanh_forward] {
        case!(
            all,
            kernel,
            len,
            0,
            [random(1, len, 4.0), unwritten(len)],
            |target, at| elementwise::launch(n, target),
            (n, at.read(0), at.write(1))
        );
    }
    for kernel in [&relu::relu_backward, &tanh::tanh_backward] {
        case!(
            all,
            kernel,
            len,
            0,
            [random(1, len, 1.0), random(2, len, 1.0), unwritten(len)],
            |target, at| elementwise::launch(n, target),
            (n, at.read(0), at.read(1), at.write(2))
        );
    }
}

fn dropouts(all: &mut Vec<Case>, len: usize, p: f32) {
    let (n, seed) = (len as u32, [7, 9]);
    for kernel in [&dropout::dropout_forward, &dropout::dropout_backward] {
        case!(
            all,
            kernel,
            len,
            0,
            [random(1, len, 1.0), unwritten(len)],
            |target, at| dropout::dropout_launch(n, target),
            (n, p, seed, 3, 4, at.read(0), at.write(1))
        );
    }
    case!(
        all,
        dropout::scale,
        len,
        0,
        [random(1, len, 1.0), unwritten(len)],
        |target, at| dropout::scale_launch(n, target),
        (n, 1.0 - p, at.read(0), at.write(1))
    );
}

fn normalisation(all: &mut Vec<Case>, layer: &Layer, images: usize, shape: lrn::Lrn) {
    let len = layer.input.len() * images;
    let text = format!("{} maps of {}", shape.maps, shape.columns);
    case!(
        all,
        lrn::lrn_forward,
        text,
        0,
        [random(1, len, 9.0), unwritten(len)],
        |target, at| lrn::lrn_forward_launch(shape, target),
        (shape, at.read(0), at.write(1))
    );
    case!(
        all,
        lrn::lrn_backward,
        text,
        0,
        [random(1, len, 9.0), random(2, len, 1.0), unwritten(len)],
        |target, at| lrn::lrn_backward_launch(shape, target),
        (shape, at.read(0), at.read(1), at.write(2))
    );
}

fn pooling(all: &mut Vec<Case>, layer: &Layer, [size, stride, images]: [usize; 3]) {
    let (i, o) = (layer.input, layer.output);
    let shape = pool::Pool::new(
        [i.channels, i.height, i.width].map(|n| n as u32),
        [o.height as u32, o.width as u32],
        size as u32,
        stride as u32,
        images as u32,
    );
    let (x, y) = (i.len() * images, o.len() * images);
    let text = format!(
        "{}x{}x{}, window {size}, stride {stride}, {images} images",
        i.channels, i.height, i.width
    );
    case!(
        all,
        pool::max_pool_forward,
        text,
        0,
        [random(1, x, 1.0), unwritten(y), unwritten(y)],
        |target, at| pool::max_pool_forward_launch(shape, target),
        (shape, at.read(0), at.write(1), at.write(2))
    );
    // Any place in a window may have won, for the gradient's sake, if it lies in the image.
    case!(
        all,
        pool::max_pool_backward,
        text,
        0,
        [
            whole(1, y, (size * size) as u32),
            random(2, y, 1.0),
            unwritten(x)
        ],
        |target, at| pool::max_pool_backward_launch(shape, target),
        (shape, at.read(0), at.read(1), at.write(2))
    );
}

fn weights(all: &mut Vec<Case>, p: &Parameters) {
    let (rows, padded, valid) = (p.inputs as u32, p.padded_outputs() as u32, p.outputs as u32);
    let (len, sigma) = (p.inputs * p.padded_outputs(), p.init.sigma as f32);
    case!(
        all,
        fill::gaussian_fill,
        format!("{rows}x{padded}"),
        0,
        [unwritten(len)],
        |target, at| fill::gaussian_fill_launch(rows, padded, target),
        (rows, padded, valid, sigma, [1, 2], 3, at.write(0))
    );
    case!(
        all,
        fill::constant_fill,
        padded,
        0,
        [unwritten(padded as usize)],
        |target, at| fill::constant_fill_launch(padded, target),
        (padded, valid, 1.0, at.write(0))
    );
    let n = len as u32;
    case!(
        all,
        sgd::sgd_update,
        len,
        0,
        [
            random(1, len, 0.1),
            changed(2, len, 0.1),
            changed(3, len, 0.1)
        ],
        |target, at| sgd::sgd_launch(n, target),
        (n, 0.01, 0.9, 0.0005, at.read(0), at.write(1), at.write(2))
    );
}

fn loss(all: &mut Vec<Case>, own: &Parameters, classes: u32, images: u32) {
    let (n, len) = (images as usize, classes as usize * images as usize);
    let [first, rows, padded] =
        [own.first_output, own.outputs, own.padded_outputs()].map(|n| n as u32);
    let text = format!("{classes} classes, {images} images");
    case!(
        all,
        softmax::softmax,
        text,
        0,
        [random(1, len, 9.0), unwritten(len)],
        |target, at| softmax::softmax_launch(images, target),
        (classes, images, at.read(0), at.write(1))
    );
    case!(
        all,
        softmax::cross_entropy,
        text,
        0,
        [
            random(1, len, 9.0),
            below(2, n, classes),
            unwritten(n),
            unwritten(n)
        ],
        |target, at| softmax::cross_entropy_launch(images, target),
        (
            classes,
            images,
            at.read(0),
            at.read(1),
            at.write(2),
            at.write(3)
        )
    );
    case!(
        all,
        softmax::softmax_gradient,
        text,
        0,
        [
            random(1, len, 1.0),
            below(2, n, classes),
            unwritten(padded as usize * n)
        ],
        |target, at| softmax::softmax_gradient_launch(padded, images, target),
        (
            classes,
            images,
            first,
            rows,
            padded,
            images - 1,
            at.read(0),
            at.read(1),
            at.write(2)
        )
    );
}
