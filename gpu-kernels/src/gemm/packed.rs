//! The product of operands that lie as a CPU's innermost loop wants them, and in its cache: it takes them from where they
//! are and holds its sums in registers from the first term to the last. A GPU takes the ordinary way.

use super::multiply::NARROW;
use super::{K_STEP, Matrix, Source, Tile};
use crate::device::*;

/// Columns of a panel.
pub const PANEL: u32 = 32;

/// An operand packed in panels of [`PANEL`] columns, each row by row of k:
/// `data[i / 32 · 32 · depth + k · 32 + i % 32]`. The last panel is as large as the others.
#[derive(Clone, Copy)]
pub struct Panels {
    /// Its first element.
    pub data: *const f32,
    /// Extent of k.
    pub depth: u32,
    /// Extent of i, a multiple of 16.
    pub width: u32,
}

impl Panels {
    /// Floats of an operand, whole panels.
    pub const fn len(depth: u32, width: u32) -> usize {
        depth as usize * width.next_multiple_of(PANEL) as usize
    }

    /// Where element (k, i) lies.
    #[inline(always)]
    pub const fn at(depth: u32, k: u32, i: u32) -> usize {
        // Terms of k's and i's own: a GPU adds those that are constants to an address for nothing.
        let panel = (i / PANEL * PANEL) as usize * depth as usize;
        panel + (i % PANEL) as usize + k as usize * PANEL as usize
    }
}

// SAFETY: an element has an address where (k, i) is in the operand; up to the next multiple of 32 of i those after it lie
// in the same row of a panel.
unsafe impl<V: Vector> Source<V> for Panels {
    const TRANSPOSED: bool = false;
    type AtK = u32;
    type AtI = u32;

    #[inline(always)]
    fn at_k(&self, k: u32) -> u32 {
        k
    }

    #[inline(always)]
    fn at_i(&self, i: u32) -> u32 {
        i
    }

    #[inline(always)]
    unsafe fn address(&self, k: u32, i: u32) -> Option<*const f32> {
        (k < self.depth && i < self.width).then(|| self.data.add(Self::at(self.depth, k, i)))
    }
}

/// The memory of a product's sums, row and column laid out as k and i of [`Panels`].
#[derive(Clone, Copy)]
pub struct Sums {
    /// The first one.
    pub data: *mut f32,
    /// Rows of a panel.
    pub depth: u32,
    /// Whether the product is added to what is there.
    pub added: bool,
}

impl Sums {
    /// Where the sum of `row` and `col` is.
    #[inline(always)]
    pub fn at(self, row: u32, col: u32) -> *mut f32 {
        self.data.wrapping_add(Panels::at(self.depth, row, col))
    }

    /// Stores `sum`, or adds it to the vector at `to`.
    ///
    /// # Safety
    /// There is one.
    #[inline(always)]
    pub unsafe fn store<V: Vector>(self, to: *mut f32, sum: V) {
        if self.added {
            to.store_vector(0, to.load_vector::<V>(0) + sum);
        } else {
            to.store_vector(0, sum);
        }
    }
}

/// An operand A whose rows are taken float by float.
pub trait Rows {
    /// From one k to the next.
    const STEP: usize;
    /// The address of row `i`, or where it would be.
    fn place(&self, i: u32) -> *const f32;
}

/// What is prefetched, `step` floats further at each step.
#[derive(Clone, Copy)]
struct Ahead {
    at: *const f32,
    step: usize,
}

impl Rows for Panels {
    const STEP: usize = PANEL as usize;

    #[inline(always)]
    fn place(&self, i: u32) -> *const f32 {
        self.data.wrapping_add(Panels::at(self.depth, 0, i))
    }
}

impl Rows for Matrix<true> {
    const STEP: usize = 1;

    #[inline(always)]
    fn place(&self, i: u32) -> *const f32 {
        self.data.wrapping_add((i * self.stride) as usize)
    }
}

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
    /// Rows `rows[0]..rows[1]` and columns `0..cols` of C, all by this block, to `sums`, whose first row is `rows[0]`.
    /// `rows[0]` is a multiple of 32 and `cols`, too. What lies at `next` comes into a CPU's cache meanwhile, as much as
    /// there is of A: the next product's rows, if they are not there yet.
    ///
    /// # Safety
    /// As of [`product`](Self::product); on a CPU without shared memory. Rows of A and columns of B are there, and `sums`
    /// has room for the product.
    #[inline(always)]
    pub unsafe fn product_of_packed<V: Vector, A: Source<V> + Rows + Copy>(
        a: A,
        b: Panels,
        rows: [u32; 2],
        cols: u32,
        next: *const f32,
        sums: Sums,
    ) {
        if STAGE > 0 {
            Self::tiles_of_packed::<V, A>(a, b, rows, cols, sums);
            return;
        }
        // Bit by bit, at each step.
        let mut next = Ahead { at: next, step: 0 };
        let mut col = 0;
        while col < cols {
            let at = At { rows, cols, col };
            if V::REGISTERS > MR * NR {
                Self::rows_times_panel::<V, A, MR, NR>(a, b, at, &mut next, sums);
            } else {
                Self::rows_times_panel::<V, A, NARROW, 1>(a, b, at, &mut next, sums);
            }
            col += PANEL;
        }
    }

    /// The product, a tile at a time.
    ///
    /// # Safety
    /// As of [`product_of_packed`](Self::product_of_packed).
    #[inline(always)]
    unsafe fn tiles_of_packed<V: Vector, A: Source<V> + Copy>(
        a: A,
        b: Panels,
        rows: [u32; 2],
        cols: u32,
        sums: Sums,
    ) {
        let mut row = rows[0];
        while row < rows[1] {
            let mut col = 0;
            while col < cols {
                let extent = [rows[1], cols];
                let store = |row: u32, col: u32, sum: V| {
                    sums.store(sums.at(row - rows[0], col), sum);
                };
                Self::product::<V, A, Panels>(a, b, [0, b.depth], [row, col], extent, store);
                col += BN as u32;
            }
            row += BM as u32;
        }
    }

    /// Rows times a panel, `M` of them by `N` vectors at a time. A last group with fewer rows computes its last one
    /// several times.
    ///
    /// # Safety
    /// As of [`product_of_packed`](Self::product_of_packed).
    #[inline(always)]
    unsafe fn rows_times_panel<V: Vector, A: Rows, const M: usize, const N: usize>(
        a: A,
        b: Panels,
        At { rows, cols, col }: At,
        next: &mut Ahead,
        sums: Sums,
    ) {
        let depth = b.depth as usize;
        next.step = (M * N * V::LANES) / cols as usize;
        let mut row = rows[0];
        while row < rows[1] {
            let mut from = [a.place(row); M];
            let mut to = [sums.at(0, 0); M];
            let mut n = 0;
            while n < M {
                let row = if row + (n as u32) < rows[1] {
                    row + n as u32
                } else {
                    rows[1] - 1
                };
                from[n] = a.place(row);
                to[n] = sums.at(row - rows[0], col);
                n += 1;
            }
            let mut j = 0;
            while j < PANEL as usize {
                let panel = b.data.add(Panels::at(b.depth, 0, col) + j);
                let mut n = 0;
                while n < M && sums.added {
                    prefetch(to[n].wrapping_add(j));
                    n += 1;
                }
                let acc = Self::dots::<V, A, M, N>(from, panel, depth, *next);
                next.at = next.at.wrapping_add(depth * next.step);
                let mut n = 0;
                while n < M {
                    let mut l = 0;
                    while l < N && row + (n as u32) < rows[1] {
                        sums.store(to[n].add(j + l * V::LANES), acc[n][l]);
                        l += 1;
                    }
                    n += 1;
                }
                j += N * V::LANES;
            }
            row += M as u32;
        }
    }

    /// # Safety
    /// As of [`product_of_packed`](Self::product_of_packed).
    #[inline(always)]
    unsafe fn dots<V: Vector, A: Rows, const M: usize, const N: usize>(
        from: [*const f32; M],
        panel: *const f32,
        depth: usize,
        next: Ahead,
    ) -> [[V; N]; M] {
        let mut acc = [[V::splat(0.0); N]; M];
        let mut k = 0;
        while k + 4 <= depth {
            prefetch(next.at.wrapping_add(k * next.step));
            Self::step::<V, A, M, N>(from, panel, k, &mut acc);
            Self::step::<V, A, M, N>(from, panel, k + 1, &mut acc);
            Self::step::<V, A, M, N>(from, panel, k + 2, &mut acc);
            Self::step::<V, A, M, N>(from, panel, k + 3, &mut acc);
            k += 4;
        }
        while k < depth {
            Self::step::<V, A, M, N>(from, panel, k, &mut acc);
            k += 1;
        }
        if !depth.is_multiple_of(K_STEP as usize) {
            Self::add_zeros(&mut acc);
        }
        acc
    }

    /// # Safety
    /// As of [`product_of_packed`](Self::product_of_packed).
    #[inline(always)]
    unsafe fn step<V: Vector, A: Rows, const M: usize, const N: usize>(
        from: [*const f32; M],
        panel: *const f32,
        k: usize,
        acc: &mut [[V; N]; M],
    ) {
        let mut b = [V::splat(0.0); N];
        let mut l = 0;
        while l < N {
            b[l] = panel.load_vector(k * PANEL as usize + l * V::LANES);
            l += 1;
        }
        let mut n = 0;
        while n < M {
            let a = V::splat(from[n].load(k * A::STEP));
            let mut l = 0;
            while l < N {
                acc[n][l] = a.fma(b[l], acc[n][l]);
                l += 1;
            }
            n += 1;
        }
    }

    /// The zeros that a GPU adds at the end of k make 0 of −0.
    ///
    /// # Safety
    /// As of [`product_of_packed`](Self::product_of_packed).
    #[inline(always)]
    unsafe fn add_zeros<V: Vector, const M: usize, const N: usize>(acc: &mut [[V; N]; M]) {
        let zero = V::splat(0.0);
        let mut n = 0;
        while n < M {
            let mut l = 0;
            while l < N {
                acc[n][l] = zero.fma(zero, acc[n][l]);
                l += 1;
            }
            n += 1;
        }
    }
}

/// A part of a product on a CPU: rows of C, how many columns it has, and the panel's first column.
#[derive(Clone, Copy)]
struct At {
    rows: [u32; 2],
    cols: u32,
    col: u32,
}
