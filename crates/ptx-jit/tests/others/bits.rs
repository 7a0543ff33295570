use crate::common::*;

/// Bits `at..at + len` of a value; beyond its width are zeros, or copies of its sign.
fn extract(value: u128, width: u32, at: u32, len: u32, signed: bool) -> u64 {
    let (at, len) = (at & 0xff, len & 0xff);
    if len == 0 {
        return 0;
    }
    let sign_at = (at + len - 1).min(width - 1);
    let sign = signed && value >> sign_at & 1 == 1;
    let bit = |i: u32| match i < len && at + i < width {
        true => value >> (at + i) & 1 == 1,
        false => sign,
    };
    (0..width).fold(0, |bits, i| bits | u64::from(bit(i)) << i)
}

fn insert(value: u64, into: u64, width: u32, at: u32, len: u32) -> u64 {
    let (at, len) = (at & 0xff, len & 0xff);
    let bit = |i: u32| match i >= at && i - at < len {
        true => value >> (i - at) & 1,
        false => into >> i & 1,
    };
    (0..width).fold(0, |bits, i| bits | bit(i) << i)
}

fn permute(a: u32, b: u32, selector: u32) -> u32 {
    let bytes = (u64::from(b) << 32 | u64::from(a)).to_le_bytes();
    u32::from_le_bytes(std::array::from_fn(|i| {
        bytes[(selector >> (4 * i) & 7) as usize]
    }))
}

fn funnel(low: u32, high: u32) -> u64 {
    u64::from(high) << 32 | u64::from(low)
}

/// Operands with edges among them.
fn operands(edges: &[u64], seed: usize) -> Vec<u64> {
    let mut all = edges.to_vec();
    all.extend((0..32).map(|i| {
        let word = long(i + seed);
        // Counts and positions near the width as well.
        if i % 3 == 0 { word & 0x4f4f_4f4f } else { word }
    }));
    all
}

const EDGES: [u64; 8] = [
    0,
    1,
    u64::MAX,
    1 << 63,
    i64::MAX as u64,
    0x8000_0000,
    0x7fff_ffff,
    0xffff_ffff,
];

#[test]
fn words() {
    let (mut x, mut y) = (Vec::new(), Vec::new());
    for &a in &operands(&EDGES, 0) {
        for &b in &operands(&EDGES, 500)[..20] {
            x.push(a as u32);
            y.push(b as u32);
        }
    }
    let threads = x.len() / 8;
    for at in (0..x.len()).step_by(threads) {
        let (x, y) = (x[at..][..threads].to_vec(), y[at..][..threads].to_vec());
        let mut out = vec![0u32; threads * 32];
        load("nvcc", "bits").run("words", blocks(1, threads as u32), &[&&x, &&y, &&mut out]);
        for (t, found) in out.chunks(32).enumerate() {
            let expected = words_of(x[t], y[t]);
            for (i, (found, expected)) in found.iter().zip(expected).enumerate() {
                assert_eq!(*found, expected, "o[{i}] of {:#x}, {:#x}", x[t], y[t]);
            }
        }
    }
}

fn words_of(a: u32, b: u32) -> [u32; 32] {
    let (sa, sb) = (a as i32, b as i32);
    let low24 = |v: u32| u64::from(v & 0xff_ffff);
    let signed24 = |v: u32| i64::from((v << 8) as i32 >> 8);
    let divisor = (b >> 1) as i32 | 1;
    [
        permute(a, b, 0x3715),
        permute(a, b, b),
        (funnel(a, b) << (b & 31) >> 32) as u32,
        (funnel(a, b) >> (a & 31)) as u32,
        (u128::from(funnel(a, b)) << (b & 63).min(32) >> 32) as u32,
        (funnel(a, b) >> (b & 63).min(32)) as u32,
        a.reverse_bits(),
        a.leading_zeros(),
        a.count_ones(),
        if a == 0 { 0 } else { a.trailing_zeros() + 1 },
        a.wrapping_mul(b),
        ((u64::from(a) * u64::from(b)) >> 32) as u32,
        ((i64::from(sa) * i64::from(sb)) >> 32) as u32,
        (low24(a) * low24(b)) as u32,
        (signed24(a) * signed24(b)) as u32,
        (i64::from(sa).abs_diff(i64::from(sb)) as u32).wrapping_add(7),
        a.abs_diff(b).wrapping_add(9),
        ((i64::from(sa) + i64::from(sb)) >> 1) as u32,
        ((u64::from(a) + u64::from(b) + 1) >> 1) as u32,
        a / (b | 1),
        a % (b | 1),
        sa.wrapping_div(divisor) as u32,
        sa.wrapping_rem(divisor) as u32,
        (sa >> (b & 31)) as u32,
        a.rotate_left(b & 31),
        a & b ^ !a & 0x5555_5555,
        sa.wrapping_abs() as u32,
        sa.min(sb) as u32 ^ a.max(b),
        extract(a.into(), 32, b, b >> 8, false) as u32,
        extract(a.into(), 32, b, b >> 8, true) as u32,
        insert(a.into(), b.into(), 32, b >> 16, b >> 24) as u32,
        match sa ^ sa >> 31 {
            0 => u32::MAX,
            other => 31 - other.leading_zeros(),
        },
    ]
}

#[test]
fn longs() {
    let (x, y) = (operands(&EDGES, 900), operands(&EDGES, 1300));
    for shift in 0..5 {
        let mut y = y.clone();
        y.rotate_left(shift);
        let mut out = vec![0u64; x.len() * 22];
        load("nvcc", "bits").run("longs", blocks(1, x.len() as u32), &[&&x, &&y, &&mut out]);
        for (t, found) in out.chunks(22).enumerate() {
            let expected = longs_of(x[t], y[t]);
            for (i, (found, expected)) in found.iter().zip(expected).enumerate() {
                assert_eq!(*found, expected, "o[{i}] of {:#x}, {:#x}", x[t], y[t]);
            }
        }
    }
}

fn longs_of(a: u64, b: u64) -> [u64; 22] {
    let (sa, sb, low) = (a as i64, b as i64, b as u32);
    let divisor = (b >> 1) as i64 | 1;
    let beyond = low & 127;
    [
        a.wrapping_mul(b),
        ((u128::from(a) * u128::from(b)) >> 64) as u64,
        ((i128::from(sa) * i128::from(sb)) >> 64) as u64,
        a.reverse_bits(),
        a.leading_zeros().into(),
        a.count_ones().into(),
        if a == 0 {
            0
        } else {
            u64::from(a.trailing_zeros()) + 1
        },
        a / (b | 1),
        a % (b | 1),
        sa.wrapping_div(divisor) as u64,
        sa.wrapping_rem(divisor) as u64,
        (sa >> (b & 63)) as u64,
        a << (b & 63),
        u64::from(a as u32) * u64::from(low),
        (i64::from(a as i32) * i64::from(b as i32)).wrapping_add(sb) as u64,
        sa.min(sb) as u64 ^ a.max(b),
        extract(a.into(), 64, low, low >> 8, false),
        extract(a.into(), 64, low, low >> 8, true),
        insert(a, b, 64, low >> 16, low >> 24),
        a.checked_shl(beyond).unwrap_or(0),
        (sa >> beyond.min(63)) as u64,
        a.checked_shr(beyond).unwrap_or(0),
    ]
}

#[test]
fn carries_and_counts_beyond_the_width() {
    let numbers = |seed: usize| -> Vec<u32> {
        (0..67)
            .map(|i| match word(i + seed) % 4 {
                0 => u32::MAX,
                1 => 0,
                _ => word(i + seed + 5000),
            })
            .collect()
    };
    let (x, y) = (numbers(7000), numbers(8000));
    let mut out = vec![0u32; 64 * 11];
    load("nvcc", "bits").run("wide", blocks(1, 64), &[&&x, &&y, &&mut out]);
    let number = |x: &[u32], words: usize| {
        (0..words).fold(0u128, |sum, i| sum | u128::from(x[i]) << (32 * i))
    };
    for (t, found) in out.chunks(11).enumerate() {
        let (a, b, count) = (x[t], y[t], y[t] & 63);
        assert_eq!(
            number(found, 4),
            number(&x[t..], 4).wrapping_add(number(&y[t..], 4)),
            "thread {t}"
        );
        let difference = number(&x[t..], 3).wrapping_sub(number(&y[t..], 3)) & ((1 << 96) - 1);
        assert_eq!(number(&found[4..], 3), difference, "thread {t}");
        let dot =
            |i: usize| i32::from(a.to_le_bytes()[i] as i8) * i32::from(b.to_le_bytes()[i] as i8);
        let expected = [
            a.checked_shl(count).unwrap_or(0),
            a.checked_shr(count).unwrap_or(0),
            (a as i32 >> count.min(31)) as u32,
            (0..4).fold(a ^ b, |sum, i| sum.wrapping_add(dot(i) as u32)),
        ];
        assert_eq!(found[7..], expected, "thread {t}");
    }
}

#[test]
fn bytes_and_halves() {
    let x: Vec<i16> = (0..64)
        .map(|i| {
            if i < 3 {
                [i16::MIN, i16::MAX, -1][i]
            } else {
                word(i) as i16
            }
        })
        .collect();
    let y: Vec<i8> = (0..64)
        .map(|i| {
            if i < 3 {
                [-1, i8::MIN, i8::MAX][i]
            } else {
                word(i + 70) as i8
            }
        })
        .collect();
    let mut out = vec![0i32; 64 * 8];
    load("nvcc", "bits").run("narrow", blocks(1, 64), &[&&x, &&y, &&mut out]);
    for (t, found) in out.chunks(8).enumerate() {
        let (a, b) = (x[t], y[t]);
        let (u, v) = (a as u16, b as u8);
        let two = u32::from(u) | u32::from(v) << 16;
        let halves = u32::from(two as u16).wrapping_add(1) & 0xffff | ((two >> 16) + 0x7fff) << 16;
        let expected = [
            i32::from(a.wrapping_mul(b.into())),
            i32::from(u << (v & 7)),
            i32::from(a >> (v & 7)),
            i32::from(b.wrapping_add(100)),
            i32::from(v.wrapping_sub(100) > v),
            i32::from(a.min(b.into())),
            i32::from(a.wrapping_div(i16::from(b | 1))),
            halves as i32,
        ];
        assert_eq!(found, expected, "thread {t}: {a}, {b}");
    }
}
