//! The matrix product under every convolution and fully connected layer.
//!
//! `C[i][j] = Σₖ A[k][i] · B[k][j]`, summed over k in order by fused
//! multiply-adds, so the bits do not depend on how the work is cut.
//!
//! A block computes a tile of C. It walks along k in slabs, which it brings to
//! shared memory: on a GPU one while it multiplies the other, on a CPU just
//! before.
//!
//! ```text
//!               COLS
//!            ┌─────────┐
//!            │  B slab │ DEPTH          one thread's share of the tile:
//!            └─────────┘                THREAD_ROWS × (THREAD_VECTORS · lanes)
//!   DEPTH                               accumulators in registers
//!  ┌─────┐   ┌─────────┐
//!  │  A  │   │  C tile │ ROWS
//!  │slab │   │         │
//!  └─────┘   └─────────┘
//! ```
//!
//! What A and B are is up to a [`Source`]: a matrix, or images under a moving
//! window, which is what makes the product a convolution.

use crate::device::*;

mod ahead;
mod cpu;
mod gpu;
mod multiply;
mod slab;
mod source;

use slab::Layout;
pub use source::{Matrix, Source};

/// k is padded with zeros to a multiple of this, on every device alike.
pub const K_STEP: u32 = 16;

/// How a block's tile of C is cut. Only speed depends on it.
///
/// Rows of a thread come in groups of `GROUP`, a group's rows are neighbours.
/// A thread has `PASSES` such tiles one below the other in each of `PANELS`
/// columns of them, one at a time. `STAGE` is the number of vectors of each operand
/// a thread holds in registers on their way to shared memory; 0 where loads need no
/// hiding (a CPU).
pub struct Tile<
    const ROWS: usize,
    const COLS: usize,
    const DEPTH: usize,
    const THREAD_ROWS: usize,
    const GROUP: usize,
    const THREAD_VECTORS: usize,
    const PASSES: usize,
    const PANELS: usize,
    const STAGE: usize,
>;

/// The tile of a CPU, where a block is one thread, with 8×32 accumulators at a
/// time.
pub type CpuTile = Tile<192, 256, 128, 8, 8, 2, 24, 8, 0>;
/// The tile of a GPU: 256 threads with 8×8 accumulators each.
pub type GpuTile = Tile<128, 128, 16, 8, 4, 2, 1, 1, 2>;

/// The tile of the device this is compiled for.
#[cfg(target_arch = "nvptx64")]
pub type NativeTile = GpuTile;
/// The tile of the device this is compiled for.
#[cfg(not(target_arch = "nvptx64"))]
pub type NativeTile = CpuTile;

impl<
    const ROWS: usize,
    const COLS: usize,
    const DEPTH: usize,
    const THREAD_ROWS: usize,
    const GROUP: usize,
    const THREAD_VECTORS: usize,
    const PASSES: usize,
    const PANELS: usize,
    const STAGE: usize,
> Tile<ROWS, COLS, DEPTH, THREAD_ROWS, GROUP, THREAD_VECTORS, PASSES, PANELS, STAGE>
{
    /// Rows of C that a block computes.
    pub const ROWS: usize = ROWS;
    /// Columns of C that a block computes.
    pub const COLS: usize = COLS;
    /// Bytes of shared memory: a slab of A and a panel of B; on a GPU two slabs of
    /// each, as one is brought while the other is multiplied.
    pub const SHARED: usize = Self::SLABS * size_of::<f32>() * if STAGE > 0 { 2 } else { 1 };

    /// Floats of one slab of A, and of one slab of each.
    const SLAB_A: usize = DEPTH * (ROWS + Self::PAD);
    const SLABS: usize = Self::SLAB_A + DEPTH * (COLS / PANELS + Self::PAD);
    const PAD: usize = slab::pad(STAGE > 0);
    /// Steps of k written out in the innermost loop.
    const UNROLL: usize = if STAGE > 0 { 2 } else { 4 };

    /// Threads of a block, for vectors of `lanes` lanes.
    pub const fn threads(lanes: usize) -> usize {
        ROWS / (THREAD_ROWS * PASSES) * Self::threads_across(lanes)
    }

    const fn threads_across(lanes: usize) -> usize {
        COLS / (THREAD_VECTORS * lanes * PANELS)
    }

    /// Computes this block's tile of C, whose first row and column are `row` and
    /// `col`, for k in `begin..end`, and gives it to `store(row, col, vector)`.
    ///
    /// C has `rows` rows and `cols` columns; `store` sees none beyond. `cols` is a
    /// multiple of 16, and of 32 unless B is turned.
    ///
    /// # Safety
    /// All threads of a block of `Self::threads` call this with the same
    /// arguments and with `Self::SHARED` bytes of shared memory.
    #[inline(always)]
    pub unsafe fn product<V: Vector, A: Source<V>, B: Source<V>>(
        a: A,
        b: B,
        [begin, end]: [u32; 2],
        [row, col]: [u32; 2],
        [rows, cols]: [u32; 2],
        mut store: impl FnMut(u32, u32, V),
    ) {
        let end = begin + (end - begin).div_ceil(K_STEP) * K_STEP;
        let share = Self::share(thread::thread_idx_x() as usize, V::LANES);
        let mut sums = [[[[V::splat(0.0); THREAD_VECTORS]; THREAD_ROWS]; PASSES]; PANELS];
        if STAGE == 0 {
            const { assert!(STAGE > 0 || Self::threads(V::LANES) == 1) };
            const { assert!(STAGE > 0 || THREAD_VECTORS == slab::PAIR) };
            Self::walk(a, b, [begin, end], [row, col], [rows, cols], &mut sums);
        } else {
            Self::walk_staged(a, b, [begin, end], [row, col], share, &mut sums[0][0]);
        }
        let mut panel = 0;
        while panel < PANELS {
            let col = col + (panel * COLS / PANELS) as u32;
            let mut pass = 0;
            while pass < PASSES {
                let (row, sums) = (row + (pass * THREAD_ROWS) as u32, &sums[panel][pass]);
                Self::finish(share, sums, [row, col], [rows, cols], &mut store);
                pass += 1;
            }
            panel += 1;
        }
    }

    /// A CPU takes single floats of A from wherever they are, so it need not
    /// turn them; a GPU takes four at a time.
    #[inline(always)]
    fn layout_a<V: Vector, A: Source<V>>() -> Layout {
        match STAGE {
            0 if A::TURNED => Layout::Lines { depth: DEPTH },
            0 => Layout::Panels { depth: DEPTH },
            _ => Layout::Rows {
                stride: ROWS + Self::PAD,
            },
        }
    }

    #[inline(always)]
    fn layout_b() -> Layout {
        match STAGE {
            0 => Layout::Panels { depth: DEPTH },
            _ => Layout::Rows {
                stride: COLS + Self::PAD,
            },
        }
    }

    /// Which share of the tile is thread `t`'s. On a GPU neighbours read
    /// neighbouring columns.
    #[inline(always)]
    fn share(t: usize, lanes: usize) -> Share {
        let across = Self::threads_across(lanes);
        if STAGE > 0 {
            return Share {
                row: t / across * GROUP,
                col: t % across * lanes,
                group_step: ROWS * GROUP / THREAD_ROWS,
                vector_step: COLS / THREAD_VECTORS,
            };
        }
        Share {
            row: 0,
            col: 0,
            group_step: GROUP,
            vector_step: lanes,
        }
    }

    #[inline(always)]
    unsafe fn finish<V: Vector>(
        share: Share,
        sums: &[[V; THREAD_VECTORS]; THREAD_ROWS],
        [row, col]: [u32; 2],
        [rows, cols]: [u32; 2],
        store: &mut impl FnMut(u32, u32, V),
    ) {
        let mut i = 0;
        while i < THREAD_ROWS {
            let r = row + (share.row + i / GROUP * share.group_step + i % GROUP) as u32;
            let mut j = 0;
            while j < THREAD_VECTORS {
                let c = col + (share.col + j * share.vector_step) as u32;
                if r < rows && c < cols {
                    store(r, c, sums[i][j]);
                }
                j += 1;
            }
            i += 1;
        }
    }
}

/// A thread's share of the tile: its first row and column, and how far it is
/// from one group of rows, or vector of columns, to the next.
#[derive(Clone, Copy)]
struct Share {
    row: usize,
    col: usize,
    group_step: usize,
    vector_step: usize,
}
