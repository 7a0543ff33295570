//! A virtual GPU: runs CUDA-style kernels on the CPU.
//!
//! A launch is a grid of blocks of threads, as in CUDA. Blocks are spread over
//! a pool's cores. Within a block every thread has a stack of its own and runs
//! until it ends or reaches [`sync_threads`], where the processor switches
//! straight to the block's next thread. A kernel without a barrier never
//! switches: its threads run one after the other on a single stack.
//!
//! | module | what |
//! |---|---|
//! | [`kernel`] | what a kernel is to its caller: name, argument types, code for each instruction set; grid and block |
//! | [`pool`] | a launch over the cores of one virtual GPU |
//! | `block` | the threads of one block, and the barrier |
//! | `fiber` | a stack, and the switch to another |
//! | [`memory`] | the checked mode: which memory a kernel may touch |
//!
//! The feature `checked` makes every access of a kernel to global and shared
//! memory verify bounds and alignment. A barrier that some threads of a block
//! miss is found with and without it.
mod block;
mod fiber;
pub mod kernel;
pub mod memory;
pub mod pool;

pub use block::{
    block_dim, block_idx, fail, grid_dim, shared_len, shared_memory, switch_threads, sync_threads,
    thread_idx,
};
pub use kernel::{Arguments, Call, Dim3, Entry, InstructionSet, Kernel, Launch};
pub use pool::{Fault, Pool};
