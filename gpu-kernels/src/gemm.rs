//! The matrix product under every convolution and fully connected layer.
//!
//! `C[i][j] = Σₖ A[k][i] · B[k][j]`, summed over k in order by fused
//! multiply-adds, so the bits do not depend on how the work is cut.
//!
//! A block computes a tile of C. It walks along k in slabs: while it multiplies
//! one slab, which lies in shared memory, it brings in the next one.
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
//! What A and B are is up to an [`Operand`]: a matrix, its transpose, or images
//! under a moving window, which is what makes the product a convolution.

use crate::device::*;

/// k is padded with zeros to a multiple of this, on every device alike.
pub const K_STEP: u32 = 32;

/// How a block's tile of C is cut. Only speed depends on it.
///
/// Rows of a thread come in groups of `GROUP`, a group's rows are neighbours.
/// `STAGE` is the number of units of each operand a thread holds in registers
/// on their way to shared memory; 0 where loads need no hiding (a CPU).
pub struct Tile<
    const ROWS: usize,
    const COLS: usize,
    const DEPTH: usize,
    const THREAD_ROWS: usize,
    const GROUP: usize,
    const THREAD_VECTORS: usize,
    const STAGE: usize,
>;

/// The tile of a CPU: up to 96 threads with 8×32 accumulators each.
pub type CpuTile = Tile<192, 128, 32, 8, 8, 2, 0>;
/// The tile of a GPU: 256 threads with 8×8 accumulators each.
pub type GpuTile = Tile<128, 128, 8, 8, 4, 2, 1>;

/// The tile of the device this is compiled for.
#[cfg(target_arch = "nvptx64")]
pub type NativeTile = GpuTile;
/// The tile of the device this is compiled for.
#[cfg(not(target_arch = "nvptx64"))]
pub type NativeTile = CpuTile;

/// An operand of the product, by the unit in which threads bring it in.
pub trait Operand<V: Vector> {
    /// What a thread loads at a time.
    type Unit: Copy;
    /// How far a unit extends along k; along the tile it has `V::LANES`.
    const UNIT_K: usize;
    /// Whether neighbours in memory are neighbours along k.
    const TURNED: bool;

    /// The unit at `k` and row (or column) `i`; zeros outside the matrix.
    unsafe fn fetch(&self, k: u32, i: u32) -> Self::Unit;

    /// Puts a unit into a slab with `stride` floats a row of k.
    unsafe fn put(unit: Self::Unit, slab: Shared, k: usize, i: usize, stride: usize);

    /// Puts a unit as it was fetched: where [`TURNED`](Self::TURNED), into a slab
    /// with `stride` floats for each `i`.
    unsafe fn put_as_is(unit: Self::Unit, slab: Shared, k: usize, i: usize, stride: usize);
}

/// Where an operand's numbers come from.
pub trait Source<V: Vector> {
    /// `V::LANES` elements from (k, i) on, in the direction in which they are
    /// neighbours in memory; zeros outside.
    unsafe fn vector(&self, k: u32, i: u32) -> V;
}

/// An operand whose neighbours in memory are neighbours in the tile.
pub struct Straight<S>(pub S);

/// An operand whose neighbours in memory are neighbours along k: transposed,
/// a square at a time, on its way to shared memory.
pub struct Turned<S>(pub S);

impl<V: Vector, S: Source<V>> Operand<V> for Straight<S> {
    type Unit = V;
    const UNIT_K: usize = 1;
    const TURNED: bool = false;

    #[inline(always)]
    unsafe fn fetch(&self, k: u32, i: u32) -> V {
        self.0.vector(k, i)
    }

    #[inline(always)]
    unsafe fn put(unit: V, slab: Shared, k: usize, i: usize, stride: usize) {
        slab.store_vector(k * stride + i, unit);
    }

    #[inline(always)]
    unsafe fn put_as_is(unit: V, slab: Shared, k: usize, i: usize, stride: usize) {
        slab.store_vector(k * stride + i, unit);
    }
}

impl<V: Vector, S: Source<V>> Operand<V> for Turned<S> {
    type Unit = V::Square;
    const UNIT_K: usize = V::LANES;
    const TURNED: bool = true;

    #[inline(always)]
    unsafe fn fetch(&self, k: u32, i: u32) -> V::Square {
        V::square(|row| self.0.vector(k, i + row as u32))
    }

    #[inline(always)]
    unsafe fn put(unit: V::Square, slab: Shared, k: usize, i: usize, stride: usize) {
        let columns = V::transpose(unit);
        let columns = columns.as_ref();
        let mut row = 0;
        while row < V::LANES {
            slab.store_vector((k + row) * stride + i, *columns.as_ptr().add(row));
            row += 1;
        }
    }

    #[inline(always)]
    unsafe fn put_as_is(unit: V::Square, slab: Shared, k: usize, i: usize, stride: usize) {
        let rows = unit.as_ref();
        let mut row = 0;
        while row < V::LANES {
            slab.store_vector((i + row) * stride + k, *rows.as_ptr().add(row));
            row += 1;
        }
    }
}

/// A matrix in memory: the element at (`major`, `minor`) is
/// `data[major · stride + minor]`.
///
/// As a [`Straight`] operand k is major, as a [`Turned`] one minor.
#[derive(Clone, Copy)]
pub struct Matrix {
    /// Its first element.
    pub data: *const f32,
    /// Floats from one row to the next, a multiple of the lanes.
    pub stride: usize,
    /// Extent of k.
    pub depth: u32,
    /// Extent of the other index.
    pub width: u32,
    /// Whether k is the minor index.
    pub turned: bool,
}

impl<V: Vector> Source<V> for Matrix {
    #[inline(always)]
    unsafe fn vector(&self, k: u32, i: u32) -> V {
        if k >= self.depth || i >= self.width {
            return V::splat(0.0);
        }
        let (major, minor) = if self.turned { (i, k) } else { (k, i) };
        self.data.load_vector(major as usize * self.stride + minor as usize)
    }
}

impl<
    const ROWS: usize,
    const COLS: usize,
    const DEPTH: usize,
    const THREAD_ROWS: usize,
    const GROUP: usize,
    const THREAD_VECTORS: usize,
    const STAGE: usize,
> Tile<ROWS, COLS, DEPTH, THREAD_ROWS, GROUP, THREAD_VECTORS, STAGE>
{
    /// Rows of C that a block computes.
    pub const ROWS: usize = ROWS;
    /// Columns of C that a block computes.
    pub const COLS: usize = COLS;
    /// Bytes of shared memory: two slabs of each operand.
    pub const SHARED: usize = 2 * DEPTH * (ROWS + COLS) * size_of::<f32>();

    /// Threads of a block, for vectors of `lanes` lanes and a product of `rows`
    /// rows: on a CPU no more than those rows keep busy.
    pub const fn threads(lanes: usize, rows: usize) -> usize {
        let rows = if STAGE > 0 || rows > ROWS { ROWS } else { rows };
        rows.div_ceil(THREAD_ROWS) * Self::threads_across(lanes)
    }

    const fn threads_across(lanes: usize) -> usize {
        COLS / (THREAD_VECTORS * lanes)
    }

    /// Computes this block's tile of C, whose first row and column are `row` and
    /// `col`, for k in `begin..end`, and gives it to `store(row, col, vector)`.
    ///
    /// C has `rows` rows and `cols` columns; `store` sees none beyond.
    ///
    /// # Safety
    /// All threads of a block of `Self::threads` call this with the same
    /// arguments and with `Self::SHARED` bytes of shared memory.
    #[inline(always)]
    pub unsafe fn product<V: Vector, A: Operand<V>, B: Operand<V>>(
        a: A,
        b: B,
        [begin, end]: [u32; 2],
        [row, col]: [u32; 2],
        [rows, cols]: [u32; 2],
        mut store: impl FnMut(u32, u32, V),
    ) {
        let shared = Shared::dynamic();
        let slabs = [shared, shared.from(DEPTH * (ROWS + COLS))];
        let t = thread::thread_idx_x() as usize;
        let threads = match STAGE {
            0 => thread::block_dim_x() as usize,
            _ => Self::threads(V::LANES, ROWS),
        };
        let (ty, tx) = Self::position(t, threads, V::LANES);
        // Threads wholly outside C only help to load.
        let (down, along) = ((ty * GROUP) as u32, (tx * V::LANES) as u32);
        let active = row + down < rows && col + along < cols;

        let mut sums = [[V::splat(0.0); THREAD_VECTORS]; THREAD_ROWS];
        let steps = (end - begin).div_ceil(K_STEP) * (K_STEP / DEPTH as u32);
        let mut staged_a = Stage::<V, A, STAGE>::new();
        let mut staged_b = Stage::<V, B, STAGE>::new();

        let flat = Self::flat::<V, A>();
        Self::bring::<V, A, ROWS>(&a, flat, slabs[0], [t, threads], begin, row);
        Self::bring::<V, B, COLS>(&b, false, slabs[0].from(DEPTH * ROWS), [t, threads], begin, col);
        thread::sync_threads();
        let mut step = 0;
        let (mut now, mut then) = (slabs[0], slabs[1]);
        while step < steps {
            let k = begin + (step + 1) * DEPTH as u32;
            let more = step + 1 < steps;
            if more {
                if STAGE == 0 {
                    Self::bring::<V, A, ROWS>(&a, flat, then, [t, threads], k, row);
                    Self::bring::<V, B, COLS>(&b, false, then.from(DEPTH * ROWS), [t, threads], k, col);
                } else {
                    staged_a.fetch::<ROWS, DEPTH>(&a, t, threads, k, row);
                    staged_b.fetch::<COLS, DEPTH>(&b, t, threads, k, col);
                }
            }
            if active {
                Self::multiply(now, flat, ty, tx, &mut sums);
            }
            if more && STAGE > 0 {
                staged_a.put::<ROWS, DEPTH>(then, t, threads);
                staged_b.put::<COLS, DEPTH>(then.from(DEPTH * ROWS), t, threads);
            }
            thread::sync_threads();
            (now, then) = (then, now);
            step += 1;
        }
        if active {
            Self::finish(ty, tx, &sums, [row, col], [rows, cols], &mut store);
        }
    }

    /// Whether A lies in its slab as in memory. A CPU takes single floats of A
    /// from wherever they are, so it need not turn them; a GPU takes four at a time.
    const fn flat<V: Vector, A: Operand<V>>() -> bool {
        STAGE == 0 && A::TURNED
    }

    /// Which share of the tile is thread `t`'s. On a GPU neighbours read
    /// neighbouring columns; on a CPU they read the same ones, which then stay in
    /// the nearest cache.
    #[inline(always)]
    fn position(t: usize, threads: usize, lanes: usize) -> (usize, usize) {
        let across = Self::threads_across(lanes);
        if STAGE > 0 {
            return (t / across, t % across);
        }
        let down = threads / across;
        (t % down, t / down)
    }

    /// Loads this thread's units of a slab straight into shared memory.
    #[inline(always)]
    unsafe fn bring<V: Vector, O: Operand<V>, const WIDTH: usize>(
        operand: &O,
        flat: bool,
        slab: Shared,
        [t, threads]: [usize; 2],
        k: u32,
        i: u32,
    ) {
        let units = WIDTH / V::LANES * (DEPTH / O::UNIT_K);
        let mut unit = t;
        while unit < units {
            let (uk, ui) = place::<V, O>(unit, WIDTH);
            let held = operand.fetch(k + uk as u32, i + ui as u32);
            match flat {
                true => O::put_as_is(held, slab, uk, ui, DEPTH),
                false => O::put(held, slab, uk, ui, WIDTH),
            }
            unit += threads;
        }
    }

    /// One slab's worth of this thread's sums.
    #[inline(always)]
    unsafe fn multiply<V: Vector>(
        slab: Shared,
        flat: bool,
        ty: usize,
        tx: usize,
        sums: &mut [[V; THREAD_VECTORS]; THREAD_ROWS],
    ) {
        let mut acc = *sums;
        let mut k = 0;
        while k < DEPTH {
            let b = slab.from(DEPTH * ROWS + k * COLS + tx * V::LANES);
            let mut across = [V::splat(0.0); THREAD_VECTORS];
            let mut j = 0;
            while j < THREAD_VECTORS {
                across[j] = b.load_vector(j * (COLS / THREAD_VECTORS));
                j += 1;
            }
            let mut g = 0;
            while g < THREAD_ROWS / GROUP {
                let first = ty * GROUP + g * (ROWS * GROUP / THREAD_ROWS);
                let down: [f32; GROUP] = match flat {
                    true => load_down(slab.from(first * DEPTH + k), DEPTH),
                    false => slab.load_array(k * ROWS + first),
                };
                let mut i = 0;
                while i < GROUP {
                    let mut j = 0;
                    while j < THREAD_VECTORS {
                        let sum = &mut acc[g * GROUP + i][j];
                        *sum = V::splat(down[i]).fma(across[j], *sum);
                        j += 1;
                    }
                    i += 1;
                }
                g += 1;
            }
            k += 1;
        }
        *sums = acc;
    }

    #[inline(always)]
    unsafe fn finish<V: Vector>(
        ty: usize,
        tx: usize,
        sums: &[[V; THREAD_VECTORS]; THREAD_ROWS],
        [row, col]: [u32; 2],
        [rows, cols]: [u32; 2],
        store: &mut impl FnMut(u32, u32, V),
    ) {
        let mut i = 0;
        while i < THREAD_ROWS {
            let r = row
                + (ty * GROUP + i / GROUP * (ROWS * GROUP / THREAD_ROWS) + i % GROUP) as u32;
            let mut j = 0;
            while j < THREAD_VECTORS {
                let c = col + (tx * V::LANES + j * (COLS / THREAD_VECTORS)) as u32;
                if r < rows && c < cols {
                    store(r, c, sums[i][j]);
                }
                j += 1;
            }
            i += 1;
        }
    }
}

/// `N` floats, `stride` apart.
#[inline(always)]
unsafe fn load_down<const N: usize>(from: Shared, stride: usize) -> [f32; N] {
    let mut out = [0.0; N];
    let mut i = 0;
    while i < N {
        out[i] = from.load(i * stride);
        i += 1;
    }
    out
}

/// Where in a slab a unit lies: along k and along the tile.
#[inline(always)]
fn place<V: Vector, O: Operand<V>>(unit: usize, width: usize) -> (usize, usize) {
    let across = width / V::LANES;
    (unit / across * O::UNIT_K, unit % across * V::LANES)
}

/// Units on their way from global to shared memory, in registers.
struct Stage<V: Vector, O: Operand<V>, const N: usize>([Option<O::Unit>; N]);

impl<V: Vector, O: Operand<V>, const N: usize> Stage<V, O, N> {
    #[inline(always)]
    fn new() -> Self {
        Stage([None; N])
    }

    #[inline(always)]
    unsafe fn fetch<const WIDTH: usize, const DEPTH: usize>(
        &mut self,
        operand: &O,
        t: usize,
        threads: usize,
        k: u32,
        i: u32,
    ) {
        let units = WIDTH / V::LANES * (DEPTH / O::UNIT_K);
        let mut n = 0;
        while n < N {
            let unit = t + n * threads;
            if (n + 1) * threads <= units || unit < units {
                let (uk, ui) = place::<V, O>(unit, WIDTH);
                self.0[n] = Some(operand.fetch(k + uk as u32, i + ui as u32));
            }
            n += 1;
        }
    }

    #[inline(always)]
    unsafe fn put<const WIDTH: usize, const DEPTH: usize>(
        &self,
        slab: Shared,
        t: usize,
        threads: usize,
    ) {
        let units = WIDTH / V::LANES * (DEPTH / O::UNIT_K);
        let mut n = 0;
        while n < N {
            let unit = t + n * threads;
            if (n + 1) * threads <= units || unit < units {
                let (uk, ui) = place::<V, O>(unit, WIDTH);
                if let Some(held) = self.0[n] {
                    O::put(held, slab, uk, ui, WIDTH);
                }
            }
            n += 1;
        }
    }
}
