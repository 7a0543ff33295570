//! The builder in a build script, under a real outer cargo with settings of its own.
//!
//! Needs what `compile.rs` needs, and the registry for the builder's own dependencies.

mod common;

use common::{Toy, entry};
use std::path::Path;
use std::process::{Command, Output};

#[test]
fn the_outer_build_reruns_when_and_only_when_kernels_change() {
    let toy = Toy::new("the_outer_build_reruns_when_and_only_when_kernels_change");
    toy.edit(
        "outer/Cargo.toml",
        "@PTX_BUILDER@",
        env!("CARGO_MANIFEST_DIR"),
    );
    let (first, log) = run(&toy);
    assert!(first.contains(&entry("from_dependency")), "{first}\n{log}");
    assert!(log.contains("Compiling outer"), "{log}");

    let (second, log) = run(&toy);
    assert_eq!(second, first);
    assert!(
        !log.contains("Compiling"),
        "nothing has changed, but: {log}"
    );

    toy.edit("device/src/lib.rs", "from_dependency", "renamed");
    let (third, log) = run(&toy);
    assert!(third.contains(&entry("renamed")), "{third}\n{log}");
}

/// Runs the outer program; its standard output is the PTX it embeds.
fn run(toy: &Toy) -> (String, String) {
    let output: Output = Command::new(env!("CARGO"))
        .args(["run", "--manifest-path"])
        .arg(toy.dir.join("outer/Cargo.toml"))
        .env(
            "CARGO_TARGET_DIR",
            Path::new(env!("CARGO_TARGET_TMPDIR")).join("outer"),
        )
        .env("TOY_CACHE", common::cache())
        // Would break the device build if they reached it.
        .env("RUSTFLAGS", "-Ctarget-cpu=x86-64 -Cdebuginfo=2")
        .env("CARGO_PROFILE_RELEASE_LTO", "off")
        .output()
        .unwrap();
    let log = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        output.status.success(),
        "needs rust-src and the registry: {log}"
    );
    (String::from_utf8(output.stdout).unwrap(), log)
}
