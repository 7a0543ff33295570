//! Barriers of a block, and how a thread waits.

use super::thread::{ENDED, Thread};
use crate::LAUNCH_FAILED;

/// Waits until something holds, which another of the block's threads brings about; that one takes this off those that
/// wait.
pub fn until(thread: &Thread, line: u32, what: &str, done: impl Fn(&Thread) -> bool) -> u32 {
    // SAFETY: the reference ends with the statement, here and below.
    unsafe { thread.block_state() }.waiting += 1;
    while !done(thread) {
        // SAFETY: see above.
        let block = unsafe { thread.block_state() };
        if block.waiting + block.ended == block.threads {
            let cause = format!(
                "waits for {what} for ever: of the block's {} threads {} have ended and the others wait",
                block.threads, block.ended
            );
            return thread.fail(LAUNCH_FAILED, line, cause);
        }
        simt_executor::switch_threads();
    }
    ENDED
}

/// A thread ends: barriers for all threads do not wait for it any more, as GPUs have it since compute capability 7.0.
/// Where shared memory is watched that is a fault, since CUDA promises nothing.
pub fn end(thread: &Thread) -> u32 {
    // SAFETY: the reference ends with the function.
    let block = unsafe { thread.block_state() };
    block.ended += 1;
    if block.ended == block.threads {
        super::requests::end(thread);
        return ENDED;
    }
    if block.waiting == 0 || block.waiting + block.ended < block.threads {
        return ENDED;
    }
    let index = block.barriers.iter().position(|one| one.waiters > 0);
    let line = index.map_or(0, |index| block.barriers[index].line);
    if !thread.launch().options.shared
        && let Some(index) = index
        && block.barriers[index].for_all
        && block.barriers[index].arrived + block.ended == block.threads
    {
        block.complete(index);
        return ENDED;
    }
    let cause = format!(
        "divergent threads: {} of the block's {} have ended while the others wait for them",
        block.ended, block.threads
    );
    thread.fail(LAUNCH_FAILED, line, cause)
}

/// What a thread does at a barrier.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Role {
    Sync = 0,
    /// It goes on without waiting.
    Arrive = 1,
    /// It counts the threads whose predicate holds.
    Count = 2,
}

/// `bar.sync`, `bar.arrive` and `bar.red`: `expected` threads, or all if it is 0.
pub extern "C" fn barrier(
    thread: &Thread,
    index: u32,
    expected: u32,
    role: u32,
    predicate: u32,
    line: u32,
) -> u32 {
    // SAFETY: the reference ends before another thread runs.
    let block = unsafe { thread.block_state() };
    if index >= 16 || !expected.is_multiple_of(32) {
        let cause =
            format!("barrier {index} for {expected} threads: there are 16, for whole warps");
        return thread.fail(LAUNCH_FAILED, line, cause);
    }
    let for_all = expected == 0;
    let expected = match for_all {
        true if thread.launch().options.shared => block.threads,
        true => block.threads - block.ended,
        false => expected.min(block.threads),
    };
    let barrier = &mut block.barriers[index as usize];
    if barrier.arrived == 0 {
        (barrier.count, barrier.line, barrier.for_all) = (0, line, for_all);
    }
    barrier.arrived += 1;
    barrier.count += predicate;
    let generation = barrier.generation;
    if barrier.arrived == expected {
        block.complete(index as usize);
        return ENDED;
    }
    if role == Role::Arrive as u32 {
        return ENDED;
    }
    barrier.waiters += 1;
    until(thread, line, "a barrier", |thread| {
        // SAFETY: the reference ends with the comparison.
        let block = unsafe { thread.block_state() };
        block.barriers[index as usize].generation != generation
    })
}

/// How many threads' predicates held at the last completed barrier of this index.
pub extern "C" fn barrier_count(thread: &Thread, index: u32) -> u32 {
    // SAFETY: the reference ends with the function.
    unsafe { thread.block_state() }.barriers[(index % 16) as usize].last_count
}

/// Lets others go first.
pub extern "C" fn pass(_: &Thread) {
    simt_executor::switch_threads();
}

/// `trap`.
pub extern "C" fn trap(thread: &Thread, line: u32) -> u32 {
    thread.fail(LAUNCH_FAILED, line, "trap".to_owned())
}

/// More basic blocks than a thread may run.
pub extern "C" fn too_long(thread: &Thread, line: u32) -> u32 {
    let steps = thread.launch().options.steps.unwrap_or(u64::MAX);
    let cause = format!("still runs after {steps} basic blocks");
    thread.fail(crate::LAUNCH_TIMEOUT, line, cause)
}
