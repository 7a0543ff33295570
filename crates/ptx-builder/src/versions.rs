//! Which compilers are known to work, and what differs between them.
//!
//! | since | what | so |
//! |---|---|---|
//! | 1.97 | the processor is part of a crate's ABI on this target | each architecture has a `core` of its own, whatever the compiler |
//! | 1.97 | the oldest architecture is sm_70, the oldest PTX 7.0 | older ones are refused by name, with a list of those there are |
//! | 1.101 | `core::intrinsics` has no `fmaf32` and `sqrtf32` | kernels use `core::f32::math` (`core_float_math`), which all have |
//!
//! The PTX version of a module follows from its architecture (7.0 for sm_80, 7.8 for sm_90, 8.6 for
//! sm_100) with each of them.

use crate::toolchain::Toolchain;

/// The oldest, which `Cargo.toml` names.
const OLDEST: &str = env!("CARGO_PKG_RUST_VERSION");
/// The minor number of the newest that was tried: a nightly of 2026-10-29.
const NEWEST_MINOR: u32 = 101;

/// What a message about a failed build says of the compiler: its version, and whether others are
/// known to do better.
pub fn note(toolchain: &Toolchain) -> String {
    let release = toolchain.release();
    let known = format!("known to work: Rust {OLDEST} to 1.{NEWEST_MINOR}");
    match minor(release) {
        Some(minor) if minor > NEWEST_MINOR => {
            format!("this is Rust {release}, newer than any that was tried; {known}")
        }
        _ => format!("this is Rust {release}; {known}"),
    }
}

fn minor(release: &str) -> Option<u32> {
    release.strip_prefix("1.")?.split('.').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(release: &str) -> String {
        note(&Toolchain {
            rustc: "rustc".into(),
            version: format!("rustc {release}\nhost: any\nrelease: {release}\nLLVM version: 1\n"),
            library: "library".into(),
        })
    }

    #[test]
    fn the_compiler_and_the_known_ones_are_named() {
        assert_eq!(
            of("1.99.1"),
            "this is Rust 1.99.1; known to work: Rust 1.95 to 1.101"
        );
        assert!(of("1.101.0-nightly").starts_with("this is Rust 1.101.0-nightly; known"));
        let newer = of("1.102.0-beta.1");
        assert!(newer.contains("1.102.0-beta.1, newer than any"), "{newer}");
    }
}
