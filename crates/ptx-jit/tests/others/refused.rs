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

#[test]
fn what_no_memory_holds() {
    let text = |outside: &str, inside: &str| {
        format!(
            ".version 7.8\n.target sm_80\n.address_size 64\n{outside}\n.visible .entry k()\n{{\n{inside}\nret;\n}}\n"
        )
    };
    for (outside, inside, cause) in [
        ("", ".reg .b32 %r<4294967295>;", "4294967295 registers"),
        ("", ".local .b8 a[600000];", "a is larger than local memory"),
        (".global .align 3 .b8 a[4];", "", "an alignment of 3"),
        (
            ".global .v4 .f64 a[4294967295];",
            "",
            "the variable a is larger than its place",
        ),
    ] {
        let error = Program::load(&text(outside, inside), &Options::default()).err();
        let error = error.unwrap_or_else(|| panic!("{outside}{inside} was loaded"));
        assert!(error.cause.contains(cause), "{error}");
    }
    // Where nothing begins as anything, little is taken before it is needed.
    let large = text(".global .b8 a[4294967295];", "");
    assert!(Program::load(&large, &Options::default()).is_ok());
}
