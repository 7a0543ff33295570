//! Why there is no launch.

use crate::sizes::BadSize;
use simt_executor::{Dim3, Fault};

/// Why a kernel cannot be launched so, or did not run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A size that the kernel cannot have.
    #[error("{kernel}: {size}")]
    Size {
        /// The kernel.
        kernel: &'static str,
        /// The size.
        size: BadSize,
    },
    /// A buffer of another length than the shape asks for.
    #[error("{kernel}: {argument} has {have} elements, but {need} are needed")]
    Length {
        /// The kernel.
        kernel: &'static str,
        /// The parameter.
        argument: &'static str,
        /// Elements there are.
        have: usize,
        /// Elements that are needed.
        need: usize,
    },
    /// A buffer at an address that the kernel's loads and stores cannot use.
    #[error("{kernel}: {argument} begins at {address:#x}, which is no multiple of {need} bytes")]
    Alignment {
        /// The kernel.
        kernel: &'static str,
        /// The parameter.
        argument: &'static str,
        /// Where the buffer begins.
        address: usize,
        /// What its address must be a multiple of.
        need: usize,
    },
    /// A buffer that is nowhere.
    #[error("{kernel}: {argument} is a null pointer, but {need} elements are needed")]
    Null {
        /// The kernel.
        kernel: &'static str,
        /// The parameter.
        argument: &'static str,
        /// Elements that are needed.
        need: usize,
    },
    /// A buffer that is written shares memory with another one.
    #[error("{kernel}: {written} overlaps {other}")]
    Overlap {
        /// The kernel.
        kernel: &'static str,
        /// The parameter that is written.
        written: &'static str,
        /// The other one.
        other: &'static str,
    },
    /// A slice for a GPU.
    #[error(
        "{kernel}: {argument} is a slice of the host's memory; a GPU takes its copy there, by from_raw"
    )]
    HostMemory {
        /// The kernel.
        kernel: &'static str,
        /// The parameter.
        argument: &'static str,
    },
    /// A view that reaches beyond its image.
    #[error("{kernel}: view {view} begins at row {y}, column {x} and leaves the image")]
    View {
        /// The kernel.
        kernel: &'static str,
        /// The view's number.
        view: usize,
        /// Its first row.
        y: u32,
        /// Its first column.
        x: u32,
    },
    /// No blocks, or more than CUDA takes.
    #[error(
        "{kernel}: the grid is {grid:?}, but CUDA takes from [1, 1, 1] to [2147483647, 65535, 65535]"
    )]
    Grid {
        /// The kernel.
        kernel: &'static str,
        /// The grid.
        grid: Dim3,
    },
    /// A call for a GPU is to run on the executor.
    #[error("{kernel}: the call was made for Target::Gpu; the executor runs those for Target::Cpu")]
    Target {
        /// The kernel.
        kernel: &'static str,
    },
    /// A call whose buffers nobody has borrowed is to run on the executor.
    #[error(
        "{kernel}: a buffer was given by its address; Call::into_inner is for who knows that it is there"
    )]
    Address {
        /// The kernel.
        kernel: &'static str,
    },
    /// It failed on the executor.
    #[error(transparent)]
    Fault(#[from] Fault),
}
