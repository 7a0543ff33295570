//! Compiles the toy crates under `fixture/` for real.
//!
//! Needs: the `rust-src` component, and the registry for `libm` where it is not downloaded yet.
//! Where one is missing the tests fail and say so.

mod common;

use common::{Toy, entry};
use ptx_builder::{Built, Error};
use std::fs;
use std::time::Instant;

fn ptx(built: &Built) -> Vec<String> {
    built
        .modules
        .iter()
        .map(|module| fs::read_to_string(&module.path).unwrap())
        .collect()
}

#[test]
fn every_architecture_has_the_kernels_of_all_crates() {
    let toy = Toy::new("every_architecture_has_the_kernels_of_all_crates");
    let copies = toy.dir.join("copies");
    // With the PTX version that each needs, which is the same whatever the compiler.
    let archs = [
        ("sm_80", "7.0"),
        ("sm_90", "7.8"),
        ("sm_90a", "8.0"),
        ("sm_100", "8.6"),
    ];
    let built = toy.build(|builder| {
        archs
            .iter()
            .fold(builder.copy_to(&copies), |b, (arch, _)| b.arch(*arch))
    });
    for (((arch, version), ptx), module) in archs.iter().zip(ptx(&built)).zip(&built.modules) {
        assert_eq!(module.arch.to_string(), *arch);
        let header = format!("\n.version {version}\n.target {arch}\n");
        assert!(ptx.contains(&header), "{header}{ptx}");
        for kernel in ["logarithm", "double", "from_dependency"] {
            assert!(ptx.contains(&entry(kernel)), "{arch}: {kernel}\n{ptx}");
        }
        assert!(
            ptx.contains(")\n.maxntid 128, 1, 1\n.minnctapersm 2\n{"),
            "{ptx}"
        );
        assert!(
            !ptx.contains("call"),
            "libm is not linked into the kernel\n{ptx}"
        );
        let copy = copies.join(format!("toy_kernels.{arch}.ptx"));
        assert_eq!(fs::read_to_string(copy).unwrap(), ptx);
    }
}

#[test]
fn features_are_those_asked_for() {
    let toy = Toy::new("features_are_those_asked_for");
    let has = |built: &Built| ["double", "triple"].map(|name| ptx(built)[0].contains(&entry(name)));
    assert_eq!(has(&toy.build(|b| b.arch("sm_80"))), [true, false]);
    assert_eq!(
        has(&toy.build(|b| b.arch("sm_80").default_features(false))),
        [false, false]
    );
    assert_eq!(
        has(&toy.build(|b| b.arch("sm_80").default_features(false).feature("triple"))),
        [false, true]
    );
}

#[test]
fn line_info_names_the_source() {
    let toy = Toy::new("line_info_names_the_source");
    let plain = ptx(&toy.build(|b| b.arch("sm_80"))).remove(0);
    let lines = ptx(&toy.build(|b| b.arch("sm_80").generate_line_info(true))).remove(0);
    assert!(!plain.contains(".loc"), "{plain}");
    assert!(
        lines.contains(".loc") && lines.contains("kernels/src/lib.rs"),
        "{lines}"
    );
    assert!(
        !lines.contains(", debug"),
        "the machine code would be unoptimised\n{lines}"
    );
}

#[test]
fn inputs_are_the_sources_manifests_and_the_lock_file() {
    let toy = Toy::new("inputs_are_the_sources_manifests_and_the_lock_file");
    let built = toy.build(|b| b.arch("sm_80"));
    let expected: Vec<_> = [
        "Cargo.lock",
        "Cargo.toml",
        "device/Cargo.toml",
        "device/src/lib.rs",
        "kernels/Cargo.toml",
        "kernels/src/lib.rs",
        "macros/Cargo.toml",
        "macros/src/lib.rs",
    ]
    .map(|file| toy.dir.join(file))
    .into();
    assert_eq!(built.inputs, expected);
}

#[test]
fn a_second_build_is_cheap_and_an_edit_of_a_dependency_is_seen() {
    let toy = Toy::new("a_second_build_is_cheap_and_an_edit_of_a_dependency_is_seen");
    let build = || ptx(&toy.build(|b| b.arch("sm_80"))).remove(0);
    let first = build();
    let start = Instant::now();
    assert_eq!(build(), first);
    assert!(
        start.elapsed().as_secs_f32() < 5.0,
        "took {:?}",
        start.elapsed()
    );
    toy.edit("device/src/lib.rs", "from_dependency", "renamed");
    let edited = build();
    assert!(edited.contains(&entry("renamed")) && !edited.contains(&entry("from_dependency")));
}

#[test]
fn a_kernel_crate_that_does_not_compile_shows_the_compilers_words() {
    let toy = Toy::new("a_kernel_crate_that_does_not_compile_shows_the_compilers_words");
    toy.edit("kernels/src/lib.rs", "if i < n", "if i < nowhere");
    let error = toy.try_build(|b| b.arch("sm_80")).unwrap_err();
    assert!(matches!(error, Error::Compile { .. }), "{error}");
    assert!(!error.is_toolchain_missing());
    assert!(
        error.to_string().contains("cannot find value `nowhere`"),
        "{error}"
    );
    assert!(
        error.to_string().contains("known to work: Rust 1."),
        "{error}"
    );
    toy.edit("kernels/src/lib.rs", "if i < nowhere", "if i < n");
    toy.build(|b| b.arch("sm_80"));
}

#[test]
fn a_crate_that_wants_std_is_told_what_to_do() {
    let toy = Toy::new("a_crate_that_wants_std_is_told_what_to_do");
    toy.edit("device/src/lib.rs", "#![no_std]", "");
    let error = toy.try_build(|b| b.arch("sm_80")).unwrap_err().to_string();
    assert!(error.contains("can't find crate for `std`"), "{error}");
    assert!(error.contains("GPUs have only `core`"), "{error}");
}

#[test]
fn launch_bounds_of_no_kernel_are_an_error() {
    let toy = Toy::new("launch_bounds_of_no_kernel_are_an_error");
    toy.edit("kernels/src/lib.rs", "bounds logarithm", "bounds logaritm");
    let error = toy.try_build(|b| b.arch("sm_80")).unwrap_err().to_string();
    assert!(
        error.contains("logaritm 128 2") && error.contains("no such kernel"),
        "{error}"
    );
}

#[test]
fn what_was_asked_wrongly_is_said() {
    let toy = Toy::new("what_was_asked_wrongly_is_said");
    let unknown = toy.try_build(|b| b.arch("sm_99")).unwrap_err();
    assert!(matches!(unknown, Error::UnknownArch { .. }), "{unknown}");
    let bad = toy.try_build(|b| b.arch("compute_80")).unwrap_err();
    assert!(matches!(bad, Error::BadArch { .. }), "{bad}");
    let copy = toy
        .try_build(|b| b.arch("sm_80").arch("sm_90").copy_to("a.ptx"))
        .unwrap_err();
    assert!(matches!(copy, Error::CopyToOneFile { .. }), "{copy}");
    let nowhere = ptx_builder::PtxBuilder::new("nowhere").build().unwrap_err();
    assert!(matches!(nowhere, Error::NoCrate { .. }), "{nowhere}");
}

#[cfg(unix)]
#[test]
fn a_compiler_that_cannot_build_core_is_quoted_whole() {
    let toy = Toy::new("a_compiler_that_cannot_build_core_is_quoted_whole");
    // Answers questions as the real one does and compiles nothing.
    let rustc = toy.compiler(
        "case \"$1\" in -vV|--print) exec \"${RUSTC:-rustc}\" \"$@\";; esac\n\
         echo first >&2; echo last >&2; exit 1",
    );
    let cache = toy.dir.join("cache");
    let error = toy
        .try_build(|b| b.rustc(&rustc).cache_dir(&cache))
        .unwrap_err();
    assert!(error.is_toolchain_missing());
    let message = error.to_string();
    assert!(message.contains("known to work: Rust 1."), "{message}");
    assert!(message.ends_with("first\nlast\n"), "{message}");
}

#[cfg(unix)]
#[test]
fn a_compiler_without_sources_says_what_to_type() {
    let toy = Toy::new("a_compiler_without_sources_says_what_to_type");
    let rustc =
        toy.compiler("if [ \"$1\" = --print ]; then echo /nowhere; else echo release: 1; fi");
    let error = toy.try_build(|b| b.rustc(&rustc)).unwrap_err();
    assert!(error.is_toolchain_missing());
    let message = error.to_string();
    assert!(
        message.contains("rustup component add rust-src"),
        "{message}"
    );
    assert!(!message.contains('\n'), "{message}");
    let none = toy.try_build(|b| b.rustc("/nowhere/rustc")).unwrap_err();
    assert!(matches!(none, Error::NoRustc { .. }), "{none}");
}
