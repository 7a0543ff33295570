//! ReLU against its formula.
mod common;

use common::{Buffer, bits, here, random, run};
use gpu_kernels::relu::{relu_backward, relu_forward, relu_launch};
use gpu_kernels::target::Target;
use proptest::prelude::*;

fn forward(x: &[f32], target: Target) -> Vec<f32> {
    let len = x.len() as u32;
    let (x, mut y) = (Buffer::new(x), Buffer::unwritten(x.len()));
    // SAFETY: all buffers have `len` elements.
    unsafe {
        run(
            &relu_forward,
            relu_launch(len, target),
            (len, x.ptr(), y.mut_ptr()),
        )
    };
    y.to_vec()
}

fn backward(y: &[f32], dy: &[f32]) -> Vec<f32> {
    let len = y.len() as u32;
    let (y, mut dx) = (Buffer::new(y), Buffer::new(dy));
    let launch = relu_launch(len, here());
    // SAFETY: all buffers have `len` elements. The output may be the input.
    unsafe {
        run(
            &relu_backward,
            launch,
            (len, y.ptr(), dx.ptr(), dx.mut_ptr()),
        )
    };
    dx.to_vec()
}

proptest! {
    #[test]
    fn as_the_formula(seed: u32, len in 1..700usize) {
        let (x, dy) = (random(seed, 16 * len), random(seed ^ 1, 16 * len));
        let y = forward(&x, here());
        let want: Vec<f32> = x.iter().map(|&x| if x < 0.0 { 0.0 } else { x }).collect();
        prop_assert_eq!(bits(&y), bits(&want));
        prop_assert_eq!(bits(&forward(&x, Target::Gpu)), bits(&want));

        let want: Vec<f32> =
            y.iter().zip(&dy).map(|(&y, &dy)| if y > 0.0 { dy } else { 0.0 }).collect();
        prop_assert_eq!(bits(&backward(&y, &dy)), bits(&want));
    }
}

#[test]
fn nan_goes_through_both_ways() {
    let mut x = [1.0; 16];
    x[5] = f32::NAN;
    let y = forward(&x, here());
    let dx = backward(&y, &[2.0; 16]);
    for i in 0..16 {
        assert_eq!((y[i].is_nan(), dx[i].is_nan()), (i == 5, i == 5));
    }
}

#[test]
fn zeros_and_infinities() {
    let mut x = [0.0; 16];
    x[..4].copy_from_slice(&[-0.0, f32::INFINITY, f32::NEG_INFINITY, -f32::MIN_POSITIVE]);
    let y = forward(&x, here());
    assert_eq!(bits(&y[..5]), bits(&[-0.0, f32::INFINITY, 0.0, 0.0, 0.0]));
}
