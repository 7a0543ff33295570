//! The transforms at the points 0, 1, −1, 2, −2 and ∞ (Lavin and Gray, arXiv 1509.09308), of vectors of numbers at a
//! time.
//!
//! With six points, `m` outputs and a filter of `r = 7 − m`, one dimension is `y = Aᵀ((G g) ⊙ (Bᵀ d))`:
//!
//! ```text
//!      ⎡ 4  0 −5  0  1  0 ⎤        row of point p, of G: (1, p, p², …) / N, with N = 4, −6, −6, 24, 24;
//!      ⎢ 0 −4 −4  1  1  0 ⎥                     of A: (1, p, p², …);
//! Bᵀ = ⎢ 0  4 −4 −1  1  0 ⎥        row of ∞, of both: (…, 0, 1)
//!      ⎢ 0 −2 −1  2  1  0 ⎥
//!      ⎢ 0  2 −1 −2  1  0 ⎥
//!      ⎣ 0  4  0 −5  0  1 ⎦
//! ```
//!
//! Sums and differences of the points of either sign share their parts. The order is part of the results' bits.

use crate::device::*;

/// Points, and so a tile's rows and columns.
pub const POINTS: usize = 6;

/// One dimension of a transform. No closure: that might be compiled apart, without the vector's instructions.
pub trait Transform<const N: usize, const M: usize> {
    /// The transformed numbers.
    ///
    /// # Safety
    /// The processor has `V`'s instructions.
    unsafe fn apply<V: Vector>(x: [V; N]) -> [V; M];
}

/// Both dimensions: `T` of each column, then of each row, of the N × N numbers `load(row, column)`; `store(at, number)`
/// gets the M × M results row by row.
///
/// # Safety
/// The processor has `V`'s instructions.
#[inline(always)]
pub unsafe fn both<V: Vector, T: Transform<N, M>, const N: usize, const M: usize>(
    mut load: impl FnMut(usize, usize) -> V,
    mut store: impl FnMut(usize, V),
) {
    if cfg!(not(target_arch = "nvptx64")) || N * M < POINTS * POINTS {
        rows::<V, T, N, M>([0, M], &mut load, &mut store);
        return;
    }
    // A GPU's registers do not hold the largest: two of its rows, each time from the columns anew. No loop: numbered
    // by one, they would not be registers.
    rows::<V, T, N, M>([0, 2], &mut load, &mut store);
    rows::<V, T, N, M>([2, 4], &mut load, &mut store);
    rows::<V, T, N, M>([4, 6], &mut load, &mut store);
}

/// Some of the results' rows.
///
/// # Safety
/// As of [`both`].
#[inline(always)]
unsafe fn rows<V: Vector, T: Transform<N, M>, const N: usize, const M: usize>(
    [begin, end]: [usize; 2],
    load: &mut impl FnMut(usize, usize) -> V,
    store: &mut impl FnMut(usize, V),
) {
    let mut half = [[V::splat(0.0); N]; M];
    let mut q = 0;
    while q < N {
        let mut column = [V::splat(0.0); N];
        let mut r = 0;
        while r < N {
            column[r] = load(r, q);
            r += 1;
        }
        let column = T::apply(column);
        let mut i = begin;
        while i < end {
            half[i][q] = column[i];
            i += 1;
        }
        q += 1;
    }
    let mut i = begin;
    while i < end {
        let row = T::apply(half[i]);
        let mut j = 0;
        while j < M {
            store(i * M + j, row[j]);
            j += 1;
        }
        i += 1;
    }
}

/// `x · factor + y`.
#[inline(always)]
unsafe fn add<V: Vector>(x: V, factor: f32, y: V) -> V {
    x.fma(V::splat(factor), y)
}

#[inline(always)]
unsafe fn times<V: Vector>(x: V, factor: f32) -> V {
    x * V::splat(factor)
}

/// `Bᵀ x`: of an input's tile.
pub struct Input;

impl Transform<6, 6> for Input {
    #[inline(always)]
    unsafe fn apply<V: Vector>(x: [V; 6]) -> [V; 6] {
        let (even, odd) = (add(x[2], -4.0, x[4]), add(x[1], -4.0, x[3]));
        let (even2, odd2) = (x[4] - x[2], times(x[3] - x[1], 2.0));
        [
            add(x[0], 4.0, add(x[2], -5.0, x[4])),
            even + odd,
            even - odd,
            even2 + odd2,
            even2 - odd2,
            add(x[1], 4.0, add(x[3], -5.0, x[5])),
        ]
    }
}

/// `Aᵀ z`, four outputs.
pub struct Output4;

impl Transform<6, 4> for Output4 {
    #[inline(always)]
    unsafe fn apply<V: Vector>(z: [V; 6]) -> [V; 4] {
        let (sum, difference) = (z[1] + z[2], z[1] - z[2]);
        let (sum2, difference2) = (z[3] + z[4], z[3] - z[4]);
        [
            z[0] + sum + sum2,
            add(difference2, 2.0, difference),
            add(sum2, 4.0, sum),
            add(difference2, 8.0, difference) + z[5],
        ]
    }
}

/// `Aᵀ z`, two outputs.
pub struct Output2;

impl Transform<6, 2> for Output2 {
    #[inline(always)]
    unsafe fn apply<V: Vector>(z: [V; 6]) -> [V; 2] {
        let (sum, difference) = (z[1] + z[2], z[1] - z[2]);
        let (sum2, difference2) = (z[3] + z[4], z[3] - z[4]);
        [z[0] + sum + sum2, add(difference2, 2.0, difference) + z[5]]
    }
}

/// `A y` of four: of a gradient's tile.
pub struct Gradient4;

impl Transform<4, 6> for Gradient4 {
    #[inline(always)]
    unsafe fn apply<V: Vector>(y: [V; 4]) -> [V; 6] {
        let (even, odd) = (y[0] + y[2], y[1] + y[3]);
        let (even2, odd2) = (add(y[2], 4.0, y[0]), times(add(y[3], 4.0, y[1]), 2.0));
        [
            y[0],
            even + odd,
            even - odd,
            even2 + odd2,
            even2 - odd2,
            y[3],
        ]
    }
}

/// `A y` of two.
pub struct Gradient2;

impl Transform<2, 6> for Gradient2 {
    #[inline(always)]
    unsafe fn apply<V: Vector>(y: [V; 2]) -> [V; 6] {
        [
            y[0],
            y[0] + y[1],
            y[0] - y[1],
            add(y[1], 2.0, y[0]),
            add(y[1], -2.0, y[0]),
            y[1],
        ]
    }
}

/// `G g` of a filter of three.
pub struct Weights3;

impl Transform<3, 6> for Weights3 {
    #[inline(always)]
    unsafe fn apply<V: Vector>(g: [V; 3]) -> [V; 6] {
        let (even, odd) = (times(g[0] + g[2], -1.0 / 6.0), times(g[1], -1.0 / 6.0));
        let (even2, odd2) = (
            times(add(g[2], 4.0, g[0]), 1.0 / 24.0),
            times(g[1], 1.0 / 12.0),
        );
        [
            times(g[0], 0.25),
            even + odd,
            even - odd,
            even2 + odd2,
            even2 - odd2,
            g[2],
        ]
    }
}

/// `G g` of a filter of five.
pub struct Weights5;

impl Transform<5, 6> for Weights5 {
    #[inline(always)]
    unsafe fn apply<V: Vector>(g: [V; 5]) -> [V; 6] {
        let even = times(g[0] + g[2] + g[4], -1.0 / 6.0);
        let odd = times(g[1] + g[3], -1.0 / 6.0);
        let even2 = times(add(add(g[4], 4.0, g[2]), 4.0, g[0]), 1.0 / 24.0);
        let odd2 = times(add(g[3], 4.0, g[1]), 1.0 / 12.0);
        [
            times(g[0], 0.25),
            even + odd,
            even - odd,
            even2 + odd2,
            even2 - odd2,
            g[4],
        ]
    }
}

/// `Gᵀ p` of a filter of three: to its gradient.
pub struct WeightsGradient3;

impl Transform<6, 3> for WeightsGradient3 {
    #[inline(always)]
    unsafe fn apply<V: Vector>(p: [V; 6]) -> [V; 3] {
        let (sum, difference) = (p[1] + p[2], p[1] - p[2]);
        let (sum2, difference2) = (p[3] + p[4], p[3] - p[4]);
        [
            add(p[0], 0.25, add(sum, -1.0 / 6.0, times(sum2, 1.0 / 24.0))),
            add(difference, -1.0 / 6.0, times(difference2, 1.0 / 12.0)),
            add(sum2 - sum, 1.0 / 6.0, p[5]),
        ]
    }
}

/// `Gᵀ p` of a filter of five.
pub struct WeightsGradient5;

impl Transform<6, 5> for WeightsGradient5 {
    #[inline(always)]
    unsafe fn apply<V: Vector>(p: [V; 6]) -> [V; 5] {
        let (sum, difference) = (p[1] + p[2], p[1] - p[2]);
        let (sum2, difference2) = (p[3] + p[4], p[3] - p[4]);
        [
            add(p[0], 0.25, add(sum, -1.0 / 6.0, times(sum2, 1.0 / 24.0))),
            add(difference, -1.0 / 6.0, times(difference2, 1.0 / 12.0)),
            times(sum2 - sum, 1.0 / 6.0),
            add(difference, -1.0 / 6.0, times(difference2, 1.0 / 3.0)),
            add(sum, -1.0 / 6.0, add(sum2, 2.0 / 3.0, p[5])),
        ]
    }
}
