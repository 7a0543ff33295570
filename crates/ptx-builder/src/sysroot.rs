//! A private sysroot with `core` for the GPU, made once per compiler.

use crate::toolchain::{TARGET, Toolchain, clean_command};
use crate::{Error, files};
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};

// The passes run in the kernel crate's link-time optimisation, which sees all of `core`'s code.
const FLAGS: [&str; 12] = [
    "--edition=2024",
    "--crate-type=rlib",
    "--target",
    TARGET,
    "-Copt-level=3",
    "-Ccodegen-units=1",
    "-Cembed-bitcode=yes",
    "-Cpanic=abort",
    "-Cno-prepopulate-passes",
    "-Zforce-unstable-if-unmarked",
    "--cap-lints=allow",
    "--out-dir",
];

// What the compiler links into every `no_std` crate. The GPU needs none of its functions: LLVM
// expands all arithmetic and memory copies itself.
const COMPILER_BUILTINS: &str =
    "#![feature(compiler_builtins)]\n#![compiler_builtins]\n#![no_std]\n";

/// The sysroot's directory, made now if this compiler has none yet.
pub fn ensure(toolchain: &Toolchain, cache_dir: &Path) -> Result<PathBuf, Error> {
    let mut hasher = DefaultHasher::new();
    (
        &toolchain.version,
        &toolchain.library,
        FLAGS,
        COMPILER_BUILTINS,
    )
        .hash(&mut hasher);
    let sysroot = cache_dir.join(format!("sysroot-{:016x}", hasher.finish()));
    let _lock = files::lock(&cache_dir.join("sysroot.lock"))?;
    if sysroot.is_dir() {
        return Ok(sysroot);
    }
    let temporary = cache_dir.join("sysroot.tmp");
    let _ = fs::remove_dir_all(&temporary);
    make(toolchain, &temporary)?;
    fs::rename(&temporary, &sysroot).map_err(|source| Error::io(&sysroot, source))?;
    Ok(sysroot)
}

fn make(toolchain: &Toolchain, sysroot: &Path) -> Result<(), Error> {
    let libraries = sysroot.join("lib/rustlib").join(TARGET).join("lib");
    fs::create_dir_all(&libraries).map_err(|source| Error::io(&libraries, source))?;
    let core = toolchain.library.join("core/src/lib.rs");
    compile(toolchain, sysroot, &libraries, "core", &core)?;
    let stub = sysroot.join("compiler_builtins.rs");
    files::write(&stub, COMPILER_BUILTINS)?;
    compile(toolchain, sysroot, &libraries, "compiler_builtins", &stub)
}

fn compile(
    toolchain: &Toolchain,
    sysroot: &Path,
    libraries: &Path,
    name: &str,
    source: &Path,
) -> Result<(), Error> {
    let output = clean_command(&toolchain.rustc)
        .env("RUSTC_BOOTSTRAP", "1")
        .args(["--crate-name", name])
        .args(FLAGS)
        .arg(libraries)
        .arg("--sysroot")
        .arg(sysroot)
        .arg(source)
        .output()
        .map_err(|error| Error::NoRustc {
            rustc: toolchain.rustc.clone(),
            reason: error.to_string(),
        })?;
    if output.status.success() {
        return Ok(());
    }
    Err(Error::Core {
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    })
}
