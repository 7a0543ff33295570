use crate::common::*;

#[test]
fn a_histogram() {
    let x: Vec<u8> = (0..5000).map(|i| (word(i) % 253) as u8 & 0xf7).collect();
    let mut expected = vec![3u32; 256];
    x.iter().for_each(|&byte| expected[byte as usize] += 1);
    for compiler in BOTH {
        let mut counts = vec![3u32; 256];
        load(compiler, "atomics").run("histogram", blocks(5, 96), &[&&x, &5000, &&mut counts]);
        assert_eq!(counts, expected, "{compiler}");
    }
}

#[test]
fn one_of_each() {
    let threads = 4 * 64;
    let values: Vec<i32> = (0..threads as u32)
        .map(|t| (t.wrapping_mul(2_654_435_761) >> 7) as i32 - 16_777_216)
        .collect();
    let (sum, wide) = (
        values.iter().fold(0i32, |a, &b| a.wrapping_add(b)),
        values.iter().fold(0u64, |a, &b| a.wrapping_add(b as u64)),
    );
    for compiler in BOTH {
        let mut i = vec![5, 5, 100, 100];
        let mut u = vec![u32::MAX, 0, 9, 40, 3, 50, 50];
        let (mut l, mut s) = (vec![1u64, 2, 3], vec![0i64]);
        let (mut f, mut d) = (vec![0.5f32], vec![0.25f64]);
        let arguments: [&dyn Argument; 6] = [&&mut i, &&mut u, &&mut l, &&mut s, &&mut f, &&mut d];
        load(compiler, "atomics").run("each", blocks(4, 64), &arguments);
        let [least, most] = [*values.iter().min().unwrap(), *values.iter().max().unwrap()];
        assert_eq!(
            i,
            [
                5i32.wrapping_add(sum),
                5i32.wrapping_sub(sum),
                least.min(100),
                most.max(100)
            ],
            "{compiler}"
        );
        // 40 is above the bound: the first makes 0 of it. 3 goes down to 0, then from 16 on.
        let (mut up, mut down) = (40u32, 3u32);
        for _ in 0..threads {
            up = if up >= 16 { 0 } else { up + 1 };
            down = if down == 0 || down > 16 { 16 } else { down - 1 };
        }
        let unsigned = || values.iter().map(|&v| v as u32);
        let expected = [
            u32::MAX << 13,
            (1 << 29) - 1,
            unsigned().fold(9, |a, b| a ^ b),
            up,
            down,
            unsigned().min().unwrap().min(50),
            unsigned().max().unwrap().max(50),
        ];
        assert_eq!(u, expected, "{compiler}");
        let shifted = |by: u32| values.iter().map(move |&v| (v as i64 as u64) << by);
        let expected = [
            1u64.wrapping_add(wide),
            shifted(9).max().unwrap(),
            shifted(13).fold(3, |a, b| a ^ b),
        ];
        assert_eq!(l, expected, "{compiler}");
        assert_eq!(s, [i64::from(least) * 77], "{compiler}");
        assert_eq!(
            (f[0], d[0]),
            (0.5 + threads as f32, 0.25 + threads as f64 / 2.0),
            "{compiler}"
        );
    }
}

#[test]
fn what_atomics_return() {
    let (grid, block) = (3u32, 64u32);
    let threads = (grid * block) as usize;
    for compiler in BOTH {
        let (mut next, mut next64) = (vec![0u32], vec![0u64]);
        let (mut taken, mut by) = (vec![0u32; 2 * threads], vec![u32::MAX; threads]);
        let arguments: [&dyn Argument; 4] = [&&mut next, &&mut taken, &&mut next64, &&mut by];
        load(compiler, "atomics").run("tickets", blocks(grid, block), &arguments);
        assert_eq!(
            (next[0], next64[0]),
            (threads as u32, 3 * threads as u64),
            "{compiler}"
        );
        let (all, of_blocks) = taken.split_at_mut(threads);
        all.sort_unstable();
        assert!(
            all.iter().copied().eq(1..=threads as u32),
            "{compiler}: {all:?}"
        );
        by.sort_unstable();
        assert!(
            by.iter().copied().eq(0..threads as u32),
            "{compiler}: {by:?}"
        );
        for of_block in of_blocks.chunks_mut(block as usize) {
            of_block.sort_unstable();
            assert!(
                of_block.iter().copied().eq(1..=block),
                "{compiler}: {of_block:?}"
            );
        }
    }
}

#[test]
fn compare_and_swap() {
    let threads = 2 * 96u32;
    for compiler in BOTH {
        let (mut sum, mut product, mut chain) = (vec![7u32], vec![5u64], vec![0u32]);
        let mut seen = vec![u32::MAX; threads as usize];
        let arguments: [&dyn Argument; 4] = [&&mut sum, &&mut product, &&mut chain, &&mut seen];
        load(compiler, "atomics").run("swaps", blocks(2, 96), &arguments);
        assert_eq!(sum[0], (0..threads).fold(7, |a, t| a + t * t), "{compiler}");
        assert_eq!(
            product[0],
            (0..threads).fold(5u64, |a, _| a.wrapping_mul(3)),
            "{compiler}"
        );
        seen.push(chain[0]);
        seen.sort_unstable();
        assert!(seen.iter().copied().eq(0..=threads), "{compiler}: {seen:?}");
    }
}

#[test]
fn the_last_block_sees_what_all_wrote() {
    let x = integers(3000, 1 << 20);
    for compiler in BOTH {
        let loaded = load(compiler, "atomics");
        let (mut parts, mut arrived, mut out) = (vec![0; 7], vec![0u32], vec![0]);
        for n in [3000, 1000] {
            let arguments: [&dyn Argument; 5] = [&&x, &n, &&mut parts, &&mut arrived, &&mut out];
            loaded.run("last_block", blocks(7, 64), &arguments);
            assert_eq!(out[0], x[..n as usize].iter().sum::<i32>(), "{compiler}");
            assert_eq!(arrived[0], 0, "{compiler}: ready for the next");
        }
    }
}
