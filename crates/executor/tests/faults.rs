//! The checked mode finds planted faults, and names kernel, block and thread.
mod common;

use common::{launch, linear_thread, run_plain};
use simt_executor::memory::{check, check_shared, register, unregister};
use simt_executor::{Fault, Launch, Pool};

/// Thread 5 of block 1 touches what it is told to; the others what is allowed.
unsafe fn touches(arguments: *const ()) {
    let (pointer, count, align, good) =
        unsafe { *arguments.cast::<(*const f32, usize, usize, *const f32)>() };
    if simt_executor::block_idx()[0] == 1 && linear_thread() == 5 {
        check(pointer, count, align);
    }
    check(good, 1, 4);
}
kernel!(TOUCHES(*const f32, usize, usize, *const f32) = touches);

#[repr(align(64))]
struct Memory([f32; 64]);

/// The outcome of touching `count` floats from float `offset` on.
fn touch(offset: isize, count: usize, align: usize) -> Result<(), Fault> {
    let memory = Memory([0.0; 64]);
    let base = memory.0.as_ptr();
    // The buffer is the middle half.
    let start = base.wrapping_add(16);
    register(start.cast(), 32 * 4);
    let arguments = (start.wrapping_offset(offset), count, align, start);
    let pool = Pool::new(2).expect("two threads");
    // SAFETY: the kernel only checks.
    let result = unsafe { pool.run(&TOUCHES, launch([3, 1, 1], [2, 4, 1], 0), arguments) };
    unregister(start.cast());
    result
}

fn named(result: Result<(), Fault>, cause: &str) {
    let fault = result.expect_err(cause);
    assert_eq!(
        (fault.kernel.as_str(), fault.block, fault.thread),
        ("touches", [1, 0, 0], [1, 2, 0])
    );
    assert!(fault.cause.contains(cause), "{fault}");
}

#[test]
fn inside_is_allowed() {
    assert_eq!(touch(0, 32, 64), Ok(()));
    assert_eq!(touch(31, 1, 4), Ok(()));
}

#[test]
fn out_of_bounds() {
    for (offset, count) in [(32, 1), (-1, 1), (24, 16), (0, 33), (1 << 40, 1)] {
        named(touch(offset, count, 4), "out of bounds");
    }
}

#[test]
fn misaligned() {
    named(touch(1, 4, 16), "misaligned");
    named(touch(2, 4, 16), "misaligned");
}

#[test]
fn a_buffer_given_back_is_out_of_bounds() {
    let memory = Memory([0.0; 64]);
    let start = memory.0.as_ptr();
    register(start.cast(), 256);
    unregister(start.cast());
    let other = Memory([0.0; 64]);
    register(other.0.as_ptr().cast(), 256);
    let pool = Pool::new(1).expect("a thread");
    let arguments = (start, 1, 4, other.0.as_ptr());
    // SAFETY: the kernel only checks.
    let result = unsafe { pool.run(&TOUCHES, launch([3, 1, 1], [2, 4, 1], 0), arguments) };
    unregister(other.0.as_ptr().cast());
    named(result, "out of bounds");
}

unsafe fn beyond_shared(_: *const ()) {
    check_shared(16 * linear_thread(), 16, 16);
}

unsafe fn askew_in_shared(_: *const ()) {
    check_shared(16 * linear_thread() + linear_thread() / 3 * 4, 16, 16);
}

#[test]
fn shared_memory() {
    let eight = |shared: usize| -> Launch { launch([1; 3], [8, 1, 1], shared) };
    assert_eq!(run_plain(beyond_shared, eight(128)), Ok(()));
    let fault = run_plain(beyond_shared, eight(127)).expect_err("beyond");
    assert_eq!(fault.thread, [7, 0, 0]);
    assert!(
        fault.cause.starts_with("shared memory out of bounds"),
        "{fault}"
    );
    let fault = run_plain(askew_in_shared, eight(256)).expect_err("askew");
    assert_eq!(fault.thread, [3, 0, 0]);
    assert!(
        fault.cause.starts_with("shared memory misaligned"),
        "{fault}"
    );
}

unsafe fn shared_by_pointer(_: *const ()) {
    let shared = simt_executor::shared_memory();
    check(shared.wrapping_add(16 * linear_thread()), 16, 16);
}

#[test]
fn a_pointer_to_shared_memory() {
    let eight = |shared: usize| -> Launch { launch([1; 3], [8, 1, 1], shared) };
    assert_eq!(run_plain(shared_by_pointer, eight(128)), Ok(()));
    let fault = run_plain(shared_by_pointer, eight(127)).expect_err("beyond");
    assert_eq!(fault.thread, [7, 0, 0]);
    assert!(fault.cause.starts_with("out of bounds"), "{fault}");
}
