//! A slab of an operand: how it lies in shared memory and how it gets there.

use super::Source;
use crate::device::*;

/// Vectors that a CPU brings at a time.
pub const PAIR: usize = 2;

/// Pairs of vectors in a line at most.
const LINE: usize = 8;

/// Floats between the rows of a GPU's slab, so that a column's floats are in
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
    /// Cut along i into panels as wide as two vectors, each row by row: what a
    /// thread reads is in one place.
    Panels {
        /// Rows.
        depth: usize,
    },
    /// Line by line of i: as a turned operand lies in memory.
    Lines {
        /// Floats of a line.
        depth: usize,
    },
}

impl Layout {
    /// The place of (k, i).
    #[inline(always)]
    pub fn at(self, k: usize, i: usize, lanes: usize) -> usize {
        match self {
            Layout::Rows { stride } => k * stride + i,
            Layout::Panels { depth } => {
                let panel = PAIR * lanes;
                i / panel * panel * depth + k * panel + i % panel
            }
            Layout::Lines { depth } => i * depth + k,
        }
    }

    /// From (k, i) to (k + 1, i).
    #[inline(always)]
    pub fn step(self, lanes: usize) -> usize {
        self.at(1, 0, lanes) - self.at(0, 0, lanes)
    }

    /// Elements (k, i) to (k, i + N − 1), of which `i` is a multiple of `N`.
    #[inline(always)]
    pub unsafe fn load_down<const N: usize>(
        self,
        slab: Shared,
        k: usize,
        i: usize,
        lanes: usize,
    ) -> [f32; N] {
        let slab = slab.from(self.at(0, i, lanes));
        let Layout::Lines { depth } = self else {
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

/// Brings the slab at (k, i) to shared memory, and announces the next one.
#[inline(always)]
pub unsafe fn bring<V: Vector, S: Source<V>>(
    source: &S,
    slab: Shared,
    layout: Layout,
    at: [u32; 2],
    extent: [usize; 2],
) {
    match layout {
        _ if !S::TURNED => bring_rows(source, slab, layout, at, extent),
        Layout::Lines { .. } => bring_lines(source, slab, layout, at, extent),
        _ => bring_squares(source, slab, layout, at, extent),
    }
}

/// Rows of k.
#[inline(always)]
unsafe fn bring_rows<V: Vector, S: Source<V>>(
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
            let pair: [V; PAIR] = source.vectors(at_k, at_i);
            store(slab, layout.at(row, col, V::LANES), pair);
            announce(source, later, at_i);
            col += PAIR * V::LANES;
        }
        row += 1;
    }
}

/// Lines of i, as they are.
#[inline(always)]
unsafe fn bring_lines<V: Vector, S: Source<V>>(
    source: &S,
    slab: Shared,
    layout: Layout,
    [k, i]: [u32; 2],
    [depth, width]: [usize; 2],
) {
    // What is known of k serves all lines.
    let mut at_k = [source.at_k(k); LINE];
    let mut later = at_k;
    let mut n = 0;
    while n * PAIR * V::LANES < depth {
        let row = k + (n * PAIR * V::LANES) as u32;
        *at_k.as_mut_ptr().add(n) = source.at_k(row);
        *later.as_mut_ptr().add(n) = source.at_k(row + depth as u32);
        n += 1;
    }
    let mut line = 0;
    while line < width {
        let at_i = source.at_i(i + line as u32);
        let mut n = 0;
        while n * PAIR * V::LANES < depth {
            let pair: [V; PAIR] = source.vectors(*at_k.as_ptr().add(n), at_i);
            store(slab, layout.at(n * PAIR * V::LANES, line, V::LANES), pair);
            announce(source, *later.as_ptr().add(n), at_i);
            n += 1;
        }
        line += 1;
    }
}

/// Squares of lines, each turned on its way.
#[inline(always)]
unsafe fn bring_squares<V: Vector, S: Source<V>>(
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
                announce(source, later, at_i);
            }
            let [vector] = source.vectors(at_k, at_i);
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

/// Tells the cache of an element and its neighbours.
#[inline(always)]
unsafe fn announce<V: Vector, S: Source<V>>(source: &S, k: S::AtK, i: S::AtI) {
    if let Some(place) = source.find(k, i) {
        prefetch(place);
    }
}

/// Puts vectors side by side.
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
    /// The first one's place in the slab.
    place: usize,
    held: [V; N],
}

impl<V: Vector, S: Source<V>, const N: usize> Staged<V, S, N> {
    /// Thread `t`'s of slabs that begin at `i` and are `width` wide, of which
    /// all `threads` together take everything.
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
        } else if S::TURNED {
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

    /// Takes the vectors of the slab at `k`.
    #[inline(always)]
    pub unsafe fn fetch(&mut self, source: &S, k: u32) {
        let mut n = 0;
        while n < N {
            let at_k = source.at_k(k + self.k + n as u32 * self.step);
            let [vector] = source.vectors(at_k, self.at_i);
            // Lane by lane: LLVM would copy halves, and load some lanes twice.
            self.held[n] = V::from_fn(|lane| vector.lane(lane));
            n += 1;
        }
    }

    /// Puts them into the slab.
    #[inline(always)]
    pub unsafe fn put(&self, slab: Shared, layout: Layout) {
        let row = layout.step(V::LANES);
        let mut n = 0;
        while n < N {
            let at = self.place + n * self.step as usize * row;
            if S::TURNED {
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
