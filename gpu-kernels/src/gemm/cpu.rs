//! The main loop of a CPU, where a block is one thread.

use core::mem::MaybeUninit;

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
    /// This block's tile of C, given to `store` row by row, for a row's vectors are neighbours in C.
    ///
    /// # Safety
    /// As of [`product`](Self::product).
    #[inline(always)]
    pub(super) unsafe fn cpu_product<V: Vector, A: Source<V>, B: Source<V>>(
        a: A,
        b: B,
        range: [u32; 2],
        origin: [u32; 2],
        [rows, cols]: [u32; 2],
        mut store: impl FnMut(u32, u32, V),
    ) {
        // Most of them are not there, or not yet: the first slab begins with zeros of its own.
        let mut sums = MaybeUninit::<[[[[V; NR]; MR]; PASSES]; PANELS]>::uninit();
        let sums = sums.as_mut_ptr().cast::<[V; NR]>();
        Self::cpu_main_loop(a, b, range, origin, [rows, cols], sums);
        let [row, col] = origin;
        let high = Self::high(rows, row);
        let mut r = 0;
        while r < high {
            let mut vector = 0;
            while vector < PANELS * NR {
                let c = col + (vector * V::LANES) as u32;
                if c < cols {
                    let panel = vector / NR;
                    let sums = &*sums.add(panel * PASSES * MR + r);
                    store(row + r as u32, c, *sums.as_ptr().add(vector % NR));
                }
                vector += 1;
            }
            r += 1;
        }
    }

    /// Rows of C in the tile that begins at `row`.
    #[inline(always)]
    fn high(rows: u32, row: u32) -> usize {
        if rows - row < BM as u32 {
            (rows - row) as usize
        } else {
            BM
        }
    }

    /// Slab by slab of A, and for each, panel by panel of B: a panel stays in the
    /// first-level cache until it has been multiplied by all rows. `sums` are those of
    /// each panel's rows, one panel behind the other.
    ///
    /// # Safety
    /// As of [`product`](Self::product); `sums` has room for all.
    #[inline(always)]
    unsafe fn cpu_main_loop<V: Vector, A: Source<V>, B: Source<V>>(
        a: A,
        b: B,
        [begin, end]: [u32; 2],
        [row, col]: [u32; 2],
        [rows, cols]: [u32; 2],
        sums: *mut [V; NR],
    ) {
        let layout = Self::layout_a::<V, A>();
        let high = Self::high(rows, row);
        let mut lookahead = [const { MaybeUninit::<Lookahead<V, B, BK>>::uninit() }; PANELS];
        let lookahead = lookahead.as_mut_ptr().cast::<Lookahead<V, B, BK>>();
        let mut panels = 0;
        while panels < PANELS {
            let col = col + (panels * Self::PANEL) as u32;
            if col >= cols {
                break;
            }
            lookahead.add(panels).write(Lookahead::new(&b, begin, col));
            panels += 1;
        }
        let mut k = begin;
        while k < end {
            let depth = Self::depth(k, end);
            let extent = [depth, high.next_multiple_of(32)];
            load_slab(&a, Shared::dynamic(), layout, [k, row], extent);
            let mut panel = 0;
            while panel < panels {
                let col = col + (panel * Self::PANEL) as u32;
                let part = Part {
                    k,
                    col,
                    depth,
                    high,
                    left: (cols - col) as usize,
                    fresh: k == begin,
                    follows: panel + 1 < panels,
                };
                let sums = sums.add(panel * PASSES * MR);
                Self::multiply_panel(&b, lookahead.add(panel), part, layout, sums);
                panel += 1;
            }
            k += BK as u32;
        }
    }

    /// Multiplies the slab of A in shared memory by a panel of B. Unless B is
    /// transposed, the panel is loaded while it is multiplied for the first time.
    ///
    /// # Safety
    /// As of [`product`](Self::product); the slab of A is there, `lookahead` is the
    /// panel's, behind it the next one's where one follows, and `sums` its rows'.
    #[inline(always)]
    unsafe fn multiply_panel<V: Vector, B: Source<V>>(
        b: &B,
        lookahead: *mut Lookahead<V, B, BK>,
        part: Part,
        layout_a: Layout,
        sums: *mut [V; NR],
    ) {
        let shared = Shared::dynamic();
        let (slab, layout) = (shared.from(Self::SLAB_A), Self::layout_b());
        let Part {
            k,
            col,
            depth,
            high,
            left,
            fresh,
            follows,
        } = part;
        if B::TRANSPOSED {
            load_slab(b, slab, layout, [k, col], [depth, Self::PANEL]);
        }
        let ahead = lookahead.cast_const();
        // Nobody has prefetched the first slab; the next panel's part of it is prefetched here.
        let prefetch = move |pass: usize, step: usize| {
            (*ahead).prefetch(pass, step);
            if fresh && follows {
                (*ahead.add(1)).prefetch(pass, step);
            }
        };
        if V::REGISTERS <= MR * NR {
            if !B::TRANSPOSED {
                Self::load_panel(b, &mut *lookahead, depth);
            }
            let vectors = if left <= V::LANES { 1 } else { NR };
            Self::multiply_narrow(
                shared,
                layout_a,
                [depth, high],
                vectors,
                sums,
                fresh,
                prefetch,
            );
            return;
        }
        let mut pass = 0;
        while pass * MR < high {
            let tile = ThreadTile {
                row: pass * MR,
                ..Self::thread_tile(0, V::LANES)
            };
            let sums = sums.add(pass * MR);
            if B::TRANSPOSED && left <= V::LANES {
                let load_b = |step: usize| Self::load_b::<V, 1>(shared, tile, step);
                Self::multiply(shared, layout_a, tile, depth, sums, fresh, load_b);
            } else if !B::TRANSPOSED && pass == 0 {
                let mut cursor = (*lookahead).cursor();
                let load_b = |step: usize| {
                    let vectors = (*lookahead).take(b, step, &mut cursor);
                    let at = layout.at(step, 0, V::LANES);
                    slab::store::<V, NR>(slab, at, vectors);
                    vectors
                };
                Self::multiply::<V, NR>(shared, layout_a, tile, depth, sums, fresh, load_b);
                (*lookahead).set_cursor(cursor);
            } else {
                let load_b = |step: usize| {
                    prefetch(pass, step);
                    Self::load_b::<V, NR>(shared, tile, step)
                };
                Self::multiply::<V, NR>(shared, layout_a, tile, depth, sums, fresh, load_b);
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

/// What is multiplied at a time: the slab at `k`, `depth` deep, of the `high` rows that C has in this tile, and the
/// panel at `col`, from which on C has `left` columns.
#[derive(Clone, Copy)]
struct Part {
    k: u32,
    col: u32,
    depth: usize,
    high: usize,
    left: usize,
    /// Whether it is the first slab.
    fresh: bool,
    /// Whether another panel follows.
    follows: bool,
}
