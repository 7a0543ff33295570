//! The innermost loop: a slab of A by a slab of B, into one thread's registers.

use super::slab::Layout;
use super::{Share, Tile};
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
    /// Row `k` of this thread's columns of a slab of B.
    #[inline(always)]
    pub(super) unsafe fn across<V: Vector, const N: usize>(
        slabs: Shared,
        share: Share,
        k: usize,
    ) -> [V; N] {
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
    pub(super) unsafe fn multiply<V: Vector, const N: usize>(
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
