//! How many blocks of a kernel fit a multiprocessor, by threads and shared memory; registers only the compiler knows.

use std::ffi::{c_int, c_uint, c_void};

use crate::state::*;

/// What a multiprocessor of compute capability 9.0 has.
const THREADS: u32 = 2048;
const BLOCKS: u32 = 32;
const SHARED: usize = 228 << 10;
/// What the driver takes of it for each block.
const RESERVED: usize = 1 << 10;
pub const MULTIPROCESSORS: u32 = 132;
const WARP: u32 = 32;

/// Blocks of so many threads and bytes of shared memory that are there at once.
fn blocks(threads: u32, shared: usize) -> u32 {
    let by_threads = THREADS / threads.next_multiple_of(WARP);
    let by_shared = SHARED / shared.saturating_add(RESERVED);
    by_threads.min(BLOCKS).min(by_shared as u32)
}

/// That a kernel may have blocks of so many threads.
fn check(state: &State, function: *mut c_void, threads: c_int) -> Result<u32, Code> {
    let most = most_threads(state, function)?;
    let threads = u32::try_from(threads).map_err(|_| INVALID_VALUE)?;
    (1..=most)
        .contains(&threads)
        .then_some(threads)
        .ok_or(INVALID_VALUE)
}

fn most_threads(state: &State, function: *mut c_void) -> Result<u32, Code> {
    let found = state.functions.get(&(function.addr() as u64));
    Ok(found.ok_or(INVALID_HANDLE)?.entry.most_threads())
}

/// # Safety
/// As the driver's, here and below: pointers are valid for what is written or read.
unsafe fn active(
    name: &'static str,
    count: *mut c_int,
    function: *mut c_void,
    threads: c_int,
    shared: usize,
) -> Code {
    call(name, |state, _| {
        let threads = check(state, function, threads)?;
        // SAFETY: see above, here and below.
        unsafe { *count = blocks(threads, shared) as c_int };
        Ok(())
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuOccupancyMaxActiveBlocksPerMultiprocessor(
    count: *mut c_int,
    function: *mut c_void,
    threads: c_int,
    shared: usize,
) -> Code {
    let name = "cuOccupancyMaxActiveBlocksPerMultiprocessor";
    // SAFETY: the caller's promise, passed on.
    unsafe { active(name, count, function, threads, shared) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(
    count: *mut c_int,
    function: *mut c_void,
    threads: c_int,
    shared: usize,
    _flags: c_uint,
) -> Code {
    let name = "cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags";
    // SAFETY: the caller's promise, passed on.
    unsafe { active(name, count, function, threads, shared) }
}

/// Shared memory that a block can have where so many of them are to be there at once.
#[unsafe(no_mangle)]
unsafe extern "C" fn cuOccupancyAvailableDynamicSMemPerBlock(
    bytes: *mut usize,
    function: *mut c_void,
    count: c_int,
    threads: c_int,
) -> Code {
    call("cuOccupancyAvailableDynamicSMemPerBlock", |state, _| {
        let threads = check(state, function, threads)?;
        let count = u32::try_from(count).map_err(|_| INVALID_VALUE)?;
        if count == 0 || count > blocks(threads, 0) {
            return Err(INVALID_VALUE);
        }
        let most = crate::work::MOST_SHARED as usize;
        // SAFETY: the caller gives room for the answer, as CUDA asks.
        unsafe { *bytes = (SHARED / count as usize - RESERVED).min(most) };
        Ok(())
    })
}

/// The shared memory of a block of so many threads.
type SharedOf = Option<extern "C" fn(c_int) -> usize>;

/// The largest block with which the most threads are there at once, and the grid that fills the device.
///
/// # Safety
/// As the driver's.
unsafe fn potential(
    name: &'static str,
    [grid, block]: [*mut c_int; 2],
    function: *mut c_void,
    shared: impl Fn(u32) -> usize,
    limit: c_int,
) -> Code {
    call(name, |state, _| {
        let most = most_threads(state, function)?;
        let most = match limit {
            1.. => most.min(limit as u32),
            _ => most,
        };
        let sizes = (1..=most / WARP).map(|warps| warps * WARP).chain([most]);
        let best = sizes.max_by_key(|&threads| threads * blocks(threads, shared(threads)));
        let threads = best.ok_or(INVALID_VALUE)?;
        let count = MULTIPROCESSORS * blocks(threads, shared(threads));
        // SAFETY: the caller gives room for the answers, as CUDA asks.
        unsafe { (*grid, *block) = (count as c_int, threads as c_int) };
        Ok(())
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuOccupancyMaxPotentialBlockSize(
    grid: *mut c_int,
    block: *mut c_int,
    function: *mut c_void,
    shared_of: SharedOf,
    shared: usize,
    limit: c_int,
) -> Code {
    let shared = |threads: u32| shared_of.map_or(shared, |of| of(threads as c_int));
    let name = "cuOccupancyMaxPotentialBlockSize";
    // SAFETY: the caller's promise, passed on.
    unsafe { potential(name, [grid, block], function, shared, limit) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuOccupancyMaxPotentialBlockSizeWithFlags(
    grid: *mut c_int,
    block: *mut c_int,
    function: *mut c_void,
    shared_of: SharedOf,
    shared: usize,
    limit: c_int,
    _flags: c_uint,
) -> Code {
    let shared = |threads: u32| shared_of.map_or(shared, |of| of(threads as c_int));
    let name = "cuOccupancyMaxPotentialBlockSizeWithFlags";
    // SAFETY: the caller's promise, passed on.
    unsafe { potential(name, [grid, block], function, shared, limit) }
}
