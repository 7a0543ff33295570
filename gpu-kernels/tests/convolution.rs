//! Convolution and its gradients against the formulas, term by term.
mod common;

use common::{Buffer, assert_close, here, random, run};
use gpu_kernels::convolution::{
    SPLIT_K, Shape, Sizes, convolution_forward, convolution_input_gradient,
    convolution_weight_gradient,
};
use gpu_kernels::sum::{sum_parts, sum_parts_launch};
use proptest::prelude::*;

/// A sum's terms in the order in which the kernels add them.
type Terms = Vec<(f32, f32)>;

/// What kernels must give to the bit (zeros of either sign alike), and the truth.
fn sums(outputs: &[Terms], chunk: usize) -> (Vec<f32>, Vec<f64>) {
    let part = |terms: &[(f32, f32)]| terms.iter().fold(0.0f32, |sum, (a, b)| a.mul_add(*b, sum));
    let exact = |terms: &Terms| {
        terms
            .chunks(chunk)
            .map(part)
            .reduce(|a, b| a + b)
            .unwrap_or(0.0)
    };
    let wide = |terms: &Terms| terms.iter().map(|&(a, b)| a as f64 * b as f64).sum();
    (
        outputs.iter().map(exact).collect(),
        outputs.iter().map(wide).collect(),
    )
}

/// Indices of one output of the forward sum and of all it reads.
struct Reading {
    y: usize,
    /// Of `x` (none outside the image) and of `w`, summed over in this order.
    terms: Vec<(Option<usize>, usize)>,
}

fn readings(s: &Sizes) -> Vec<Reading> {
    let [n, c, m, k] = [s.images, s.channels, s.filters, s.kernel].map(|x| x as usize);
    let [[h, w], [oh, ow]] = [s.input, s.output].map(|e| e.map(|x| x as usize));
    let (stride, pad) = (s.stride as usize, s.pad as usize);
    let reading = |y: usize| {
        let (image, j, i, filter) = (y % n, y / n % ow, y / n / ow % oh, y / n / ow / oh);
        let term = |l: usize| {
            let (q, r, channel) = (l % k, l / k % k, l / k / k);
            let place = |o: usize, t: usize, extent| {
                (o * stride + t).checked_sub(pad).filter(|&at| at < extent)
            };
            let x = place(i, r, h)
                .zip(place(j, q, w))
                .map(|(row, col)| ((channel * h + row) * w + col) * n + image);
            (x, l * m + filter)
        };
        Reading {
            y,
            terms: (0..c * k * k).map(term).collect(),
        }
    };
    (0..m * oh * ow * n).map(reading).collect()
}

fn check(s: Sizes, seed: u32) {
    let shape = Shape::new(s);
    let inputs = (s.channels * shape.in_columns()) as usize;
    let outputs = (s.filters * shape.out_columns()) as usize;
    let weights = (shape.depth() * s.filters) as usize;
    let (x, w) = (
        Buffer::new(&random(seed, inputs)),
        Buffer::new(&random(seed ^ 1, weights)),
    );
    let (b, dy) = (
        Buffer::new(&random(seed ^ 2, s.filters as usize)),
        Buffer::new(&random(seed ^ 3, outputs)),
    );
    let readings = readings(&s);

    let mut y = Buffer::unwritten(outputs);
    let arguments = (shape, x.ptr(), w.ptr(), b.ptr(), y.mut_ptr());
    // SAFETY: the buffers have the lengths that the shape asks for.
    unsafe { run(&convolution_forward, shape.forward(here()), arguments) };
    let terms: Vec<Terms> = readings
        .iter()
        .map(|r| {
            r.terms
                .iter()
                .map(|&(i, l)| (i.map_or(0.0, |i| x[i]), w[l]))
                .collect()
        })
        .collect();
    let (exact, wide) = sums(&terms, usize::MAX);
    let bias = |y: usize| b[y / shape.out_columns() as usize];
    let exact: Vec<f32> = exact
        .iter()
        .enumerate()
        .map(|(y, sum)| sum + bias(y))
        .collect();
    let wide: Vec<f64> = wide
        .iter()
        .enumerate()
        .map(|(y, sum)| sum + bias(y) as f64)
        .collect();
    assert_close("y", &y, &wide);
    assert!(y[..] == exact[..], "y in order");

    let mut dx = Buffer::unwritten(inputs);
    let arguments = (shape, w.ptr(), dy.ptr(), dx.mut_ptr());
    // SAFETY: the buffers have the lengths that the shape asks for.
    unsafe {
        run(
            &convolution_input_gradient,
            shape.input_gradient(here()),
            arguments,
        )
    };
    let mut terms = vec![Vec::new(); inputs];
    for r in &readings {
        for &(i, l) in &r.terms {
            if let Some(i) = i {
                // Of one (r, q) the filters follow each other.
                terms[i].push((
                    l / s.filters as usize % (s.kernel * s.kernel) as usize,
                    w[l],
                    dy[r.y],
                ));
            }
        }
    }
    let terms: Vec<Terms> = terms
        .into_iter()
        .map(|mut terms| {
            // Stable: filters stay in order.
            terms.sort_by_key(|term| term.0);
            terms.into_iter().map(|(_, w, dy)| (w, dy)).collect()
        })
        .collect();
    let (exact, wide) = sums(&terms, usize::MAX);
    assert_close("dx", &dx, &wide);
    assert!(dx[..] == exact[..], "dx in order");

    let mut dw = Buffer::unwritten(weights * shape.splits() as usize);
    let arguments = (shape, x.ptr(), dy.ptr(), dw.mut_ptr());
    // SAFETY: the buffers have the lengths that the shape asks for.
    unsafe {
        run(
            &convolution_weight_gradient,
            shape.weight_gradient(here()),
            arguments,
        )
    };
    let (len, parts) = (weights as u32, dw.mut_ptr());
    let launch = sum_parts_launch(len, here());
    // SAFETY: so many parts were just written; the first may be the sum.
    unsafe {
        run(
            &sum_parts,
            launch,
            (len, shape.splits(), parts.cast_const(), parts),
        )
    };
    let mut terms = vec![Vec::new(); weights];
    for r in &readings {
        for &(i, l) in &r.terms {
            terms[l].push((i.map_or(0.0, |i| x[i]), dy[r.y]));
        }
    }
    let (exact, wide) = sums(&terms, SPLIT_K as usize);
    assert_close("dw", &dw[..weights], &wide);
    assert!(dw[..weights] == exact[..], "dw in order");
}

/// Outputs may stop short of the image's edge or hang over it.
fn sizes() -> impl Strategy<Value = Sizes> {
    let extents = (1..4u32, 1..3u32, 1..9u32, 1..9u32, 1..4u32);
    let window = (1..6u32, 1..5u32, 0..4u32);
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
                pad: pad.min(kernel),
                output: [out(height, more_y), out(width, more_x)],
            }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]
    #[test]
    fn as_the_formulas(s in sizes(), seed: u32) {
        check(s, seed);
    }
}

const SIZES: Sizes = Sizes {
    images: 32,
    channels: 2,
    input: [13, 13],
    filters: 16,
    kernel: 3,
    stride: 1,
    pad: 1,
    output: [13, 13],
};

#[test]
fn more_rows_than_a_tile() {
    check(
        Sizes {
            channels: 25,
            input: [4, 5],
            output: [4, 5],
            ..SIZES
        },
        1,
    );
}

#[test]
fn more_terms_than_a_part() {
    check(
        Sizes {
            images: 64,
            ..SIZES
        },
        2,
    );
}

#[test]
#[should_panic = "a multiple of 32"]
fn odd_batch() {
    Shape::new(Sizes {
        images: 48,
        ..SIZES
    });
}

#[test]
#[should_panic = "a multiple of 16"]
fn odd_filters() {
    Shape::new(Sizes {
        filters: 24,
        ..SIZES
    });
}

#[test]
#[should_panic]
fn no_stride() {
    Shape::new(Sizes { stride: 0, ..SIZES });
}
