//! The main loop of a CPU, where a block is one thread.

use super::lookahead::Lookahead;
use super::slab::{self, Layout, load_slab};
use super::{K_STEP, Source, ThreadTile, Tile};
use crate::device::*;

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
    /// Slab by slab of A, and for each, panel by panel of B: a panel stays in the
    /// first-level cache until it has been multiplied by all rows.
    ///
    /// # Safety
    /// As of [`product`](Self::product).
    #[inline(always)]
    pub(super) unsafe fn cpu_main_loop<V: Vector, A: Source<V>, B: Source<V>>(
        a: A,
        b: B,
        [begin, end]: [u32; 2],
        [row, col]: [u32; 2],
        [rows, cols]: [u32; 2],
        sums: &mut [[[[V; NR]; MR]; PASSES]; PANELS],
    ) {
        let layout = Self::layout_a::<V, A>();
        let high = if rows - row < BM as u32 {
            (rows - row) as usize
        } else {
            BM
        };
        let shared = Shared::dynamic();
        let mut lookahead = [Lookahead::<V, B, BK>::new(&b, begin, col); PANELS];
        let mut panel = 1;
        while panel < PANELS {
            let col = col + (panel * BN / PANELS) as u32;
            *lookahead.as_mut_ptr().add(panel) = Lookahead::new(&b, begin, col);
            panel += 1;
        }
        let mut k = begin;
        while k < end {
            let depth = Self::depth(k, end);
            let extent = [depth, high.next_multiple_of(32)];
            load_slab(&a, shared, layout, [k, row], extent);
            let mut panel = 0;
            while panel < PANELS {
                let col = col + (panel * BN / PANELS) as u32;
                if col < cols {
                    let lookahead = &mut *lookahead.as_mut_ptr().add(panel);
                    let sums = &mut *sums.as_mut_ptr().add(panel);
                    let left = (cols - col) as usize;
                    Self::multiply_panel(
                        &b,
                        lookahead,
                        [k, col],
                        [depth, high, left],
                        layout,
                        sums,
                    );
                }
                panel += 1;
            }
            k += BK as u32;
        }
    }

    /// Multiplies the slab of A in shared memory by the panel of B at (k, col). C
    /// has `high` rows in this tile and `left` columns from `col` on. Unless B is
    /// transposed, the panel is loaded while it is multiplied for the first time.
    ///
    /// # Safety
    /// As of [`product`](Self::product); the slab of A is there.
    #[inline(always)]
    unsafe fn multiply_panel<V: Vector, B: Source<V>>(
        b: &B,
        lookahead: &mut Lookahead<V, B, BK>,
        [k, col]: [u32; 2],
        [depth, high, left]: [usize; 3],
        layout_a: Layout,
        sums: &mut [[[V; NR]; MR]; PASSES],
    ) {
        let shared = Shared::dynamic();
        let (slab, layout) = (shared.from(Self::SLAB_A), Self::layout_b());
        if B::TRANSPOSED {
            load_slab(b, slab, layout, [k, col], [depth, BN / PANELS]);
        }
        if V::REGISTERS <= MR * NR {
            if !B::TRANSPOSED {
                Self::load_panel(b, lookahead, depth);
            }
            let vectors = if left <= V::LANES { 1 } else { NR };
            let rows = sums.as_mut_ptr().cast::<[V; NR]>();
            let each = |group, step| lookahead.prefetch(group, step);
            Self::multiply_narrow(shared, layout_a, [depth, high], vectors, rows, each);
            return;
        }
        let mut pass = 0;
        while pass * MR < high {
            let tile = ThreadTile {
                row: pass * MR,
                ..Self::thread_tile(0, V::LANES)
            };
            let sums = &mut *sums.as_mut_ptr().add(pass);
            if B::TRANSPOSED && left <= V::LANES {
                let load_b = |step: usize| Self::load_b::<V, 1>(shared, tile, step);
                Self::multiply(shared, layout_a, tile, depth, sums, load_b);
            } else if !B::TRANSPOSED && pass == 0 {
                let mut cursor = lookahead.cursor();
                let load_b = |step: usize| {
                    let vectors = lookahead.take(b, step, &mut cursor);
                    let at = layout.at(step, 0, V::LANES);
                    slab::store::<V, NR>(slab, at, vectors);
                    vectors
                };
                Self::multiply(shared, layout_a, tile, depth, sums, load_b);
                lookahead.set_cursor(cursor);
            } else {
                let load_b = |step: usize| {
                    lookahead.prefetch(pass, step);
                    Self::load_b::<V, NR>(shared, tile, step)
                };
                Self::multiply(shared, layout_a, tile, depth, sums, load_b);
            }
            pass += 1;
        }
    }

    /// Loads a panel of B to shared memory, before it is multiplied.
    ///
    /// # Safety
    /// As of [`multiply_panel`](Self::multiply_panel); B is not transposed.
    #[inline(always)]
    unsafe fn load_panel<V: Vector, B: Source<V>>(
        b: &B,
        lookahead: &mut Lookahead<V, B, BK>,
        depth: usize,
    ) {
        let (slab, layout) = (Shared::dynamic().from(Self::SLAB_A), Self::layout_b());
        let mut cursor = lookahead.cursor();
        let mut step = 0;
        while step < depth {
            let vectors = lookahead.take(b, step, &mut cursor);
            slab::store::<V, NR>(slab, layout.at(step, 0, V::LANES), vectors);
            step += 1;
        }
        lookahead.set_cursor(cursor);
    }

    /// Rows of the slabs at `k`: the last one may have fewer.
    #[inline(always)]
    fn depth(k: u32, end: u32) -> usize {
        let left = (end - k) as usize;
        if BK <= K_STEP as usize || left > BK {
            BK
        } else {
            left
        }
    }
}
