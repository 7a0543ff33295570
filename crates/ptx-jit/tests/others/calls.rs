use crate::common::*;

#[derive(Clone, Copy, Debug, PartialEq)]
#[repr(C)]
struct Pair {
    d: f64,
    i: i32,
    s: i16,
    c: [i8; 5],
}

#[test]
fn structs_go_in_and_out() {
    let pair = |t: usize| Pair {
        d: f64::from(word(t)) / 7.0,
        i: word(t + 99) as i32,
        s: word(t + 999) as i16,
        c: word(t + 9999).to_ne_bytes().map(|b| b as i8).repeat(2)[..5]
            .try_into()
            .unwrap(),
    };
    let x: Vec<Pair> = (0..64).map(pair).collect();
    let mut out = vec![
        Pair {
            d: 0.0,
            i: 0,
            s: 0,
            c: [0; 5]
        };
        64
    ];
    load("nvcc", "calls").run("structs", blocks(1, 64), &[&&x, &&mut out]);
    for (t, (found, mut expected)) in out.into_iter().zip(x).enumerate() {
        expected.d += f64::from(0.25 * t as f32);
        expected.i = expected.i.wrapping_sub((200 + t) as u8 as i32);
        expected.s = (i64::from(expected.s) * (t as i64 - 3)) as i16;
        expected.c[4] ^= expected.c[1];
        assert_eq!(found, expected, "thread {t}");
    }
}

fn ackermann(m: u32, n: u32) -> u32 {
    match (m, n) {
        (0, n) => n + 1,
        (m, 0) => ackermann(m - 1, 1),
        (m, n) => ackermann(m - 1, ackermann(m, n - 1)),
    }
}

#[test]
fn functions_call_themselves() {
    let mut out = vec![0u32; 32];
    load("nvcc", "calls").run("recursion", blocks(1, 32), &[&&mut out]);
    assert!(
        out.iter()
            .copied()
            .eq((0..32).map(|t| ackermann(t % 3, t / 3))),
        "{out:?}"
    );
}

#[test]
fn local_arrays_go_to_functions_by_address() {
    let x = integers(200, 1000);
    for n in [1, 2, 9, 33] {
        let mut out = vec![0; 128];
        load("nvcc", "calls").run("medians", blocks(2, 64), &[&&x, &(n as i32), &&mut out]);
        for (t, found) in out.into_iter().enumerate() {
            let mut window = x[t..t + n].to_vec();
            window.sort_unstable();
            assert_eq!(found, window[n / 2], "thread {t} of {n}");
        }
    }
}

#[test]
fn one_function_for_all_state_spaces() {
    let x = integers(32, 1000);
    let mut out = vec![0; 128];
    load("nvcc", "calls").run("spaces", blocks(1, 32), &[&&x, &&mut out]);
    for t in 0..32 {
        let local: Vec<i32> = (0..8).map(|i| x[(t + i * 5) % 32] - t as i32).collect();
        let dot = |a: &[i32], b: &[i32], factor: i32| {
            a.iter().zip(b).map(|(a, b)| a * b * factor).sum::<i32>()
        };
        let expected = [
            dot(&x, &x, 3),
            dot(&local, &x[t % 24..], 3),
            dot(&local, &x[t % 24..], 1),
            1 + 2 + 4,
        ];
        assert_eq!(out[t * 4..][..4], expected, "thread {t}");
    }
}

#[test]
fn functions_chosen_by_their_address() {
    let which: Vec<i32> = (0..64).map(|t| t * 7 % 3).collect();
    let mut out = vec![0; 64];
    load("nvcc", "indirect").run("chosen", blocks(1, 64), &[&&which, &&mut out]);
    for (t, (found, which)) in out.into_iter().zip(which).enumerate() {
        let x = t as i32 + 5;
        assert_eq!(found, [2 * x, x * x, -x][which as usize], "thread {t}");
    }
}
