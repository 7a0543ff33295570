//! Counting what a warp asks of memory.

use super::thread::Thread;
use crate::traffic::{Instruction, Place};

/// An access at a generic address, or at an offset in shared memory.
pub extern "C" fn request(thread: &Thread, address: u64, bytes: u32, in_shared: u32, line: u32) {
    // SAFETY: the reference ends with the function; no other thread runs meanwhile.
    let block = unsafe { thread.block_state() };
    let Some(traffic) = &mut block.traffic else {
        return;
    };
    let window = thread.shared.addr() as u64;
    let in_window = (window..window + u64::from(thread.total_shared)).contains(&address);
    let (place, address) = match in_shared != 0 {
        true => (Place::Shared, address),
        false if in_window => (Place::Shared, address - window),
        false => (Place::Global, address),
    };
    let line = line as usize;
    let lanes = (block.threads - thread.warp * 32).min(32);
    let warp = [thread.warp, thread.lane, lanes];
    traffic.access(Instruction { line, place }, warp, address, bytes as usize);
}

/// When a block's last thread has ended.
pub fn end(thread: &Thread) {
    // SAFETY: the reference ends with the function; no other thread runs meanwhile.
    let block = unsafe { thread.block_state() };
    let launch = thread.launch();
    if let (Some(all), Some(own)) = (&launch.options.traffic, block.traffic.take()) {
        all.add(&launch.kernel, own);
    }
}
