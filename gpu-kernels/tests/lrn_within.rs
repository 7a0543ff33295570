//! Response normalisation within maps against its formula in f64, and its gradient against central differences.
mod common;

use common::{Buffer, assert_close, bits, differences, dot, here, random, run, wide};
use gpu_kernels::lrn::within::{
    Shape, lrn_within_backward, lrn_within_forward, lrn_within_launch, lrn_within_terms,
};
use gpu_kernels::target::Target;
use proptest::prelude::*;

fn reference(s: &Shape, x: &[f64]) -> Vec<f64> {
    let [height, width, images, half] =
        [s.height, s.width, s.images, s.size / 2].map(|n| n as usize);
    let value = |i: usize| {
        let (pixel, n) = (i / images, i % images);
        let (map, row, column) = (
            pixel / (height * width),
            pixel / width % height,
            pixel % width,
        );
        let rows = row.saturating_sub(half)..(row + half + 1).min(height);
        let columns = column.saturating_sub(half)..(column + half + 1).min(width);
        let at = |(y, x): (usize, usize)| ((map * height + y) * width + x) * images + n;
        let places = rows.flat_map(|y| columns.clone().map(move |x| (y, x)));
        let squares: f64 = places.map(|place| x[at(place)].powi(2)).sum();
        x[i] * (s.k as f64 + s.alpha as f64 * squares).powf(-s.beta as f64)
    };
    (0..x.len()).map(value).collect()
}

fn forward(s: Shape, x: &[f32], target: Target) -> Vec<f32> {
    let (x, mut y) = (Buffer::new(x), Buffer::unwritten(x.len()));
    let arguments = (s, x.ptr(), y.mut_ptr());
    // SAFETY: the buffers have the lengths that the shape asks for.
    unsafe { run(&lrn_within_forward, lrn_within_launch(s, target), arguments) };
    y.to_vec()
}

fn backward(s: Shape, x: &[f32], dy: &[f32], target: Target) -> Vec<f32> {
    let (x, dy) = (Buffer::new(x), Buffer::new(dy));
    let (mut dx, mut terms) = (Buffer::unwritten(x.len()), Buffer::unwritten(x.len()));
    let launch = lrn_within_launch(s, target);
    let arguments = (s, x.ptr(), dy.ptr(), dx.mut_ptr(), terms.mut_ptr());
    // SAFETY: the buffers have the lengths that the shape asks for.
    unsafe { run(&lrn_within_terms, launch, arguments) };
    let arguments = (s, x.ptr(), terms.ptr(), dx.mut_ptr());
    // SAFETY: as above.
    unsafe { run(&lrn_within_backward, launch, arguments) };
    dx.to_vec()
}

/// Squares of all sizes, within the map and larger than it.
fn shapes() -> impl Strategy<Value = Shape> {
    let sides = (1..4u32, 1..9u32, 1..9u32, 1..3u32);
    let beta = prop_oneof![Just(0.75f32), 0.25f32..1.5];
    (sides, 0..4u32, 0.5f32..3.0, 1e-4f32..0.5, beta).prop_map(
        |((channels, height, width, images), half, k, alpha, beta)| Shape {
            channels,
            height,
            width,
            images: 32 * images,
            size: 2 * half + 1,
            k,
            alpha,
            beta,
        },
    )
}

fn inputs(s: &Shape, seed: u32) -> (Vec<f32>, Vec<f32>) {
    let x = random(seed, s.len()).iter().map(|x| 4.0 * x).collect();
    (x, random(seed ^ 1, s.len()))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn as_the_formula(s in shapes(), seed: u32) {
        let (x, dy) = inputs(&s, seed);
        let y = forward(s, &x, here());
        assert_close("y", &y, &reference(&s, &wide(&x)));
        prop_assert_eq!(bits(&y), bits(&forward(s, &x, Target::Gpu)));
        let dx = backward(s, &x, &dy, here());
        prop_assert_eq!(bits(&dx), bits(&backward(s, &x, &dy, Target::Gpu)));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]
    #[test]
    fn gradient_by_differences(s in shapes(), seed: u32) {
        let s = Shape { channels: 1, height: s.height.min(4), width: s.width.min(4), images: 32, ..s };
        let (x, dy) = inputs(&s, seed);
        let (wide_dy, wide_x) = (wide(&dy), wide(&x));
        let want = differences(&wide_x, |x| dot(&reference(&s, x), &wide_dy));
        assert_close("dx", &backward(s, &x, &dy, here()), &want);
    }
}
