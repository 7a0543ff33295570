//! Threads of a block that do not pass the same barriers.
mod common;

use common::{launch, linear_thread, run_plain};
use simt_executor::{Entry, sync_threads};

unsafe fn third_leaves_early(_: *const ()) {
    if linear_thread() == 3 {
        return;
    }
    sync_threads();
}

unsafe fn first_leaves_early(_: *const ()) {
    if linear_thread() > 0 {
        sync_threads();
    }
}

unsafe fn last_waits_once_more(_: *const ()) {
    sync_threads();
    if linear_thread() == 7 {
        sync_threads();
    }
}

unsafe fn only_one_waits(_: *const ()) {
    if linear_thread() == 2 {
        sync_threads();
        sync_threads();
    }
}

#[test]
fn are_found_and_named() {
    let kernels: [(Entry, &[[u32; 3]]); 4] = [
        (third_leaves_early, &[[1, 1, 0]]),
        (first_leaves_early, &[[0, 0, 0], [1, 0, 0]]),
        (last_waits_once_more, &[[1, 1, 1]]),
        (only_one_waits, &[[0, 1, 0]]),
    ];
    for (kernel, culprits) in kernels {
        let fault = run_plain(kernel, launch([1; 3], [2, 2, 2], 0)).expect_err("divergent");
        let cause = &fault.cause;
        assert!(cause.starts_with("divergent barrier: "), "{fault}");
        // Of two threads that disagree either may be the one that is wrong.
        let named = |culprit: &[u32; 3]| {
            fault.thread == *culprit || cause.contains(&format!("thread {culprit:?}"))
        };
        assert!(culprits.iter().any(named), "{fault}");
        assert_eq!((fault.kernel, fault.block), ("plain".to_owned(), [0, 0, 0]));
    }
}

unsafe fn whole_block_takes_another_way(_: *const ()) {
    if simt_executor::block_idx()[0] == 1 {
        return;
    }
    sync_threads();
    sync_threads();
}

#[test]
fn blocks_may_differ() {
    assert_eq!(
        run_plain(
            whole_block_takes_another_way,
            launch([3, 1, 1], [8, 1, 1], 0)
        ),
        Ok(())
    );
}
