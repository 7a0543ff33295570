//! How a kernel shares a long row of elements out among threads.
//!
//! A block takes [`SPAN`] consecutive elements; its threads take vectors of them
//! in turn. A GPU's 256 threads then read 4 KiB side by side at a time, and the
//! CPU's one thread runs through the whole span.

use crate::device::*;

#[cfg(not(target_arch = "nvptx64"))]
use {crate::target::Target, cuda_std::simt::Launch};

/// Elements of a block.
pub const SPAN: u32 = 4096;

/// One thread's elements: the vectors at `i`, `i + step`, … below `end`.
pub struct Walk {
    /// Where the next vector begins.
    pub i: usize,
    /// From one vector to the next.
    pub step: usize,
    /// The end of the block's elements.
    pub end: usize,
}

impl Walk {
    /// This thread's part of elements `0..len`, as [`launch`] shares them out.
    #[inline(always)]
    pub fn over<V: Vector>(len: u32) -> Walk {
        Walk::of_block::<V>(thread::block_idx_x(), SPAN, len)
    }

    /// This thread's part of elements `block · span .. (block + 1) · span`, as
    /// far as they are below `len`, which is a multiple of the lanes.
    #[inline(always)]
    pub fn of_block<V: Vector>(block: u32, span: u32, len: u32) -> Walk {
        let begin = block * span;
        let end = if len - begin < span {
            len
        } else {
            begin + span
        };
        Walk {
            i: begin as usize + thread::thread_idx_x() as usize * V::LANES,
            step: thread::block_dim_x() as usize * V::LANES,
            end: end as usize,
        }
    }
}

/// The launch of a kernel over `len` elements.
#[cfg(not(target_arch = "nvptx64"))]
pub fn launch(len: u32, target: Target) -> Launch {
    let blocks = len.div_ceil(SPAN).max(1);
    Launch {
        grid: [blocks, 1, 1],
        block: [threads(target), 1, 1],
        shared: 0,
    }
}

/// Threads of a block.
#[cfg(not(target_arch = "nvptx64"))]
pub fn threads(target: Target) -> u32 {
    match target {
        Target::Cpu => 1,
        Target::Gpu => 256,
    }
}
