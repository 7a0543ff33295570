use crate::common::*;
use ptx_jit::Launch;

#[test]
fn constants_with_and_without_values() {
    let n = 100;
    let x = floats(1, n);
    let weights = [1.0f32, -0.5, 0.25, 3.0, -7.5];
    let loaded = load("nvcc", "memory");
    let (unset, bytes) = loaded.instance.global("unset").unwrap();
    assert_eq!(bytes, 16);
    let run = |set: [i32; 4]| {
        let mut out = vec![f32::NAN; 3 * n];
        loaded.run("constants", blocks(4, 32), &[&&x, &(n as i32), &&mut out]);
        for i in 0..n {
            let at = |k| x.get(i + k).copied().unwrap_or(0.0);
            let sum = (0..5).fold(0.0, |sum, k| weights[k].mul_add(at(k), sum));
            let mixed = 2.5 - 3.0 + [1.0, 2.0, 255.0][i % 3];
            same_f32(
                &[out[i], out[n + i], out[2 * n + i]],
                &[sum, mixed, set[i % 4] as f32],
                "constants",
            );
        }
    };
    run([0; 4]);
    // SAFETY: as the host copies to a symbol; 16 bytes are there.
    unsafe { unset.cast::<[i32; 4]>().write_unaligned([5, -6, 7, 8]) };
    run([5, -6, 7, 8]);
}

#[test]
fn globals_keep_what_kernels_write_and_instances_their_own() {
    let (one, other) = (load("nvcc", "memory"), load("nvcc", "memory"));
    for count in 0..3u64 {
        let mut out = vec![0u64; 5];
        one.run("globals", blocks(1, 64), &[&&mut out]);
        let counter = out[2 + 1];
        assert!(counter == 41 + count || counter == 42 + count, "{out:?}");
        let big = 0x0123_4567_89ab_cdef ^ u64::MAX;
        assert_eq!([out[0], out[1], out[2], out[4]], [41 + count, big, 30, 10]);
    }
    let mut out = vec![0f32; 64];
    one.run("again", blocks(1, 64), &[&&mut out]);
    let expected: Vec<f32> = (0..64).map(|t| (63 - t) as f32 * 0.5 + 44.0).collect();
    same_f32(&out, &expected, "again");
    other.run("again", blocks(1, 64), &[&&mut out]);
    same_f32(&out, &[41.0; 64], "another instance");
}

#[test]
fn static_and_dynamic_shared_memory() {
    let x: Vec<i16> = integers(64, 1000).into_iter().map(|v| v as i16).collect();
    let launch = Launch {
        shared: 64 * 4,
        ..blocks(1, 64)
    };
    let mut out = vec![0; 64];
    load("nvcc", "memory").run("shared", launch, &[&&x, &&mut out, &64]);
    let total: i32 = x.iter().map(|&v| i32::from(v)).sum();
    for (t, found) in out.into_iter().enumerate() {
        let d = (t % 3 * 7 + t % 7) as f64 * 1.5;
        assert_eq!(
            found,
            total + d as i32 + (63 - t as i32) + i32::from(x[63 - t]),
            "thread {t}"
        );
    }
}

#[test]
fn all_widths_and_vectors() {
    let x = aligned((0..32 * 4).map(word).collect::<Vec<u32>>());
    let words = x.as_flattened();
    let bytes: Vec<u8> = words.iter().flat_map(|w| w.to_le_bytes()).collect();
    let mut out = aligned(vec![0u32; 2 * (12 * 32 + 12 + 32)]);
    load("nvcc", "memory").run("widths", blocks(1, 32), &[&&x, &&mut out]);
    let found: Vec<i64> = out
        .as_flattened()
        .chunks(2)
        .map(|w| i64::from(w[0]) | i64::from(w[1]) << 32)
        .collect();
    let i = |at: usize| i64::from(words[at] as i32);
    let half = |at: usize| u16::from_le_bytes([bytes[2 * at], bytes[2 * at + 1]]);
    let long = |at: usize| i64::from(words[2 * at]) | i64::from(words[2 * at + 1]) << 32;
    for t in 0..32 {
        let quad = &bytes[4 * t..];
        let expected = [
            i64::from(bytes[t] as i8),
            i64::from(bytes[t]),
            i64::from(half(t) as i16),
            i64::from(half(t)),
            i(t),
            i64::from(words[t]),
            long(t),
            (0..4)
                .map(|k| i64::from(quad[k]) * (2 * k as i64 + 1))
                .sum(),
            i64::from(half(2 * t) as i16) - i64::from(half(2 * t + 1) as i16),
            long(2 * t) ^ long(2 * t + 1),
            i(4 * t) + i(4 * t + 1) - i(4 * t + 2) - i(4 * t + 3),
            i64::from((i(t) + i(2 * t) + i(3 * t)) as i32),
        ];
        assert_eq!(found[t * 12..][..12], expected, "thread {t}");
        let stored = |at: usize| found[12 * 32 + at / 8].to_le_bytes()[at % 8];
        assert_eq!(stored(t), long(t) as u8, "byte of thread {t}");
        let at = 32 + 2 * t;
        assert_eq!(
            [stored(at), stored(at + 1)],
            (long(t) as i16).to_le_bytes(),
            "half of thread {t}"
        );
        assert_eq!(
            found[12 * 32 + 12 + t],
            i64::from(words[t]) | (t as i64) << 32,
            "pair of thread {t}"
        );
    }
}
