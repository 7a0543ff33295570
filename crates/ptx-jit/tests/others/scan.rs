use crate::common::*;
use ptx_jit::Launch;

#[test]
fn three_kernels_make_an_inclusive_scan() {
    let n = 1500;
    let x = integers(n, 1 << 20);
    let mut sum = 0;
    let expected: Vec<i32> = x
        .iter()
        .map(|v| {
            sum += v;
            sum
        })
        .collect();
    for compiler in BOTH {
        let loaded = load(compiler, "scan");
        let (mut out, mut totals) = (vec![0; n], vec![0; 12]);
        loaded.run(
            "blocks",
            blocks(12, 128),
            &[&&x, &(n as i32), &&mut out, &&mut totals],
        );
        let launch = Launch {
            shared: 2 * 16 * 4,
            ..blocks(1, 16)
        };
        loaded.run("totals", launch, &[&&mut totals, &12]);
        loaded.run("add", blocks(12, 128), &[&&mut out, &(n as i32), &&totals]);
        assert_eq!(out, expected, "{compiler}");
    }
}
