//! Initial values: their distribution, and that padding changes nothing.
mod common;

use common::{Buffer, bits, here, run};
use gpu_kernels::fill::{constant_fill, constant_fill_launch, gaussian_fill, gaussian_fill_launch};
use gpu_kernels::target::Target;
use proptest::prelude::*;

/// `rows` rows of `valid` elements, without their padding, which must be zero.
fn gaussian(rows: u32, stride: u32, valid: u32, sigma: f32, stream: u32, to: Target) -> Vec<f32> {
    let mut out = Buffer::unwritten((rows * stride) as usize);
    let arguments = (rows, stride, valid, sigma, [5, 6], stream, out.mut_ptr());
    // SAFETY: the buffer has so many rows and columns.
    unsafe {
        run(
            &gaussian_fill,
            gaussian_fill_launch(rows, stride, to),
            arguments,
        )
    };
    let mut kept = Vec::new();
    for row in out.chunks(stride as usize) {
        let (inside, padding) = row.split_at(valid as usize);
        assert!(padding.iter().all(|x| x.to_bits() == 0));
        kept.extend_from_slice(inside);
    }
    kept
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn padding_and_size_change_nothing(
        rows in 1..20u32,
        valid in 1..300u32,
        padding in 0..4u32,
        more in 1..4u32,
        stream: u32,
    ) {
        let stride = valid.next_multiple_of(16);
        let tight = gaussian(rows, stride, valid, 0.01, stream, here());
        let loose = gaussian(rows, stride + 16 * padding, valid, 0.01, stream, Target::Gpu);
        prop_assert_eq!(bits(&tight), bits(&loose));
        let higher = gaussian(rows + more, stride, valid, 0.01, stream, here());
        prop_assert_eq!(bits(&tight), bits(&higher[..tight.len()]));
    }

    #[test]
    fn constant_is_constant(len in 1..600u32, beyond in 0..16u32, value: f32) {
        let len = 16 * len;
        let valid = len - beyond;
        let mut out = Buffer::unwritten(len as usize);
        let launch = constant_fill_launch(len, here());
        // SAFETY: the buffer has `len` elements.
        unsafe { run(&constant_fill, launch, (len, valid, value, out.mut_ptr())) };
        let want = |i: u32| if i < valid { value.to_bits() } else { 0 };
        prop_assert_eq!(bits(&out), (0..len).map(want).collect::<Vec<_>>());
    }
}

/// Moments and tails against the normal distribution's, five deviations wide.
#[test]
fn numbers_are_normal() {
    let x = gaussian(500, 400, 399, 0.5, 9, here());
    let (n, unit) = (x.len() as f64, |x: f32| x as f64 / 0.5);
    let mean = |f: &dyn Fn(f64) -> f64| x.iter().map(|&x| f(unit(x))).sum::<f64>() / n;
    for (power, want, variance) in [(1, 0.0, 1.0), (2, 1.0, 2.0), (3, 0.0, 15.0), (4, 3.0, 96.0)] {
        let moment = mean(&|x| x.powi(power));
        assert!(
            (moment - want).abs() <= 5.0 * (variance / n).sqrt(),
            "{power}: {moment}"
        );
    }
    for (bound, share) in [(1.0, 0.317_310_5), (2.0, 0.045_500_3), (3.0, 0.002_699_8)] {
        let beyond = mean(&|x| (x.abs() > bound) as u8 as f64);
        let deviation = (share * (1.0 - share) / n).sqrt();
        assert!(
            (beyond - share).abs() <= 5.0 * deviation,
            "beyond {bound}: {beyond}"
        );
    }
}

#[test]
fn neighbours_and_streams_are_independent() {
    let x = gaussian(300, 304, 300, 1.0, 1, here());
    let other = gaussian(300, 304, 300, 1.0, 2, here());
    let correlation = |a: &[f32], b: &[f32]| {
        let sum: f64 = a.iter().zip(b).map(|(&a, &b)| a as f64 * b as f64).sum();
        sum / (a.len().min(b.len()) as f64).sqrt()
    };
    for lag in [1, 2, 3, 4, 300] {
        let c = correlation(&x[lag..], &x);
        assert!(c.abs() < 5.0, "lag {lag}: {c} deviations");
    }
    assert!(correlation(&x, &other).abs() < 5.0);
}
