use crate::common::*;

/// A sum over a warp's lanes by halves; a lane beyond the last gives the asking lane's own value.
fn warp_sum(mut lanes: [f32; 32]) -> f32 {
    for step in [16, 8, 4, 2, 1] {
        let old = lanes;
        for (lane, value) in lanes.iter_mut().enumerate() {
            *value += old.get(lane + step).unwrap_or(&old[lane]);
        }
    }
    lanes[0]
}

#[test]
fn sums_of_blocks_in_their_order() {
    let (n, grid, block) = (1000, 3, 128);
    let x = floats(1, n);
    let expected: Vec<f32> = (0..grid)
        .map(|b| {
            let thread = |t: usize| {
                (b * block + t..n)
                    .step_by(grid * block)
                    .fold(0.0, |sum, i| sum + x[i])
            };
            let mut of_warps = [0.0; 32];
            for (warp, sum) in of_warps.iter_mut().enumerate().take(block / 32) {
                *sum = warp_sum(std::array::from_fn(|lane| thread(warp * 32 + lane)));
            }
            warp_sum(of_warps)
        })
        .collect();
    for compiler in BOTH {
        let mut out = vec![f32::NAN; grid];
        load(compiler, "reduce").run("sum", blocks(3, 128), &[&&x, &(n as i32), &&mut out]);
        same_f32(&out, &expected, compiler);
    }
}

#[test]
fn the_first_of_the_largest() {
    for (n, special) in [(333, 77), (20, 19), (32, 0)] {
        let mut x = floats(2, n);
        (x[special], x[n / 3], x[n - 1]) = (5.0, 5.0, 5.0);
        let at = special.min(n / 3) as u64;
        for compiler in BOTH {
            let mut out = vec![0u64];
            load(compiler, "reduce").run("largest", blocks(1, 32), &[&&x, &(n as i32), &&mut out]);
            assert_eq!(
                out[0],
                u64::from(5f32.to_bits()) << 32 | at,
                "{compiler}, {n}"
            );
        }
    }
}

#[test]
fn reductions_in_one_instruction() {
    let x = integers(32, 1 << 30);
    let d: Vec<f64> = (0..32).map(|i| 1.0 + f64::from(word(i)) / 1e11).collect();
    let mut lanes = d.clone();
    for step in [16, 8, 4, 2, 1] {
        let old = lanes.clone();
        (0..32).for_each(|lane| lanes[lane] = old[lane] * old[lane ^ step]);
    }
    let expected = [
        x.iter().fold(0i32, |a, &b| a.wrapping_add(b)),
        *x.iter().min().unwrap(),
        *x.iter().max().unwrap(),
        x.iter().fold(-1, |a, b| a & b),
        x.iter().fold(0, |a, b| a | b),
        x.iter().fold(0, |a, b| a ^ b),
        x.iter().map(|&a| a as u32).max().unwrap() as i32,
    ];
    for compiler in BOTH {
        let (mut out, mut product) = (vec![0; 7], vec![0.0; 32]);
        load(compiler, "reduce").run("warp", blocks(1, 32), &[&&x, &&d, &&mut out, &&mut product]);
        assert_eq!(out, expected, "{compiler}");
        same_f64(&product, &lanes, compiler);
    }
}

#[test]
fn every_shuffle_over_every_width() {
    let x: Vec<u32> = (0..32).map(word).collect();
    let mut expected = Vec::new();
    for width in [2, 4, 8, 16, 32] {
        let modes: [&dyn Fn(usize) -> usize; 5] = [
            &|lane| lane / width * width + 5 % width,
            &|lane| if lane % width >= 3 { lane - 3 } else { lane },
            &|lane| {
                if lane % width + 3 < width {
                    lane + 3
                } else {
                    lane
                }
            },
            // Lanes of a segment before may be read, of one behind not.
            &|lane| {
                if lane ^ 6 < lane / width * width + width {
                    lane ^ 6
                } else {
                    lane
                }
            },
            &|lane| lane / width * width + (lane * 7 + 3) % width,
        ];
        for source in modes {
            expected.extend((0..32).map(|lane| x[source(lane)]));
        }
    }
    for compiler in BOTH {
        let mut out = vec![0u32; expected.len()];
        load(compiler, "reduce").run("shuffles", blocks(1, 32), &[&&x, &&mut out]);
        for (i, (a, b)) in out.iter().zip(&expected).enumerate() {
            assert_eq!(
                a,
                b,
                "{compiler}: width {}, mode {}, lane {}",
                2 << (i / 160),
                i / 32 % 5,
                i % 32
            );
        }
    }
}

#[test]
fn shuffles_among_a_part_of_the_warp() {
    let x = integers(32, 1000);
    let odd: i32 = x.iter().skip(1).step_by(2).sum();
    let even = *x.iter().step_by(2).max().unwrap();
    for compiler in BOTH {
        let mut out = vec![0; 32];
        load(compiler, "reduce").run("halves", blocks(1, 32), &[&&x, &&mut out]);
        let expected: Vec<i32> = (0..32).map(|lane| [even, odd][lane % 2]).collect();
        assert_eq!(out, expected, "{compiler}");
    }
}
