//! The kernels of layers with weights, and the sums behind them.

use gpu_kernels::convolution as conv;
use gpu_kernels::divisor::Divisor;
use gpu_kernels::{fully_connected as fc, sum, transpose};

use super::Case;
use super::data::{random, unwritten};
use crate::net::layer::convolution::sizes;
use crate::net::shapes::{Layer, Op, Parameters};

pub fn convolution(all: &mut Vec<Case>, layer: &Layer, images: u32) {
    let Op::Convolution {
        kernel,
        stride,
        parameters,
        ..
    } = &layer.op
    else {
        return;
    };
    let Some(sizes) = sizes(layer, images) else {
        return;
    };
    let (i, o) = (layer.input, layer.output);
    let filters = parameters.padded_outputs();
    let shape = conv::Shape::new(sizes);
    let n = images as usize;
    let (x, y) = (i.len() * n, filters * o.height * o.width * n);
    let weights = parameters.inputs * filters;
    let flops = 2 * parameters.inputs * y;
    let text = format!(
        "{}x{}x{} to {filters}x{}x{}, window {kernel}, stride {stride}, {images} images",
        i.channels, i.height, i.width, o.height, o.width
    );
    case!(
        all,
        conv::convolution_forward,
        text,
        flops,
        [
            random(1, x, 1.0),
            random(2, weights, 0.1),
            random(3, filters, 1.0),
            unwritten(y)
        ],
        |target, at| shape.forward(target),
        (shape, at.read(0), at.read(1), at.read(2), at.write(3))
    );
    case!(
        all,
        conv::convolution_input_gradient,
        text,
        flops,
        [random(1, weights, 0.1), random(2, y, 1.0), unwritten(x)],
        |target, at| shape.input_gradient(target),
        (shape, at.read(0), at.read(1), at.write(2))
    );
    let parts = shape.parts();
    case!(
        all,
        conv::convolution_weight_gradient,
        text,
        flops,
        [
            random(1, x, 1.0),
            random(2, y, 1.0),
            unwritten(weights * parts as usize)
        ],
        |target, at| shape.weight_gradient(target),
        (shape, at.read(0), at.read(1), at.write(2))
    );
    sums(all, weights, parts);
    maps(all, filters, shape.out_columns());
}

fn sums(all: &mut Vec<Case>, len: usize, count: u32) {
    case!(
        all,
        sum::sum_parts,
        format!("{count} parts of {len}"),
        0,
        [random(1, len * count as usize, 1.0), unwritten(len)],
        |target, at| sum::sum_parts_launch(len as u32, target),
        (len as u32, count, at.read(0), at.write(1))
    );
}

fn maps(all: &mut Vec<Case>, maps: usize, columns: u32) {
    case!(
        all,
        sum::sum_maps,
        format!("{maps} maps of {columns}"),
        0,
        [random(1, maps * columns as usize, 1.0), unwritten(maps)],
        |target, at| sum::sum_maps_launch(maps as u32, target),
        (columns, at.read(0), at.write(1))
    );
}

pub fn fully_connected(all: &mut Vec<Case>, parameters: &Parameters, images: u32) {
    let (inputs, outputs) = (parameters.inputs, parameters.padded_outputs());
    let shape = fc::Shape {
        images,
        inputs: inputs as u32,
        outputs: outputs as u32,
    };
    let n = images as usize;
    let (x, y, weights) = (inputs * n, outputs * n, inputs * outputs);
    let flops = 2 * weights * n;
    let text = format!("{inputs} to {outputs}, {images} images");
    let [forward, backward] = [inputs, outputs].map(|terms| fc::parts(terms as u32));
    case!(
        all,
        fc::fully_connected_forward,
        text,
        flops,
        [
            random(1, x, 1.0),
            random(2, weights, 0.1),
            unwritten(y * forward as usize)
        ],
        |target, at| shape.forward(target),
        (shape, at.read(0), at.read(1), at.write(2))
    );
    case!(
        all,
        fc::fully_connected_input_gradient,
        text,
        flops,
        [
            random(1, weights, 0.1),
            random(2, y, 1.0),
            unwritten(x * backward as usize)
        ],
        |target, at| shape.input_gradient(target),
        (shape, at.read(0), at.read(1), at.write(2))
    );
    case!(
        all,
        fc::fully_connected_weight_gradient,
        text,
        flops,
        [random(1, x, 1.0), random(2, y, 1.0), unwritten(weights)],
        |target, at| shape.weight_gradient(target),
        (shape, at.read(0), at.read(1), at.write(2))
    );
    let divisor = Divisor::new(images);
    case!(
        all,
        sum::sum_parts_with_bias,
        format!("{forward} parts of {y}"),
        0,
        [
            random(1, y * forward as usize, 1.0),
            random(2, outputs, 1.0),
            unwritten(y)
        ],
        |target, at| sum::sum_parts_launch(y as u32, target),
        (
            y as u32,
            divisor,
            forward,
            at.read(0),
            at.read(1),
            at.write(2)
        )
    );
    sums(all, x, backward);
    maps(all, outputs, images);
    case!(
        all,
        transpose::transpose,
        format!("{outputs}x{images}"),
        0,
        [random(1, y, 1.0), unwritten(y)],
        |target, at| transpose::transpose_launch(outputs as u32, images, target),
        (outputs as u32, images, at.read(0), at.write(1))
    );
}
