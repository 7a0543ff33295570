//! What goes wrong in a kernel ends its launch with an error, and nothing else.
mod common;

use common::{launch, linear_block, linear_thread};
use simt_executor::{Fault, Pool, sync_threads};

/// Block 2's thread `thread` panics after `barriers` barriers.
unsafe fn panics(arguments: *const ()) {
    // SAFETY: the kernel is declared with these arguments.
    let (thread, barriers) = unsafe { *arguments.cast::<(usize, usize)>() };
    for done in 0..3 {
        if linear_block() == 2 && linear_thread() == thread && done == barriers {
            panic!("thread {thread} gives up");
        }
        sync_threads();
    }
}
kernel!(PANICS(usize, usize) = panics);

#[test]
fn a_panic_is_an_error_that_names_its_thread() {
    let pool = Pool::new(2).expect("two threads");
    for thread in [0, 3, 11] {
        for barriers in [0, 1, 2] {
            // SAFETY: the kernel touches no memory.
            let run = |thread| unsafe {
                pool.run(&PANICS, launch([2, 2, 1], [4, 3, 1], 0), (thread, barriers))
            };
            let want = Fault {
                kernel: "panics".into(),
                block: [0, 1, 0],
                thread: [thread as u32 % 4, thread as u32 / 4, 0],
                cause: format!("thread {thread} gives up"),
            };
            assert_eq!(run(thread), Err(want.clone()));
            let text = want.to_string();
            assert!(
                text.starts_with("kernel panics, block [0, 1, 0], thread ["),
                "{text}"
            );
            // The pool goes on: no thread of this number gives up.
            assert_eq!(run(99), Ok(()));
        }
    }
}
