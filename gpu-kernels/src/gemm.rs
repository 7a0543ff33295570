//! The matrix product under every convolution and fully connected layer.
//!
//! `C[i][j] = Σₖ A[k][i] · B[k][j]`, summed over k in order by fused
//! multiply-adds, so the bits do not depend on how the work is cut.
//!
//! A block computes a BM × BN tile of C. It goes along k in steps of BK, for each
//! of which it loads a slab of A and one of B to shared memory: on a GPU while it
//! multiplies the slabs before (double-buffered), on a CPU just before. Each thread
//! holds an MR × NR part of the tile in registers.
//!
//! ```text
//!                 BN
//!            ┌─────────┐
//!            │  B slab │ BK          one thread's accumulators:
//!            └─────────┘             MR rows × NR vectors
//!     BK
//!  ┌─────┐   ┌─────────┐
//!  │  A  │   │  C tile │ BM
//!  │slab │   │         │
//!  └─────┘   └─────────┘
//! ```
//!
//! | | | CPU | GPU |
//! |---|---|---|---|
//! | BM × BN | tile of a block | 192 × 256 | 128 × 128 |
//! | BK | rows of a slab | 128 | 16 |
//! | MR × NR | accumulators of a thread: rows × vectors | 8 × 2 of 16 lanes | 8 × 2 of 4 lanes |
//! | threads | of a block | 1 | 256 |
//!
//! The one thread of a CPU computes its tile MR × NR at a time: the slab of B is cut
//! into panels as wide as NR vectors, which stay in the first-level cache while all
//! rows are multiplied by them. Where the registers do not hold so many accumulators,
//! without AVX-512, it is 6 × 1 at a time.
//!
//! What A and B are is up to a [`Source`]: a [`Matrix`], or images under a moving
//! window, which makes the product a convolution (implicit GEMM).
//!
//! | module | |
//! |---|---|
//! | `cpu`, `gpu` | the main loops |
//! | `multiply` | the innermost loop |
//! | `slab` | a slab's layout in shared memory, and how it is loaded |
//! | `packed` | the product of operands that need no slabs |
//! | `lookahead` | a CPU's loads and prefetches of B |
//! | `source` | operands in memory |

use crate::device::*;

mod cpu;
mod gpu;
mod lookahead;
mod multiply;
mod packed;
mod slab;
mod source;

pub use packed::{PANEL, Panels, Rows, Sums};
use slab::Layout;
pub use source::{Matrix, Source};

/// k is padded with zeros to a multiple of this, on every device alike.
pub const K_STEP: u32 = 16;

/// The sizes of a block's tile of C and of its parts. Only speed depends on them.
///
/// A block computes `BM` × `BN` elements from slabs of `BK` rows, a thread `MR` rows
/// × `NR` vectors of them at a time: `PASSES` times one below the other in each of
/// `PANELS` panels. Its rows come in groups of `GROUP` neighbours. `STAGE` is the
/// number of vectors of each operand that a thread holds in registers on their way
/// to shared memory; 0 on a CPU, where loads need no hiding.
pub struct Tile<
    const BM: usize,
    const BN: usize,
    const BK: usize,
    const MR: usize,
    const GROUP: usize,
    const NR: usize,
    const PASSES: usize,
    const PANELS: usize,
    const STAGE: usize,
>;

/// The tile of a CPU: one thread, with 8 × 32 accumulators at a time.
pub type CpuTile = Tile<192, 256, 128, 8, 8, 2, 24, 8, 0>;
/// The tile of a GPU: 256 threads with 8 × 8 accumulators each.
pub type GpuTile = Tile<128, 128, 16, 8, 4, 2, 1, 1, 2>;

/// The tile of the device this is compiled for.
#[cfg(target_arch = "nvptx64")]
pub type NativeTile = GpuTile;
/// The tile of the device this is compiled for.
#[cfg(not(target_arch = "nvptx64"))]
pub type NativeTile = CpuTile;

impl<
    const BM: usize,
    const BN: usize,
    const BK: usize,
    const MR: usize,
    const GROUP: usize,
    const NR: usize,
    const PASSES: usize,
    const PANELS: usize,
    const STAGE: usize,
> Tile<BM, BN, BK, MR, GROUP, NR, PASSES, PANELS, STAGE>
{
    /// Rows of C that a block computes.
    pub const BM: usize = BM;
    /// Columns of C that a block computes.
    pub const BN: usize = BN;
    /// Bytes of shared memory: a slab of A and a panel of B; on a GPU two slabs of
    /// each.
    pub const SHARED: usize = Self::SLABS * size_of::<f32>() * if STAGE > 0 { 2 } else { 1 };

    /// Columns of a panel.
    const PANEL: usize = BN / PANELS;
    /// Floats of one slab of A, and of one slab of each.
    const SLAB_A: usize = BK * (BM + Self::PAD);
    const SLABS: usize = Self::SLAB_A + BK * (Self::PANEL + Self::PAD);
    const PAD: usize = slab::pad(STAGE > 0);
    /// Steps of k written out in the innermost loop.
    const UNROLL: usize = if STAGE > 0 { 2 } else { 4 };

    /// Threads of a block, for vectors of `lanes` lanes.
    pub const fn threads(lanes: usize) -> usize {
        BM / (MR * PASSES) * Self::threads_across(lanes)
    }

    const fn threads_across(lanes: usize) -> usize {
        BN / (NR * lanes * PANELS)
    }

    /// Computes this block's tile of C, whose first row and column are `row` and
    /// `col`, for k in `begin..end`, and gives it to `store(row, col, vector)`.
    ///
    /// C has `rows` rows and `cols` columns; `store` sees none beyond. `cols` is a
    /// multiple of 16, and of 32 unless B is transposed.
    ///
    /// # Safety
    /// The processor has `V`'s instructions. All threads of a block of
    /// `Self::threads` call this with the same arguments and with `Self::SHARED`
    /// bytes of shared memory. The memory of the sources can be read.
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
        if STAGE == 0 {
            const { assert!(STAGE > 0 || Self::threads(V::LANES) == 1) };
            const { assert!(STAGE > 0 || NR == slab::PAIR) };
            Self::cpu_product(a, b, [begin, end], [row, col], [rows, cols], store);
            return;
        }
        let tile = Self::thread_tile(thread::thread_idx_x() as usize, V::LANES);
        let mut sums = [[V::splat(0.0); NR]; MR];
        Self::gpu_main_loop(a, b, [begin, end], [row, col], tile, &mut sums);
        Self::epilogue(tile, &sums, [row, col], [rows, cols], &mut store);
    }

    /// A CPU takes single floats of A from wherever they are, so it need not
    /// transpose them; a GPU takes four at a time.
    #[inline(always)]
    fn layout_a<V: Vector, A: Source<V>>() -> Layout {
        match STAGE {
            0 if A::TRANSPOSED => Layout::Transposed { depth: BK },
            0 => Layout::Panels { depth: BK },
            _ => Layout::Rows {
                stride: BM + Self::PAD,
            },
        }
    }

    #[inline(always)]
    fn layout_b() -> Layout {
        match STAGE {
            0 => Layout::Panels { depth: BK },
            _ => Layout::Rows {
                stride: BN + Self::PAD,
            },
        }
    }

    /// Which tile of the tile is thread `t`'s. On a GPU neighbours read
    /// neighbouring columns.
    #[inline(always)]
    fn thread_tile(t: usize, lanes: usize) -> ThreadTile {
        let across = Self::threads_across(lanes);
        if STAGE > 0 {
            return ThreadTile {
                row: t / across * GROUP,
                col: t % across * lanes,
                group_step: BM * GROUP / MR,
                vector_step: BN / NR,
            };
        }
        ThreadTile {
            row: 0,
            col: 0,
            group_step: GROUP,
            vector_step: lanes,
        }
    }

    /// Gives the sums of a GPU's thread that lie in C to `store`; (`row`, `col`) is where the
    /// block's tile begins.
    #[inline(always)]
    fn epilogue<V: Vector>(
        tile: ThreadTile,
        sums: &[[V; NR]; MR],
        [row, col]: [u32; 2],
        [rows, cols]: [u32; 2],
        store: &mut impl FnMut(u32, u32, V),
    ) {
        let mut i = 0;
        while i < MR {
            let r = row + (tile.row + i / GROUP * tile.group_step + i % GROUP) as u32;
            let mut j = 0;
            while j < NR {
                let c = col + (tile.col + j * tile.vector_step) as u32;
                if r < rows && c < cols {
                    store(r, c, sums[i][j]);
                }
                j += 1;
            }
            i += 1;
        }
    }
}

/// A thread's tile of the tile: its first row and column, and how far it is
/// from one group of rows, or vector of columns, to the next.
#[derive(Clone, Copy)]
struct ThreadTile {
    row: usize,
    col: usize,
    group_step: usize,
    vector_step: usize,
}
