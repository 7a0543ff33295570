//! Response normalisation against its formula in f64, and its gradient against
//! central differences.
mod common;

use common::{Buffer, assert_close, bits, differences, dot, here, random, run, wide};
use cuda_std::simt::vector::{Lanes, Vector};
use gpu_kernels::lrn::{
    Shape, backward_any, backward5, forward_any, forward5, lrn_backward, lrn_backward_launch,
    lrn_forward, lrn_forward_launch,
};
use gpu_kernels::target::Target;
use proptest::prelude::*;

fn reference(s: &Shape, x: &[f64]) -> Vec<f64> {
    let (channels, columns, half) = (s.channels as usize, s.columns as usize, s.size as usize / 2);
    let value = |i: usize, column: usize| {
        let window = i.saturating_sub(half)..(i + half + 1).min(channels);
        let squares: f64 = window.map(|j| x[j * columns + column].powi(2)).sum();
        let scale = s.k as f64 + s.alpha as f64 * squares;
        x[i * columns + column] * scale.powf(-s.beta as f64)
    };
    (0..x.len())
        .map(|i| value(i / columns, i % columns))
        .collect()
}

fn forward(s: Shape, x: &[f32], target: Target) -> Vec<f32> {
    let (x, mut y) = (Buffer::new(x), Buffer::unwritten(x.len()));
    // SAFETY: the buffers have the lengths that the shape asks for.
    unsafe {
        run(
            &lrn_forward,
            lrn_forward_launch(s, target),
            (s, x.ptr(), y.mut_ptr()),
        )
    };
    y.to_vec()
}

fn backward(s: Shape, x: &[f32], dy: &[f32], target: Target) -> Vec<f32> {
    let (x, dy, mut dx) = (Buffer::new(x), Buffer::new(dy), Buffer::unwritten(x.len()));
    let arguments = (s, x.ptr(), dy.ptr(), dx.mut_ptr());
    // SAFETY: the buffers have the lengths that the shape asks for.
    unsafe { run(&lrn_backward, lrn_backward_launch(s, target), arguments) };
    dx.to_vec()
}

fn shapes() -> impl Strategy<Value = Shape> {
    let size = prop_oneof![3 => Just(5u32), 1 => 0..6u32];
    let beta = prop_oneof![Just(0.75f32), 0.25f32..1.5];
    (1..40u32, 1..6u32, size, 0.5f32..3.0, 1e-4f32..0.5, beta).prop_map(
        |(channels, columns, size, k, alpha, beta)| Shape {
            channels,
            columns: 16 * columns,
            size: if size == 5 { 5 } else { 2 * size + 1 },
            k,
            alpha,
            beta,
        },
    )
}

fn inputs(s: &Shape, seed: u32) -> (Vec<f32>, Vec<f32>) {
    let len = (s.channels * s.columns) as usize;
    let x = random(seed, len).iter().map(|x| 4.0 * x).collect();
    (x, random(seed ^ 1, len))
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

    #[test]
    fn gradient_by_differences(s in shapes(), seed: u32) {
        let s = Shape { columns: 16, channels: s.channels.min(12), ..s };
        let (x, dy) = inputs(&s, seed);
        let (wide_dy, wide_x) = (wide(&dy), wide(&x));
        let want = differences(&wide_x, |x| dot(&reference(&s, x), &wide_dy));
        assert_close("dx", &backward(s, &x, &dy, here()), &want);
    }

    /// The bits depend neither on the path for n = 5, nor on the lanes, nor on how
    /// the channels are cut.
    #[test]
    fn every_path_gives_the_same_bits(s in shapes(), seed: u32, cut in 0..40u32) {
        let s = Shape { size: 5, ..s };
        let (x, dy) = inputs(&s, seed);
        let cut = cut.min(s.channels);
        let (y, dx) = (forward(s, &x, here()), backward(s, &x, &dy, here()));
        let narrow = by_hand::<Lanes<4>>(s, &x, &dy, cut, true);
        let general = by_hand::<Lanes<16>>(s, &x, &dy, cut, false);
        for (other_y, other_dx) in [narrow, general] {
            prop_assert_eq!(bits(&y), bits(&other_y));
            prop_assert_eq!(bits(&dx), bits(&other_dx));
        }
    }
}

/// Both passes column by column, outside any launch, the channels cut at `cut`.
fn by_hand<V: Vector>(
    s: Shape,
    x: &[f32],
    dy: &[f32],
    cut: u32,
    five: bool,
) -> (Vec<f32>, Vec<f32>) {
    let (x, dy) = (Buffer::new(x), Buffer::new(dy));
    let (mut y, mut dx) = (Buffer::unwritten(x.len()), Buffer::unwritten(x.len()));
    let (py, pdx) = (y.mut_ptr(), dx.mut_ptr());
    for column in (0..s.columns as usize).step_by(V::LANES) {
        for channels in [[0, cut], [cut, s.channels]] {
            // SAFETY: the columns lie in the buffers.
            unsafe {
                if five {
                    forward5::<V>(&s, channels, column, x.ptr(), py);
                    backward5::<V>(&s, channels, column, x.ptr(), dy.ptr(), pdx);
                } else {
                    forward_any::<V>(&s, channels, column, x.ptr(), py);
                    backward_any::<V>(&s, channels, column, x.ptr(), dy.ptr(), pdx);
                }
            }
        }
    }
    (y.to_vec(), dx.to_vec())
}

#[test]
fn nan_reaches_its_window_and_no_further() {
    let s = Shape {
        channels: 12,
        columns: 16,
        size: 5,
        k: 2.0,
        alpha: 1e-4,
        beta: 0.75,
    };
    let mut x = vec![1.0; 12 * 16];
    x[6 * 16 + 3] = f32::NAN;
    let y = forward(s, &x, here());
    for (i, y) in y.iter().enumerate() {
        assert_eq!(
            y.is_nan(),
            i % 16 == 3 && (4..=8).contains(&(i / 16)),
            "{i}"
        );
    }
}
