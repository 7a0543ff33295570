//! A virtual GPU's cores.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use thiserror::Error;

use crate::block;
use crate::kernel::{Arguments, Call, Dim3, Entry, Kernel, Launch};

/// A kernel that could not run to its end.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("kernel {kernel}, block {block:?}, thread {thread:?}: {cause}")]
pub struct Fault {
    /// The kernel's name.
    pub kernel: String,
    /// The block's index in the grid.
    pub block: Dim3,
    /// The thread's index in the block.
    pub thread: Dim3,
    /// What it did.
    pub cause: String,
}

/// The cores on which one virtual GPU runs its blocks.
pub struct Pool {
    threads: rayon::ThreadPool,
}

/// The arguments' address, for the workers.
#[derive(Clone, Copy)]
struct Pointer(*const ());
// SAFETY: the workers only read what it points at, and `Pool::run` outlives them.
unsafe impl Send for Pointer {}
// SAFETY: the same.
unsafe impl Sync for Pointer {}

impl Pool {
    /// A pool of `threads` worker threads, at least one.
    pub fn new(threads: usize) -> std::io::Result<Pool> {
        let threads = rayon::ThreadPoolBuilder::new()
            .num_threads(threads.max(1))
            .thread_name(|i| format!("virtual-gpu-{i}"))
            .build()
            .map_err(std::io::Error::other)?;
        Ok(Pool { threads })
    }

    /// Number of worker threads.
    pub fn threads(&self) -> usize {
        self.threads.current_num_threads()
    }

    /// Runs a kernel over its whole grid and returns when it is done.
    ///
    /// Blocks are independent and taken in order by whichever worker is free;
    /// what they compute does not depend on which. After a fault the blocks not
    /// yet begun are left out.
    ///
    /// # Safety
    /// The kernel's own contract: what it asks of its arguments and its launch.
    pub unsafe fn run<A: Arguments + 'static>(
        &self,
        kernel: &Kernel<A>,
        launch: Launch,
        arguments: A,
    ) -> Result<(), Fault> {
        // SAFETY: the caller's promise covers the call.
        unsafe { self.run_call(&Call::new(kernel, launch, arguments)) }
    }

    /// The same for a call that was made before.
    ///
    /// # Safety
    /// As promised when the call was made.
    pub unsafe fn run_call(&self, call: &Call) -> Result<(), Fault> {
        // SAFETY: the caller's promise.
        unsafe { self.run_entry(call.name, call.entry, call.launch, call.arguments()) }
    }

    /// The same for code of any origin, under a name.
    ///
    /// # Safety
    /// `entry` may be called with `arguments` in every thread of this launch, on any of the workers.
    pub unsafe fn run_entry(
        &self,
        name: &str,
        entry: Entry,
        launch: Launch,
        arguments: *const (),
    ) -> Result<(), Fault> {
        let (blocks, pointer) = (launch.blocks(), Pointer(arguments));
        let fault = |block, thread, cause| Fault {
            kernel: name.to_owned(),
            block,
            thread,
            cause,
        };
        let (next, stop) = (AtomicUsize::new(0), AtomicBool::new(false));
        let first_fault = Mutex::new(None);
        let work = |_: rayon::BroadcastContext<'_>| {
            let done = block::with_block(
                launch,
                entry,
                { pointer }.0,
                |runner| -> Result<(), block::Failure> {
                    while !stop.load(Ordering::Relaxed) {
                        let n = next.fetch_add(1, Ordering::Relaxed);
                        if n >= blocks {
                            return Ok(());
                        }
                        // SAFETY: the caller keeps the kernel's contract.
                        unsafe { runner.run(block_index(n, launch.grid)) }?;
                    }
                    Ok(())
                },
            );
            streamed();
            let failure = match done {
                Ok(Ok(())) => return,
                Ok(Err(f)) => fault(f.block, f.thread, f.cause),
                Err(e) => fault(
                    [0; 3],
                    [0; 3],
                    format!("no memory for the threads' stacks: {e}"),
                ),
            };
            stop.store(true, Ordering::Relaxed);
            first_fault
                .lock()
                .unwrap_or_else(|e| e.into_inner())
                .get_or_insert(failure);
        };
        if blocks > 0 && launch.threads() > 0 {
            self.threads.broadcast(work);
        }
        let fault = first_fault.into_inner().unwrap_or_else(|e| e.into_inner());
        fault.map_or(Ok(()), Err)
    }
}

/// What this worker has stored past the caches is seen by all before anything that it does from here on.
fn streamed() {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: every x86-64 has SSE.
    unsafe {
        core::arch::x86_64::_mm_sfence()
    };
}

fn block_index(n: usize, [x, y, _]: Dim3) -> Dim3 {
    let (x, y) = (x as usize, y as usize);
    [(n % x) as u32, (n / x % y) as u32, (n / (x * y)) as u32]
}
