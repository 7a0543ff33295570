//! SGD against the paper's two lines in f64.
mod common;

use common::{Buffer, assert_close, bits, here, random, run, wide};
use gpu_kernels::sgd::{sgd_launch, sgd_update};
use gpu_kernels::target::Target;
use proptest::prelude::*;

type State = (Vec<f32>, Vec<f32>);

fn update([rate, momentum, decay]: [f32; 3], g: &[f32], (v, w): &State, target: Target) -> State {
    let len = g.len() as u32;
    let (g, mut v, mut w) = (Buffer::new(g), Buffer::new(v), Buffer::new(w));
    let arguments = (
        len,
        rate,
        momentum,
        decay,
        g.ptr(),
        v.mut_ptr(),
        w.mut_ptr(),
    );
    // SAFETY: all buffers have `len` elements.
    unsafe { run(&sgd_update, sgd_launch(len, target), arguments) };
    (v.to_vec(), w.to_vec())
}

proptest! {
    #[test]
    fn as_the_formula(
        seed: u32,
        len in 1..300usize,
        rate in 1e-4f32..0.1,
        momentum in 0.0f32..1.0,
        decay in 0.0f32..0.1,
    ) {
        let len = 16 * len;
        let g = random(seed, len);
        let state = (random(seed ^ 1, len), random(seed ^ 2, len));
        let (v, w) = update([rate, momentum, decay], &g, &state, here());

        let (rate, momentum, decay) = (rate as f64, momentum as f64, decay as f64);
        let (g, mut want_v, mut want_w) = (wide(&g), wide(&state.0), wide(&state.1));
        for i in 0..len {
            want_v[i] = momentum * want_v[i] - decay * rate * want_w[i] - rate * g[i];
            want_w[i] += want_v[i];
        }
        assert_close("v", &v, &want_v);
        assert_close("w", &w, &want_w);
    }
}

#[test]
fn the_order_of_rounding_is_the_documented_one() {
    let (g, state) = (random(1, 64), (random(2, 64), random(3, 64)));
    let [rate, momentum, decay] = [0.01f32, 0.9, 0.0005];
    let (mut v, mut w) = state.clone();
    for i in 0..64 {
        v[i] = (-(decay * rate)).mul_add(w[i], momentum * v[i]);
        v[i] = (-rate).mul_add(g[i], v[i]);
        w[i] += v[i];
    }
    for target in [here(), Target::Gpu] {
        let got = update([rate, momentum, decay], &g, &state, target);
        assert_eq!((bits(&got.0), bits(&got.1)), (bits(&v), bits(&w)));
    }
}

#[test]
fn padding_stays_zero() {
    let zeros = (vec![0.0; 32], vec![0.0; 32]);
    let (v, w) = update([0.01, 0.9, 0.0005], &[0.0; 32], &zeros, here());
    assert!(v.iter().chain(&w).all(|&x| x == 0.0));
}
