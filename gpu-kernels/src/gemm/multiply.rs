//! The innermost loop: a slab of A times a slab of B, into the MR × NR accumulators of one thread.

use super::slab::Layout;
use super::{ThreadTile, Tile};
use crate::device::*;

/// Rows of a tile of one vector: with sixteen lanes in two of AVX2's sixteen registers, 12 of these accumulate.
pub(super) const NARROW: usize = 6;

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
    /// vectors of each row; where they are `fresh`, to zeros. `load_b(k)` is row k of B.
    ///
    /// # Safety
    /// `slab` holds a slab of A of `depth` rows, a multiple of the unrolled steps,
    /// written before the last barrier; the rows of `tile` lie in it. `sums` has MR rows,
    /// which have been written unless they are fresh.
    #[inline(always)]
    pub(super) unsafe fn multiply<V: Vector, const N: usize>(
        slab: Shared,
        layout_a: Layout,
        tile: ThreadTile,
        depth: usize,
        sums: *mut [V; NR],
        fresh: bool,
        mut load_b: impl FnMut(usize) -> [V; N],
    ) {
        let mut acc = [[V::splat(0.0); N]; MR];
        if !fresh {
            let mut i = 0;
            while i < MR {
                let mut j = 0;
                while j < N && j < NR {
                    acc[i][j] = (*sums.add(i))[j];
                    j += 1;
                }
                i += 1;
            }
        }
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
        let mut i = 0;
        while i < MR {
            let mut j = 0;
            while j < N && j < NR {
                (&raw mut (*sums.add(i))[j]).write(acc[i][j]);
                j += 1;
            }
            i += 1;
        }
    }

    /// Adds a slab of A times a panel of B to the first `high` rows of C in this tile, NARROW rows of one vector at a
    /// time: for processors whose registers do not hold MR × NR accumulators. `each(group, step)` is called for each group of rows, now
    /// and then on its way.
    ///
    /// # Safety
    /// `slabs` holds a slab of A of at least `high` rows and behind it one of B, both `depth` deep, a multiple of the
    /// unrolled steps, and written before; `sums` has PASSES · MR rows, written unless they are `fresh`, and `vectors` is
    /// at most NR.
    #[inline(always)]
    pub(super) unsafe fn multiply_narrow<V: Vector>(
        slabs: Shared,
        layout_a: Layout,
        [depth, high]: [usize; 2],
        vectors: usize,
        sums: *mut [V; NR],
        fresh: bool,
        each: impl Fn(usize, usize),
    ) {
        let (step_a, step_b) = (layout_a.step(V::LANES), Self::layout_b().step(V::LANES));
        let mut row = 0;
        while row < high {
            // The last group may have fewer rows, and computes its last one several times.
            let mut rows = [0; NARROW];
            let mut at = [0; NARROW];
            let mut n = 0;
            while n < NARROW {
                rows[n] = if row + n < high { row + n } else { high - 1 };
                at[n] = layout_a.at(0, rows[n], V::LANES);
                n += 1;
            }
            let mut j = 0;
            while j < vectors {
                let b = slabs.from(Self::SLAB_A + Self::layout_b().at(0, j * V::LANES, V::LANES));
                let mut acc = [V::splat(0.0); NARROW];
                let mut n = 0;
                while n < NARROW && !fresh {
                    acc[n] = (*sums.add(rows[n]))[j];
                    n += 1;
                }
                let mut k = 0;
                while k < depth {
                    if j == 0 {
                        each(row / NARROW, k);
                    }
                    let mut step = 0;
                    while step < Self::UNROLL {
                        let b: V = b.load_vector((k + step) * step_b);
                        let mut n = 0;
                        while n < NARROW {
                            let a = slabs.load(at[n] + (k + step) * step_a);
                            acc[n] = V::splat(a).fma(b, acc[n]);
                            n += 1;
                        }
                        step += 1;
                    }
                    k += Self::UNROLL;
                }
                let mut n = 0;
                while n < NARROW {
                    (&raw mut (*sums.add(rows[n]))[j]).write(acc[n]);
                    n += 1;
                }
                j += 1;
            }
            row += NARROW;
        }
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
