//! Every implementation gives, bit for bit, what plain scalar code gives.
#![allow(clippy::print_stderr)]

use simt_vector::{Lanes, Vector, fma};

const A: [f32; 16] = [
    1.5,
    -2.25,
    0.0,
    -0.0,
    1e-38,
    3e38,
    f32::INFINITY,
    7.0,
    0.1,
    0.3,
    -0.7,
    1e-3,
    5.5,
    -9.0,
    2.0,
    0.9,
];
const B: [f32; 16] = [
    0.1,
    2.0,
    -0.0,
    0.0,
    1e-7,
    10.0,
    1.0,
    7.0,
    0.2,
    -0.3,
    -0.7,
    1e3,
    5.4,
    -9.1,
    2.0,
    f32::NAN,
];

fn bits(lanes: impl IntoIterator<Item = f32>) -> Vec<u32> {
    // A NaN's payload is nobody's promise.
    lanes
        .into_iter()
        .map(|x| if x.is_nan() { u32::MAX } else { x.to_bits() })
        .collect()
}

/// # Safety
/// The processor has `V`'s instructions.
#[inline(always)]
unsafe fn check<V: Vector>() {
    // SAFETY: the processor has `V`'s instructions, as the caller promises.
    let load = |x: &[f32; 16]| unsafe { V::from_fn(|i| x[i]) };
    // SAFETY: `i` is below LANES.
    let lanes = |v: V| bits((0..V::LANES).map(|i| unsafe { v.lane(i) }));
    let expect = |f: &dyn Fn(f32, f32) -> f32| bits((0..V::LANES).map(|i| f(A[i], B[i])));
    let (a, b) = (load(&A), load(&B));
    assert_eq!(lanes(a + b), expect(&|x, y| x + y));
    assert_eq!(lanes(a - b), expect(&|x, y| x - y));
    assert_eq!(lanes(a * b), expect(&|x, y| x * y));
    assert_eq!(lanes(a / b), expect(&|x, y| x / y));
    assert_eq!(lanes(a.sqrt()), expect(&|x, _| x.sqrt()));
    assert_eq!(lanes(a.fma(b, a)), expect(&|x, y| fma(x, y, x)));
    assert_eq!(
        lanes(a.select_gt(b, a, b)),
        expect(&|x, y| if x > y { x } else { y })
    );
    assert_eq!(
        lanes(a.select_eq(b, a, b)),
        expect(&|x, y| if x == y { x } else { y })
    );
    assert_eq!(lanes(a.map(|x| x + 1.0)), expect(&|x, _| x + 1.0));

    let cell = |row: usize, column: usize| (100 * row + column) as f32;
    // SAFETY: the processor has `V`'s instructions, as the caller promises.
    let square = V::square(|row| unsafe { V::from_fn(|column| cell(row, column)) });
    for (column, v) in V::transpose(square).as_ref().iter().enumerate() {
        assert_eq!(lanes(*v), bits((0..V::LANES).map(|row| cell(row, column))));
    }

    // SAFETY: plain arrays need no particular processor.
    let mut memory = Lanes::<16>::square(|_| unsafe { Lanes::splat(0.0) });
    let p = memory.as_mut_ptr().cast::<f32>();
    // SAFETY: the memory has 256 floats at a multiple of 16 bytes.
    unsafe {
        a.write(p.add(4));
        assert_eq!(lanes(V::read(p.add(4))), lanes(a));
        // At each multiple of 16 bytes, whatever the processor's own stores want.
        for at in (0..=64).step_by(4) {
            b.write(p.add(at));
            a.stream(p.add(at));
            assert_eq!(lanes(V::read(p.add(at))), lanes(a), "streamed to {at}");
        }
    }
}

#[test]
fn four_lanes() {
    // SAFETY: plain arrays need no particular processor.
    unsafe { check::<Lanes<4>>() }
}

#[test]
fn sixteen_lanes() {
    // SAFETY: plain arrays need no particular processor.
    unsafe { check::<Lanes<16>>() }
}

#[cfg(target_arch = "x86_64")]
#[test]
fn avx2() {
    #[target_feature(enable = "avx2,fma")]
    unsafe fn run() {
        // SAFETY: `run` is called where the processor has them.
        unsafe { check::<simt_vector::Avx2>() }
    }
    if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
        // SAFETY: just found.
        unsafe { run() }
    } else {
        eprintln!("not tested: this processor has no AVX2 with FMA");
    }
}

#[cfg(target_arch = "x86_64")]
#[test]
fn avx512() {
    #[target_feature(enable = "avx512f")]
    unsafe fn run() {
        // SAFETY: `run` is called where the processor has them.
        unsafe { check::<simt_vector::Avx512>() }
    }
    if is_x86_feature_detected!("avx512f") {
        // SAFETY: just found.
        unsafe { run() }
    } else {
        eprintln!("not tested: this processor has no AVX-512");
    }
}
