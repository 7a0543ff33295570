use std::cmp::Ordering;

use crate::common::*;
use crate::exact::{Down, Up, Zero, round, sign, sum_f32, sum_f64};

const EDGES: [f32; 20] = [
    0.0,
    -0.0,
    1.0,
    -1.0,
    0.5,
    -3.0,
    f32::INFINITY,
    f32::NEG_INFINITY,
    f32::NAN,
    f32::MAX,
    f32::MIN,
    f32::MIN_POSITIVE,
    -f32::MIN_POSITIVE,
    1e-45,
    -1e-45,
    1.175_494_2e-38,
    -3.4e-39,
    16_777_217.0,
    1.000_000_1,
    -1.844_674_4e19,
];

/// All pairs of edges and some of no particular kind, with a third number.
fn triples() -> [Vec<f32>; 3] {
    let mut all = [const { Vec::new() }; 3];
    let mut add = |a, b, c| {
        all.iter_mut()
            .zip([a, b, c])
            .for_each(|(all, one)| all.push(one))
    };
    for (i, a) in EDGES.into_iter().enumerate() {
        for (j, b) in EDGES.into_iter().enumerate() {
            add(a, b, EDGES[(i * 7 + j * 3) % 20]);
        }
    }
    for i in 0..400 {
        let number = |k: usize| {
            let exponent = 100 + word(9 * i + k) % 56;
            f32::from_bits(word(9 * i + k + 3) & 0x807f_ffff | exponent << 23)
        };
        add(number(0), number(1), number(2));
        // Whose product nearly cancels.
        add(number(0), number(1), -(number(0) * number(1)));
    }
    all
}

fn in_parts(len: usize, mut run: impl FnMut(std::ops::Range<usize>)) {
    (0..len)
        .step_by(256)
        .for_each(|at| run(at..len.min(at + 256)));
}

#[test]
fn singles() {
    let [x, y, z] = triples();
    let loaded = load("nvcc", "floats");
    in_parts(x.len(), |range| {
        let [x, y, z] = [&x, &y, &z].map(|all| all[range.clone()].to_vec());
        let mut out = vec![0f32; x.len() * 28];
        loaded.run(
            "singles",
            blocks(1, x.len() as u32),
            &[&&x, &&y, &&z, &&mut out],
        );
        for (t, found) in out.chunks(28).enumerate() {
            let (a, b, c) = (x[t], y[t], z[t]);
            for (i, (found, expected)) in found.iter().zip(singles_of(a, b, c)).enumerate() {
                // A saturated zero may have either sign, and NaNs are alike but for copysign's.
                if i >= 26 && (*found, expected) == (0.0, 0.0) {
                    continue;
                }
                let same = found.to_bits() == expected.to_bits()
                    || i != 19 && found.is_nan() && expected.is_nan();
                assert!(
                    same,
                    "o[{i}] of {a:e}, {b:e}, {c:e}: {found:e} for {expected:e}"
                );
            }
        }
    });
}

/// Division in any direction, of finite numbers.
fn quotient(a: f32, b: f32) -> f32 {
    let near = a / b;
    if !a.is_finite() || !b.is_finite() || a == 0.0 || b == 0.0 {
        return near;
    }
    let is_positive = a.is_sign_negative() == b.is_sign_negative();
    let compare = |number: f32| {
        if number.is_infinite() {
            return number.total_cmp(&0.0);
        }
        let order = sign(&[f64::from(number) * f64::from(b), -f64::from(a)]);
        if b < 0.0 { order.reverse() } else { order }
    };
    round(near, compare, Zero, is_positive)
}

fn root_up(a: f32) -> f32 {
    let near = a.sqrt();
    if a.is_nan() || a <= 0.0 || a.is_infinite() {
        return near;
    }
    let compare = |number: f32| sign(&[f64::from(number) * f64::from(number), -f64::from(a)]);
    round(near, compare, Up, true)
}

fn flushed(x: f32) -> f32 {
    if x.is_subnormal() {
        0f32.copysign(x)
    } else {
        x
    }
}

/// Of a result that is to the nearest of the exact product or sum; what is smaller than normal is zero.
fn saturated(x: f32) -> f32 {
    if x.is_nan() { 0.0 } else { x.clamp(0.0, 1.0) }
}

fn greater(a: f32, b: f32) -> f32 {
    match a.total_cmp(&b) {
        _ if a.is_nan() => b,
        _ if b.is_nan() => a,
        Ordering::Less => b,
        _ => a,
    }
}

fn singles_of(a: f32, b: f32, c: f32) -> [f32; 28] {
    let [wide_a, wide_b, wide_c] = [a, b, c].map(f64::from);
    let add = |rounding| sum_f32(a + b, &[wide_a, wide_b], rounding);
    let mul = |rounding| match a == 0.0 || b == 0.0 {
        true => a * b,
        false => sum_f32(a * b, &[wide_a * wide_b], rounding),
    };
    let fma = |rounding| sum_f32(a.mul_add(b, c), &[wide_a * wide_b, wide_c], rounding);
    let is_nan = a.is_nan() || b.is_nan();
    [
        a + b,
        add(Zero),
        add(Up),
        add(Down),
        a * b,
        mul(Zero),
        mul(Up),
        mul(Down),
        a.mul_add(b, c),
        fma(Zero),
        fma(Up),
        fma(Down),
        a / b,
        quotient(a, b),
        a.sqrt(),
        root_up(a),
        1.0 / a,
        -greater(-a, -b),
        greater(a, b),
        a.copysign(b),
        a.abs() - b,
        -a,
        if is_nan { f32::NAN } else { -greater(-a, -b) },
        if is_nan { f32::NAN } else { greater(a, b) },
        flushed(flushed(a) + flushed(b)),
        flushed(flushed(a) * flushed(b)),
        saturated(a + b),
        saturated(a.mul_add(b, c)),
    ]
}

#[test]
fn doubles() {
    let [x, y, z] = triples().map(|all| -> Vec<f64> {
        let more = |(i, x): (usize, f32)| f64::from(x) * (1.0 + long(i) as f64 / 1e28);
        all.into_iter().enumerate().map(more).collect()
    });
    let loaded = load("nvcc", "floats");
    in_parts(x.len(), |range| {
        let [x, y, z] = [&x, &y, &z].map(|all| all[range.clone()].to_vec());
        let mut out = vec![0f64; x.len() * 16];
        loaded.run(
            "doubles",
            blocks(1, x.len() as u32),
            &[&&x, &&y, &&z, &&mut out],
        );
        for (t, found) in out.chunks(16).enumerate() {
            let what = format!("{:e}, {:e}, {:e}", x[t], y[t], z[t]);
            same_f64(found, &doubles_of(x[t], y[t], z[t]), &what);
        }
    });
}

fn doubles_of(a: f64, b: f64, c: f64) -> [f64; 16] {
    let product = a * b;
    let left = if product.is_finite() {
        a.mul_add(b, -product)
    } else {
        0.0
    };
    let least = |a: f64, b: f64| match a.total_cmp(&b) {
        _ if a.is_nan() => b,
        _ if b.is_nan() => a,
        Ordering::Less => a,
        _ => b,
    };
    let is_plain = |x: f64| x.is_finite() && x != 0.0;
    let compare = |number: f64| {
        let product = number * b;
        let order = sign(&[product, number.mul_add(b, -product), -a]);
        if b < 0.0 { order.reverse() } else { order }
    };
    let quotient = match is_plain(a) && is_plain(b) {
        true => round(
            a / b,
            compare,
            Up,
            a.is_sign_negative() == b.is_sign_negative(),
        ),
        false => a / b,
    };
    [
        a + b,
        sum_f64(a + b, &[a, b], Up),
        product,
        if product == 0.0 {
            product
        } else {
            sum_f64(product, &[product, left], Down)
        },
        a.mul_add(b, c),
        if product == 0.0 {
            a.mul_add(b, c)
        } else {
            sum_f64(a.mul_add(b, c), &[product, left, c], Zero)
        },
        a / b,
        quotient,
        a.sqrt(),
        1.0 / a,
        least(a, b),
        -least(-a, -b),
        a.copysign(b),
        a.abs(),
        a - b,
        if a < b { c } else { -c },
    ]
}

#[test]
fn comparisons() {
    let [x, y, _] = triples();
    let loaded = load("nvcc", "floats");
    in_parts(x.len(), |range| {
        let [x, y] = [&x, &y].map(|all| all[range.clone()].to_vec());
        let mut out = vec![0u32; x.len()];
        loaded.run(
            "comparisons",
            blocks(1, x.len() as u32),
            &[&&x, &&y, &&mut out],
        );
        for ((a, b), found) in x.iter().zip(&y).zip(out) {
            let (less, equal, greater) = (a < b, a == b, a > b);
            let unordered = !(less || equal || greater);
            let bits = [
                less,
                less || equal,
                greater,
                greater || equal,
                equal,
                !equal,
                !less,
                !(less || equal),
                !greater,
                !(greater || equal),
                a.is_nan(),
                a.is_infinite(),
                a.is_finite(),
                a.is_sign_negative(),
                unordered,
                less || greater,
                equal || unordered,
                !equal,
                less || unordered,
                !greater,
                greater || unordered,
                !less,
                !unordered,
                unordered,
                a.is_normal(),
                a.is_subnormal(),
                b < a && *a <= 0.0,
                less,
            ];
            let expected = bits
                .iter()
                .rev()
                .fold(0, |all, &bit| all << 1 | u32::from(bit));
            assert_eq!(found, expected, "{a:e}, {b:e}: {:028b}", found ^ expected);
        }
    });
}
