//! Fully connected layers against the formulas.
mod common;

use common::{Buffer, assert_close, dot, here, random, run, wide};
use gpu_kernels::divisor::Divisor;
use gpu_kernels::fully_connected::{
    Shape, fully_connected_forward, fully_connected_input_gradient,
    fully_connected_weight_gradient, splits,
};
use gpu_kernels::sum::{sum_parts, sum_parts_launch, sum_parts_with_bias};
use proptest::prelude::*;

/// `c[i][j] = Σ a[i][k] · b[k][j]` in double precision.
fn product(
    rows: usize,
    cols: usize,
    a: impl Fn(usize) -> Vec<f64>,
    b: impl Fn(usize) -> Vec<f64>,
) -> Vec<f64> {
    let columns: Vec<_> = (0..cols).map(b).collect();
    (0..rows)
        .flat_map(|i| {
            let row = a(i);
            columns
                .iter()
                .map(move |c| dot(&row, c))
                .collect::<Vec<_>>()
        })
        .collect()
}

fn check(s: Shape, seed: u32) {
    let [n, inputs, outputs] = [s.images, s.inputs, s.outputs].map(|x| x as usize);
    let x = Buffer::new(&random(seed, inputs * n));
    let w = Buffer::new(&random(seed ^ 1, inputs * outputs));
    let bias = Buffer::new(&random(seed ^ 2, outputs));
    let dy = Buffer::new(&random(seed ^ 3, outputs * n));
    let (wx, ww, wdy) = (wide(&x), wide(&w), wide(&dy));
    let line = |m: &[f64], width: usize, i: usize| m[i * width..][..width].to_vec();
    let column =
        |m: &[f64], width: usize, j: usize| m[j..].iter().step_by(width).copied().collect();

    let count = splits(s.inputs);
    let mut y = Buffer::unwritten(outputs * n * count as usize);
    // SAFETY: the buffers have the lengths that the shape asks for. The first part may be the sum.
    unsafe {
        run(
            &fully_connected_forward,
            s.forward(here()),
            (s, x.ptr(), w.ptr(), y.mut_ptr()),
        );
        let (len, y_parts) = ((outputs * n) as u32, y.mut_ptr());
        let arguments = (
            len,
            Divisor::new(s.images),
            count,
            y_parts.cast_const(),
            bias.ptr(),
            y_parts,
        );
        run(
            &sum_parts_with_bias,
            sum_parts_launch(len, here()),
            arguments,
        );
    }
    let mut want = product(
        outputs,
        n,
        |o| column(&ww, outputs, o),
        |j| column(&wx, n, j),
    );
    want.iter_mut()
        .enumerate()
        .for_each(|(i, y)| *y += bias[i / n] as f64);
    assert_close("y", &y[..outputs * n], &want);

    let count = splits(s.outputs);
    let mut dx = Buffer::unwritten(inputs * n * count as usize);
    // SAFETY: the buffers have the lengths that the shape asks for. The first part may be the sum.
    unsafe {
        run(
            &fully_connected_input_gradient,
            s.input_gradient(here()),
            (s, w.ptr(), dy.ptr(), dx.mut_ptr()),
        );
        let (len, dx_parts) = ((inputs * n) as u32, dx.mut_ptr());
        run(
            &sum_parts,
            sum_parts_launch(len, here()),
            (len, count, dx_parts.cast_const(), dx_parts),
        );
    }
    let want = product(inputs, n, |i| line(&ww, outputs, i), |j| column(&wdy, n, j));
    assert_close("dx", &dx[..inputs * n], &want);

    let mut dw = Buffer::unwritten(inputs * outputs);
    // SAFETY: the buffers have the lengths that the shape asks for.
    unsafe {
        run(
            &fully_connected_weight_gradient,
            s.weight_gradient(here()),
            (s, x.ptr(), dy.ptr(), dw.mut_ptr()),
        )
    };
    let want = product(inputs, outputs, |i| line(&wx, n, i), |o| line(&wdy, n, o));
    assert_close("dw", &dw, &want);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn as_the_formulas(images in 1..5u32, inputs in 1..400u32, outputs in 1..20u32, seed: u32) {
        check(Shape { images: 32 * images, inputs, outputs: 16 * outputs }, seed);
    }
}

#[test]
fn sums_in_parts() {
    check(
        Shape {
            images: 32,
            inputs: 2500,
            outputs: 1104,
        },
        1,
    );
}
