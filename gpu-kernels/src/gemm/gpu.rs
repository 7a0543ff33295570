//! A GPU's walk along k: one slab is brought while the other is multiplied.

use super::slab::Staged;
use super::{Share, Source, Tile};
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
    /// Slab by slab, the next one on its way while one is multiplied.
    #[inline(always)]
    pub(super) unsafe fn walk_staged<V: Vector, A: Source<V>, B: Source<V>>(
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
}
