//! Compiles a `no_std` kernel crate and its dependencies to PTX, from any build script, with the
//! stock stable compiler: no nightly, no CUDA toolkit, no separate linker. The compiler's own
//! `rust-src` component is all that is needed.
//!
//! ```no_run
//! // build.rs
//! let built = ptx_builder::PtxBuilder::new("../kernels")
//!     .arch("sm_80")
//!     .arch("sm_90")
//!     .build()
//!     .unwrap_or_else(|error| panic!("{error}"));
//! for module in &built.modules {
//!     println!("cargo:rustc-env=KERNELS_{}={}", module.arch, module.path.display());
//! }
//! ```
//!
//! and in the crate: `static PTX: &str = include_str!(env!("KERNELS_sm_80"));`
//!
//! # How
//! `core` is compiled once for `nvptx64-nvidia-cuda` into a private sysroot, kept under the target
//! directory. Then cargo itself builds the kernel crate for that target with fat link-time
//! optimisation, and the compiler's assembly output *is* the finished PTX. Dependencies, features
//! and proc macros are cargo's business, so registry crates that are `no_std` work.
//! `RUSTC_BOOTSTRAP=1` is set for this inner build alone.
//!
//! # What a kernel crate needs
//! - `#![no_std]`, and at the root of each crate that uses them,
//!   `#![cfg_attr(target_arch = "nvptx64", feature(abi_ptx, asm_experimental_arch, stdarch_nvptx))]`.
//! - A `#[panic_handler]` for `target_arch = "nvptx64"` somewhere among the crates.
//! - Kernels are `#[unsafe(no_mangle)] pub unsafe extern "ptx-kernel" fn` and nothing generic.
//!   Those of dependencies come along.
//! - Dependencies that need `std` stand under
//!   `[target.'cfg(not(target_arch = "nvptx64"))'.dependencies]`.
//! - Launch bounds, where wanted, are a comment that assembly carries through the compiler:
//!   `global_asm!("//@launch_bounds NAME THREADS [MINBLOCKS]")` makes `.maxntid` and
//!   `.minnctapersm` of kernel `NAME`.
//! - A library target; its `crate-type` need not name `cdylib`.

mod arch;
mod bounds;
mod cargo;
mod error;
mod files;
mod inputs;
mod sysroot;
mod toolchain;

pub use arch::Arch;
pub use error::Error;

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// What is compiled and how; [`build`](Self::build) does it.
#[derive(Clone, Debug)]
pub struct PtxBuilder {
    crate_dir: PathBuf,
    archs: Vec<String>,
    features: Vec<String>,
    default_features: bool,
    line_info: bool,
    unroll_threshold: u32,
    inline_threshold: u32,
    build_args: Vec<OsString>,
    copy_to: Option<PathBuf>,
    out_dir: Option<PathBuf>,
    cache_dir: Option<PathBuf>,
    rustc: Option<PathBuf>,
}

/// The PTX of one crate, and what it was made from.
#[derive(Clone, Debug)]
pub struct Built {
    /// One module per architecture, in the order they were asked for.
    pub modules: Vec<Module>,
    /// Sources and manifests of the kernel crate and its path dependencies, and the lock file.
    pub inputs: Vec<PathBuf>,
}

/// One PTX file.
#[derive(Clone, Debug)]
pub struct Module {
    /// The architecture it was compiled for.
    pub arch: Arch,
    /// Where it lies.
    pub path: PathBuf,
}

/// The architectures compiled for when none is asked for.
pub const DEFAULT_ARCHS: [&str; 2] = ["sm_80", "sm_90"];

impl PtxBuilder {
    /// The kernel crate in `crate_dir`, the directory of its `Cargo.toml`; a relative path counts
    /// from the current directory, which for a build script is its package.
    pub fn new(crate_dir: impl Into<PathBuf>) -> Self {
        Self {
            crate_dir: crate_dir.into(),
            archs: Vec::new(),
            features: Vec::new(),
            default_features: true,
            line_info: false,
            unroll_threshold: 1000,
            inline_threshold: 1000,
            build_args: Vec::new(),
            copy_to: None,
            out_dir: None,
            cache_dir: None,
            rustc: None,
        }
    }

    /// Adds an architecture, such as `sm_80` or `sm_90a`. Without any, [`DEFAULT_ARCHS`].
    pub fn arch(mut self, arch: impl Into<String>) -> Self {
        self.archs.push(arch.into());
        self
    }

    /// Adds a feature of the kernel crate.
    pub fn feature(mut self, feature: impl Into<String>) -> Self {
        self.features.push(feature.into());
        self
    }

    /// Whether the kernel crate's default features are on (they are unless said otherwise).
    pub fn default_features(mut self, on: bool) -> Self {
        self.default_features = on;
        self
    }

    /// Whether the PTX names source lines, for profilers. The machine code stays the same.
    pub fn generate_line_info(mut self, on: bool) -> Self {
        self.line_info = on;
        self
    }

    /// LLVM's loop unrolling threshold; 1000 unless said otherwise, because an array indexed by
    /// the variable of a loop that is not unrolled lives in local memory, not in registers.
    pub fn unroll_threshold(mut self, threshold: u32) -> Self {
        self.unroll_threshold = threshold;
        self
    }

    /// LLVM's inlining threshold; 1000 unless said otherwise (its own is 225), because a call costs
    /// a GPU much, and what a caller knows of an argument (that a cosine's is small, say) can only
    /// then remove what it makes needless.
    pub fn inline_threshold(mut self, threshold: u32) -> Self {
        self.inline_threshold = threshold;
        self
    }

    /// Further arguments for the inner cargo, such as `--offline`.
    pub fn build_args<I: IntoIterator<Item: Into<OsString>>>(mut self, args: I) -> Self {
        self.build_args.extend(args.into_iter().map(Into::into));
        self
    }

    /// Also copies the PTX to this path: to a file where it ends in `.ptx` (one architecture
    /// only), else into a directory as `CRATE.ARCH.ptx`.
    pub fn copy_to(mut self, path: impl Into<PathBuf>) -> Self {
        self.copy_to = Some(path.into());
        self
    }

    /// Where the PTX goes; `OUT_DIR` unless said otherwise.
    pub fn out_dir(mut self, path: impl Into<PathBuf>) -> Self {
        self.out_dir = Some(path.into());
        self
    }

    /// Where the compiled `core` and intermediate files are kept; by default a directory
    /// `ptx-builder` in the cargo target directory, so that all profiles share it.
    pub fn cache_dir(mut self, path: impl Into<PathBuf>) -> Self {
        self.cache_dir = Some(path.into());
        self
    }

    /// The compiler; what `RUSTC` names unless said otherwise.
    pub fn rustc(mut self, path: impl Into<PathBuf>) -> Self {
        self.rustc = Some(path.into());
        self
    }

    /// Compiles. In a build script it also tells cargo which files the PTX depends on.
    ///
    /// # Errors
    /// See [`Error`]; [`Error::is_toolchain_missing`] tells a machine that cannot compile for
    /// GPUs from a kernel crate that does not compile.
    pub fn build(&self) -> Result<Built, Error> {
        let plan = self.plan()?;
        let toolchain = toolchain::Toolchain::find(self.rustc.clone()).inspect_err(announce)?;
        let archs = plan.archs;
        toolchain.check_archs(&archs)?;
        let sysroot = sysroot::ensure(&toolchain, &plan.cache_dir)?;
        let job = cargo::Job {
            builder: self,
            crate_dir: &plan.crate_dir,
            build_dir: plan.cache_dir.join("build"),
            toolchain: &toolchain,
            sysroot: &sysroot,
        };
        let compiled = job.compile_all(&archs)?;
        let mut built = Built {
            modules: Vec::new(),
            inputs: Vec::new(),
        };
        for (arch, artifact) in archs.into_iter().zip(compiled) {
            let ptx = bounds::apply(&artifact.ptx)?;
            let name = format!("{}.{arch}.ptx", artifact.crate_name);
            let path = plan.out_dir.join(&name);
            files::write(&path, &ptx)?;
            if let Some(target) = &self.copy_to {
                files::write(&copy_target(target, &name), &ptx)?;
            }
            built.inputs.extend(artifact.inputs);
            built.modules.push(Module { arch, path });
        }
        built.inputs.sort();
        built.inputs.dedup();
        built
            .inputs
            .iter()
            .for_each(|input| rerun_if_changed(input));
        Ok(built)
    }

    fn plan(&self) -> Result<Plan, Error> {
        let names: Vec<&str> = match self.archs.as_slice() {
            [] => DEFAULT_ARCHS.to_vec(),
            given => given.iter().map(String::as_str).collect(),
        };
        let mut archs: Vec<Arch> = Vec::new();
        for name in names {
            let arch = name.parse()?;
            if !archs.contains(&arch) {
                archs.push(arch);
            }
        }
        if let Some(path) = &self.copy_to
            && names_a_file(path)
            && archs.len() > 1
        {
            return Err(Error::CopyToOneFile { path: path.clone() });
        }
        let crate_dir = std::path::absolute(&self.crate_dir)
            .map_err(|source| Error::io(&self.crate_dir, source))?;
        let manifest = crate_dir.join("Cargo.toml");
        if !manifest.is_file() {
            return Err(Error::NoCrate { manifest });
        }
        let out_dir = match &self.out_dir {
            Some(dir) => dir.clone(),
            None => env::var_os("OUT_DIR")
                .map(PathBuf::from)
                .ok_or(Error::NoOutDir)?,
        };
        let cache_dir = self
            .cache_dir
            .clone()
            .unwrap_or_else(|| files::cache_dir(&out_dir));
        Ok(Plan {
            archs,
            crate_dir,
            out_dir,
            cache_dir,
        })
    }
}

struct Plan {
    archs: Vec<Arch>,
    crate_dir: PathBuf,
    out_dir: PathBuf,
    cache_dir: PathBuf,
}

fn names_a_file(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "ptx")
}

fn copy_target(target: &Path, name: &str) -> PathBuf {
    if names_a_file(target) {
        target.to_owned()
    } else {
        target.join(name)
    }
}

/// A build that goes on without PTX must run again once the missing component is there.
fn announce(error: &Error) {
    if let Error::NoRustSrc { watch, .. } = error {
        rerun_if_changed(watch);
    }
}

#[allow(clippy::print_stdout, reason = "what Cargo listens to")]
fn rerun_if_changed(path: &Path) {
    // Cargo listens only to build scripts, and gives them OUT_DIR.
    if env::var_os("OUT_DIR").is_some() {
        println!("cargo:rerun-if-changed={}", path.display());
    }
}

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
