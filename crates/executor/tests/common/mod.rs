//! What the executor's tests share: kernels made by hand, and a pool to run them.
#![allow(dead_code)]

use simt_executor::{Dim3, Entry, Fault, InstructionSet, Kernel, Launch, Pool};

/// A kernel of one entry that runs everywhere: `kernel!(NAME(Arguments) = entry)`.
#[macro_export]
macro_rules! kernel {
    ($name:ident($($argument:ty),*) = $entry:ident) => {
        static $name: simt_executor::Kernel<($($argument,)*)> =
            // SAFETY: the entry reads a tuple of these types.
            unsafe { simt_executor::Kernel::new(stringify!($entry), &[(simt_executor::InstructionSet::Baseline, $entry)]) };
    };
}

/// One block per point of `grid`, `shared` bytes each.
pub fn launch(grid: Dim3, block: Dim3, shared: usize) -> Launch {
    Launch {
        grid,
        block,
        shared: shared as u32,
    }
}

/// Runs a kernel without arguments on two cores.
pub fn run_plain(entry: Entry, launch: Launch) -> Result<(), Fault> {
    let entries: &'static [_] = Vec::leak(vec![(InstructionSet::Baseline, entry)]);
    // SAFETY: the entry reads nothing.
    unsafe {
        let kernel: Kernel<(u32,)> = Kernel::new("plain", entries);
        Pool::new(2)
            .expect("two threads")
            .run(&kernel, launch, (0,))
    }
}

/// The number of the running thread in its block.
pub fn linear_thread() -> usize {
    let ([x, y, z], [w, h, _]) = (simt_executor::thread_idx(), simt_executor::block_dim());
    ((z * h + y) * w + x) as usize
}

/// The number of the running thread's block in the grid.
pub fn linear_block() -> usize {
    let ([x, y, z], [w, h, _]) = (simt_executor::block_idx(), simt_executor::grid_dim());
    ((z * h + y) * w + x) as usize
}

/// The block's shared memory as whole numbers.
pub fn shared() -> *mut u32 {
    simt_executor::shared_memory().cast()
}
