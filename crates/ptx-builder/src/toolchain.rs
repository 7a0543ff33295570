//! The compiler and its library sources.

use crate::{Arch, Error};
use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

pub const TARGET: &str = "nvptx64-nvidia-cuda";

/// A compiler that can build for the GPU, as far as can be told before trying.
#[derive(Debug)]
pub struct Toolchain {
    pub rustc: PathBuf,
    /// All that `rustc -vV` says: the identity of the compiler.
    pub version: String,
    /// The directory `library` of the compiler's own sources.
    pub library: PathBuf,
}

impl Toolchain {
    pub fn find(rustc: Option<PathBuf>) -> Result<Self, Error> {
        let rustc = rustc
            .or_else(|| env::var_os("RUSTC").map(PathBuf::from))
            .unwrap_or_else(|| "rustc".into());
        let version = ask(&rustc, &["-vV"])?;
        let sysroot = PathBuf::from(ask(&rustc, &["--print", "sysroot"])?.trim_end());
        let library = find_library(&sysroot)?;
        Ok(Self {
            rustc,
            version,
            library,
        })
    }

    /// `1.99.1`, say.
    pub fn release(&self) -> &str {
        self.version
            .lines()
            .find_map(|line| line.strip_prefix("release: "))
            .unwrap_or("of an unknown version")
    }

    /// The compiler only warns of an unknown processor, and then compiles for another.
    pub fn check_archs(&self, archs: &[Arch]) -> Result<(), Error> {
        let listing =
            ask(&self.rustc, &["--print", "target-cpus", "--target", TARGET]).map_err(|error| {
                Error::NoTarget {
                    reason: error.to_string(),
                }
            })?;
        let known: Vec<&str> = listing
            .lines()
            .filter_map(|line| line.split_whitespace().next())
            .filter(|name| name.starts_with("sm_"))
            .collect();
        if known.is_empty() {
            return Err(Error::NoTarget {
                reason: "its LLVM has no NVPTX back end".into(),
            });
        }
        match archs
            .iter()
            .map(Arch::to_string)
            .find(|arch| !known.contains(&arch.as_str()))
        {
            Some(arch) => Err(Error::UnknownArch {
                arch,
                known: known.join(", "),
            }),
            None => Ok(()),
        }
    }
}

/// Rustup puts the sources into the sysroot, and Debian a symbolic link to them.
fn find_library(sysroot: &Path) -> Result<PathBuf, Error> {
    let rustlib = sysroot.join("lib/rustlib");
    let library = rustlib.join("src/rust/library");
    if library.join("core/src/lib.rs").is_file() {
        return Ok(library);
    }
    // Rustup rewrites this list with every component it adds.
    let components = rustlib.join("components");
    let rustup = components.is_file();
    Err(Error::NoRustSrc {
        looked_in: library,
        watch: if rustup { components } else { rustlib },
        remedy: if sysroot == Path::new("/usr") {
            "install your system's package of them (Debian: `apt install rust-web-src` with rustc-web, else rust-src)"
        } else {
            "run `rustup component add rust-src`"
        },
    })
}

/// A command with nothing of the outer build's settings in its environment.
pub fn clean_command(program: &Path) -> Command {
    let mut command = Command::new(program);
    for (name, _) in env::vars_os() {
        if name.to_str().is_some_and(belongs_to_outer_build) {
            command.env_remove(name);
        }
    }
    command
}

fn belongs_to_outer_build(name: &str) -> bool {
    const NAMES: [&str; 11] = [
        "RUSTFLAGS",
        "LD_LIBRARY_PATH",
        "DYLD_FALLBACK_LIBRARY_PATH",
        "OUT_DIR",
        "TARGET",
        "HOST",
        "OPT_LEVEL",
        "DEBUG",
        "PROFILE",
        "CARGO_INCREMENTAL",
        "CARGO_TARGET_DIR",
    ];
    const PREFIXES: [&str; 10] = [
        "RUSTC",
        "RUSTDOC",
        "CARGO_ENCODED_",
        "CARGO_BUILD_",
        "CARGO_PROFILE_",
        "CARGO_FEATURE_",
        "CARGO_CFG_",
        "CARGO_PKG_",
        "CARGO_MANIFEST_",
        "CARGO_UNSTABLE_",
    ];
    NAMES.contains(&name) || PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

fn ask(rustc: &Path, args: &[&str]) -> Result<String, Error> {
    let fail = |reason: String| Error::NoRustc {
        rustc: rustc.to_owned(),
        reason,
    };
    let output = clean_command(rustc)
        .args(args)
        .output()
        .map_err(|error| fail(error.to_string()))?;
    if !output.status.success() {
        return Err(fail(
            String::from_utf8_lossy(&output.stderr)
                .trim_end()
                .to_owned(),
        ));
    }
    String::from_utf8(output.stdout).map_err(|_| fail("its answer is not UTF-8".into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn missing_sources_say_what_to_type_and_what_to_watch() {
        let sysroot = tempfile::tempdir().unwrap();
        let rustlib = sysroot.path().join("lib/rustlib");
        fs::create_dir_all(&rustlib).unwrap();
        fs::write(rustlib.join("components"), "").unwrap();
        let error = find_library(sysroot.path()).unwrap_err();
        assert!(error.is_toolchain_missing());
        assert!(
            error.to_string().contains("rustup component add rust-src"),
            "{error}"
        );
        let Error::NoRustSrc { watch, .. } = error else {
            panic!("{error}")
        };
        assert_eq!(watch, rustlib.join("components"));
    }

    #[test]
    fn the_outer_builds_settings_are_dropped_and_the_users_are_kept() {
        for name in [
            "RUSTFLAGS",
            "RUSTC_WORKSPACE_WRAPPER",
            "CARGO_BUILD_RUSTFLAGS",
            "OUT_DIR",
        ] {
            assert!(belongs_to_outer_build(name), "{name}");
        }
        for name in [
            "PATH",
            "RUSTUP_TOOLCHAIN",
            "CARGO_HOME",
            "CARGO_MAKEFLAGS",
            "CARGO_NET_OFFLINE",
        ] {
            assert!(!belongs_to_outer_build(name), "{name}");
        }
    }
}
