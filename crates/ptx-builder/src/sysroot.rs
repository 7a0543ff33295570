//! A private sysroot with `core` for one GPU architecture, made once per compiler.
//!
//! One for each architecture, because the compiler may refuse a crate whose `-Ctarget-cpu` is not
//! that of its `core`.

use crate::toolchain::{TARGET, Toolchain, clean_command};
use crate::{Arch, Error, files, versions};
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;

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

/// The sysroot's directory, made now if this compiler has none yet for the architecture.
pub fn ensure(toolchain: &Toolchain, arch: &Arch, cache_dir: &Path) -> Result<PathBuf, Error> {
    let mut hasher = DefaultHasher::new();
    (
        &toolchain.version,
        &toolchain.library,
        FLAGS,
        COMPILER_BUILTINS,
    )
        .hash(&mut hasher);
    let sysroot = cache_dir.join(format!("sysroot-{arch}-{:016x}", hasher.finish()));
    let _lock = files::lock(&sysroot.with_extension("lock"))?;
    if sysroot.is_dir() {
        return Ok(sysroot);
    }
    let temporary = sysroot.with_extension("tmp");
    let _ = fs::remove_dir_all(&temporary);
    make(toolchain, arch, &temporary)?;
    fs::rename(&temporary, &sysroot).map_err(|source| Error::io(&sysroot, source))?;
    Ok(sysroot)
}

fn make(toolchain: &Toolchain, arch: &Arch, sysroot: &Path) -> Result<(), Error> {
    let libraries = sysroot.join("lib/rustlib").join(TARGET).join("lib");
    fs::create_dir_all(&libraries).map_err(|source| Error::io(&libraries, source))?;
    let stub = sysroot.join("compiler_builtins.rs");
    files::write(&stub, COMPILER_BUILTINS)?;
    let core = toolchain.library.join("core/src/lib.rs");
    for (name, source) in [("core", core), ("compiler_builtins", stub)] {
        let mut command = clean_command(&toolchain.rustc);
        command
            .env("RUSTC_BOOTSTRAP", "1")
            .args(["--crate-name", name])
            .args(FLAGS)
            .arg(&libraries)
            .arg(format!("-Ctarget-cpu={arch}"))
            .arg("--sysroot")
            .arg(sysroot)
            .arg(source);
        run(toolchain, arch, command)?;
    }
    Ok(())
}

fn run(toolchain: &Toolchain, arch: &Arch, mut command: Command) -> Result<(), Error> {
    let output = command.output().map_err(|error| Error::NoRustc {
        rustc: toolchain.rustc.clone(),
        reason: error.to_string(),
    })?;
    if output.status.success() {
        return Ok(());
    }
    Err(Error::Core {
        arch: arch.to_string(),
        versions: versions::note(toolchain),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    })
}
