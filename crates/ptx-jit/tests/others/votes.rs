use crate::common::*;
use ptx_jit::Launch;

#[test]
fn ballots_votes_and_matches() {
    // The second warp's are all alike, up to 64.
    let x: Vec<i32> = (0..96)
        .map(|i| match i / 32 {
            0 => (word(i) % 9) as i32 - 4,
            1 => 64 + (word(i) % 3) as i32,
            _ => {
                if i % 2 == 0 {
                    3
                } else {
                    1000
                }
            }
        })
        .collect();
    let mut expected = Vec::new();
    for (i, &own) in x.iter().enumerate() {
        let warp = &x[i / 32 * 32..][..32];
        let lanes = |holds: &dyn Fn(i32) -> bool| {
            (0..32).fold(0u32, |bits, lane| {
                bits | u32::from(holds(warp[lane])) << lane
            })
        };
        let alike = warp.iter().all(|v| v / 64 == warp[0] / 64);
        let same = lanes(&|v| v == own);
        expected.extend([
            lanes(&|v| v > 0),
            u32::from(lanes(&|v| v == 3) != 0),
            u32::from(lanes(&|v| v < 100) == u32::MAX),
            same,
            if alike { u32::MAX } else { 0 },
            u32::from(alike),
            same,
            (same & ((1 << (i % 32)) - 1)).count_ones(),
        ]);
    }
    for compiler in BOTH {
        let mut out = vec![0u32; 96 * 8];
        load(compiler, "votes").run("votes", blocks(1, 96), &[&&x, &&mut out]);
        for (found, expected) in out.chunks(8).zip(expected.chunks(8)) {
            // What is voted is true or false; a true one may be any number but 0.
            let truth = |v: &[u32]| {
                [
                    v[0],
                    u32::from(v[1] != 0),
                    u32::from(v[2] != 0),
                    v[3],
                    v[4],
                    u32::from(v[5] != 0),
                    v[6],
                    v[7],
                ]
            };
            assert_eq!(truth(found), truth(expected), "{compiler}");
        }
    }
}

#[test]
fn counts_over_the_block_and_ranks_in_the_warp() {
    for lowest in [-50, -49] {
        let mut x = integers(96, 49);
        x[17] = lowest;
        let mut expected = vec![-1; 96];
        for (out, x) in expected.chunks_mut(32).zip(x.chunks(32)) {
            x.iter()
                .filter(|&&v| v > 0)
                .zip(out)
                .for_each(|(v, out)| *out = *v);
        }
        let count = x.iter().filter(|&&v| v > 0).count() as i32;
        for compiler in BOTH {
            let (mut out, mut counts) = (vec![-1; 96], vec![-1; 3]);
            load(compiler, "votes").run("compact", blocks(1, 96), &[&&x, &&mut out, &&mut counts]);
            assert_eq!(out, expected, "{compiler}");
            assert_eq!(counts, [count, i32::from(lowest > -50), 0], "{compiler}");
        }
    }
}

#[test]
fn neighbours_meet_at_the_warps_barrier() {
    let x = integers(64, 1000);
    let doubled: Vec<i32> = (0..64).map(|t| 2 * x[(t & 32) + ((t + 1) & 31)]).collect();
    for compiler in BOTH {
        let mut out = vec![0; 64];
        load(compiler, "votes").run("neighbours", blocks(1, 64), &[&&x, &&mut out]);
        assert!(out.iter().eq(doubled.iter().rev()), "{compiler}: {out:?}");
    }
}

#[test]
fn where_threads_are() {
    let launch = Launch {
        grid: [2, 3, 2],
        block: [5, 4, 3],
        shared: 0,
    };
    let mut expected = Vec::new();
    for block in 0..12 {
        for id in 0..60 {
            let eq = 1u32 << (id % 32);
            expected.extend([
                id % 32,
                eq - 1,
                eq | (eq - 1),
                eq,
                !(eq | (eq - 1)),
                !(eq - 1),
                block,
                32,
            ]);
        }
    }
    for compiler in BOTH {
        let mut out = vec![0u32; expected.len()];
        load(compiler, "votes").run("where", launch, &[&&mut out]);
        assert_eq!(out, expected, "{compiler}");
    }
}

#[test]
fn named_barriers() {
    if checked() {
        // Barriers of a part of the block order nothing for the search for races.
        return;
    }
    let x = integers(64, 1000);
    let s: Vec<i32> = (0..64)
        .map(|t| if t < 32 { 3 * x[t + 32] + 1 } else { 3 * x[t] })
        .collect();
    let expected: Vec<i32> = (0..64).map(|t| s[t ^ 7]).collect();
    let mut out = vec![0; 64];
    load("nvcc", "named").run("handed_over", blocks(1, 64), &[&&x, &&mut out]);
    assert_eq!(out, expected);
}
