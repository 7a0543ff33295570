//! Dropout: who is dropped, how many, and that both passes agree.
mod common;

use common::{Buffer, bits, here, random, run};
use gpu_kernels::dropout::{
    dropout_backward, dropout_forward, dropout_launch, scale, scale_launch,
};
use gpu_kernels::random::{philox, uniform};
use gpu_kernels::target::Target;
use proptest::prelude::*;

const SEED: [u32; 2] = [12, 34];

fn forward(x: &[f32], p: f32, [stream, step, share]: [u32; 3], target: Target) -> Vec<f32> {
    let len = x.len() as u32;
    let (x, mut y) = (Buffer::new(x), Buffer::unwritten(x.len()));
    let arguments = (len, p, SEED, stream, step, share, x.ptr(), y.mut_ptr());
    // SAFETY: all buffers have `len` elements.
    unsafe { run(&dropout_forward, dropout_launch(len, target), arguments) };
    y.to_vec()
}

proptest! {
    #[test]
    fn as_the_formula(seed: u32, len in 1..400usize, p in 0.0f32..1.0, stream: u32, step: u32, share: u32) {
        let x = random(seed, 16 * len);
        let dropped = |i: usize| {
            uniform(philox([i as u32 / 4, stream, step, share], SEED)[i % 4]) < p
        };
        let want: Vec<f32> =
            x.iter().enumerate().map(|(i, &x)| if dropped(i) { 0.0 } else { x }).collect();
        prop_assert_eq!(bits(&forward(&x, p, [stream, step, share], here())), bits(&want));
        prop_assert_eq!(bits(&forward(&x, p, [stream, step, share], Target::Gpu)), bits(&want));

        let mut dx = Buffer::new(&x);
        let len = x.len() as u32;
        let arguments = (len, p, SEED, stream, step, share, dx.ptr(), dx.mut_ptr());
        // SAFETY: all buffers have `len` elements.
        unsafe { run(&dropout_backward, dropout_launch(len, here()), arguments) };
        prop_assert_eq!(bits(&dx), bits(&want));
    }

    #[test]
    fn scale_multiplies(seed: u32, len in 1..400usize, factor in -2.0f32..2.0) {
        let mut x = Buffer::new(&random(seed, 16 * len));
        let want: Vec<f32> = x.iter().map(|x| factor * x).collect();
        let arguments = (x.len() as u32, factor, x.ptr(), x.mut_ptr());
        // SAFETY: all buffers have `len` elements.
        unsafe { run(&scale, scale_launch(x.len() as u32, here()), arguments) };
        prop_assert_eq!(bits(&x), bits(&want));
    }
}

#[test]
fn the_dropped_fraction_is_p() {
    const LEN: usize = 1 << 18;
    for p in [0.0, 0.1, 0.5, 0.9, 1.0] {
        let y = forward(&vec![1.0; LEN], p, [3, 4, 0], here());
        let fraction = y.iter().filter(|&&y| y == 0.0).count() as f64 / LEN as f64;
        // Five standard deviations.
        let deviation = (p as f64 * (1.0 - p as f64) / LEN as f64).sqrt();
        assert!(
            (fraction - p as f64).abs() <= 5.0 * deviation,
            "{fraction} of {p}"
        );
    }
}

#[test]
fn masks_of_other_tensors_steps_and_shares_are_independent() {
    const LEN: usize = 1 << 16;
    let mask = |place| forward(&vec![1.0; LEN], 0.5, place, here());
    let first = mask([1, 1, 0]);
    for other in [mask([2, 1, 0]), mask([1, 2, 0]), mask([1, 1, 1])] {
        let equal = first.iter().zip(&other).filter(|(a, b)| a == b).count();
        let deviation = (LEN as f64 / 4.0).sqrt();
        assert!(
            (equal as f64 - LEN as f64 / 2.0).abs() <= 5.0 * deviation,
            "{equal}"
        );
    }
}

#[test]
fn nan_goes_through_where_it_is_kept() {
    let y = forward(&[f32::NAN; 1024], 0.5, [1, 1, 0], here());
    let kept = y.iter().filter(|y| y.is_nan()).count();
    assert!((400..600).contains(&kept) && y.iter().all(|&y| y.is_nan() || y == 0.0));
}
