use std::cmp::Ordering;

use crate::common::*;
use crate::exact::{Down, Rounding, Up, Zero, round};
use half::{bf16, f16};

const EDGES: [f64; 36] = [
    0.0,
    -0.0,
    0.5,
    -0.5,
    1.5,
    2.5,
    -1.5,
    0.499_999_97,
    -0.1,
    1.0,
    127.5,
    -128.5,
    254.5,
    32_767.5,
    -32_768.5,
    65_519.0,
    65_520.0,
    65_535.0,
    16_777_217.0,
    2_147_483_647.0,
    2_147_483_648.0,
    -2_147_483_648.0,
    -2_147_483_649.5,
    4_294_967_295.5,
    9.3e18,
    -9.3e18,
    1.9e19,
    1e39,
    -1e39,
    1e300,
    1e-40,
    -1e-46,
    6e-8,
    2.9e-8,
    f64::INFINITY,
    f64::NAN,
];

fn doubles() -> Vec<f64> {
    let mut all = EDGES.to_vec();
    all.push(f64::NEG_INFINITY);
    for i in 0..90 {
        let scale = [1.0, 1e3, 1e6, 3e9, 1e15, 1e-5][i % 6];
        all.push((long(i) as i64) as f64 / 9e18 * scale);
        all.push(f64::from(word(i) % 4000) / 2.0 - 1000.0);
    }
    all
}

/// What no number becomes: 0, but of a double or in 64 bits the highest bit alone.
fn integer(x: f64, nan: i64, to: impl Fn(f64) -> i64) -> i64 {
    if x.is_nan() { nan } else { to(x) }
}

#[test]
fn to_integers() {
    let y = doubles();
    let x: Vec<f32> = y.iter().map(|&y| y as f32).collect();
    let mut out = vec![0i64; x.len() * 24];
    load("nvcc", "conversions").run(
        "to_integers",
        blocks(1, x.len() as u32),
        &[&&x, &&y, &&mut out],
    );
    let near = f64::round_ties_even;
    for (t, found) in out.chunks(24).enumerate() {
        let (f, d) = (f64::from(x[t]), y[t]);
        let expected = [
            integer(f, 0, |f| near(f) as i32 as i64),
            integer(f, 0, |f| f as i32 as i64),
            integer(f, 0, |f| f.ceil() as i32 as i64),
            integer(f, 0, |f| f.floor() as i32 as i64),
            integer(f, 0, |f| near(f) as u32 as i64),
            integer(f, 0, |f| f as u32 as i64),
            integer(f, 0, |f| f.ceil() as u32 as i64),
            integer(f, 0, |f| f.floor() as u32 as i64),
            integer(f, i64::MIN, |f| near(f) as i64),
            integer(f, i64::MIN, |f| f as i64),
            integer(f, i64::MIN, |f| f.ceil() as u64 as i64),
            integer(f, i64::MIN, |f| f.floor() as u64 as i64),
            integer(d, i32::MIN.into(), |d| near(d) as i32 as i64),
            integer(d, i32::MIN.into(), |d| d as i32 as i64),
            integer(d, 1 << 31, |d| d.ceil() as u32 as i64),
            integer(d, 1 << 31, |d| d.floor() as u32 as i64),
            integer(d, i64::MIN, |d| near(d) as i64),
            integer(d, i64::MIN, |d| d as i64),
            integer(d, i64::MIN, |d| d.ceil() as i64),
            integer(d, i64::MIN, |d| d.floor() as u64 as i64),
            integer(d, i64::MIN, |d| near(d) as u64 as i64),
            ((d.to_bits() >> 32) as i32).into(),
            (d.to_bits() as i32).into(),
            integer(f, 0, |f| f as i16 as i64),
        ];
        for (i, (found, expected)) in found.iter().zip(expected).enumerate() {
            assert_eq!(*found, expected, "o[{i}] of {f:e}, {d:e}");
        }
    }
}

/// Where a number stands to a whole one: one with a fraction is above its floor.
fn beside(number: f64, whole: i128) -> Ordering {
    let floor = number.floor();
    (floor as i128)
        .cmp(&whole)
        .then((number > floor).cmp(&false))
}

fn single(x: i128, rounding: Rounding) -> f32 {
    match x {
        0 => 0.0,
        _ => round(x as f32, |r| beside(r.into(), x), rounding, x > 0),
    }
}

fn double(x: i128, rounding: Rounding) -> f64 {
    match x {
        0 => 0.0,
        _ => round(x as f64, |r| beside(r, x), rounding, x > 0),
    }
}

#[test]
fn from_integers() {
    let mut x = vec![
        0,
        1,
        -1,
        i64::MAX,
        i64::MIN,
        0x7fff_ffff,
        0x8000_0000,
        0xffff_ffff,
        (1 << 53) + 1,
        -(1 << 53) - 1,
    ];
    x.extend((0..54).map(|i| long(i) as i64 >> (i % 60)));
    let (mut out, mut outd) = (vec![0f32; x.len() * 16], vec![0f64; x.len() * 8]);
    load("nvcc", "conversions").run(
        "from_integers",
        blocks(1, x.len() as u32),
        &[&&x, &&mut out, &&mut outd],
    );
    for (t, &l) in x.iter().enumerate() {
        let (i, u, w) = (l as i32, l as u32, l as u64);
        let expected = [
            i as f32,
            single(i.into(), Zero),
            single(i.into(), Up),
            single(i.into(), Down),
            u as f32,
            single(u.into(), Zero),
            single(u.into(), Up),
            single(u.into(), Down),
            l as f32,
            single(l.into(), Zero),
            single(l.into(), Up),
            single(l.into(), Down),
            w as f32,
            single(w.into(), Zero),
            f32::from(i as i16),
            f32::from(i as u8),
        ];
        same_f32(&out[t * 16..][..16], &expected, &format!("of {l}"));
        let expected = [
            i.into(),
            u.into(),
            l as f64,
            double(l.into(), Zero),
            double(l.into(), Up),
            double(l.into(), Down),
            w as f64,
            double(w.into(), Up),
        ];
        same_f64(&outd[t * 8..][..8], &expected, &format!("of {l}"));
    }
}

/// A double in single precision.
fn narrowed(d: f64, rounding: Rounding) -> f32 {
    match d == 0.0 || !d.is_finite() {
        true => d as f32,
        false => round(d as f32, |r| f64::from(r).total_cmp(&d), rounding, d > 0.0),
    }
}

#[test]
fn between_floats() {
    let x = doubles();
    let y: Vec<f32> = x.iter().rev().map(|&x| x as f32).collect();
    let (mut out, mut outd) = (vec![0f32; x.len() * 9], vec![0f64; x.len() * 5]);
    load("nvcc", "conversions").run(
        "between",
        blocks(1, x.len() as u32),
        &[&&x, &&y, &&mut out, &&mut outd],
    );
    for (t, (&d, &f)) in x.iter().zip(&y).enumerate() {
        let mut found = out[t * 9..][..9].to_vec();
        if found[8] == 0.0 {
            found[8] = 0.0; // of either sign
        }
        let expected = [
            d as f32,
            narrowed(d, Zero),
            narrowed(d, Up),
            narrowed(d, Down),
            f.floor(),
            f.ceil(),
            f.trunc(),
            f.round_ties_even(),
            if f > 0.0 { f.min(1.0) } else { 0.0 },
        ];
        same_f32(&found, &expected, &format!("of {d:e}, {f:e}"));
        let expected = [
            f.into(),
            d.floor(),
            d.ceil(),
            d.trunc(),
            d.round_ties_even(),
        ];
        same_f64(&outd[t * 5..][..5], &expected, &format!("of {d:e}, {f:e}"));
    }
}

/// Half precision towards zero.
fn truncated(f: f32) -> f16 {
    let near = f16::from_f32(f);
    match f.is_finite() && near.to_f32().abs() > f.abs() {
        true => f16::from_bits(near.to_bits() - 1),
        false => near,
    }
}

#[test]
fn to_halves_and_back() {
    let x: Vec<f32> = doubles().into_iter().map(|x| x as f32).collect();
    let (mut out, mut back) = (vec![0u16; x.len() * 7], vec![0f32; x.len() * 2]);
    load("nvcc", "conversions").run(
        "halves",
        blocks(1, x.len() as u32),
        &[&&x, &&mut out, &&mut back],
    );
    for (t, &f) in x.iter().enumerate() {
        let found = &out[t * 7..][..7];
        let (half, brain) = (f16::from_f32(f), bf16::from_f32(f));
        if f.is_nan() {
            let is_nan = |i: usize| f16::from_bits(found[i]).is_nan();
            assert!(
                is_nan(0) && is_nan(1) && is_nan(4) && is_nan(5),
                "{found:x?}"
            );
            assert!(
                bf16::from_bits(found[2]).is_nan() && bf16::from_bits(found[3]).is_nan(),
                "{found:x?}"
            );
            continue;
        }
        let expected = [
            half.to_bits(),
            truncated(f).to_bits(),
            brain.to_bits(),
            (f.to_bits() >> 16) as u16,
            f16::from_f32(-f).to_bits(),
            half.to_bits(),
            brain.to_bits() ^ bf16::from_f32(f + 1.0).to_bits(),
        ];
        assert_eq!(found, expected, "of {f:e}");
        same_f32(
            &back[t * 2..][..2],
            &[half.to_f32(), brain.to_f32()],
            &format!("of {f:e}"),
        );
    }
}

/// `a · b + c` in double precision, odd where it is not exact: rounded once more it is as if rounded once.
fn fused(a: f64, b: f64, c: f64) -> f64 {
    let product = a * b;
    let sum = product + c;
    if !sum.is_finite() {
        return sum;
    }
    let of_c = sum - product;
    let left = (product - (sum - of_c)) + (c - of_c);
    if left == 0.0 || sum.to_bits() & 1 == 1 {
        return sum;
    }
    match left.partial_cmp(&0.0) {
        Some(Ordering::Greater) => sum.next_up(),
        _ => sum.next_down(),
    }
}

#[test]
fn arithmetic_of_halves() {
    let numbers = |seed: usize| -> Vec<u32> {
        let edges = [
            0x0000_8000,
            0x3c00_bc00,
            0x7c00_fc00,
            0x7e00_7bff,
            0x0001_8001,
            0x03ff_0400,
        ];
        (0..128)
            .map(|i| {
                if i < 36 {
                    edges[(i / seed) % 6]
                } else {
                    word(i * seed)
                }
            })
            .collect()
    };
    let (x, y) = (numbers(1), numbers(6));
    let mut out = vec![0u32; 128 * 5];
    load("nvcc", "halves").run("half_arithmetic", blocks(1, 128), &[&&x, &&y, &&mut out]);
    for (t, found) in out.chunks(5).enumerate() {
        for half in 0..2 {
            let of = |word: u32| (word >> (16 * half)) as u16;
            let [a, b, c] = [x[t], y[t], x[t] ^ y[t]].map(|word| f16::from_bits(of(word)).to_f64());
            let [e, f, g] =
                [x[t], y[t], x[t] ^ y[t]].map(|word| bf16::from_bits(of(word)).to_f64());
            let greatest = match a.total_cmp(&b) {
                _ if a.is_nan() => b,
                _ if b.is_nan() => a,
                Ordering::Less => b,
                _ => a,
            };
            let expected = [a + b, a * b, fused(a, b, c), fused(e, f, g), greatest];
            for (i, expected) in expected.into_iter().enumerate() {
                let (found, expected) = match i {
                    3 => (
                        bf16::from_bits(of(found[i])).to_f32(),
                        bf16::from_f64(expected).to_f32(),
                    ),
                    _ => (
                        f16::from_bits(of(found[i])).to_f32(),
                        f16::from_f64(expected).to_f32(),
                    ),
                };
                same_f32(
                    &[found],
                    &[expected],
                    &format!("o[{i}], half {half} of {:08x}, {:08x}", x[t], y[t]),
                );
            }
        }
    }
}
