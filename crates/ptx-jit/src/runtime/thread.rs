//! What a thread of a kernel knows: compiled code reads these fields at their offsets.

use std::cell::UnsafeCell;
use std::ptr;
use std::sync::Mutex;

use simt_executor::Dim3;

use super::block::Block;
use crate::{Fault, Options};

/// Why compiled code returns.
pub const ENDED: u32 = 0;
/// A fault was noted: everything ends.
pub const FAULT: u32 = 1;
/// `exit` in a function: the thread ends.
pub const EXIT: u32 = 2;

/// A kernel or function as compiled; a function has pointers to results and parameters as further arguments.
pub type Code = unsafe extern "C" fn(*mut Thread) -> u32;

/// A thread.
#[repr(C)]
pub struct Thread {
    pub thread: Dim3,
    pub block_dim: Dim3,
    pub block: Dim3,
    pub grid_dim: Dim3,
    pub lane: u32,
    pub warp: u32,
    /// Bytes of shared memory: what the launch asks for, and with the kernel's own.
    pub dynamic_shared: u32,
    pub total_shared: u32,
    pub shared: *mut u8,
    pub parameters: *const u8,
    /// The module's variables.
    pub variables: *mut u8,
    /// Basic blocks that may still run.
    pub steps: i64,
    pub launch: *const Launch,
    pub state: *const UnsafeCell<Block>,
    /// Where the arrays of local memory lie.
    pub local: [usize; 2],
    pub number: u32,
}

/// What all threads of a launch share.
pub struct Launch {
    pub kernel: String,
    pub code: Code,
    pub parameters: Vec<u128>,
    pub parameter_bytes: usize,
    pub variables: *mut u8,
    pub variable_bytes: usize,
    pub static_shared: u32,
    pub dynamic_shared: u32,
    pub block_dim: Dim3,
    pub grid_dim: Dim3,
    pub options: Options,
    /// The first fault.
    pub fault: Mutex<Option<Fault>>,
}

impl Thread {
    pub fn launch(&self) -> &Launch {
        // SAFETY: a launch outlives its threads.
        unsafe { &*self.launch }
    }

    /// The block's state.
    ///
    /// # Safety
    /// The reference ends before another thread of the block runs.
    #[allow(clippy::mut_from_ref)]
    pub unsafe fn block_state(&self) -> &mut Block {
        // SAFETY: the caller's promise; all threads of a block run on one core.
        unsafe { &mut *(*self.state).get() }
    }

    /// The block's number in its grid.
    fn block_number(&self) -> u64 {
        let ([x, y, z], [wide, high, _]) =
            (self.block.map(u64::from), self.grid_dim.map(u64::from));
        x + wide * (y + high * z)
    }

    pub fn threads(&self) -> u32 {
        self.block_dim.iter().product()
    }

    /// Notes a fault; the answer is what compiled code returns.
    #[cold]
    pub fn fail(&self, code: i32, line: u32, cause: String) -> u32 {
        let launch = self.launch();
        let fault = Fault {
            code,
            kernel: launch.kernel.clone(),
            block: self.block,
            thread: self.thread,
            line: line as usize,
            cause,
        };
        let mut first = launch.fault.lock().unwrap_or_else(|e| e.into_inner());
        first.get_or_insert(fault);
        FAULT
    }
}

thread_local! {
    /// The state of the block that this core runs.
    static STATE: UnsafeCell<Block> = UnsafeCell::new(Block::default());
}

/// Runs one thread of a launch: what the executor calls.
///
/// # Safety
/// Behind the pointer is a [`Launch`], whose code may run with its parameters.
pub unsafe fn run(launch: *const ()) {
    // SAFETY: the caller's promise.
    let launch: &Launch = unsafe { &*launch.cast() };
    let thread = simt_executor::thread_idx();
    let [x, y, _] = launch.block_dim;
    let number = thread[0] + x * (thread[1] + y * thread[2]);
    let total_shared = launch.static_shared + launch.dynamic_shared;
    let mut own = Thread {
        thread,
        block_dim: launch.block_dim,
        block: simt_executor::block_idx(),
        grid_dim: launch.grid_dim,
        lane: number % 32,
        warp: number / 32,
        dynamic_shared: launch.dynamic_shared,
        total_shared,
        shared: simt_executor::shared_memory(),
        parameters: launch.parameters.as_ptr().cast(),
        variables: launch.variables,
        steps: launch.options.steps.map_or(i64::MAX, |n| n as i64),
        launch,
        state: STATE.with(ptr::from_ref),
        local: [0; 2],
        number,
    };
    if number == 0 {
        // SAFETY: the first thread begins before all others, and holds the reference no longer than this.
        let block = unsafe { own.block_state() };
        block.begin(
            own.block_number(),
            own.threads(),
            total_shared,
            &launch.options,
        );
    }
    // SAFETY: the caller's promise.
    let status = unsafe { (launch.code)(&raw mut own) };
    let status = match status {
        FAULT => FAULT,
        _ => super::wait::end(&own),
    };
    if status == FAULT {
        simt_executor::fail("a fault in compiled PTX".to_owned());
    }
}
