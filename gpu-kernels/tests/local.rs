//! The locally connected layer and its gradients against the formulas, term by term in f64.
mod common;

use common::{Buffer, assert_close, here, random, run};
use gpu_kernels::convolution::local::{local_forward, local_input_gradient, local_weight_gradient};
use gpu_kernels::convolution::{Shape, Sizes};
use proptest::prelude::*;

/// One term of an output: which y, and which weight meets which x.
struct Term {
    y: usize,
    w: usize,
    x: usize,
}

/// All terms that lie in the image, the sums of each y in order.
fn terms(s: &Sizes) -> Vec<Term> {
    let [n, c, m, k] = [s.images, s.channels, s.filters, s.kernel].map(|x| x as usize);
    let [[h, w], [oh, ow]] = [s.input, s.output].map(|e| e.map(|x| x as usize));
    let (stride, pad) = (s.stride as usize, s.pad as usize);
    let mut all = Vec::new();
    for y in 0..m * oh * ow * n {
        let (image, j, i, filter) = (y % n, y / n % ow, y / n / ow % oh, y / n / ow / oh);
        for l in 0..c * k * k {
            let (q, r, channel) = (l % k, l / k % k, l / k / k);
            // Above and left of the image they wrap, to beyond it.
            let row = (i * stride + r).wrapping_sub(pad);
            let column = (j * stride + q).wrapping_sub(pad);
            if row < h && column < w {
                all.push(Term {
                    y,
                    w: ((i * ow + j) * c * k * k + l) * m + filter,
                    x: ((channel * h + row) * w + column) * n + image,
                });
            }
        }
    }
    all
}

fn check(s: Sizes, seed: u32) {
    let shape = Shape::new(s);
    let [inputs, outputs, weights] = [
        shape.input_len(),
        shape.output_len(),
        shape.local_weights_len(),
    ];
    let [x, w, b, dy] = [
        (0, inputs),
        (1, weights),
        (2, shape.local_bias_len()),
        (3, outputs),
    ]
    .map(|(salt, len)| Buffer::new(&random(seed ^ salt, len)));
    let pixel = |y: usize| y / s.images as usize;
    let bias = |y: usize| f64::from(b[pixel(y)]);
    let mut want_y: Vec<f64> = (0..outputs).map(bias).collect();
    let (mut want_dx, mut want_dw) = (vec![0.0; inputs], vec![0.0; weights]);
    for term in terms(&s) {
        let [x, w, dy] = [x[term.x], w[term.w], dy[term.y]].map(f64::from);
        want_y[term.y] += w * x;
        want_dx[term.x] += w * dy;
        want_dw[term.w] += x * dy;
    }

    let mut y = Buffer::unwritten(outputs);
    let arguments = (shape, x.ptr(), w.ptr(), b.ptr(), y.mut_ptr());
    // SAFETY: the buffers have the lengths that the shape asks for.
    unsafe { run(&local_forward, shape.local_forward(here()), arguments) };
    assert_close("y", &y, &want_y);

    let mut dx = Buffer::unwritten(inputs);
    let (launch, arguments) = (
        shape.local_input_gradient(here()),
        (shape, w.ptr(), dy.ptr(), dx.mut_ptr()),
    );
    // SAFETY: as above.
    unsafe { run(&local_input_gradient, launch, arguments) };
    assert_close("dx", &dx, &want_dx);

    let mut dw = Buffer::unwritten(weights);
    let (launch, arguments) = (
        shape.local_weight_gradient(here()),
        (shape, x.ptr(), dy.ptr(), dw.mut_ptr()),
    );
    // SAFETY: as above.
    unsafe { run(&local_weight_gradient, launch, arguments) };
    assert_close("dw", &dw, &want_dw);
}

/// Outputs may stop short of the image's edge or hang over it.
fn sizes() -> impl Strategy<Value = Sizes> {
    let extents = (1..4u32, 1..4u32, 1..7u32, 1..7u32, 1..4u32);
    let window = (1..5u32, 1..4u32, 0..3u32);
    (extents, window, -1..2i32, -1..2i32).prop_map(
        |((images, channels, height, width, filters), (kernel, stride, pad), more_y, more_x)| {
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
    fn as_the_formulas(s in sizes(), seed: u32) {
        check(s, seed);
    }
}

/// More images and channels, or more filters, than a tile has columns and rows.
#[test]
fn more_than_a_tile() {
    let sizes = Sizes {
        images: 288,
        channels: 200,
        input: [1, 2],
        filters: 16,
        kernel: 1,
        stride: 1,
        pad: 0,
        output: [1, 2],
    };
    check(sizes, 1);
    check(
        Sizes {
            images: 32,
            channels: 8,
            filters: 208,
            ..sizes
        },
        2,
    );
}
