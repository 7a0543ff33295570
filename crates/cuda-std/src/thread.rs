//! A thread's place in its block and grid, and the block's barrier.

#[cfg(target_arch = "nvptx64")]
use core::arch::nvptx;

macro_rules! index {
    ($name:ident, $intrinsic:ident, $source:ident, $axis:literal, $doc:literal) => {
        #[doc = $doc]
        #[inline(always)]
        pub fn $name() -> u32 {
            #[cfg(target_arch = "nvptx64")]
            // SAFETY: reads a special register.
            return unsafe { nvptx::$intrinsic() as u32 };
            #[cfg(not(target_arch = "nvptx64"))]
            return simt_executor::$source()[$axis];
        }
    };
}
index!(
    thread_idx_x,
    _thread_idx_x,
    thread_idx,
    0,
    "Index of this thread in its block, along x."
);
index!(
    thread_idx_y,
    _thread_idx_y,
    thread_idx,
    1,
    "Index of this thread in its block, along y."
);
index!(
    thread_idx_z,
    _thread_idx_z,
    thread_idx,
    2,
    "Index of this thread in its block, along z."
);
index!(
    block_idx_x,
    _block_idx_x,
    block_idx,
    0,
    "Index of this block in the grid, along x."
);
index!(
    block_idx_y,
    _block_idx_y,
    block_idx,
    1,
    "Index of this block in the grid, along y."
);
index!(
    block_idx_z,
    _block_idx_z,
    block_idx,
    2,
    "Index of this block in the grid, along z."
);
index!(
    block_dim_x,
    _block_dim_x,
    block_dim,
    0,
    "Threads in a block along x."
);
index!(
    block_dim_y,
    _block_dim_y,
    block_dim,
    1,
    "Threads in a block along y."
);
index!(
    block_dim_z,
    _block_dim_z,
    block_dim,
    2,
    "Threads in a block along z."
);
index!(
    grid_dim_x,
    _grid_dim_x,
    grid_dim,
    0,
    "Blocks in the grid along x."
);
index!(
    grid_dim_y,
    _grid_dim_y,
    grid_dim,
    1,
    "Blocks in the grid along y."
);
index!(
    grid_dim_z,
    _grid_dim_z,
    grid_dim,
    2,
    "Blocks in the grid along z."
);

/// This thread's index in a grid and blocks that extend along x alone.
#[inline(always)]
pub fn index_1d() -> u32 {
    thread_idx_x() + block_idx_x() * block_dim_x()
}

/// Waits until every thread of the block has come here; what they wrote to
/// shared and global memory before is then seen by all of them.
///
/// Every thread of the block must come here equally often.
#[inline(always)]
pub fn sync_threads() {
    #[cfg(target_arch = "nvptx64")]
    // SAFETY: a barrier; that all threads reach it is the caller's duty, and
    // missing it hangs rather than corrupts.
    unsafe {
        nvptx::_syncthreads()
    };
    #[cfg(not(target_arch = "nvptx64"))]
    simt_executor::sync_threads();
}
