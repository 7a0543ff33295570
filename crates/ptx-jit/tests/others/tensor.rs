use crate::common::*;
use half::{bf16, f16};

/// Numbers whose products and sums are exact whatever the order: small multiples of 1/8.
fn small(seed: usize, len: usize) -> Vec<f32> {
    (0..len)
        .map(|i| (word(i + seed * 977) % 33) as f32 / 8.0 - 2.0)
        .collect()
}

fn product(a: &[f32], b: &[f32], c: &[f32], k: usize) -> Vec<f32> {
    let element = |i: usize| (0..k).fold(c[i], |sum, j| sum + a[i / 8 * k + j] * b[j * 8 + i % 8]);
    (0..128).map(element).collect()
}

/// A kernel, and a number's bits in its type.
type Bits = (&'static str, fn(f32) -> u16);

#[test]
fn halves() {
    let (a, b, c) = (small(1, 256), small(2, 128), small(3, 128));
    let bits: [Bits; 2] = [
        ("f16", |x| f16::from_f32(x).to_bits()),
        ("bf16", |x| bf16::from_f32(x).to_bits()),
    ];
    for (kernel, bits) in bits {
        let packed = |x: &[f32]| {
            aligned(
                x.chunks(2)
                    .map(|two| u32::from(bits(two[0])) | u32::from(bits(two[1])) << 16)
                    .collect(),
            )
        };
        let mut d = vec![f32::NAN; 128];
        load("nvcc", "tensor").run(
            kernel,
            blocks(1, 32),
            &[&&packed(&a), &&packed(&b), &&c, &&mut d],
        );
        same_f32(&d, &product(&a, &b, &c, 16), kernel);
    }
}

#[test]
fn tf32() {
    let (mut a, b, c) = (small(4, 128), small(5, 64), small(6, 128));
    let exact = a.clone();
    // What is beyond tf32's ten bits is rounded away, half of the last one away from zero.
    a.iter_mut()
        .enumerate()
        .for_each(|(i, v)| *v += *v * (i % 3) as f32 / 8192.0);
    let mut d = vec![f32::NAN; 128];
    load("nvcc", "tensor").run("tf32", blocks(1, 32), &[&&a, &&b, &&c, &&mut d]);
    same_f32(&d, &product(&exact, &b, &c, 8), "tf32");
}

#[test]
fn which_lane_holds_which_element() {
    // A row of 8 halves a lane, each of which says where it stands.
    let element = |row: usize, column: usize| (row * 8 + column) as u32;
    let rows = (0..32).flat_map(|row| {
        (0..4).map(move |pair| element(row, 2 * pair) | element(row, 2 * pair + 1) << 16)
    });
    let rows = aligned(rows.collect());
    let mut out = vec![0u32; 32 * 14];
    load("nvcc", "tensor").run("fragments", blocks(1, 32), &[&&rows, &&mut out]);
    for lane in 0..32 {
        let (row, column) = (lane / 4, lane % 4 * 2);
        let plain = |matrix: usize| {
            element(matrix * 8 + row, column) | element(matrix * 8 + row, column + 1) << 16
        };
        let transposed = |matrix: usize| {
            element(matrix * 8 + column, row) | element(matrix * 8 + column + 1, row) << 16
        };
        let matrices = [0, 0, 1, 0, 1, 2, 3];
        let expected: Vec<u32> = matrices
            .map(plain)
            .into_iter()
            .chain(matrices.map(transposed))
            .collect();
        assert_eq!(out[lane * 14..][..14], expected, "lane {lane}");
    }
}
