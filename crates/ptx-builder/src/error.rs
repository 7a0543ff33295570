//! What can go wrong.

use std::io;
use std::path::{Path, PathBuf};

/// Why no PTX was made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The compiler could not be run.
    #[error("cannot run the Rust compiler `{}`: {reason}", rustc.display())]
    NoRustc {
        /// The program.
        rustc: PathBuf,
        /// What the system or the compiler said.
        reason: String,
    },
    /// The sources of the standard library are not installed.
    #[error("the sources of Rust's core library are not installed (looked in {}): {remedy}", looked_in.display())]
    NoRustSrc {
        /// Where they belong.
        looked_in: PathBuf,
        /// A file or directory that changes when they are installed.
        watch: PathBuf,
        /// What to type.
        remedy: &'static str,
    },
    /// The compiler cannot generate code for NVIDIA GPUs.
    #[error("this Rust compiler cannot compile for nvptx64-nvidia-cuda: {reason}")]
    NoTarget {
        /// What the compiler said.
        reason: String,
    },
    /// `core` did not compile for the GPU.
    #[error("the compiler could not build Rust's core library for {arch} ({versions}):\n{stderr}")]
    Core {
        /// The compiler's version, and those known to work.
        versions: String,
        /// The architecture.
        arch: String,
        /// The compiler's messages.
        stderr: String,
    },
    /// Not the name of an architecture.
    #[error("`{name}` is not a GPU architecture; they are written like sm_80 or sm_90a")]
    BadArch {
        /// The name.
        name: String,
    },
    /// An architecture the compiler does not know.
    #[error("this Rust compiler does not know the GPU architecture {arch}; it knows {known}")]
    UnknownArch {
        /// The name.
        arch: String,
        /// Those it knows.
        known: String,
    },
    /// No kernel crate there.
    #[error("there is no kernel crate: {} is missing", manifest.display())]
    NoCrate {
        /// The manifest that was expected.
        manifest: PathBuf,
    },
    /// Neither a build script nor told where to write.
    #[error(
        "OUT_DIR is not set: call this from a build script or choose a directory with out_dir()"
    )]
    NoOutDir,
    /// `copy_to` names one file for several architectures.
    #[error("copy_to({}) names one file, but several architectures are built: name a directory", path.display())]
    CopyToOneFile {
        /// The file.
        path: PathBuf,
    },
    /// The kernel crate did not compile.
    #[error("the kernel crate {} did not compile for {arch} ({versions}):\n{stderr}", crate_dir.display())]
    Compile {
        /// Its directory.
        crate_dir: PathBuf,
        /// The architecture.
        arch: String,
        /// The compiler's version, and those known to work.
        versions: String,
        /// What cargo and the compiler wrote.
        stderr: String,
    },
    /// What the compiler wrote cannot be read.
    #[error("what the compiler made is not PTX as it is known here: {0}")]
    Unreadable(#[from] ptx_reader::Error),
    /// A launch bounds comment that cannot be followed.
    #[error("launch bounds `{comment}`: {reason}")]
    LaunchBounds {
        /// The comment.
        comment: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A file could not be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
}

impl Error {
    /// Whether this machine lacks what compiling for GPUs needs, as opposed to a mistake in the
    /// kernels or in how the builder was called. A build may choose to go on without PTX.
    pub fn is_toolchain_missing(&self) -> bool {
        matches!(
            self,
            Self::NoRustc { .. }
                | Self::NoRustSrc { .. }
                | Self::NoTarget { .. }
                | Self::Core { .. }
        )
    }

    pub(crate) fn io(path: &Path, source: io::Error) -> Self {
        Self::Io {
            path: path.to_owned(),
            source,
        }
    }
}
