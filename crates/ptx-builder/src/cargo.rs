//! The inner cargo run: one architecture, one PTX file.

use crate::toolchain::{TARGET, Toolchain, clean_command};
use crate::{Arch, Error, PtxBuilder, files, inputs, sysroot, versions};
use std::ffi::OsString;
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, thread};

pub struct Job<'a> {
    pub builder: &'a PtxBuilder,
    pub crate_dir: &'a Path,
    pub cache_dir: &'a Path,
    pub toolchain: &'a Toolchain,
}

/// What the compiler wrote for one architecture.
pub struct Artifact {
    pub crate_name: String,
    pub ptx: String,
    pub inputs: Vec<PathBuf>,
}

impl Job<'_> {
    /// Architectures are compiled side by side, each in a directory of its own so that none waits
    /// for another's lock; cargo's job server keeps the number of compilers in bounds.
    pub fn compile_all(&self, archs: &[Arch]) -> Result<Vec<Artifact>, Error> {
        thread::scope(|scope| {
            let running: Vec<_> = archs
                .iter()
                .map(|arch| scope.spawn(move || self.compile(arch)))
                .collect();
            running
                .into_iter()
                .map(|thread| {
                    thread
                        .join()
                        .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
                })
                .collect()
        })
    }

    fn compile(&self, arch: &Arch) -> Result<Artifact, Error> {
        let sysroot = sysroot::ensure(self.toolchain, arch, self.cache_dir)?;
        let flags = self.rustc_flags(arch, &sysroot);
        let target_dir = self.target_dir(arch, &flags);
        let _lock = files::lock(&target_dir.with_extension("lock"))?;
        let assembly = target_dir.join("kernels.s");
        self.run(arch, &flags, &target_dir, &assembly)?;
        if !assembly.is_file() {
            // Cargo knows nothing of this file, so it does not see when somebody deletes it.
            let _ = fs::remove_dir_all(&target_dir);
            self.run(arch, &flags, &target_dir, &assembly)?;
        }
        let ptx = fs::read_to_string(&assembly).map_err(|source| Error::io(&assembly, source))?;
        let (crate_name, sources) = inputs::sources(&target_dir.join(TARGET).join("release"))?;
        let inputs = inputs::with_manifests(sources, self.crate_dir);
        Ok(Artifact {
            crate_name,
            ptx,
            inputs,
        })
    }

    /// A directory for all that changes the inner build, so that two kernel crates, or one with
    /// two sets of features, do not undo each other's work.
    fn target_dir(&self, arch: &Arch, flags: &[OsString]) -> PathBuf {
        let mut hasher = DefaultHasher::new();
        (self.crate_dir, self.cargo_args(), flags).hash(&mut hasher);
        self.cache_dir
            .join("build")
            .join(format!("{arch}-{:016x}", hasher.finish()))
    }

    fn run(
        &self,
        arch: &Arch,
        flags: &[OsString],
        target_dir: &Path,
        assembly: &Path,
    ) -> Result<(), Error> {
        fs::create_dir_all(target_dir).map_err(|source| Error::io(target_dir, source))?;
        let mut emit = OsString::from("--emit=asm=");
        emit.push(assembly);
        let output = self
            .command(flags)
            .args(self.cargo_args())
            .arg("--target-dir")
            .arg(target_dir)
            .env("CARGO_BUILD_BUILD_DIR", target_dir)
            .arg("--")
            .arg(emit)
            // There is no linker for PTX and no need of one.
            .arg("-Zno-link")
            .output();
        let stderr = match output {
            Ok(output) if output.status.success() => return Ok(()),
            Ok(output) => with_hint(String::from_utf8_lossy(&output.stderr).into_owned()),
            Err(error) => format!("cannot run cargo: {error}"),
        };
        Err(Error::Compile {
            crate_dir: self.crate_dir.to_owned(),
            arch: arch.to_string(),
            versions: versions::note(self.toolchain),
            stderr,
        })
    }

    fn command(&self, flags: &[OsString]) -> Command {
        let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut command = clean_command(Path::new(&cargo));
        command
            .env("RUSTC", &self.toolchain.rustc)
            .env("RUSTC_BOOTSTRAP", "1")
            // Empty: a wrapper set in a configuration file is not used either.
            .env("RUSTC_WRAPPER", "")
            .env("RUSTC_WORKSPACE_WRAPPER", "")
            .env(
                "CARGO_ENCODED_RUSTFLAGS",
                flags.join(&OsString::from("\u{1f}")),
            );
        command
    }

    fn rustc_flags(&self, arch: &Arch, sysroot: &Path) -> Vec<OsString> {
        vec![
            "--sysroot".into(),
            sysroot.into(),
            format!("-Ctarget-cpu={arch}").into(),
            format!(
                "-Cllvm-args=-unroll-threshold={}",
                self.builder.unroll_threshold
            )
            .into(),
        ]
    }

    fn cargo_args(&self) -> Vec<OsString> {
        let builder = self.builder;
        let debug = if builder.line_info {
            "\"line-directives-only\""
        } else {
            "false"
        };
        let mut args: Vec<OsString> = [
            "rustc",
            "--lib",
            "--crate-type=cdylib",
            "--release",
            "--target",
            TARGET,
        ]
        .map(OsString::from)
        .into();
        args.extend([
            "--manifest-path".into(),
            self.crate_dir.join("Cargo.toml").into(),
        ]);
        for (key, value) in [
            ("opt-level", "3"),
            ("lto", "\"fat\""),
            ("codegen-units", "1"),
            ("debug", debug),
            ("debug-assertions", "false"),
            ("overflow-checks", "false"),
            ("incremental", "false"),
            ("panic", "\"abort\""),
        ] {
            args.extend([
                "--config".into(),
                format!("profile.release.{key}={value}").into(),
            ]);
        }
        if !builder.default_features {
            args.push("--no-default-features".into());
        }
        if !builder.features.is_empty() {
            args.extend(["--features".into(), builder.features.join(",").into()]);
        }
        args.extend(builder.build_args.iter().cloned());
        args
    }
}

/// What to do is not plain from the compiler's words where a crate wants `std`.
fn with_hint(mut stderr: String) -> String {
    if ["std", "alloc"].iter().any(|name| {
        let missing = format!("can't find crate for `{name}`");
        stderr.contains(&missing)
    }) {
        stderr.push_str(
            "\nnote: GPUs have only `core`: switch the default features of that dependency off, or move it to \
             [target.'cfg(not(target_arch = \"nvptx64\"))'.dependencies]\n",
        );
    }
    stderr
}
