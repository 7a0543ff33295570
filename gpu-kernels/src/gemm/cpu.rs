//! A CPU's walk along k: a block is one thread.

use super::ahead::Ahead;
use super::slab::{self, Layout, bring};
use super::{K_STEP, Share, Source, Tile};
use crate::device::*;

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
    /// Slab by slab of A, and for each, panel by panel of B: a panel stays in the
    /// nearest cache until it is multiplied by all rows.
    #[inline(always)]
    pub(super) unsafe fn walk<V: Vector, A: Source<V>, B: Source<V>>(
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
}
