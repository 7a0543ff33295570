use crate::common::*;
use ptx_jit::Launch;

/// Each element's sum in the order of k, fused.
fn product(a: &[f32], b: &[f32], [m, n, k]: [usize; 3]) -> Vec<f32> {
    let element = |i: usize| {
        (0..k).fold(0.0, |sum, j| {
            a[i / n * k + j].mul_add(b[j * n + i % n], sum)
        })
    };
    (0..m * n).map(element).collect()
}

#[test]
fn tiles_in_static_shared_memory() {
    let (m, n, k) = (37, 50, 23);
    let (a, b) = (floats(1, m * k), floats(2, k * n));
    let launch = Launch {
        grid: [4, 3, 1],
        block: [16, 16, 1],
        shared: 0,
    };
    for compiler in BOTH {
        let mut c = vec![f32::NAN; m * n];
        let sizes: [&dyn Argument; 3] = [&(m as i32), &(n as i32), &(k as i32)];
        load(compiler, "matmul").run(
            "tiles_of_16",
            launch,
            &[&&a, &&b, &&mut c, sizes[0], sizes[1], sizes[2]],
        );
        same_f32(&c, &product(&a, &b, [m, n, k]), compiler);
    }
}

#[test]
fn registers_and_dynamic_shared_memory() {
    let (m, n, k) = (64, 96, 64);
    let (a, b) = (aligned(floats(3, m * k)), aligned(floats(4, k * n)));
    let launch = Launch {
        grid: [3, 2, 1],
        block: [64, 1, 1],
        shared: 2 * 32 * 32 * 4,
    };
    let expected = product(a.as_flattened(), b.as_flattened(), [m, n, k]);
    for compiler in BOTH {
        let mut c = aligned(vec![f32::NAN; m * n]);
        let arguments: [&dyn Argument; 5] = [&&a, &&b, &&mut c, &(n as i32), &(k as i32)];
        load(compiler, "matmul").run("registers", launch, &arguments);
        same_f32(c.as_flattened(), &expected, compiler);
    }
}

#[test]
fn doubles() {
    let (m, n, k) = (5, 64, 17);
    let doubles = |seed, len| -> Vec<f64> {
        floats(seed, len)
            .into_iter()
            .map(|x| f64::from(x) / 3.0)
            .collect()
    };
    let (a, b) = (doubles(5, m * k), doubles(6, k * n));
    let launch = Launch {
        grid: [2, 5, 1],
        block: [32, 1, 1],
        shared: 0,
    };
    let element = |i: usize| {
        (0..k).fold(0.0, |sum, j| {
            a[i / n * k + j].mul_add(b[j * n + i % n], sum)
        })
    };
    let expected: Vec<f64> = (0..m * n).map(element).collect();
    for compiler in BOTH {
        let mut c = vec![f64::NAN; m * n];
        load(compiler, "matmul").run(
            "doubles",
            launch,
            &[&&a, &&b, &&mut c, &(n as i32), &(k as i32)],
        );
        same_f64(&c, &expected, compiler);
    }
}
