//! A slab of an operand: its layout in shared memory, and how it is loaded there.

use super::Source;
use crate::device::*;

/// Vectors that a CPU loads at a time: NR.
pub const PAIR: usize = 2;

/// Pairs of vectors in BK at most.
const MOST_PAIRS: usize = 8;

/// Floats between the rows of a GPU's slab, so that a column's floats lie in
/// different banks.
pub const fn pad(gpu: bool) -> usize {
    if gpu { 4 } else { 0 }
}

/// Where element (k, i) of a slab lies.
#[derive(Clone, Copy)]
pub enum Layout {
    /// Row by row of k.
    Rows {
        /// Floats from one row to the next.
        stride: usize,
    },
    /// Packed: cut along i into panels as wide as two vectors, each row by row.
    Panels {
        /// Rows.
        depth: usize,
    },
    /// Column by column of i, as a transposed operand lies in memory.
    Transposed {
        /// Floats of a column.
        depth: usize,
    },
}

impl Layout {
    /// Where element (k, i) lies, in floats.
    #[inline(always)]
    pub fn at(self, k: usize, i: usize, lanes: usize) -> usize {
        match self {
            Layout::Rows { stride } => k * stride + i,
            Layout::Panels { depth } => {
                let panel = PAIR * lanes;
                i / panel * panel * depth + k * panel + i % panel
            }
            Layout::Transposed { depth } => i * depth + k,
        }
    }

    /// From (k, i) to (k + 1, i).
    #[inline(always)]
    pub fn step(self, lanes: usize) -> usize {
        self.at(1, 0, lanes) - self.at(0, 0, lanes)
    }

    /// Elements (k, i) to (k, i + N − 1), of which `i` is a multiple of `N`.
    ///
    /// # Safety
    /// They lie in a slab of A of this layout at `slab`, written before the last
    /// barrier.
    #[inline(always)]
    pub unsafe fn load_a<const N: usize>(
        self,
        slab: Shared,
        k: usize,
        i: usize,
        lanes: usize,
    ) -> [f32; N] {
        let slab = slab.from(self.at(0, i, lanes));
        let Layout::Transposed { depth } = self else {
            return slab.load_array(k * self.step(lanes));
        };
        let mut out = [0.0; N];
        let mut n = 0;
        while n < N {
            out[n] = slab.load(n * depth + k);
            n += 1;
        }
        out
    }
}

/// Loads the slab at (k, i), of `extent` rows of k and columns of i, to shared
/// memory, and prefetches the next one.
///
/// # Safety
/// The processor has `V`'s instructions, the memory of `source` can be read, `slab`
/// has room for the extent in this layout, and no other thread uses it meanwhile.
/// The extent is a multiple of two vectors in the direction in which the operand's
/// elements are neighbours, and of a vector in both where it is transposed on its
/// way.
#[inline(always)]
pub unsafe fn load_slab<V: Vector, S: Source<V>>(
    source: &S,
    slab: Shared,
    layout: Layout,
    at: [u32; 2],
    extent: [usize; 2],
) {
    match layout {
        _ if !S::TRANSPOSED => load_rows(source, slab, layout, at, extent),
        Layout::Transposed { .. } => load_transposed(source, slab, layout, at, extent),
        _ => load_and_transpose(source, slab, layout, at, extent),
    }
}

/// Loads rows of k.
///
/// # Safety
/// As of [`load_slab`].
#[inline(always)]
unsafe fn load_rows<V: Vector, S: Source<V>>(
    source: &S,
    slab: Shared,
    layout: Layout,
    [k, i]: [u32; 2],
    [depth, width]: [usize; 2],
) {
    let mut row = 0;
    while row < depth {
        let at_k = source.at_k(k + row as u32);
        let later = source.at_k(k + (row + depth) as u32);
        let mut col = 0;
        while col < width {
            let at_i = source.at_i(i + col as u32);
            let pair: [V; PAIR] = source.load(at_k, at_i);
            store(slab, layout.at(row, col, V::LANES), pair);
            prefetch_element(source, later, at_i);
            col += PAIR * V::LANES;
        }
        row += 1;
    }
}

/// Loads columns of i, as they lie.
///
/// # Safety
/// As of [`load_slab`].
#[inline(always)]
unsafe fn load_transposed<V: Vector, S: Source<V>>(
    source: &S,
    slab: Shared,
    layout: Layout,
    [k, i]: [u32; 2],
    [depth, width]: [usize; 2],
) {
    // What is known of k serves all columns.
    let mut at_k = [source.at_k(k); MOST_PAIRS];
    let mut later = at_k;
    let mut n = 0;
    while n * PAIR * V::LANES < depth {
        let row = k + (n * PAIR * V::LANES) as u32;
        *at_k.as_mut_ptr().add(n) = source.at_k(row);
        *later.as_mut_ptr().add(n) = source.at_k(row + depth as u32);
        n += 1;
    }
    let mut col = 0;
    while col < width {
        let at_i = source.at_i(i + col as u32);
        let mut n = 0;
        while n * PAIR * V::LANES < depth {
            let [first, second]: [V; PAIR] = source.load(*at_k.as_ptr().add(n), at_i);
            let at = layout.at(n * PAIR * V::LANES, col, V::LANES);
            slab.store_vector(at, first);
            slab.store_vector(at + V::LANES, second);
            prefetch_element(source, *later.as_ptr().add(n), at_i);
            n += 1;
        }
        col += 1;
    }
}

/// Loads squares of columns, each transposed on its way.
///
/// # Safety
/// As of [`load_slab`].
#[inline(always)]
unsafe fn load_and_transpose<V: Vector, S: Source<V>>(
    source: &S,
    slab: Shared,
    layout: Layout,
    [k, i]: [u32; 2],
    [depth, width]: [usize; 2],
) {
    let down = depth / V::LANES;
    let mut square = 0;
    while square < width / V::LANES * down {
        let (row, col) = (square % down * V::LANES, square / down * V::LANES);
        let at_k = source.at_k(k + row as u32);
        let later = source.at_k(k + (row + depth) as u32);
        let lines = V::square(|line| {
            let at_i = source.at_i(i + (col + line) as u32);
            if (row / V::LANES).is_multiple_of(PAIR) {
                prefetch_element(source, later, at_i);
            }
            let [vector] = source.load(at_k, at_i);
            vector
        });
        let rows = V::transpose(lines);
        let mut r = 0;
        while r < V::LANES {
            let vector = *rows.as_ref().as_ptr().add(r);
            slab.store_vector(layout.at(row + r, col, V::LANES), vector);
            r += 1;
        }
        square += 1;
    }
}

/// Prefetches an element and its neighbours.
///
/// # Safety
/// Those of the source's methods.
#[inline(always)]
unsafe fn prefetch_element<V: Vector, S: Source<V>>(source: &S, k: S::AtK, i: S::AtI) {
    if let Some(address) = source.address(k, i) {
        prefetch(address);
    }
}

/// Stores vectors side by side.
///
/// # Safety
/// `slab` has room for them from float `at` on, and no other thread uses it there.
#[inline(always)]
pub unsafe fn store<V: Vector, const N: usize>(slab: Shared, at: usize, vectors: [V; N]) {
    let mut n = 0;
    while n < N {
        slab.store_vector(at + n * V::LANES, vectors[n]);
        n += 1;
    }
}

/// A thread's vectors on their way to shared memory, in registers, slab by slab:
/// `N` of one column or line, `step` apart along k.
pub struct Staged<V: Vector, S: Source<V>, const N: usize> {
    k: u32,
    step: u32,
    at_i: S::AtI,
    /// Where in the slab the first one goes.
    place: usize,
    held: [V; N],
}

impl<V: Vector, S: Source<V>, const N: usize> Staged<V, S, N> {
    /// Thread `t`'s part of slabs that begin at `i` and are `width` wide, all of
    /// which the `threads` take together.
    ///
    /// # Safety
    /// The processor has `V`'s instructions; those of the source's methods.
    #[inline(always)]
    pub unsafe fn new(
        source: &S,
        layout: Layout,
        [t, threads]: [usize; 2],
        i: u32,
        width: usize,
    ) -> Self {
        let (k, step, own) = if N == 0 {
            (0, 0, 0)
        } else if S::TRANSPOSED {
            let across = threads / width;
            (t % across * V::LANES, across * V::LANES, t / across)
        } else {
            let across = width / V::LANES;
            (t / across, threads / across, t % across * V::LANES)
        };
        Staged {
            k: k as u32,
            step: step as u32,
            at_i: source.at_i(i + own as u32),
            place: layout.at(k, own, V::LANES),
            held: [V::splat(0.0); N],
        }
    }

    /// Loads the vectors of the slab at `k`.
    ///
    /// # Safety
    /// The memory of `source`, that of [`new`](Self::new), can be read.
    #[inline(always)]
    pub unsafe fn load(&mut self, source: &S, k: u32) {
        let mut n = 0;
        while n < N {
            let at_k = source.at_k(k + self.k + n as u32 * self.step);
            let [vector] = source.load(at_k, self.at_i);
            // Lane by lane: LLVM would copy halves, and load some lanes twice.
            self.held[n] = V::from_fn(|lane| vector.lane(lane));
            n += 1;
        }
    }

    /// Stores them into the slab.
    ///
    /// # Safety
    /// `slab` has room for a slab in `layout`, that of [`new`](Self::new), and no
    /// thread reads it before the next barrier.
    #[inline(always)]
    pub unsafe fn store(&self, slab: Shared, layout: Layout) {
        let row = layout.step(V::LANES);
        let mut n = 0;
        while n < N {
            let at = self.place + n * self.step as usize * row;
            if S::TRANSPOSED {
                let mut lane = 0;
                while lane < V::LANES {
                    slab.store(at + lane * row, self.held[n].lane(lane));
                    lane += 1;
                }
            } else {
                slab.store_vector(at, self.held[n]);
            }
            n += 1;
        }
    }
}
