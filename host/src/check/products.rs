//! The kernels of layers with weights, and the sums behind them.

use gpu_kernels::{convolution as conv, fully_connected as fc, launch};

use super::Cases;
use super::data::{random, unwritten};
use crate::net::layer::convolution::sizes;
use crate::net::shapes::{Layer, ParameterSpec};

pub fn convolution(all: &mut Cases, layer: &Layer, images: usize) {
    let Some(sizes) = sizes(layer, images as u32) else {
        return;
    };
    let shape = conv::Shape::new(sizes);
    let (x, y, w) = (shape.input_len(), shape.output_len(), shape.weights_len());
    let filters = sizes.filters as usize;
    let flops = 2.0 * f64::from(shape.depth()) * y as f64;
    let text = format!(
        "{}x{}x{} to {filters}x{}x{}, window {}, stride {}, {images} images",
        sizes.channels,
        sizes.input[0],
        sizes.input[1],
        sizes.output[0],
        sizes.output[1],
        sizes.kernel,
        sizes.stride
    );
    let tensors = [
        random(1, x, 1.0),
        random(2, w, 0.1),
        random(3, filters, 1.0),
        unwritten(y),
    ];
    let forward = all.add("convolution_forward", &text, tensors, move |at| {
        let (x, w, bias) = (at.read(0), at.read(1), at.read(2));
        launch::convolution_forward(shape, x, w, bias, at.write(3), at.target())
    });
    forward.flops = flops;
    let tensors = [random(1, w, 0.1), random(2, y, 1.0), unwritten(x)];
    let backward = all.add("convolution_input_gradient", &text, tensors, move |at| {
        launch::convolution_input_gradient(shape, at.read(0), at.read(1), at.write(2), at.target())
    });
    backward.flops = flops;
    let parts = shape.splits();
    let dw = unwritten(w * parts as usize);
    let tensors = [random(1, x, 1.0), random(2, y, 1.0), dw];
    let backward = all.add("convolution_weight_gradient", &text, tensors, move |at| {
        launch::convolution_weight_gradient(shape, at.read(0), at.read(1), at.write(2), at.target())
    });
    backward.flops = flops;
    sums(all, w, parts);
    maps(all, filters, shape.out_columns());
}

fn sums(all: &mut Cases, len: usize, count: u32) {
    let text = format!("{count} parts of {len}");
    let tensors = [random(1, len * count as usize, 1.0), unwritten(len)];
    all.add("sum_parts", text, tensors, move |at| {
        launch::sum_parts(count, at.read(0), at.write(1), at.target())
    });
}

fn maps(all: &mut Cases, maps: usize, columns: u32) {
    let text = format!("{maps} maps of {columns}");
    let tensors = [random(1, maps * columns as usize, 1.0), unwritten(maps)];
    all.add("sum_maps", text, tensors, move |at| {
        launch::sum_maps(columns, at.read(0), at.write(1), at.target())
    });
}

pub fn fully_connected(all: &mut Cases, parameters: &ParameterSpec, images: usize) {
    let (inputs, outputs) = (parameters.inputs, parameters.padded_outputs());
    let shape = fc::Shape {
        images: images as u32,
        inputs: inputs as u32,
        outputs: outputs as u32,
    };
    let (x, y, w) = (shape.input_len(), shape.output_len(), shape.weights_len());
    let flops = 2.0 * (w * images) as f64;
    let text = format!("{inputs} to {outputs}, {images} images");
    let [forward, backward] = [shape.inputs, shape.outputs].map(fc::splits);
    let y_parts = unwritten(y * forward as usize);
    let tensors = [random(1, x, 1.0), random(2, w, 0.1), y_parts];
    let case = all.add("fully_connected_forward", &text, tensors, move |at| {
        launch::fully_connected_forward(shape, at.read(0), at.read(1), at.write(2), at.target())
    });
    case.flops = flops;
    let dx_parts = unwritten(x * backward as usize);
    let tensors = [random(1, w, 0.1), random(2, y, 1.0), dx_parts];
    let case = all.add(
        "fully_connected_input_gradient",
        &text,
        tensors,
        move |at| {
            let (w, dy) = (at.read(0), at.read(1));
            launch::fully_connected_input_gradient(shape, w, dy, at.write(2), at.target())
        },
    );
    case.flops = flops;
    let tensors = [random(1, x, 1.0), random(2, y, 1.0), unwritten(w)];
    let case = all.add(
        "fully_connected_weight_gradient",
        &text,
        tensors,
        move |at| {
            let (x, dy) = (at.read(0), at.read(1));
            launch::fully_connected_weight_gradient(shape, x, dy, at.write(2), at.target())
        },
    );
    case.flops = flops;
    let y_parts = random(1, y * forward as usize, 1.0);
    let tensors = [y_parts, random(2, outputs, 1.0), unwritten(y)];
    let text = format!("{forward} parts of {y}");
    all.add("sum_parts_with_bias", text, tensors, move |at| {
        let (sums, bias) = (at.read(0), at.read(1));
        launch::sum_parts_with_bias(shape.images, forward, sums, bias, at.write(2), at.target())
    });
    sums(all, x, backward);
    maps(all, outputs, shape.images);
    let tensors = [random(1, y, 1.0), unwritten(y)];
    let sides = [shape.outputs, shape.images];
    all.add(
        "transpose",
        format!("{outputs}x{images}"),
        tensors,
        move |at| launch::transpose(sides, at.read(0), at.write(1), at.target()),
    );
}
