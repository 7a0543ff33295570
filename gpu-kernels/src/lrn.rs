//! Local response normalisation across maps (section 3.3 of the paper).
//!
//! ```text
//! sᵢ = k + α · Σⱼ xⱼ²,    j = i − ⌊n/2⌋ … i + ⌊n/2⌋, clipped to the tower's maps
//! yᵢ = xᵢ · sᵢ^(−β)
//! ```
//!
//! at each place of each image. The window is symmetric, so sⱼ depends on xᵢ
//! exactly where sᵢ depends on xⱼ, by `∂sⱼ/∂xᵢ = 2 α xᵢ`. Hence
//!
//! ```text
//! dxᵢ = Σⱼ dyⱼ · ∂yⱼ/∂xᵢ = dyᵢ · sᵢ^(−β) − 2 α β xᵢ · Σⱼ tⱼ,    tⱼ = dyⱼ xⱼ sⱼ^(−β−1)
//! ```
//!
//! with j in the same window. The backward pass computes the sums again rather
//! than have them kept.
//!
//! The paper has k 2, n 5, α 1e-4, β 0.75, and does not divide α by n, as its
//! authors' program does: whoever wants that divides [`Lrn::alpha`].
//!
//! For β = ¾ the power is exact square roots: `s^¾ = √s · √√s`; otherwise it is
//! `libm`'s `powf`. Every sum is made anew, in the order of the maps, terms
//! beyond the tower being zeros; for n = 5 its terms stay in registers.
//!
//! x, y, dx and dy are `[maps][columns]`, where a map's columns are its height ·
//! width · images; `columns` is a multiple of 16, the pointers of 16 bytes. The
//! output must not overlap an input. Launch as [`lrn_forward_launch`] and
//! [`lrn_backward_launch`] say: blocks along x take equal shares of the maps,
//! along y [`COLUMNS`] columns each; any number of threads along x.
//!
//! ```
//! use gpu_kernels::launch::{self, Floats, In, Out, Target};
//! use gpu_kernels::lrn::Lrn;
//!
//! let pool = simt_executor::Pool::new(1)?;
//! // One map alone.
//! let shape = Lrn { maps: 1, columns: 32, size: 5, k: 2.0, alpha: 0.1, beta: 0.75 };
//! let (x, dy) = (Floats::from(&[3.0; 32][..]), Floats::from(&[1.0; 32][..]));
//! let (mut y, mut dx) = (Floats::zeros(32), Floats::zeros(32));
//! let (x, dy) = (In::from(&x), In::from(&dy));
//! launch::lrn_forward(shape, x, Out::from(&mut y), Target::Cpu)?.run(&pool)?;
//! launch::lrn_backward(shape, x, dy, Out::from(&mut dx), Target::Cpu)?.run(&pool)?;
//! let s = 2.0 + 0.1 * 9.0f64;
//! assert!((f64::from(y[0]) - 3.0 * s.powf(-0.75)).abs() < 1e-6);
//! let slope = s.powf(-0.75) - 2.0 * 0.1 * 0.75 * 9.0 * s.powf(-1.75);
//! assert!((f64::from(dx[0]) - slope).abs() < 1e-6);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use crate::device::*;
use crate::elementwise::Walk;

#[cfg(not(target_arch = "nvptx64"))]
use {
    crate::elementwise,
    crate::sizes::{self, BadSize, keep},
    crate::target::Target,
    cuda_std::simt::Launch,
};

/// Columns of a block.
pub const COLUMNS: u32 = 1024;

/// Sizes and constants of a normalisation.
#[derive(Clone, Copy, Debug, PartialEq)]
#[repr(C)]
pub struct Lrn {
    /// Maps of the tower.
    pub maps: u32,
    /// Height · width · images.
    pub columns: u32,
    /// n, the maps of a window.
    pub size: u32,
    /// k.
    pub k: f32,
    /// α, divided by n where that is wanted.
    pub alpha: f32,
    /// β.
    pub beta: f32,
}

/// The launch of [`lrn_forward`].
#[cfg(not(target_arch = "nvptx64"))]
pub fn lrn_forward_launch(shape: Lrn, target: Target) -> Launch {
    launch(shape, target)
}

/// The launch of [`lrn_backward`].
#[cfg(not(target_arch = "nvptx64"))]
pub fn lrn_backward_launch(shape: Lrn, target: Target) -> Launch {
    launch(shape, target)
}

/// A block's share of the maps is a compromise: the windows at its ends are read
/// by two blocks, but fewer maps are walked through at a time.
#[cfg(not(target_arch = "nvptx64"))]
fn launch(shape: Lrn, target: Target) -> Launch {
    let shares = match target {
        Target::Cpu => shape.maps.div_ceil(8),
        Target::Gpu => shape.maps.div_ceil(32),
    };
    let grid = [shares, shape.columns.div_ceil(COLUMNS), 1];
    Launch {
        grid,
        block: [elementwise::threads(target), 1, 1],
        shared: 0,
    }
}

#[cfg(not(target_arch = "nvptx64"))]
impl Lrn {
    /// Length of each tensor.
    pub const fn len(&self) -> usize {
        sizes::product(&[self.maps, self.columns])
    }

    /// Whether they are empty.
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// An error if no normalisation has this shape.
    pub fn check(&self) -> Result<(), BadSize> {
        let (maps, columns, size) = (self.maps, self.columns, self.size);
        keep(maps < 1 << 16, "maps must be fewer than 2¹⁶", maps.into())?;
        keep(
            columns.is_multiple_of(16) && columns < 1 << 31,
            "columns must be a multiple of 16 and fewer than 2³¹",
            columns.into(),
        )?;
        keep(
            0 < size && size < 1 << 16,
            "maps of a window must be at least 1 and fewer than 2¹⁶",
            size.into(),
        )
    }
}

impl Lrn {
    /// Row `map` of a tensor at `column`; zeros beyond the tower.
    #[inline(always)]
    unsafe fn row<V: Vector>(&self, x: *const f32, map: u32, column: usize) -> V {
        self.or_zero(map, |map| x.load_vector(self.at(map, column)))
    }

    /// What `x` gives for a map of the tower, zeros for others.
    #[inline(always)]
    unsafe fn or_zero<V: Vector>(&self, map: u32, x: impl Fn(u32) -> V) -> V {
        if map >= self.maps {
            return V::splat(0.0);
        }
        x(map)
    }

    #[inline(always)]
    fn at(&self, map: u32, column: usize) -> usize {
        map as usize * self.columns as usize + column
    }

    /// s from the sum of squares.
    #[inline(always)]
    unsafe fn scale<V: Vector>(&self, squares: V) -> V {
        V::splat(self.alpha).fma(squares, V::splat(self.k))
    }

    /// `x · s^(−β)`.
    #[inline(always)]
    unsafe fn normalised<V: Vector>(&self, x: V, s: V) -> V {
        if self.beta == 0.75 {
            return x / three_quarters(s);
        }
        x * s.map(|s| libm::powf(s, -self.beta))
    }

    /// `dy · s^(−β)` and `dy · x · s^(−β−1)`.
    #[inline(always)]
    unsafe fn parts<V: Vector>(&self, x: V, dy: V, s: V) -> [V; 2] {
        let (power, over_s) = if self.beta == 0.75 {
            let over_s = V::splat(1.0) / (three_quarters(s) * s);
            (over_s * s, over_s)
        } else {
            let power = s.map(|s| libm::powf(s, -self.beta));
            (power, power / s)
        };
        [dy * power, dy * x * over_s]
    }

    /// dx of one element from its own part and the sum over its window.
    #[inline(always)]
    unsafe fn gradient<V: Vector>(&self, own: V, x: V, sum: V) -> V {
        (V::splat(-2.0 * self.alpha * self.beta) * x).fma(sum, own)
    }
}

/// `s^¾`.
#[inline(always)]
unsafe fn three_quarters<V: Vector>(s: V) -> V {
    let root = s.sqrt();
    root * root.sqrt()
}

/// Five neighbouring maps' values.
#[derive(Clone, Copy)]
struct Five<V>([V; 5]);

impl<V: Vector> Five<V> {
    /// Drops the first and takes in a new last one.
    #[inline(always)]
    fn push(&mut self, last: V) {
        let [_, b, c, d, e] = self.0;
        self.0 = [b, c, d, e, last];
    }

    #[inline(always)]
    unsafe fn squares(&self) -> V {
        let [a, b, c, d, e] = self.0;
        e.fma(e, d.fma(d, c.fma(c, b.fma(b, a.fma(a, V::splat(0.0))))))
    }

    #[inline(always)]
    unsafe fn sum(&self) -> V {
        let [a, b, c, d, e] = self.0;
        V::splat(0.0) + a + b + c + d + e
    }
}

/// Forward for n = 5 at one place and maps `first..last`: `y(map, vector)` gets
/// each result, `x(map)` is asked once for each map of the tower that a window
/// reaches. So a kernel can normalise what it has just computed.
///
/// # Safety
/// `shape.size` is 5 and `last` at most `shape.maps`; the processor has `V`'s
/// instructions.
#[inline(always)]
pub unsafe fn normalise5<V: Vector>(
    shape: &Lrn,
    [first, last]: [u32; 2],
    x: impl Fn(u32) -> V,
    mut y: impl FnMut(u32, V),
) {
    let row = |back: u32| shape.or_zero(first.wrapping_sub(back), &x);
    let ahead = shape.or_zero(first + 1, &x);
    let mut window = Five([V::splat(0.0), row(2), row(1), row(0), ahead]);
    let mut map = first;
    while map < last {
        window.push(shape.or_zero(map + 2, &x));
        let s = shape.scale(window.squares());
        y(map, shape.normalised(window.0[2], s));
        map += 1;
    }
}

/// Forward for n = 5 at one column and maps `first..last`.
///
/// # Safety
/// As of [`lrn_forward`]; the vector at `column` lies within the columns.
#[inline(always)]
pub unsafe fn forward5<V: Vector>(
    shape: &Lrn,
    maps: [u32; 2],
    column: usize,
    x: *const f32,
    y: *mut f32,
) {
    normalise5::<V>(
        shape,
        maps,
        |map| x.load_vector(shape.at(map, column)),
        |map, value| y.store_vector(shape.at(map, column), value),
    );
}

/// Backward for n = 5 at one column and maps `first..last`.
///
/// In step j the window of x reaches to map j + 2, tⱼ becomes known, and with it
/// the sum for map j − 2.
///
/// # Safety
/// As of [`lrn_backward`]; the vector at `column` lies within the columns.
#[inline(always)]
pub unsafe fn backward5<V: Vector>(
    shape: &Lrn,
    [first, last]: [u32; 2],
    column: usize,
    x: *const f32,
    dy: *const f32,
    dx: *mut f32,
) {
    let zero = V::splat(0.0);
    let row = |back: u32| shape.row::<V>(x, first.wrapping_sub(back), column);
    let mut xs = Five([zero, row(4), row(3), row(2), row(1)]);
    let mut ts = Five([zero; 5]);
    let mut own = [zero; 3];
    let mut ahead = first;
    while ahead < last + 4 {
        xs.push(shape.row(x, ahead, column));
        let j = ahead.wrapping_sub(2);
        let mut parts = [zero; 2];
        if j < shape.maps {
            let s = shape.scale(xs.squares());
            parts = shape.parts(xs.0[2], dy.load_vector(shape.at(j, column)), s);
        }
        own = [own[1], own[2], parts[0]];
        ts.push(parts[1]);
        if ahead >= first + 4 {
            let value = shape.gradient(own[0], xs.0[0], ts.sum());
            dx.store_vector(shape.at(ahead - 4, column), value);
        }
        ahead += 1;
    }
}

/// s of one map for any n.
#[inline(always)]
unsafe fn scale_at<V: Vector>(shape: &Lrn, map: u32, column: usize, x: *const f32) -> V {
    let half = shape.size / 2;
    let mut squares = V::splat(0.0);
    let mut j = 0;
    while j <= 2 * half {
        let value = shape.row::<V>(x, map.wrapping_sub(half).wrapping_add(j), column);
        squares = value.fma(value, squares);
        j += 1;
    }
    shape.scale(squares)
}

/// Forward for any n at one column and maps `first..last`.
///
/// # Safety
/// As of [`lrn_forward`]; the vector at `column` lies within the columns.
#[inline(always)]
pub unsafe fn forward_any<V: Vector>(
    shape: &Lrn,
    [first, last]: [u32; 2],
    column: usize,
    x: *const f32,
    y: *mut f32,
) {
    let mut map = first;
    while map < last {
        let s = scale_at::<V>(shape, map, column, x);
        let value = x.load_vector::<V>(shape.at(map, column));
        y.store_vector(shape.at(map, column), shape.normalised(value, s));
        map += 1;
    }
}

/// Backward for any n at one column and maps `first..last`.
///
/// # Safety
/// As of [`lrn_backward`]; the vector at `column` lies within the columns.
#[inline(always)]
pub unsafe fn backward_any<V: Vector>(
    shape: &Lrn,
    [first, last]: [u32; 2],
    column: usize,
    x: *const f32,
    dy: *const f32,
    dx: *mut f32,
) {
    let half = shape.size / 2;
    let mut map = first;
    while map < last {
        let mut own = V::splat(0.0);
        let mut sum = V::splat(0.0);
        let mut step = 0;
        while step <= 2 * half {
            let j = map.wrapping_sub(half).wrapping_add(step);
            if j < shape.maps {
                let at = shape.at(j, column);
                let s = scale_at::<V>(shape, j, column, x);
                let [power, t] = shape.parts(x.load_vector(at), dy.load_vector(at), s);
                sum = sum + t;
                if j == map {
                    own = power;
                }
            }
            step += 1;
        }
        let value = shape.gradient(own, x.load_vector(shape.at(map, column)), sum);
        dx.store_vector(shape.at(map, column), value);
        map += 1;
    }
}

/// This block's share of the maps.
#[inline(always)]
fn share(maps: u32) -> [u32; 2] {
    let blocks = thread::grid_dim_x();
    let bound = |block: u32| maps * block / blocks.max(1);
    [
        bound(thread::block_idx_x()),
        bound(thread::block_idx_x() + 1),
    ]
}

/// `y` from `x`.
///
/// # Safety
/// Both are valid for the shape and do not overlap; launched as
/// [`lrn_forward_launch`] says.
#[kernel]
pub unsafe fn lrn_forward(shape: Lrn, x: *const f32, y: *mut f32) {
    let maps = share(shape.maps);
    let mut walk = Walk::of_block::<V>(thread::block_idx_y(), COLUMNS, shape.columns);
    while walk.i < walk.end {
        if shape.size == 5 {
            forward5::<V>(&shape, maps, walk.i, x, y);
        } else {
            forward_any::<V>(&shape, maps, walk.i, x, y);
        }
        walk.i += walk.step;
    }
}

/// `dx` from `x` and `dy`.
///
/// # Safety
/// All are valid for the shape, `dx` overlaps none of the others; launched as
/// [`lrn_backward_launch`] says.
#[kernel]
pub unsafe fn lrn_backward(shape: Lrn, x: *const f32, dy: *const f32, dx: *mut f32) {
    let maps = share(shape.maps);
    let mut walk = Walk::of_block::<V>(thread::block_idx_y(), COLUMNS, shape.columns);
    while walk.i < walk.end {
        if shape.size == 5 {
            backward5::<V>(&shape, maps, walk.i, x, dy, dx);
        } else {
            backward_any::<V>(&shape, maps, walk.i, x, dy, dx);
        }
        walk.i += walk.step;
    }
}
