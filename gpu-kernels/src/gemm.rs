//! The matrix product under every convolution and fully connected layer.
//!
//! `C[i][j] = Σₖ A[k][i] · B[k][j]`, summed over k in order by fused
//! multiply-adds, so the bits do not depend on how the work is cut.
//!
//! A block computes a tile of C. It walks along k in slabs: while it multiplies
//! one slab, which lies in shared memory, it brings in the next one.
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

mod slab;
mod source;

use slab::{Layout, Staged, bring};
pub use source::{Matrix, Source, vectors_if};

/// k is padded with zeros to a multiple of this, on every device alike.
pub const K_STEP: u32 = 32;

/// Steps of k written out in the innermost loop.
const UNROLL: usize = 2;

/// How a block's tile of C is cut. Only speed depends on it.
///
/// Rows of a thread come in groups of `GROUP`, a group's rows are neighbours.
/// `STAGE` is the number of vectors of each operand a thread holds in registers
/// on their way to shared memory; 0 where loads need no hiding (a CPU).
pub struct Tile<
    const ROWS: usize,
    const COLS: usize,
    const DEPTH: usize,
    const THREAD_ROWS: usize,
    const GROUP: usize,
    const THREAD_VECTORS: usize,
    const STAGE: usize,
>;

/// The tile of a CPU: up to 96 threads with 8×32 accumulators each.
pub type CpuTile = Tile<192, 128, 128, 8, 8, 2, 0>;
/// The tile of a GPU: 256 threads with 8×8 accumulators each.
pub type GpuTile = Tile<128, 128, 16, 8, 4, 2, 2>;

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
    const STAGE: usize,
> Tile<ROWS, COLS, DEPTH, THREAD_ROWS, GROUP, THREAD_VECTORS, STAGE>
{
    /// Rows of C that a block computes.
    pub const ROWS: usize = ROWS;
    /// Columns of C that a block computes.
    pub const COLS: usize = COLS;
    /// Bytes of shared memory: two slabs of each operand.
    pub const SHARED: usize = 2 * Self::SLABS * size_of::<f32>();

    /// Floats of one slab of A, and of one slab of each.
    const SLAB_A: usize = DEPTH * (ROWS + Self::PAD);
    const SLABS: usize = Self::SLAB_A + DEPTH * (COLS + Self::PAD);
    const PAD: usize = slab::pad(STAGE > 0);

    /// Threads of a block, for vectors of `lanes` lanes and a product of `rows`
    /// rows: on a CPU no more than those rows keep busy.
    pub const fn threads(lanes: usize, rows: usize) -> usize {
        let rows = if STAGE > 0 || rows > ROWS { ROWS } else { rows };
        rows.div_ceil(THREAD_ROWS) * Self::threads_across(lanes)
    }

    const fn threads_across(lanes: usize) -> usize {
        COLS / (THREAD_VECTORS * lanes)
    }

    /// Computes this block's tile of C, whose first row and column are `row` and
    /// `col`, for k in `begin..end`, and gives it to `store(row, col, vector)`.
    ///
    /// C has `rows` rows and `cols` columns; `store` sees none beyond.
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
        let (layout_a, layout_b) = (Self::layout_a::<V, A>(), Self::layout_b());
        let width = [
            width(ROWS, rows - row, STAGE),
            width(COLS, cols - col, STAGE),
        ];
        let t = thread::thread_idx_x() as usize;
        let threads = match STAGE {
            0 => thread::block_dim_x() as usize,
            _ => Self::threads(V::LANES, ROWS),
        };
        let share = Self::share(t, threads, V::LANES);
        // Threads wholly outside C only help to load.
        let active = row + (share.row as u32) < rows && col + (share.col as u32) < cols;
        let mut sums = [[V::splat(0.0); THREAD_VECTORS]; THREAD_ROWS];
        let mut staged_a = Staged::<V, A, STAGE>::new(&a, layout_a, [t, threads], row, ROWS);
        let mut staged_b = Staged::<V, B, STAGE>::new(&b, layout_b, [t, threads], col, COLS);

        let shared = Shared::dynamic();
        let (mut now, mut then) = (shared, shared.from(Self::SLABS));
        let mut k = begin;
        if STAGE == 0 {
            Self::bring((&a, &b), now, [t, threads], [begin, end], [row, col], width);
        } else {
            staged_a.fetch(&a, k);
            staged_b.fetch(&b, k);
            staged_a.put(now, layout_a);
            staged_b.put(now.from(Self::SLAB_A), layout_b);
        }
        thread::sync_threads();
        while k < end {
            let next = k + DEPTH as u32;
            if next < end {
                if STAGE == 0 {
                    Self::bring((&a, &b), then, [t, threads], [next, end], [row, col], width);
                } else {
                    staged_a.fetch(&a, next);
                    staged_b.fetch(&b, next);
                }
            }
            if active {
                Self::multiply(now, layout_a, share, Self::depth(k, end), &mut sums);
            }
            if STAGE > 0 && next < end {
                staged_a.put(then, layout_a);
                staged_b.put(then.from(Self::SLAB_A), layout_b);
            }
            thread::sync_threads();
            (now, then) = (then, now);
            k = next;
        }
        if active {
            Self::finish(share, &sums, [row, col], [rows, cols], &mut store);
        }
    }

    /// Brings thread `t`'s part of the slabs at `k` straight to shared memory.
    #[inline(always)]
    unsafe fn bring<V: Vector, A: Source<V>, B: Source<V>>(
        (a, b): (&A, &B),
        slabs: Shared,
        t: [usize; 2],
        [k, end]: [u32; 2],
        [row, col]: [u32; 2],
        [rows, cols]: [usize; 2],
    ) {
        let depth = Self::depth(k, end);
        bring(
            a,
            slabs,
            Self::layout_a::<V, A>(),
            t,
            [k, row],
            [depth, rows],
        );
        bring(
            b,
            slabs.from(Self::SLAB_A),
            Self::layout_b(),
            t,
            [k, col],
            [depth, cols],
        );
    }

    /// How deep the slab at `k` is: the last one of a CPU may be shallower.
    #[inline(always)]
    fn depth(k: u32, end: u32) -> usize {
        let left = (end - k) as usize;
        if DEPTH <= K_STEP as usize || left > DEPTH {
            DEPTH
        } else {
            left
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
    /// neighbouring columns; on a CPU they read the same ones, which then stay in
    /// the nearest cache.
    #[inline(always)]
    fn share(t: usize, threads: usize, lanes: usize) -> Share {
        let across = Self::threads_across(lanes);
        if STAGE > 0 {
            return Share {
                row: t / across * GROUP,
                col: t % across * lanes,
                group_step: ROWS * GROUP / THREAD_ROWS,
                vector_step: COLS / THREAD_VECTORS,
            };
        }
        let down = threads / across;
        Share {
            row: t % down * THREAD_ROWS,
            col: t / down * THREAD_VECTORS * lanes,
            group_step: GROUP,
            vector_step: lanes,
        }
    }

    /// One slab's worth of this thread's sums.
    #[inline(always)]
    unsafe fn multiply<V: Vector>(
        slab: Shared,
        layout_a: Layout,
        share: Share,
        depth: usize,
        sums: &mut [[V; THREAD_VECTORS]; THREAD_ROWS],
    ) {
        let b = slab.from(Self::SLAB_A + Self::layout_b().at(0, share.col, V::LANES));
        let b_step = Self::layout_b().step(V::LANES);
        let mut acc = *sums;
        let mut k = 0;
        while k < depth {
            // A few steps at once, for loads to run ahead of their use.
            let mut step = 0;
            while step < UNROLL {
                let mut across = [V::splat(0.0); THREAD_VECTORS];
                let mut j = 0;
                while j < THREAD_VECTORS {
                    across[j] = b.load_vector((k + step) * b_step + j * share.vector_step);
                    j += 1;
                }
                let mut g = 0;
                while g < THREAD_ROWS / GROUP {
                    let first = share.row + g * share.group_step;
                    let down = layout_a.load_down(slab, k + step, first, V::LANES);
                    let rows = &mut *acc.as_mut_ptr().add(g * GROUP).cast();
                    outer_product::<V, GROUP, THREAD_VECTORS>(down, across, rows);
                    g += 1;
                }
                step += 1;
            }
            k += UNROLL;
        }
        *sums = acc;
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

/// `sums[i][j] += down[i] · across[j]`.
#[inline(always)]
unsafe fn outer_product<V: Vector, const ROWS: usize, const VECTORS: usize>(
    down: [f32; ROWS],
    across: [V; VECTORS],
    sums: &mut [[V; VECTORS]; ROWS],
) {
    let mut i = 0;
    while i < ROWS {
        let mut j = 0;
        while j < VECTORS {
            sums[i][j] = V::splat(down[i]).fma(across[j], sums[i][j]);
            j += 1;
        }
        i += 1;
    }
}

/// How much of a slab `full` wide is used where the matrix goes on for `left`:
/// a CPU brings no more.
#[inline(always)]
fn width(full: usize, left: u32, stage: usize) -> usize {
    let left = (left as usize).next_multiple_of(32);
    if stage > 0 || left > full { full } else { left }
}
