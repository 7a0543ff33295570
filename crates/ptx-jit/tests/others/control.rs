use crate::common::*;

#[test]
fn a_switch_with_cases_that_fall_through() {
    let x: Vec<i32> = (0..64).map(|t| t % 13 - 1).collect();
    let y = integers(64, 1 << 30);
    for compiler in BOTH {
        let mut out: Vec<i32> = (0..128).collect();
        load(compiler, "control").run("table", blocks(1, 64), &[&&x, &&y, &&mut out]);
        for t in 0..64 {
            let (a, before) = (y[t], t as i32);
            let expected = match x[t] {
                0 => a.wrapping_mul(3).wrapping_add(1),
                1 => a ^ 0x5a5a,
                2 => (before - a) / 7,
                3 => a / 7,
                4 => a.count_ones() as i32,
                5 => a << 3 | t as i32,
                6 => 0,
                8 => -a,
                9 => before,
                _ => 99,
            };
            assert_eq!(out[t], expected, "{compiler}, thread {t}, case {}", x[t]);
            let beside = if x[t] == 6 { a } else { 64 + t as i32 };
            assert_eq!(out[t + 64], beside, "{compiler}, thread {t}");
        }
    }
}

#[test]
fn a_table_of_branches() {
    let x: Vec<u32> = (0..32).map(|t| t % 4).collect();
    for compiler in BOTH {
        let mut out = vec![0; 32];
        load(compiler, "control").run("branches", blocks(1, 32), &[&&x, &&mut out]);
        let expected: Vec<i32> = x
            .iter()
            .map(|&case| [7, 17, 217, 7][case as usize])
            .collect();
        assert_eq!(out, expected, "{compiler}");
    }
}

#[test]
fn lanes_leave_a_loop_at_different_times() {
    let x: Vec<u32> = (0..96).map(|t| t * 977 + 1).collect();
    let steps = |x: u32| {
        let (mut v, mut steps) = (u64::from(x), 0);
        while v != 1 {
            v = if v % 2 == 1 { 3 * v + 1 } else { v / 2 };
            steps += 1;
        }
        steps
    };
    let expected: Vec<u32> = x.iter().map(|&x| steps(x)).collect();
    for compiler in BOTH {
        let mut out = vec![0u32; 96];
        load(compiler, "control").run("collatz", blocks(1, 96), &[&&x, &&mut out]);
        assert_eq!(out, expected, "{compiler}");
    }
}

#[test]
fn barriers_in_a_loop() {
    let x = integers(64, 1000);
    for rounds in [0, 1, 7] {
        let mut s = x.clone();
        for i in 0..rounds {
            let before = s.clone();
            for (t, value) in s.iter_mut().enumerate() {
                let (left, own) = (before[(t + 63) % 64], before[t]);
                if (own + i) % 3 == 0 {
                    *value = own + left;
                } else if own & 1 == 1 && left > 5 {
                    *value = own - 1;
                }
            }
        }
        for compiler in BOTH {
            let mut out = vec![0; 64];
            load(compiler, "control").run("some", blocks(1, 64), &[&&x, &&mut out, &rounds]);
            assert_eq!(out, s, "{compiler}, {rounds} rounds");
        }
    }
}

#[test]
fn who_has_left_is_not_waited_for() {
    if checked() {
        // What hardware allows may be called a fault there.
        return;
    }
    let x = integers(64, 1000);
    let mut expected: Vec<i32> = (0..48).map(|t| x[63 - (47 - t)]).collect();
    expected.extend([-1; 16]);
    for compiler in BOTH {
        let mut out = vec![-1; 64];
        let arguments: [&dyn Argument; 2] = [&&x, &&mut out];
        load(compiler, "control").run("leavers", blocks(1, 64), &arguments);
        assert_eq!(out, expected, "{compiler}");
    }
}

#[test]
fn primes() {
    let is_prime = |n: i32| (2..n).all(|d| n % d != 0);
    let expected: Vec<i32> = (0..500)
        .map(|n| if n < 2 { -1 } else { is_prime(n).into() })
        .collect();
    for compiler in BOTH {
        let mut out = vec![-1; 500];
        load(compiler, "control").run("primes", blocks(1, 64), &[&&mut out, &500]);
        assert_eq!(out, expected, "{compiler}");
    }
}
