//! Threads of a block exchange through shared memory, barrier by barrier. Run it
//! with the feature `portable-switch`, too: the results are the same.
mod common;

use common::{launch, linear_block, linear_thread, shared};
use simt_executor::{Launch, Pool, block_dim, sync_threads, thread_idx};

/// Sums 1 … n over the threads before and including one, doubling the reach at
/// each step: two barriers a step, and a wrong order at any of them shows.
unsafe fn running_sum(arguments: *const ()) {
    // SAFETY: the kernel is declared with this argument.
    let (out,) = unsafe { *arguments.cast::<(*mut u32,)>() };
    let threads = block_dim().iter().product::<u32>() as usize;
    let (i, values) = (linear_thread(), shared());
    // SAFETY: shared memory has an element for every thread, and the barriers order who uses it.
    unsafe {
        *values.add(i) = i as u32 + 1;
        let mut reach = 1;
        while reach < threads {
            sync_threads();
            let before = if i >= reach {
                *values.add(i - reach)
            } else {
                0
            };
            sync_threads();
            *values.add(i) += before;
            reach *= 2;
        }
        *out.add(linear_block() * threads + i) = *values.add(i);
    }
}
kernel!(RUNNING_SUM(*mut u32) = running_sum);

fn sums(pool: &Pool, launch: Launch) -> Vec<u32> {
    let mut out = vec![0; launch.blocks() * launch.threads()];
    // SAFETY: an element for every thread.
    unsafe { pool.run(&RUNNING_SUM, launch, (out.as_mut_ptr(),)) }.expect("no fault");
    out
}

#[test]
fn threads_see_what_others_wrote_before_the_barrier() {
    let pool = Pool::new(2).expect("two threads");
    let blocks = [
        [1, 1, 1],
        [2, 1, 1],
        [33, 1, 1],
        [1024, 1, 1],
        [1, 7, 1],
        [32, 8, 1],
        [5, 3, 2],
        [4, 4, 16],
        [1, 1, 9],
    ];
    for block in blocks {
        for grid in [[1, 1, 1], [5, 1, 1], [2, 3, 4]] {
            let threads = block.iter().product::<u32>();
            let launch = launch(grid, block, 4 * threads as usize);
            let sum = |i: usize| {
                let n = i as u32 % threads + 1;
                n * (n + 1) / 2
            };
            let want: Vec<u32> = (0..launch.blocks() * launch.threads()).map(sum).collect();
            assert_eq!(sums(&pool, launch), want, "{launch:?}");
        }
    }
}

#[test]
fn any_number_of_cores_gives_the_same() {
    let launch = launch([17, 2, 1], [16, 4, 1], 256);
    let one = sums(&Pool::new(1).expect("a thread"), launch);
    assert_eq!(one, sums(&Pool::new(5).expect("five threads"), launch));
}

/// The thread's index and block's index, as it sees them, after a barrier.
unsafe fn places(arguments: *const ()) {
    // SAFETY: the kernel is declared with this argument.
    let (out,) = unsafe { *arguments.cast::<(*mut [u32; 6],)>() };
    let threads = block_dim().iter().product::<u32>() as usize;
    sync_threads();
    let at = linear_block() * threads + linear_thread();
    let ([a, b, c], [d, e, f]) = (thread_idx(), simt_executor::block_idx());
    // SAFETY: an element for every thread.
    unsafe { *out.add(at) = [a, b, c, d, e, f] };
}
kernel!(PLACES(*mut [u32; 6]) = places);

#[test]
fn every_thread_of_every_block_runs_once() {
    let launch = launch([2, 3, 2], [3, 2, 4], 0);
    let mut out = vec![[u32::MAX; 6]; launch.blocks() * launch.threads()];
    let pool = Pool::new(2).expect("two threads");
    // SAFETY: an element for every thread.
    unsafe { pool.run(&PLACES, launch, (out.as_mut_ptr(),)) }.expect("no fault");
    let mut want = Vec::new();
    for [f, e, d] in indices([2, 3, 2]) {
        want.extend(indices([4, 2, 3]).map(|[c, b, a]| [a, b, c, d, e, f]));
    }
    assert_eq!(out, want);
}

/// Every index below `extents`, the last running fastest.
fn indices([x, y, z]: [u32; 3]) -> impl Iterator<Item = [u32; 3]> {
    (0..x * y * z).map(move |n| [n / (y * z), n / z % y, n % z])
}

/// Registers that a switch must keep: floats and whole numbers across barriers.
unsafe fn kept(arguments: *const ()) {
    // SAFETY: the kernel is declared with this argument.
    let (out,) = unsafe { *arguments.cast::<(*mut f64,)>() };
    let i = linear_thread();
    let (mut a, mut b, mut c, mut n) = (i as f64, 1.5, -2.0, i as u64);
    for round in 0..50 {
        sync_threads();
        a += b * round as f64;
        b = c - b;
        n = n.wrapping_mul(3) + round;
        sync_threads();
        c = a * 0.5 + (n % 7) as f64;
    }
    // SAFETY: an element for every thread.
    unsafe { *out.add(i) = a + b + c + n as f64 };
}
kernel!(KEPT(*mut f64) = kept);

#[test]
fn a_thread_keeps_its_variables_across_barriers() {
    let pool = Pool::new(1).expect("a thread");
    let run = |threads: u32| {
        let mut out = vec![0.0; threads as usize];
        // SAFETY: an element for every thread.
        unsafe {
            pool.run(
                &KEPT,
                launch([1; 3], [threads, 1, 1], 0),
                (out.as_mut_ptr(),),
            )
        }
        .expect("no fault");
        out
    };
    // A lone thread's barrier switches nowhere.
    assert_eq!(run(1)[0], run(64)[0]);
    assert_eq!(run(64), run(128)[..64]);
}
