//! tanh against the standard library's in f64.
mod common;

use common::{Buffer, TOLERANCE, assert_close, differences, dot, here, random, run, wide};
use gpu_kernels::math;
use gpu_kernels::tanh::{tanh_backward, tanh_forward, tanh_launch};
use gpu_kernels::target::Target;
use proptest::prelude::*;

fn forward(x: &[f32]) -> Vec<f32> {
    let len = x.len() as u32;
    let mut y = Buffer::new(x);
    let launch = tanh_launch(len, here());
    // SAFETY: all buffers have `len` elements. The output may be the input.
    unsafe { run(&tanh_forward, launch, (len, y.ptr(), y.mut_ptr())) };
    y.to_vec()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn as_the_formula(seed: u32, len in 1..40usize, size in 0.001f32..20.0) {
        let len = 16 * len;
        let x: Vec<f32> = random(seed, len).iter().map(|x| size * x).collect();
        let (y, dy) = (Buffer::new(&forward(&x)), Buffer::new(&random(seed ^ 1, len)));
        let tanh = |x: &[f64]| -> Vec<f64> { x.iter().map(|x| x.tanh()).collect() };
        assert_close("y", &y, &tanh(&wide(&x)));

        let mut dx = Buffer::unwritten(len);
        let launch = tanh_launch(len as u32, Target::Gpu);
        let arguments = (len as u32, y.ptr(), dy.ptr(), dx.mut_ptr());
        // SAFETY: all buffers have `len` elements.
        unsafe { run(&tanh_backward, launch, arguments) };
        let dy = wide(&dy);
        let want = differences(&wide(&x), |x| dot(&tanh(x), &dy));
        // 1 − y² has lost what y cannot hold where tanh saturates, so the error
        // is held against dy.
        for ((dx, want), dy) in dx.iter().zip(want).zip(&dy) {
            prop_assert!((f64::from(*dx) - want).abs() <= 1e-6 * dy.abs() + 1e-9, "{dx}, not {want}");
        }
    }
}

#[test]
fn every_magnitude_keeps_its_precision() {
    for i in 0..4000 {
        let x = (2.0f32).powf(i as f32 * 0.04 - 140.0);
        for x in [x, -x] {
            let (got, want) = (math::tanh(x) as f64, (x as f64).tanh());
            let error = (got - want).abs();
            assert!(
                error <= 4e-7 * want.abs() + 1e-45,
                "tanh({x:e}) = {got:e}, not {want:e}"
            );
        }
    }
    const { assert!(TOLERANCE > 4e-7) };
}

#[test]
fn ends_of_the_line() {
    let mut x = [0.0; 16];
    x[..4].copy_from_slice(&[f32::INFINITY, f32::NEG_INFINITY, f32::NAN, -0.0]);
    let y = forward(&x);
    assert_eq!((y[0], y[1], y[4]), (1.0, -1.0, 0.0));
    assert!(y[2].is_nan() && y[3].is_sign_negative());
}
