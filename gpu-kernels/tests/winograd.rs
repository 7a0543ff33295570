//! Convolution by Winograd's algorithm against the formulas in double precision, and beside the direct kernels.
mod common;

use common::{Buffer, here, random, relative_error, run};
use gpu_kernels::convolution::winograd::weight_gradient::{
    winograd_weight_gradient, winograd_weight_transform,
};
use gpu_kernels::convolution::winograd::{
    Direction, SUM_COLUMNS, Winograd, winograd_forward, winograd_input_gradient, winograd_weights,
};
use gpu_kernels::convolution::{Shape, Sizes, convolution_forward};
use gpu_kernels::launch::{self, In, Out};
use gpu_kernels::sum::{sum_parts, sum_parts_launch};
use proptest::prelude::*;
use simt_executor::{Arguments, Kernel, Launch};

/// The largest errors of y, dx and dw relative to their norms: by the direct kernels, and by these, whose tiles have the
/// same points for both windows.
const DIRECT: f64 = 1e-6;
const TILES_4X4_OF_3X3: f64 = 8e-6;
const TILES_2X2_OF_5X5: f64 = 8e-6;

fn bound(s: &Sizes) -> f64 {
    if s.kernel.div_ceil(s.stride) == 3 {
        TILES_4X4_OF_3X3
    } else {
        TILES_2X2_OF_5X5
    }
}

/// y (without bias), dx and dw, each from its own formula.
fn formulas(s: &Sizes, x: &[f32], w: &[f32], dy: &[f32]) -> [Vec<f64>; 3] {
    let [n, c, m, k] = [s.images, s.channels, s.filters, s.kernel].map(|x| x as usize);
    let [[h, wide], [oh, ow]] = [s.input, s.output].map(|side| side.map(|x| x as usize));
    let [pad, stride] = [s.pad, s.stride].map(|x| x as usize);
    let mut sums = [
        vec![0.0; m * oh * ow * n],
        vec![0.0; x.len()],
        vec![0.0; w.len()],
    ];
    for at in 0..oh * ow * k * k {
        let (i, j, r, q) = (at / k / k / ow, at / k / k % ow, at / k % k, at % k);
        let [row, column] = [i * stride + r, j * stride + q].map(|at| at.checked_sub(pad));
        let (Some(row), Some(column)) = (row, column) else {
            continue;
        };
        if row >= h || column >= wide {
            continue;
        }
        for (channel, filter) in (0..c * m).map(|at| (at / m, at % m)) {
            let weight = ((channel * k + r) * k + q) * m + filter;
            for image in 0..n {
                let from = ((channel * h + row) * wide + column) * n + image;
                let to = ((filter * oh + i) * ow + j) * n + image;
                let [x, w, dy] = [x[from], w[weight], dy[to]].map(f64::from);
                sums[0][to] += w * x;
                sums[1][from] += w * dy;
                sums[2][weight] += x * dy;
            }
        }
    }
    sums
}

/// The kernel on the launch of a call; so the tests run its PTX, too.
fn queue<A: Arguments + 'static>(kernel: &Kernel<A>, launch: Launch, arguments: A) {
    // SAFETY: the buffers have the lengths that the checked launch asked for.
    unsafe { run(kernel, launch, arguments) }
}

/// A buffer as a checked launch takes it, wherever the kernel is to run.
fn read(buffer: &Buffer<f32>) -> In<'static, f32> {
    first(buffer, buffer.len())
}

/// Its first `len` floats.
fn first(buffer: &Buffer<f32>, len: usize) -> In<'static, f32> {
    let address = buffer.ptr().expose_provenance() as u64;
    // SAFETY: these launches are looked at, not run.
    unsafe { In::from_raw(address, len) }
}

fn write(buffer: &mut Buffer<f32>) -> Out<'static, f32> {
    let address = buffer.mut_ptr().expose_provenance() as u64;
    // SAFETY: as above.
    unsafe { Out::from_raw(address, buffer.len()) }
}

struct Results {
    y: Buffer<f32>,
    dx: Buffer<f32>,
    dw: Buffer<f32>,
}

fn by_winograd(
    s: Sizes,
    x: &Buffer<f32>,
    w: &Buffer<f32>,
    b: &Buffer<f32>,
    dy: &Buffer<f32>,
) -> Results {
    let shape = Shape::new(s);
    let winograd = Winograd::try_new(shape).unwrap();
    let [forward, backward] = winograd.passes();
    let on = here();
    let mut results = Results {
        y: Buffer::unwritten(shape.output_len()),
        dx: Buffer::unwritten(shape.input_len()),
        dw: Buffer::unwritten(shape.weights_len()),
    };
    let mut u = Buffer::unwritten(winograd.weights_len());
    let mut scratch = Buffer::unwritten(winograd.forward_scratch(on));
    let call = launch::winograd_weights(winograd, Direction::Forward, read(w), write(&mut u), on);
    let weights = call.unwrap().launch();
    let windows = winograd.windows();
    let arguments = (windows, 0, w.ptr(), u.mut_ptr());
    queue(&winograd_weights, weights, arguments);
    let (y, memory) = (write(&mut results.y), write(&mut scratch));
    let call = launch::winograd_forward(winograd, read(x), read(&u), read(b), y, memory, on);
    let (y, memory) = (results.y.mut_ptr(), scratch.mut_ptr());
    let arguments = (forward, x.ptr(), u.ptr(), b.ptr(), y, memory);
    queue(&winograd_forward, call.unwrap().launch(), arguments);

    let arguments = (windows, 1, w.ptr(), u.mut_ptr());
    queue(&winograd_weights, weights, arguments);
    let mut scratch = Buffer::unwritten(winograd.input_gradient_scratch(on));
    let (dx, memory) = (write(&mut results.dx), write(&mut scratch));
    let call = launch::winograd_input_gradient(winograd, read(dy), read(&u), dx, memory, on);
    let (dx, memory) = (results.dx.mut_ptr(), scratch.mut_ptr());
    let arguments = (backward, dy.ptr(), u.ptr(), dx, memory);
    queue(&winograd_input_gradient, call.unwrap().launch(), arguments);

    let mut parts = Buffer::unwritten(winograd.parts_len());
    let mut scratch = Buffer::unwritten(winograd.weight_gradient_scratch(on));
    let (out, memory) = (write(&mut parts), write(&mut scratch));
    let call = launch::winograd_weight_gradient(winograd, read(x), read(dy), out, memory, on);
    let (out, memory) = (parts.mut_ptr(), scratch.mut_ptr());
    let arguments = (forward, x.ptr(), dy.ptr(), out, memory);
    queue(&winograd_weight_gradient, call.unwrap().launch(), arguments);
    let (len, from, to) = (winograd.part_len() as u32, parts.ptr(), parts.mut_ptr());
    let arguments = (len, winograd.parts(), from, to);
    queue(&sum_parts, sum_parts_launch(len, on), arguments);
    let sum = first(&parts, winograd.part_len());
    let call = launch::winograd_weight_transform(winograd, sum, write(&mut results.dw), on);
    let out = results.dw.mut_ptr();
    let arguments = (windows, parts.ptr(), out);
    queue(
        &winograd_weight_transform,
        call.unwrap().launch(),
        arguments,
    );
    results
}

fn check(s: Sizes, seed: u32) {
    let shape = Shape::new(s);
    let lengths = [
        shape.input_len(),
        shape.weights_len(),
        s.filters as usize,
        shape.output_len(),
    ];
    let mut seeds = seed..;
    let [x, w, b, dy] = lengths.map(|len| Buffer::new(&random(seeds.next().unwrap(), len)));
    let found = by_winograd(s, &x, &w, &b, &dy);
    let [mut y, dx, dw] = formulas(&s, &x, &w, &dy);
    let columns = shape.out_columns() as usize;
    for (at, y) in y.iter_mut().enumerate() {
        *y += f64::from(b[at / columns]);
    }
    let mut direct = Buffer::unwritten(shape.output_len());
    let arguments = (shape, x.ptr(), w.ptr(), b.ptr(), direct.mut_ptr());
    queue(&convolution_forward, shape.forward(here()), arguments);
    assert!(relative_error(&direct, &y) <= DIRECT);
    let pairs = [
        ("y", &found.y, &y),
        ("dx", &found.dx, &dx),
        ("dw", &found.dw, &dw),
    ];
    for (what, found, wanted) in pairs {
        let error = relative_error(found, wanted);
        println!("{what}: {error:.1e}");
        assert!(
            error <= bound(&s),
            "{what}: relative error {error:e}, {s:?}"
        );
    }
}

/// Outputs may stop short of the image's edge or hang over it.
fn sizes() -> impl Strategy<Value = Sizes> {
    let extents = (1..3u32, 1..6u32, 1..10u32, 1..10u32, 1..4u32);
    let window = (
        prop_oneof![Just(3u32), Just(5u32)],
        1..5u32,
        0..4u32,
        0..20u32,
    );
    (extents, window, -1..3i32, -1..3i32).prop_map(
        |(
            (images, channels, height, width, filters),
            (strides, stride, less, pad),
            more_y,
            more_x,
        )| {
            let kernel = strides * stride - less % stride;
            let pad = pad % kernel;
            let out = |extent: u32, more: i32| {
                let whole = (extent + 2 * pad).saturating_sub(kernel) / stride + 1;
                whole.saturating_add_signed(more).max(1)
            };
            Sizes {
                images: 32 * images,
                channels,
                input: [height, width],
                filters: 16 * filters,
                kernel,
                stride,
                pad,
                output: [out(height, more_y), out(width, more_x)],
            }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn as_the_formulas(s in sizes(), seed in 0..1u32 << 30) {
        check(s, seed);
    }
}

const SIZES: Sizes = Sizes {
    images: 32,
    channels: 3,
    input: [6, 7],
    filters: 16,
    kernel: 3,
    stride: 1,
    pad: 1,
    output: [6, 7],
};

/// Several blocks of channels and of filters, the last ones ragged.
#[test]
fn more_channels_and_filters_than_a_block() {
    for kernel in [3, 5] {
        let sizes = Sizes {
            channels: 133,
            filters: 144,
            input: [3, 4],
            kernel,
            pad: kernel / 2,
            output: [3, 4],
            ..SIZES
        };
        check(sizes, 1);
    }
}

/// More columns than all blocks take at once, and than a part of the weights' gradient.
#[test]
fn blocks_take_several_groups() {
    let sizes = Sizes {
        input: [13, 13],
        kernel: 5,
        pad: 2,
        output: [13, 13],
        ..SIZES
    };
    let winograd = Winograd::try_new(Shape::new(sizes)).unwrap();
    assert!(winograd.parts() > 1 && 49 * 32 % SUM_COLUMNS > 0);
    check(sizes, 2);
}

/// More terms of the weights' gradient than the parts have at least; more filters than a CPU's block.
#[test]
fn long_parts() {
    let sizes = Sizes {
        channels: 2,
        filters: 16,
        input: [33, 33],
        kernel: 5,
        pad: 2,
        output: [33, 33],
        ..SIZES
    };
    check(sizes, 3);
    let sizes = Sizes {
        channels: 2,
        filters: 272,
        input: [3, 3],
        output: [3, 3],
        ..SIZES
    };
    check(sizes, 4);
}

/// The paper's first layer, smaller; and as many maps as a block of the weights' gradient does not take at once, in which
/// a phase does not end where a block does.
#[test]
fn windows_some_pixels_apart() {
    let sizes = Sizes {
        input: [35, 39],
        kernel: 11,
        stride: 4,
        pad: 2,
        output: [8, 9],
        ..SIZES
    };
    check(sizes, 5);
    let sizes = Sizes {
        channels: 37,
        input: [5, 8],
        kernel: 6,
        stride: 2,
        pad: 5,
        output: [5, 6],
        ..SIZES
    };
    check(sizes, 6);
}

#[test]
fn what_it_cannot_do_is_refused() {
    let refused = |sizes| {
        Winograd::try_new(Shape::new(sizes))
            .unwrap_err()
            .to_string()
    };
    let line = refused(Sizes { kernel: 4, ..SIZES });
    assert_eq!(
        line,
        "Winograd's algorithm is for windows of 3 or 5 strides, but there are 4"
    );
    assert!(refused(Sizes { stride: 2, ..SIZES }).contains("but there are 2"));
    assert!(refused(Sizes { pad: 3, ..SIZES }).contains("fewer than those of a window"));
}
