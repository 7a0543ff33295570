//! Small cases that no network's layers make: ragged sizes, sums of several parts, every magnitude, bad labels.

use gpu_kernels::convolution::winograd::Winograd;
use gpu_kernels::convolution::{self, Sizes};
use gpu_kernels::dropout::Mask;
use gpu_kernels::fully_connected::{self, splits};
use gpu_kernels::launch::{self, Gaussian, LossGradient};
use gpu_kernels::{lrn, pool};

use super::data::{below, bytes, changed, magnitudes, random, unwritten, views, whole};
use super::{Case, Cases, winograd};

/// A block's elements and some more, so that the last block has a part of them and its threads go unequal ways.
const RAGGED: usize = 4096 + 1040;

const IMAGES: usize = 32;

/// One float in so many is special where special values are asked for.
const RARITY: u32 = 31;

/// All of them.
pub(crate) fn cases() -> Vec<Case> {
    let mut all = Cases::default();
    augment(&mut all);
    [RAGGED, 48]
        .iter()
        .for_each(|&len| elementwise(&mut all, len));
    transposes(&mut all);
    fills(&mut all);
    sums(&mut all);
    // Of so many images a thread of the gradient takes more than one vector.
    for [classes, valid, images] in [[1, 1, 32], [7, 5, 32], [33, 3, 32], [2, 1050, 1056]] {
        losses(&mut all, classes, valid, images);
    }
    let any = lrn_shape(7, 3, 0.75);
    let five = lrn_shape(9, 5, 0.75);
    // A power that is no root, and one of numbers next to zero and one.
    let power = lrn_shape(6, 4, 0.6);
    let faint = lrn::Shape {
        k: 1e-30,
        alpha: 1e-9,
        ..lrn_shape(6, 5, 0.9)
    };
    let one = lrn::Shape {
        k: 1.0,
        alpha: 0.0,
        ..lrn_shape(3, 7, 0.5)
    };
    for shape in [any, five, power, faint, one] {
        normalisation(&mut all, shape);
    }
    pools(&mut all);
    convolutions(&mut all);
    winograds(&mut all);
    products(&mut all);
    let mut cases = all.into_vec();
    let special = cases
        .iter()
        .filter_map(|case| case.with_special_values(RARITY));
    let special: Vec<_> = special.collect();
    cases.extend(special);
    cases
}

fn augment(all: &mut Cases) {
    // 37 pixels are a block's 32 and five.
    let sizes = [40, 40, 37];
    let len = |side: usize| side * side * 3;
    let tensors = [
        bytes(1, IMAGES * len(40)),
        views(2, IMAGES, 3),
        random(3, len(40), 255.0),
        unwritten(IMAGES * len(37)),
    ];
    all.add("augment", "40 to 37", tensors, move |at| {
        let (pixels, views, mean) = (at.read(0), at.views(1), at.read(2));
        launch::augment(sizes, pixels, views, mean, at.write(3), at.target())
    });
}

fn elementwise(all: &mut Cases, len: usize) {
    let text = format!("{len} of every magnitude");
    let wide = |seed| magnitudes(seed, len, -149..128);
    // Where tanh bends.
    let near_one = |seed| magnitudes(seed, len, -30..6);
    all.add("relu_forward", &text, [wide(1), unwritten(len)], |at| {
        launch::relu_forward(at.read(0), at.write(1), at.target())
    });
    all.add(
        "relu_backward",
        &text,
        [wide(1), wide(2), unwritten(len)],
        |at| launch::relu_backward(at.read(0), at.read(1), at.write(2), at.target()),
    );
    for (what, input) in [("", wide(1)), (", near 1", near_one(1))] {
        all.add(
            "tanh_forward",
            format!("{text}{what}"),
            [input, unwritten(len)],
            |at| launch::tanh_forward(at.read(0), at.write(1), at.target()),
        );
    }
    let tensors = [random(1, len, 1.0), wide(2), unwritten(len)];
    all.add("tanh_backward", &text, tensors, |at| {
        launch::tanh_backward(at.read(0), at.read(1), at.write(2), at.target())
    });
    all.add("scale", &text, [wide(1), unwritten(len)], |at| {
        launch::scale(0.3, at.read(0), at.write(1), at.target())
    });
    for probability in [0.0, 0.1, 0.5] {
        let mask = Mask {
            probability,
            seed: [u32::MAX, 0],
            stream: 1 << 31,
            step: u32::MAX,
            share: u32::MAX,
        };
        let text = format!("{text}, probability {probability}");
        all.add(
            "dropout_forward",
            &text,
            [wide(1), unwritten(len)],
            move |at| launch::dropout_forward(mask, at.read(0), at.write(1), at.target()),
        );
        all.add(
            "dropout_backward",
            &text,
            [wide(1), unwritten(len)],
            move |at| launch::dropout_backward(mask, at.read(0), at.write(1), at.target()),
        );
    }
    let tensors = [
        random(1, len, 0.1),
        changed(2, len, 0.1),
        changed(3, len, 0.1),
    ];
    all.add("sgd_update", &text, tensors, |at| {
        let (gradient, velocity) = (at.read(0), at.write(1));
        launch::sgd_update(
            [0.1, 0.7, 0.3],
            gradient,
            velocity,
            at.write(2),
            at.target(),
        )
    });
}

fn transposes(all: &mut Cases) {
    // No whole tiles, on either side.
    for [rows, columns] in [[20, 52], [52, 20], [100, 132]] {
        let len = (rows * columns) as usize;
        let tensors = [random(1, len, 1.0), unwritten(len)];
        all.add(
            "transpose",
            format!("{rows}x{columns}"),
            tensors,
            move |at| launch::transpose([rows, columns], at.read(0), at.write(1), at.target()),
        );
    }
}

fn fills(all: &mut Cases) {
    for (rows, stride, valid) in [(1, 16, 1), (37, 48, 35), (70, 80, 80)] {
        let matrix = Gaussian {
            rows,
            stride,
            valid,
            sigma: 2.5,
            seed: [u32::MAX, 1],
            stream: 5,
        };
        let text = format!("{rows}x{stride}, {valid} in use");
        let len = (rows * stride) as usize;
        all.add("gaussian_fill", text, [unwritten(len)], move |at| {
            launch::gaussian_fill(matrix, at.write(0), at.target())
        });
    }
    for valid in [0, 5, 4100] {
        let text = format!("{valid} of {RAGGED}");
        all.add("constant_fill", text, [unwritten(RAGGED)], move |at| {
            launch::constant_fill(valid, -0.25, at.write(0), at.target())
        });
    }
}

fn sums(all: &mut Cases) {
    for count in [2u32, 3, 7] {
        let parts = || magnitudes(1, RAGGED * count as usize, -20..4);
        let text = format!("{count} parts of {RAGGED}");
        all.add(
            "sum_parts",
            &text,
            [parts(), unwritten(RAGGED)],
            move |at| launch::sum_parts(count, at.read(0), at.write(1), at.target()),
        );
        for rows in [5, 140] {
            let len = rows * IMAGES;
            let tensors = [
                random(1, len * count as usize, 1.0),
                random(2, rows, 1.0),
                unwritten(len),
            ];
            let text = format!("{count} parts of {rows}x{IMAGES}");
            all.add("sum_parts_with_bias", text, tensors, move |at| {
                let (parts, bias) = (at.read(0), at.read(1));
                let images = IMAGES as u32;
                launch::sum_parts_with_bias(images, count, parts, bias, at.write(2), at.target())
            });
        }
    }
    for columns in [32u32, 80, 8240] {
        let tensors = [random(1, 3 * columns as usize, 1.0), unwritten(3)];
        all.add(
            "sum_maps",
            format!("3 channels of {columns}"),
            tensors,
            move |at| launch::sum_maps(columns, at.read(0), at.write(1), at.target()),
        );
    }
}

/// Logits of every magnitude, and labels of which some are no classes.
fn losses(all: &mut Cases, classes: u32, valid: u32, images: u32) {
    let sides = [classes, images];
    let images = images as usize;
    let len = classes as usize * images;
    let logits = || magnitudes(1, len, -20..10);
    let text = format!("{classes} classes, {images} images, every magnitude");
    all.add("softmax", &text, [logits(), unwritten(len)], move |at| {
        launch::softmax(sides, at.read(0), at.write(1), at.target())
    });
    let wanted = LossGradient {
        classes,
        first: classes / 2,
        rows: classes.div_ceil(2),
        rows_padded: 32,
        valid,
    };
    for (what, labels) in [
        (
            "labels of which some are no classes",
            below(2, images, classes + 2),
        ),
        ("labels of which none is a class", bytes(3, 4 * images)),
    ] {
        let text = format!("{text}, {what}");
        let scores = [unwritten(images), unwritten(images)];
        let tensors: Vec<_> = [logits(), labels.clone()]
            .into_iter()
            .chain(scores)
            .collect();
        all.add("cross_entropy", &text, tensors, move |at| {
            let (logits, labels) = (at.read(0), at.read(1));
            launch::cross_entropy(
                classes,
                logits,
                labels,
                at.write(2),
                at.write(3),
                at.target(),
            )
        });
        let tensors = [random(1, len, 1.0), labels, unwritten(32 * images)];
        all.add(
            "softmax_gradient",
            format!("{text}, {valid} count"),
            tensors,
            move |at| {
                launch::softmax_gradient(wanted, at.read(0), at.read(1), at.write(2), at.target())
            },
        );
    }
}

fn lrn_shape(channels: u32, size: u32, beta: f32) -> lrn::Shape {
    lrn::Shape {
        channels,
        columns: 3 * IMAGES as u32,
        size,
        k: 2.0,
        alpha: 0.1,
        beta,
    }
}

fn normalisation(all: &mut Cases, shape: lrn::Shape) {
    let len = shape.len();
    let text = format!(
        "{} channels of {}, n {}, k {}, alpha {}, beta {}, every magnitude",
        shape.channels, shape.columns, shape.size, shape.k, shape.alpha, shape.beta
    );
    let x = || magnitudes(1, len, -20..30);
    all.add("lrn_forward", &text, [x(), unwritten(len)], move |at| {
        launch::lrn_forward(shape, at.read(0), at.write(1), at.target())
    });
    let tensors = [x(), random(2, len, 1.0), unwritten(len)];
    all.add("lrn_backward", &text, tensors, move |at| {
        launch::lrn_backward(shape, at.read(0), at.read(1), at.write(2), at.target())
    });
}

fn pools(all: &mut Cases) {
    // The last window's end lies outside, windows that do not meet, one over all; more images and columns than threads; many over each other.
    for (input, output, window, stride, images) in [
        ([3, 9, 8], [4, 4], 3, 2, 32),
        ([2, 7, 10], [2, 3], 2, 4, 32),
        ([1, 5, 5], [1, 1], 5, 1, 32),
        ([2, 4, 20], [2, 10], 2, 2, 160),
        ([1, 8, 8], [4, 4], 5, 1, 32),
    ] {
        let shape = pool::Shape::new(input, output, window, stride, images);
        let (x, y) = (shape.input_len(), shape.output_len());
        let text =
            format!("{input:?} to {output:?}, window {window}, stride {stride}, {images} images");
        // Many alike, of which the first wins.
        let tensors = [whole(1, x, 4), unwritten(y), unwritten(y)];
        all.add("max_pool_forward", &text, tensors, move |at| {
            launch::max_pool_forward(shape, at.read(0), at.write(1), at.write(2), at.target())
        });
        let tensors = [
            whole(1, y, window * window),
            random(2, y, 1.0),
            unwritten(x),
        ];
        all.add("max_pool_backward", &text, tensors, move |at| {
            launch::max_pool_backward(shape, at.read(0), at.read(1), at.write(2), at.target())
        });
        all.add(
            "average_pool_forward",
            &text,
            [random(1, x, 1.0), unwritten(y)],
            move |at| launch::average_pool_forward(shape, at.read(0), at.write(1), at.target()),
        );
        all.add(
            "average_pool_backward",
            &text,
            [random(1, y, 1.0), unwritten(x)],
            move |at| launch::average_pool_backward(shape, at.read(0), at.write(1), at.target()),
        );
    }
}

fn convolutions(all: &mut Cases) {
    // Tiles of 128 by 128 by 16 are cut on every side; padding beyond the window; a stride longer than it.
    for (channels, input, filters, kernel, stride, pad, output) in [
        (3, [11, 12], 48, 5, 2, 1, [5, 6]),
        (5, [4, 3], 144, 3, 1, 1, [4, 3]),
        (1, [3, 3], 16, 2, 3, 2, [2, 2]),
        (17, [1, 1], 16, 1, 1, 0, [1, 1]),
        (80, [2, 2], 144, 3, 1, 1, [2, 2]),
    ] {
        let sizes = Sizes {
            images: IMAGES as u32,
            channels,
            input,
            filters,
            kernel,
            stride,
            pad,
            output,
        };
        let shape = convolution::Shape::new(sizes);
        let (x, y, w) = (shape.input_len(), shape.output_len(), shape.weights_len());
        let text = format!(
            "{channels}x{input:?} to {filters}x{output:?}, window {kernel}, stride {stride}, pad {pad}"
        );
        let tensors = [
            random(1, x, 1.0),
            random(2, w, 0.1),
            random(3, filters as usize, 1.0),
            unwritten(y),
        ];
        all.add("convolution_forward", &text, tensors, move |at| {
            let (x, w, bias) = (at.read(0), at.read(1), at.read(2));
            launch::convolution_forward(shape, x, w, bias, at.write(3), at.target())
        });
        let tensors = [random(1, w, 0.1), random(2, y, 1.0), unwritten(x)];
        all.add("convolution_input_gradient", &text, tensors, move |at| {
            launch::convolution_input_gradient(
                shape,
                at.read(0),
                at.read(1),
                at.write(2),
                at.target(),
            )
        });
        let tensors = [
            random(1, x, 1.0),
            random(2, y, 1.0),
            unwritten(w * shape.splits() as usize),
        ];
        all.add("convolution_weight_gradient", &text, tensors, move |at| {
            launch::convolution_weight_gradient(
                shape,
                at.read(0),
                at.read(1),
                at.write(2),
                at.target(),
            )
        });
        local(all, shape, &text);
    }
    // More images than a tile has columns.
    let shape = convolution::Shape::new(Sizes {
        images: 160,
        channels: 80,
        input: [2, 2],
        filters: 144,
        kernel: 2,
        stride: 1,
        pad: 0,
        output: [1, 1],
    });
    local(all, shape, "80x2x2 to 144x1x1, window 2, 160 images");
}

/// Tiles that hang over every edge, several blocks of channels, filters and columns, parts of a sum.
fn winograds(all: &mut Cases) {
    for (channels, input, filters, [kernel, stride, pad], output) in [
        (3, [6, 7], 16, [3, 1, 1], [6, 7]),
        (2, [5, 3], 48, [5, 1, 2], [5, 3]),
        (5, [2, 2], 144, [3, 1, 0], [1, 2]),
        (10, [3, 15], 144, [3, 1, 0], [1, 13]),
        (133, [1, 2], 16, [3, 1, 1], [1, 2]),
        (27, [1, 13], 16, [3, 1, 1], [1, 13]),
        (72, [1, 13], 16, [3, 1, 1], [1, 13]),
        (68, [1, 9], 80, [5, 1, 2], [1, 9]),
        (20, [1, 1], 16, [5, 1, 4], [3, 2]),
        (1, [13, 13], 16, [5, 1, 2], [13, 13]),
        (3, [13, 11], 16, [11, 4, 2], [3, 2]),
        (5, [5, 4], 16, [9, 2, 3], [2, 3]),
        (35, [2, 3], 16, [5, 2, 4], [3, 3]),
    ] {
        let sizes = Sizes {
            images: IMAGES as u32,
            channels,
            input,
            filters,
            kernel,
            stride,
            pad,
            output,
        };
        let text = format!(
            "{channels}x{input:?} to {filters}x{output:?}, window {kernel}, stride {stride}, pad {pad}"
        );
        if let Ok(winograd) = Winograd::try_new(convolution::Shape::new(sizes)) {
            winograd::cases(winograd, true, &text, all);
        }
    }
}

/// The same with filters of their own at every pixel.
fn local(all: &mut Cases, shape: convolution::Shape, text: &str) {
    let (x, y, w) = (
        shape.input_len(),
        shape.output_len(),
        shape.local_weights_len(),
    );
    let bias = random(3, shape.local_bias_len(), 1.0);
    let tensors = [random(1, x, 1.0), random(2, w, 0.1), bias, unwritten(y)];
    all.add("local_forward", text, tensors, move |at| {
        let (x, w, bias) = (at.read(0), at.read(1), at.read(2));
        launch::local_forward(shape, x, w, bias, at.write(3), at.target())
    });
    let tensors = [random(1, w, 0.1), random(2, y, 1.0), unwritten(x)];
    all.add("local_input_gradient", text, tensors, move |at| {
        launch::local_input_gradient(shape, at.read(0), at.read(1), at.write(2), at.target())
    });
    let tensors = [random(1, x, 1.0), random(2, y, 1.0), unwritten(w)];
    all.add("local_weight_gradient", text, tensors, move |at| {
        launch::local_weight_gradient(shape, at.read(0), at.read(1), at.write(2), at.target())
    });
}

fn products(all: &mut Cases) {
    // Several splits, the last of them a few terms; sides that are no whole tiles.
    for (images, inputs, outputs) in [(32, 1, 16), (32, 2100, 16), (32, 20, 1040), (96, 150, 144)] {
        let shape = fully_connected::Shape {
            images,
            inputs,
            outputs,
        };
        let (x, y, w) = (shape.input_len(), shape.output_len(), shape.weights_len());
        let text = format!("{inputs} to {outputs}, {images} images");
        let parts = |len: usize, terms| unwritten(len * splits(terms) as usize);
        let tensors = [random(1, x, 1.0), random(2, w, 0.1), parts(y, inputs)];
        all.add("fully_connected_forward", &text, tensors, move |at| {
            launch::fully_connected_forward(shape, at.read(0), at.read(1), at.write(2), at.target())
        });
        let tensors = [random(1, w, 0.1), random(2, y, 1.0), parts(x, outputs)];
        all.add(
            "fully_connected_input_gradient",
            &text,
            tensors,
            move |at| {
                launch::fully_connected_input_gradient(
                    shape,
                    at.read(0),
                    at.read(1),
                    at.write(2),
                    at.target(),
                )
            },
        );
        let tensors = [random(1, x, 1.0), random(2, y, 1.0), unwritten(w)];
        all.add(
            "fully_connected_weight_gradient",
            &text,
            tensors,
            move |at| {
                launch::fully_connected_weight_gradient(
                    shape,
                    at.read(0),
                    at.read(1),
                    at.write(2),
                    at.target(),
                )
            },
        );
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::sync::Arc;

    use super::*;
    use crate::device::{CpuDevice, Device};

    /// A launch that is refused would say so, and what is not written is found.
    #[test]
    fn every_case_runs_and_has_a_text_of_its_own() {
        let device: Arc<dyn Device> = CpuDevice::new(1).unwrap();
        let cases = cases();
        let mut texts = BTreeSet::new();
        for case in &cases {
            let found = case.run([&device, &device], 0).unwrap();
            assert_eq!(found.different, 0, "{}: {}", case.kernel, case.shape);
            assert!(
                texts.insert((case.kernel, &case.shape)),
                "{}: {}",
                case.kernel,
                case.shape
            );
        }
    }
}
