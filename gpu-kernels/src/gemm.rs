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
mod slab;
mod source;

use ahead::Ahead;
use slab::{Layout, Staged, bring};
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

    /// Slab by slab of A, and for each, panel by panel of B: a panel stays in the
    /// nearest cache until it is multiplied by all rows.
    #[inline(always)]
    unsafe fn walk<V: Vector, A: Source<V>, B: Source<V>>(
        a: A,
        b: B,
        [begin, end]: [u32; 2],
        [row, col]: [u32; 2],
        [rows, cols]: [u32; 2],
        sums: &mut [[[[V; THREAD_VECTORS]; THREAD_ROWS]; PASSES]; PANELS],
    ) {
        let layout = Self::layout_a::<V, A>();
        let high = if rows - row < ROWS as u32 {
            (rows - row) as usize
        } else {
            ROWS
        };
        let shared = Shared::dynamic();
        let mut ahead = [Ahead::<V, B, DEPTH>::new(&b, begin, col); PANELS];
        let mut panel = 1;
        while panel < PANELS {
            let col = col + (panel * COLS / PANELS) as u32;
            *ahead.as_mut_ptr().add(panel) = Ahead::new(&b, begin, col);
            panel += 1;
        }
        let mut k = begin;
        while k < end {
            let depth = Self::depth(k, end);
            let extent = [depth, high.next_multiple_of(32)];
            bring(&a, shared, layout, [k, row], extent);
            let mut panel = 0;
            while panel < PANELS {
                let col = col + (panel * COLS / PANELS) as u32;
                if col < cols {
                    let ahead = &mut *ahead.as_mut_ptr().add(panel);
                    let sums = &mut *sums.as_mut_ptr().add(panel);
                    let left = (cols - col) as usize;
                    Self::panel(&b, ahead, [k, col], [depth, high, left], layout, sums);
                }
                panel += 1;
            }
            k += DEPTH as u32;
        }
    }

    /// A slab of A by the panel of B at (k, col), beyond which C goes on for
    /// `left` columns. Unless B is turned, the panel is brought while it is first
    /// multiplied.
    #[inline(always)]
    unsafe fn panel<V: Vector, B: Source<V>>(
        b: &B,
        ahead: &mut Ahead<V, B, DEPTH>,
        [k, col]: [u32; 2],
        [depth, high, left]: [usize; 3],
        layout_a: Layout,
        sums: &mut [[[V; THREAD_VECTORS]; THREAD_ROWS]; PASSES],
    ) {
        let shared = Shared::dynamic();
        let (slab, layout) = (shared.from(Self::SLAB_A), Self::layout_b());
        if B::TURNED {
            bring(b, slab, layout, [k, col], [depth, COLS / PANELS]);
        }
        let mut pass = 0;
        while pass * THREAD_ROWS < high {
            let share = Share {
                row: pass * THREAD_ROWS,
                ..Self::share(0, V::LANES)
            };
            let sums = &mut *sums.as_mut_ptr().add(pass);
            if B::TURNED && left <= V::LANES {
                let across = |step: usize| Self::across::<V, 1>(shared, share, step);
                Self::multiply(shared, layout_a, share, depth, sums, across);
            } else if !B::TURNED && pass == 0 {
                let mut cursor = ahead.cursor();
                let across = |step: usize| {
                    let vectors = ahead.take(b, step, &mut cursor);
                    let at = layout.at(step, 0, V::LANES);
                    slab::store::<V, THREAD_VECTORS>(slab, at, vectors);
                    vectors
                };
                Self::multiply(shared, layout_a, share, depth, sums, across);
                ahead.set_cursor(cursor);
            } else {
                let across = |step: usize| {
                    ahead.hint(pass, step);
                    Self::across::<V, THREAD_VECTORS>(shared, share, step)
                };
                Self::multiply(shared, layout_a, share, depth, sums, across);
            }
            pass += 1;
        }
    }

    /// Slab by slab, the next one on its way while one is multiplied.
    #[inline(always)]
    unsafe fn walk_staged<V: Vector, A: Source<V>, B: Source<V>>(
        a: A,
        b: B,
        [begin, end]: [u32; 2],
        [row, col]: [u32; 2],
        share: Share,
        sums: &mut [[V; THREAD_VECTORS]; THREAD_ROWS],
    ) {
        let (layout_a, layout_b) = (Self::layout_a::<V, A>(), Self::layout_b());
        let thread = [thread::thread_idx_x() as usize, Self::threads(V::LANES)];
        let mut staged_a = Staged::<V, A, STAGE>::new(&a, layout_a, thread, row, ROWS);
        let mut staged_b = Staged::<V, B, STAGE>::new(&b, layout_b, thread, col, COLS);
        let shared = Shared::dynamic();
        let (mut now, mut then) = (shared, shared.from(Self::SLABS));
        staged_a.fetch(&a, begin);
        staged_b.fetch(&b, begin);
        staged_a.put(now, layout_a);
        staged_b.put(now.from(Self::SLAB_A), layout_b);
        thread::sync_threads();
        let mut k = begin;
        while k < end {
            let next = k + DEPTH as u32;
            if next < end {
                staged_a.fetch(&a, next);
                staged_b.fetch(&b, next);
            }
            let across = |step: usize| Self::across(now, share, step);
            Self::multiply::<V, THREAD_VECTORS>(now, layout_a, share, DEPTH, sums, across);
            if next < end {
                staged_a.put(then, layout_a);
                staged_b.put(then.from(Self::SLAB_A), layout_b);
            }
            thread::sync_threads();
            (now, then) = (then, now);
            k = next;
        }
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

    /// Row `k` of this thread's columns of a slab of B.
    #[inline(always)]
    unsafe fn across<V: Vector, const N: usize>(slabs: Shared, share: Share, k: usize) -> [V; N] {
        let layout = Self::layout_b();
        let b = slabs.from(Self::SLAB_A + layout.at(0, share.col, V::LANES));
        let mut across = [V::splat(0.0); N];
        let mut j = 0;
        while j < N {
            across[j] = b.load_vector(k * layout.step(V::LANES) + j * share.vector_step);
            j += 1;
        }
        across
    }

    /// One slab's worth of this thread's sums, of `N` vectors across, whose row k
    /// of B is `across(k)`.
    #[inline(always)]
    unsafe fn multiply<V: Vector, const N: usize>(
        slab: Shared,
        layout_a: Layout,
        share: Share,
        depth: usize,
        sums: &mut [[V; THREAD_VECTORS]; THREAD_ROWS],
        mut across: impl FnMut(usize) -> [V; N],
    ) {
        let mut acc = [[V::splat(0.0); N]; THREAD_ROWS];
        copy(&*sums, &mut acc);
        let mut k = 0;
        while k < depth {
            // A few steps at once, for loads to run ahead of their use.
            let mut step = 0;
            while step < Self::UNROLL {
                let across = across(k + step);
                let mut g = 0;
                while g < THREAD_ROWS / GROUP {
                    let first = share.row + g * share.group_step;
                    let down = layout_a.load_down(slab, k + step, first, V::LANES);
                    let rows = &mut *acc.as_mut_ptr().add(g * GROUP).cast();
                    outer_product::<V, GROUP, N>(down, across, rows);
                    g += 1;
                }
                step += 1;
            }
            k += Self::UNROLL;
        }
        copy(&acc, sums);
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

/// The columns that both have.
#[inline(always)]
unsafe fn copy<V: Copy, const ROWS: usize, const FROM: usize, const TO: usize>(
    from: &[[V; FROM]; ROWS],
    to: &mut [[V; TO]; ROWS],
) {
    let mut i = 0;
    while i < ROWS {
        let mut j = 0;
        while j < FROM && j < TO {
            to[i][j] = from[i][j];
            j += 1;
        }
        i += 1;
    }
}
