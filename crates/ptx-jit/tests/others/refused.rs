//! What is not run is refused when it is loaded, by its line.

use crate::common::text;
use ptx_jit::{Options, Program};

#[test]
fn approximations_by_their_line() {
    let ptx = text("nvcc", "approximate");
    for mnemonic in [
        "ex2.approx.f32",
        "sin.approx.f32",
        "div.approx.f32",
        "rsqrt.approx.f32",
    ] {
        // Each alone, the kernels before and behind it left out.
        let line = ptx
            .lines()
            .position(|line| line.contains(mnemonic))
            .unwrap();
        let begin = ptx[..ptx.find(mnemonic).unwrap()]
            .rfind(".visible")
            .unwrap();
        let head = &ptx[..ptx.find(".visible").unwrap()];
        let kernel = ptx[begin..].split("\n}").next().unwrap();
        let lines_between = ptx[head.len()..begin].matches('\n').count();
        let alone = format!("{head}{}{kernel}\n}}\n", "\n".repeat(lines_between));
        let error = Program::load(&alone, &Options::default())
            .err()
            .unwrap_or_else(|| panic!("{mnemonic} was loaded"));
        assert_eq!(error.line, line + 1, "{error}");
        assert!(error.cause.contains(mnemonic), "{error}");
    }
}
