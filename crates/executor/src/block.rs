//! The threads of one block.
//!
//! Each worker owns one [`Block`] and runs one block of a grid after the other
//! on it. A fiber takes the block's next thread that has not begun, runs it to
//! its end and takes another; at a barrier it switches to a further fiber, which
//! does the same, until no thread is left to begin. From then on a barrier
//! switches to the next fiber in turn, so every thread reaches the barrier
//! before the first goes on.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::ptr;

use crate::fiber::{Fibers, Target};
use crate::kernel::{Dim3, Entry, Launch};

/// A worker's block: what a kernel's thread can ask about itself, and its stacks.
pub(crate) struct Block {
    thread: Dim3,
    block: Dim3,
    launch: Launch,
    entry: Entry,
    arguments: *const (),
    shared: Vec<SharedLine>,
    fibers: Fibers,
    slots: Vec<Slot>,
    /// Threads begun, in order of their number.
    begun: usize,
    /// The fiber that runs now.
    running: usize,
    /// Fibers used so far: `0..used`.
    used: usize,
    /// Fibers whose thread waits at a barrier or runs.
    live: usize,
    /// The first thread that ended, and the barriers it had passed.
    ended: Option<Slot>,
    failure: Option<Failure>,
}

/// Shared memory is aligned as the widest vector wants it.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct SharedLine([u8; 64]);

/// One fiber's thread.
#[derive(Clone, Copy, Default)]
struct Slot {
    thread: Dim3,
    barriers: u32,
    /// Whether another thread has run in between, at a barrier or elsewhere.
    switched: bool,
    done: bool,
}

/// What went wrong in a block, and in which thread.
pub(crate) struct Failure {
    pub(crate) block: Dim3,
    pub(crate) thread: Dim3,
    pub(crate) cause: String,
}

/// The panic by which [`fail`] leaves a thread.
struct Stop(String);

thread_local! {
    static CURRENT: Cell<*mut Block> = const { Cell::new(ptr::null_mut()) };
    static OWN: RefCell<Option<Box<Block>>> = const { RefCell::new(None) };
}

/// Runs `work` with this worker's block made ready for `launch`.
pub(crate) fn with_block<R>(
    launch: Launch,
    entry: Entry,
    arguments: *const (),
    work: impl FnOnce(&mut Runner) -> R,
) -> std::io::Result<R> {
    OWN.with_borrow_mut(|own| {
        let block = own.get_or_insert_with(|| Box::new(Block::new()));
        block.prepare(launch, entry, arguments)?;
        CURRENT.set(&raw mut **block);
        let result = work(&mut Runner(CURRENT.get()));
        CURRENT.set(ptr::null_mut());
        Ok(result)
    })
}

/// Runs one block after the other.
pub(crate) struct Runner(*mut Block);

impl Runner {
    /// Runs every thread of the block of this index.
    ///
    /// # Safety
    /// The kernel's own contract.
    pub(crate) unsafe fn run(&mut self, index: Dim3) -> Result<(), Failure> {
        // SAFETY: `Block` outlives the runner and only this worker touches it.
        // No reference is held across the switch into the fibers.
        unsafe {
            (*self.0).begin(index);
            let fibers = &raw mut (*self.0).fibers;
            Fibers::run(fibers);
            (*self.0).finish()
        }
    }
}

impl Block {
    fn new() -> Self {
        Block {
            thread: [0; 3],
            block: [0; 3],
            launch: Launch {
                grid: [1; 3],
                block: [1; 3],
                shared: 0,
            },
            entry: |_| (),
            arguments: ptr::null(),
            shared: Vec::new(),
            fibers: Fibers::new(fiber_main),
            slots: Vec::new(),
            begun: 0,
            running: 0,
            used: 1,
            live: 0,
            ended: None,
            failure: None,
        }
    }

    fn prepare(
        &mut self,
        launch: Launch,
        entry: Entry,
        arguments: *const (),
    ) -> std::io::Result<()> {
        let threads = launch.threads();
        (self.launch, self.entry, self.arguments) = (launch, entry, arguments);
        self.fibers.reserve(threads)?;
        self.slots.resize(threads, Slot::default());
        let lines = (launch.shared as usize).div_ceil(size_of::<SharedLine>());
        if self.shared.len() < lines {
            self.shared.resize(lines, SharedLine([0; 64]));
        }
        Ok(())
    }

    fn begin(&mut self, index: Dim3) {
        self.block = index;
        (self.begun, self.running, self.used, self.live) = (0, 0, 1, 0);
        (self.ended, self.failure) = (None, None);
        self.fibers.reset();
        if cfg!(feature = "checked") {
            // Shared memory holds nothing at first: reading it must show.
            self.shared.fill(SharedLine([0xff; 64]));
        }
    }

    fn finish(&mut self) -> Result<(), Failure> {
        self.failure.take().map_or(Ok(()), Err)
    }

    /// Every thread of a block must pass the same barriers.
    fn end_thread(&mut self) -> bool {
        let slot = &mut self.slots[self.running];
        slot.done = true;
        let slot = *slot;
        self.live -= 1;
        let first = *self.ended.get_or_insert(slot);
        if slot.barriers != first.barriers && self.failure.is_none() {
            let cause = format!(
                "divergent barrier: this thread reached sync_threads {} times, thread {:?} {} times",
                slot.barriers, first.thread, first.barriers
            );
            self.failure = Some(Failure {
                block: self.block,
                thread: slot.thread,
                cause,
            });
        }
        slot.switched
    }

    /// The number of the next thread to begin becomes the running fiber's thread.
    fn take_thread(&mut self) -> bool {
        if self.begun == self.launch.threads() {
            return false;
        }
        let n = self.begun as u32;
        let [x, y, _] = self.launch.block;
        self.thread = [n % x, n / x % y, n / (x * y)];
        self.slots[self.running] = Slot {
            thread: self.thread,
            barriers: 0,
            switched: false,
            done: false,
        };
        self.begun += 1;
        self.live += 1;
        true
    }
}

/// A fiber's life: threads until there are no more, then the way out.
extern "C" fn fiber_main() -> ! {
    let this = CURRENT.get();
    // SAFETY: fibers run only within `Runner::run`, while CURRENT points at the
    // worker's block. References are not held across a switch.
    unsafe {
        while (*this).take_thread() {
            let (entry, arguments) = ((*this).entry, (*this).arguments);
            if let Err(panic) = catch_unwind(AssertUnwindSafe(|| entry(arguments))) {
                (*this).fail(panic);
                leave(this, Target::Caller);
            }
            let switched = (*this).end_thread();
            if switched {
                break;
            }
        }
        let to = (*this).after_end();
        leave(this, to);
    }
    unreachable!("a fiber that has ended was resumed")
}

/// # Safety
/// On the running fiber's stack.
unsafe fn leave(this: *mut Block, to: Target) {
    // SAFETY: the caller runs on the fiber that is left, so `this` is its block.
    unsafe {
        let from = (*this).running;
        (*this).resume_as(to);
        Fibers::switch(&raw mut (*this).fibers, from, to);
    }
}

impl Block {
    /// Whose turn it is after the running thread.
    fn next_thread(&mut self) -> Target {
        if self.begun == self.launch.threads() {
            return self.next_live();
        }
        // Until all have begun, the fiber that runs is the newest.
        self.used = self.running + 2;
        Target::Fiber(self.running + 1)
    }

    /// Where to go when the running fiber has nothing more to do.
    fn after_end(&mut self) -> Target {
        if self.live == 0 {
            Target::Caller
        } else {
            self.next_live()
        }
    }

    fn next_live(&self) -> Target {
        let mut next = self.running;
        loop {
            next = if next + 1 == self.used { 0 } else { next + 1 };
            if !self.slots[next].done {
                return Target::Fiber(next);
            }
        }
    }

    fn resume_as(&mut self, to: Target) {
        if let Target::Fiber(i) = to {
            self.running = i;
            self.thread = self.slots[i].thread;
        }
    }

    fn fail(&mut self, panic: Box<dyn Any + Send>) {
        let cause = match panic.downcast::<Stop>() {
            Ok(stop) => stop.0,
            Err(panic) => match panic.downcast_ref::<&str>() {
                Some(text) => (*text).to_owned(),
                None => panic
                    .downcast_ref::<String>()
                    .cloned()
                    .unwrap_or("panic".into()),
            },
        };
        self.failure = Some(Failure {
            block: self.block,
            thread: self.thread,
            cause,
        });
    }
}

#[inline(always)]
fn current() -> *mut Block {
    let block = CURRENT.get();
    assert!(!block.is_null(), "called outside a kernel");
    block
}

/// Ends the running thread's block, and the launch, with an error: its cause. Unwinds the thread's stack.
pub fn fail(cause: String) -> ! {
    resume_unwind(Box::new(Stop(cause)))
}

/// Index of the running thread in its block.
#[inline(always)]
pub fn thread_idx() -> Dim3 {
    // SAFETY: `current` is this worker's block, which no reference borrows while a kernel runs.
    unsafe { (*current()).thread }
}

/// Index of the running thread's block in the grid.
#[inline(always)]
pub fn block_idx() -> Dim3 {
    // SAFETY: `current` is this worker's block, which no reference borrows while a kernel runs.
    unsafe { (*current()).block }
}

/// Threads in a block.
#[inline(always)]
pub fn block_dim() -> Dim3 {
    // SAFETY: `current` is this worker's block, which no reference borrows while a kernel runs.
    unsafe { (*current()).launch.block }
}

/// Blocks in the grid.
#[inline(always)]
pub fn grid_dim() -> Dim3 {
    // SAFETY: `current` is this worker's block, which no reference borrows while a kernel runs.
    unsafe { (*current()).launch.grid }
}

/// The block's shared memory: the same for all its threads, aligned to 64 bytes.
#[inline(always)]
pub fn shared_memory() -> *mut u8 {
    // SAFETY: `current` is this worker's block, which no reference borrows while a kernel runs. The reference ends here.
    let shared = unsafe { &mut (*current()).shared };
    shared.as_mut_ptr().cast()
}

/// Bytes of the block's shared memory.
#[inline(always)]
pub fn shared_len() -> usize {
    // SAFETY: `current` is this worker's block, which no reference borrows while a kernel runs.
    unsafe { (*current()).launch.shared as usize }
}

/// Waits until every thread of the block has come here.
#[inline(never)]
pub fn sync_threads() {
    let this = current();
    // SAFETY: on the running fiber's stack; nothing borrows the block.
    unsafe {
        let from = (*this).running;
        (&mut (*this).slots)[from].barriers += 1;
        switch(this);
    }
}

/// Lets the block's other threads run, each until it waits or ends, and comes back: for kernels that wait for something
/// other than all threads, over and over until it is there. They do not use [`sync_threads`].
#[inline(never)]
pub fn switch_threads() {
    // SAFETY: on the running fiber's stack; nothing borrows the block.
    unsafe { switch(current()) }
}

/// # Safety
/// On the running fiber's stack; nothing borrows the block.
unsafe fn switch(this: *mut Block) {
    // SAFETY: the caller's promise.
    unsafe {
        let from = (*this).running;
        (&mut (*this).slots)[from].switched = true;
        let to = (*this).next_thread();
        if to == Target::Fiber(from) {
            return;
        }
        (*this).resume_as(to);
        Fibers::switch(&raw mut (*this).fibers, from, to);
    }
}
