#![doc = include_str!("../README.md")]

mod layout;
mod opcode;
mod program;
mod runtime;
pub mod traffic;
mod translate;

use std::fmt;
use std::sync::Arc;

pub use program::{Kernel, Module, Program};
pub use ptx_reader::Error;
pub use simt_executor::{Dim3, Launch, Pool};
pub use traffic::Traffic;

/// `CUDA_ERROR_INVALID_VALUE`: arguments that are not the kernel's.
pub const INVALID_VALUE: i32 = 1;
/// `CUDA_ERROR_ILLEGAL_ADDRESS`.
pub const ILLEGAL_ADDRESS: i32 = 700;
/// `CUDA_ERROR_LAUNCH_TIMEOUT`: more steps than were allowed.
pub const LAUNCH_TIMEOUT: i32 = 702;
/// `CUDA_ERROR_MISALIGNED_ADDRESS`.
pub const MISALIGNED_ADDRESS: i32 = 716;
/// `CUDA_ERROR_LAUNCH_FAILED`: races, barriers that never complete, traps.
pub const LAUNCH_FAILED: i32 = 719;

/// What memory a kernel may touch, beside its module's variables and its own.
pub trait Memory: Send + Sync {
    /// Whether all of these bytes are allocated.
    fn contains(&self, address: usize, bytes: usize) -> bool;
}

impl<F: Fn(usize, usize) -> bool + Send + Sync> Memory for F {
    fn contains(&self, address: usize, bytes: usize) -> bool {
        self(address, bytes)
    }
}

/// How a text is compiled, and what is checked while it runs.
#[derive(Clone, Default)]
pub struct Options {
    /// Takes approximate instructions (`ex2.approx` …), whose bits here are not the GPU's.
    pub approximate: bool,
    /// Refuses sums and products without a rounding mode, which a GPU's compiler may fuse.
    pub refuse_fusable: bool,
    /// Checks every access: bounds against this memory and the launch's shared memory, and alignment.
    pub memory: Option<Arc<dyn Memory>>,
    /// Watches shared memory: bounds, alignment, reads of what was never written, races.
    pub shared: bool,
    /// The most basic blocks that a thread may run.
    pub steps: Option<u64>,
    /// Notes which basic blocks run.
    pub coverage: bool,
    /// Counts bank conflicts in shared memory and sectors of global memory.
    pub traffic: Option<Traffic>,
}

/// Why a kernel did not run to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The driver's error.
    pub code: i32,
    /// The kernel's name.
    pub kernel: String,
    /// The block's index in the grid.
    pub block: Dim3,
    /// The thread's index in the block.
    pub thread: Dim3,
    /// The line of the PTX text, counted from 1; 0 if none is to blame.
    pub line: usize,
    /// What it did.
    pub cause: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Fault {
            kernel,
            block,
            thread,
            line,
            cause,
            ..
        } = self;
        write!(f, "kernel {kernel}, block {block:?}, thread {thread:?}")?;
        match line {
            0 => write!(f, ": {cause}"),
            line => write!(f, ", PTX line {line}: {cause}"),
        }
    }
}

impl std::error::Error for Fault {}
