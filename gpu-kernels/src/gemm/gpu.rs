//! The main loop of a GPU: double-buffered, the next slabs are loaded while these are multiplied.

use super::slab::Staged;
use super::{Source, ThreadTile, Tile};
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
    /// Slab by slab, the next one on its way while one is multiplied.
    ///
    /// # Safety
    /// As of [`product`](Self::product).
    #[inline(always)]
    pub(super) unsafe fn gpu_main_loop<V: Vector, A: Source<V>, B: Source<V>>(
        a: A,
        b: B,
        [begin, end]: [u32; 2],
        [row, col]: [u32; 2],
        tile: ThreadTile,
        sums: &mut [[V; NR]; MR],
    ) {
        let (layout_a, layout_b) = (Self::layout_a::<V, A>(), Self::layout_b());
        let thread = [thread::thread_idx_x() as usize, Self::threads(V::LANES)];
        let mut staged_a = Staged::<V, A, STAGE>::new(&a, layout_a, thread, row, BM);
        let mut staged_b = Staged::<V, B, STAGE>::new(&b, layout_b, thread, col, BN);
        let shared = Shared::dynamic();
        let (mut current, mut other) = (shared, shared.from(Self::SLABS));
        staged_a.load(&a, begin);
        staged_b.load(&b, begin);
        staged_a.store(current, layout_a);
        staged_b.store(current.from(Self::SLAB_A), layout_b);
        thread::sync_threads();
        let mut k = begin;
        while k < end {
            let next = k + BK as u32;
            if next < end {
                staged_a.load(&a, next);
                staged_b.load(&b, next);
            }
            let load_b = |step: usize| Self::load_b(current, tile, step);
            let rows = sums.as_mut_ptr();
            Self::multiply::<V, NR>(current, layout_a, tile, BK, rows, false, load_b);
            if next < end {
                staged_a.store(other, layout_a);
                staged_b.store(other.from(Self::SLAB_A), layout_b);
            }
            thread::sync_threads();
            (current, other) = (other, current);
            k = next;
        }
    }
}
