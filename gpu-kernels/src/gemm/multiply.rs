//! The innermost loop: a slab of A times a slab of B, into the MR × NR accumulators of one thread.

use super::slab::Layout;
use super::{ThreadTile, Tile};
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
    /// Row `k` of this thread's first `N` vectors of a slab of B.
    ///
    /// # Safety
    /// `slabs` holds a slab of A and behind it one of B of more than `k` rows, both
    /// written before the last barrier.
    #[inline(always)]
    pub(super) unsafe fn load_b<V: Vector, const N: usize>(
        slabs: Shared,
        tile: ThreadTile,
        k: usize,
    ) -> [V; N] {
        let layout = Self::layout_b();
        let b = slabs.from(Self::SLAB_A + layout.at(0, tile.col, V::LANES));
        let mut vectors = [V::splat(0.0); N];
        let mut j = 0;
        while j < N {
            vectors[j] = b.load_vector(k * layout.step(V::LANES) + j * tile.vector_step);
            j += 1;
        }
        vectors
    }

    /// Adds a slab of A times a slab of B to this thread's sums, the first `N`
    /// vectors of each row. `load_b(k)` is row k of B.
    ///
    /// # Safety
    /// `slab` holds a slab of A of `depth` rows, a multiple of the unrolled steps,
    /// written before the last barrier; the rows of `tile` lie in it.
    #[inline(always)]
    pub(super) unsafe fn multiply<V: Vector, const N: usize>(
        slab: Shared,
        layout_a: Layout,
        tile: ThreadTile,
        depth: usize,
        sums: &mut [[V; NR]; MR],
        mut load_b: impl FnMut(usize) -> [V; N],
    ) {
        let mut acc = [[V::splat(0.0); N]; MR];
        copy(&*sums, &mut acc);
        let mut k = 0;
        while k < depth {
            // A few steps at once, for loads to run ahead of their use.
            let mut step = 0;
            while step < Self::UNROLL {
                let b = load_b(k + step);
                let mut g = 0;
                while g < MR / GROUP {
                    let first = tile.row + g * tile.group_step;
                    let a = layout_a.load_a(slab, k + step, first, V::LANES);
                    let rows = &mut *acc.as_mut_ptr().add(g * GROUP).cast();
                    outer_product::<V, GROUP, N>(a, b, rows);
                    g += 1;
                }
                step += 1;
            }
            k += Self::UNROLL;
        }
        copy(&acc, sums);
    }
}

/// `sums[i][j] += a[i] · b[j]`.
///
/// # Safety
/// The processor has `V`'s instructions.
#[inline(always)]
unsafe fn outer_product<V: Vector, const MR: usize, const NR: usize>(
    a: [f32; MR],
    b: [V; NR],
    sums: &mut [[V; NR]; MR],
) {
    let mut i = 0;
    while i < MR {
        let mut j = 0;
        while j < NR {
            sums[i][j] = V::splat(a[i]).fma(b[j], sums[i][j]);
            j += 1;
        }
        i += 1;
    }
}

/// Copies the columns that both have.
#[inline(always)]
fn copy<V: Copy, const MR: usize, const FROM: usize, const TO: usize>(
    from: &[[V; FROM]; MR],
    to: &mut [[V; TO]; MR],
) {
    let mut i = 0;
    while i < MR {
        let mut j = 0;
        while j < FROM && j < TO {
            to[i][j] = from[i][j];
            j += 1;
        }
        i += 1;
    }
}
