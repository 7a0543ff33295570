//! Convolution by Winograd's algorithm: a quarter of the products for windows of 3 × 3, a 2.8th for 5 × 5.
//! Windows s pixels apart become windows one pixel apart on s² times as many maps (space to depth): those of the paper's
//! first layer, 11 × 11 and 4 apart, become 3 × 3 on 16 maps a colour, with 3.4 times fewer products.
//!
//! ```text
//! y = Aᵀ [ Σ_c (G w Gᵀ) ⊙ (Bᵀ x B) ] A + b     for each tile of y: 4 × 4 of 6 × 6 pixels of x for windows of 3 × 3,
//!                                               2 × 2 for 5 × 5
//! ```
//!
//! dx is the convolution of dy with the windows turned round, channels and filters exchanged, and dw is in
//! [`weight_gradient`]. The sums are those of a [`convolution`](super), whose layouts these kernels take, with other
//! roundings, so other bits and larger errors (`docs/winograd.md`). The transforms are in [`transforms`].
//!
//! Everything is element by element over images, but the sums over channels: 36 matrix products, one for each place of
//! a tile. A block takes a group of columns (tile, image) from images to images:
//!
//! ```text
//!  x ──Bᵀ·B──► 36 × channels × columns ──products──► 36 × filters × columns ──Aᵀ·A──► y
//!                        └── in memory that the block has to itself, and in its cache ──┘
//! ```
//!
//! | kernel | |
//! |---|---|
//! | [`winograd_weights`] | w → G w Gᵀ, of either direction, once for all blocks |
//! | [`winograd_forward`] | x and these → y |
//! | [`winograd_input_gradient`] | dy and these → dx |
//!
//! Launch configuration: in [`launch`]. [`Winograd`] says how much memory they work in.
//!
//! ```
//! use gpu_kernels::launch::{self, Floats, In, Out, Target};
//! use gpu_kernels::convolution::{Shape, Sizes, winograd::{Direction, Winograd}};
//!
//! let pool = simt_executor::Pool::new(1)?;
//! // 32 images of 3 × 3 ones; 16 filters of 3 × 3 ones.
//! let shape = Shape::try_new(Sizes {
//!     images: 32,
//!     channels: 1,
//!     input: [3, 3],
//!     filters: 16,
//!     kernel: 3,
//!     stride: 1,
//!     pad: 1,
//!     output: [3, 3],
//! })?;
//! let winograd = Winograd::try_new(shape)?;
//! let (x, weights) = (Floats::from(&[1.0; 9 * 32][..]), Floats::from(&[1.0; 9 * 16][..]));
//! let bias = Floats::from(&[0.5; 16][..]);
//! let mut transformed = Floats::zeros(winograd.weights_len());
//! let (mut y, mut scratch) =
//!     (Floats::zeros(shape.output_len()), Floats::zeros(winograd.forward_scratch(Target::Cpu)));
//! let (x, weights, bias) = (In::from(&x), In::from(&weights), In::from(&bias));
//!
//! let out = Out::from(&mut transformed);
//! launch::winograd_weights(winograd, Direction::Forward, weights, out, Target::Cpu)?.run(&pool)?;
//! let (transformed, out) = (In::from(&transformed), Out::from(&mut y));
//! let scratch = Out::from(&mut scratch);
//! launch::winograd_forward(winograd, x, transformed, bias, out, scratch, Target::Cpu)?.run(&pool)?;
//! assert!((y[0] - 4.5).abs() < 1e-5 && (y[4 * 32] - 9.5).abs() < 1e-5); // corner, centre
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use crate::device::*;
use crate::gemm::{Matrix, NativeTile, Panels, Rows, Source, Sums};

mod shape;
mod tiles;
pub mod transforms;
pub mod weight_gradient;

use shape::{Cut, least};
pub use shape::{PLANES, Pass, SUM_COLUMNS, Windows, Winograd};
use tiles::{Share, Tile, VECTORS, Way, block_memory, transform_tiles};
use transforms::{Input, Output2, Output4, POINTS, Transform, Weights3, Weights5};

/// Which convolution weights are transformed for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From x to y.
    Forward,
    /// From dy to dx.
    Backward,
}

/// Aᵀ z A of this block's `rows` × `columns` products, in tiles of N × N to y.
///
/// # Safety
/// As of [`convolve`].
#[inline(always)]
unsafe fn transform_outputs<V: Vector, T: Transform<6, N>, const N: usize>(
    pass: &Pass,
    rows: [u32; 2],
    [first, columns]: [u32; 2],
    (products, plane): (*mut f32, usize),
    finish: impl Fn(u32, V) -> V,
    y: *mut f32,
) {
    let share = Share::of_thread(V::LANES as u32);
    let mut column = share.first[1];
    while column < columns {
        let corner = pass.corner(first + column);
        let mut map = rows[0] + share.first[0];
        while map < rows[1] {
            let phase = pass.to.phase(map);
            let tile = Tile::<N>::new(&pass.to, pass.images, corner, phase.offset);
            let end = least(phase.end, rows[1]);
            while map < end {
                let channel = (map - phase.first) * pass.to.channel;
                let to = tile.corner(y.add(channel as usize));
                let from = products.add(Panels::at(Cut::HERE.rows, map - rows[0], column));
                let mut lane = 0;
                while lane < VECTORS as usize * V::LANES {
                    let (from, to) = ((from.add(lane), plane), to.wrapping_add(lane));
                    transform_output::<V, T, N>(&tile, from, |sum| finish(map, sum), to);
                    lane += V::LANES;
                }
                map += share.steps[0];
            }
        }
        column += share.steps[1];
    }
}

/// Aᵀ z A of a vector of tiles, whose first pixel is at `to`.
///
/// # Safety
/// As of [`transform_outputs`].
#[inline(always)]
unsafe fn transform_output<V: Vector, T: Transform<6, N>, const N: usize>(
    tile: &Tile<N>,
    (products, plane): (*mut f32, usize),
    finish: impl Fn(V) -> V,
    to: *const f32,
) {
    let mut from = Way::new(products, [POINTS * plane, plane]);
    let [row, pixel] = tile.steps.map(|step| step as usize);
    let mut to = Way::new(to, [pixel, row]);
    transforms::both::<V, T, 6, N>(
        |i, j| from.place(i, j).load_vector(0),
        |at, sum| {
            let place = to.place(at % N, at / N).cast_mut();
            if tile.has(at / N, at % N) {
                place.stream_vector(0, finish(sum));
            }
        },
    );
}

/// The convolution of `x`: for each group of columns, its tiles transformed, multiplied and transformed back;
/// `operand(i)` are the weights' numbers in plane i, `finish(filter, y)` makes the result.
///
/// # Safety
/// The pointers are valid for the pass, `scratch` for every block's planes; launched as [`Pass`] says.
#[inline(always)]
unsafe fn convolve<V: Vector, A: Source<V> + Rows + Copy>(
    pass: &Pass,
    x: *const f32,
    operand: impl Fn(u32) -> A,
    finish: impl Fn(u32, V) -> V,
    y: *mut f32,
    scratch: *mut f32,
) {
    let cut = Cut::HERE;
    let [plane, products_plane] = pass.planes(cut);
    let inputs = block_memory(scratch, pass.block_len(cut));
    let products = inputs.add(PLANES as usize * plane);
    let (channels, filters) = (pass.from.count(), pass.to.count());
    let groups = pass.columns().div_ceil(cut.columns);
    let each = groups.div_ceil(thread::grid_dim_x()) * cut.columns;
    let mut first = thread::block_idx_x() * each;
    let end = least(first + each, pass.columns());
    while first < end {
        let columns = least(cut.columns, end - first);
        let group = [first, columns];
        transform_tiles::<V, Input, POINTS>(
            pass,
            (&pass.from, x),
            [0, channels],
            group,
            (inputs, plane),
            |channel, column| Panels::at(channels, channel, column),
        );
        thread::sync_threads();
        let mut begin = thread::block_idx_y() * cut.rows;
        while begin < filters {
            let rows = [begin, begin + least(cut.rows, filters - begin)];
            let mut i = 0;
            while i < PLANES {
                let b = Panels {
                    data: inputs.add(i as usize * plane).cast_const(),
                    depth: channels,
                    width: columns,
                };
                let sums = Sums {
                    data: products.add(i as usize * products_plane),
                    depth: cut.rows,
                    added: false,
                };
                let next = match i + 1 {
                    PLANES => operand(0).place(begin + thread::grid_dim_y() * cut.rows),
                    next => operand(next).place(begin),
                };
                let a = operand(i);
                NativeTile::product_of_packed::<V, A>(a, b, rows, columns, next, sums);
                i += 1;
            }
            thread::sync_threads();
            let z = (products, products_plane);
            if pass.kernel == 3 {
                transform_outputs::<V, Output4, 4>(pass, rows, group, z, &finish, y);
            } else {
                transform_outputs::<V, Output2, 2>(pass, rows, group, z, &finish, y);
            }
            thread::sync_threads();
            begin += thread::grid_dim_y() * cut.rows;
        }
        first += cut.columns;
    }
}

launch_bounds!("winograd_weights", 256, 1);
/// `transformed`, G w Gᵀ of `weights`; for the way back if `backward` is not 0.
///
/// # Safety
/// The pointers are valid for the sizes, [`Winograd::weights_len`] of the second, and do not overlap; launched with a
/// thread for each vector of (map, filter).
#[kernel]
pub unsafe fn winograd_weights(
    windows: Windows,
    backward: u32,
    weights: *const f32,
    transformed: *mut f32,
) {
    let (maps, filters) = (windows.maps.count(), windows.filters.get());
    let i = thread::index_1d() * V::LANES as u32;
    if i < maps * filters {
        let (map, filter) = windows.filters.div_rem(i);
        let plane = Pass::weights_plane(maps, filters);
        let at = if backward == 0 {
            Panels::at(maps, map, filter)
        } else {
            i as usize
        };
        let window = windows.window(map, filter);
        let load = |r: usize, q: usize| {
            let last = windows.between as usize - 1;
            let [r, q] = if backward == 0 {
                [r, q]
            } else {
                [last - r, last - q]
            };
            match window.at(r, q) {
                Some(at) => weights.load_vector::<V>(at),
                None => V::splat(0.0),
            }
        };
        let store = |i: usize, number: V| transformed.store_vector(at + i * plane, number);
        if windows.between == 3 {
            transforms::both::<V, Weights3, 3, 6>(load, store);
        } else {
            transforms::both::<V, Weights5, 5, 6>(load, store);
        }
    }
}

launch_bounds!("winograd_forward", 256, 1);
/// `y`, from `x`, transformed weights and `bias`.
///
/// # Safety
/// The pointers are valid for the pass, `scratch` for what it works in; `y` and `scratch` overlap none of the others.
/// Launched as [`Winograd`] says.
#[kernel]
pub unsafe fn winograd_forward(
    pass: Pass,
    x: *const f32,
    transformed: *const f32,
    bias: *const f32,
    y: *mut f32,
    scratch: *mut f32,
) {
    let (depth, width) = (pass.from.count(), pass.to.count());
    let plane = Pass::weights_plane(depth, width);
    let operand = |i: u32| Panels {
        data: transformed.add(i as usize * plane),
        depth,
        width,
    };
    let finish = |filter: u32, sum: V| sum + V::splat(bias.load(filter as usize));
    convolve::<V, Panels>(&pass, x, operand, finish, y, scratch);
}

launch_bounds!("winograd_input_gradient", 256, 1);
/// `dx`, from `dy` and weights transformed for the way back.
///
/// # Safety
/// As of [`winograd_forward`].
#[kernel]
pub unsafe fn winograd_input_gradient(
    pass: Pass,
    dy: *const f32,
    transformed: *const f32,
    dx: *mut f32,
    scratch: *mut f32,
) {
    let (depth, width) = (pass.from.count(), pass.to.count());
    let plane = Pass::weights_plane(width, depth);
    let operand = |i: u32| Matrix::<true> {
        data: transformed.add(i as usize * plane),
        stride: depth,
        depth,
        width,
    };
    convolve::<V, Matrix<true>>(&pass, dy, operand, |_, sum| sum, dx, scratch);
}

#[cfg(all(not(target_arch = "nvptx64"), not(feature = "rust-cuda")))]
pub mod launch {
    //! Checked launches.

    use super::{Direction, Winograd};
    use crate::launch::{Call, Check, Error, In, Out, Target, needs};

    /// `transformed`, the weights as a convolution in that direction multiplies by them.
    pub fn winograd_weights<'a>(
        winograd: Winograd,
        direction: Direction,
        weights: In<'a, f32>,
        transformed: Out<'a, f32>,
        target: Target,
    ) -> Result<Call<'a>, Error> {
        let check = Check::new(&super::winograd_weights, target);
        check.buffers(&needs![
            weights: winograd.shape.weights_len(),
            transformed: winograd.weights_len(),
        ])?;
        let backward = u32::from(direction == Direction::Backward);
        let arguments = (
            winograd.windows(),
            backward,
            weights.pointer(),
            transformed.pointer(),
        );
        // SAFETY: sizes are valid, the buffers fit them.
        unsafe { check.call(winograd.by_weights(target), arguments) }
    }

    /// `y`, the convolution of `x` with transformed weights, and `bias` added.
    pub fn winograd_forward<'a>(
        winograd: Winograd,
        x: In<'a, f32>,
        transformed: In<'a, f32>,
        bias: In<'a, f32>,
        y: Out<'a, f32>,
        scratch: Out<'a, f32>,
        target: Target,
    ) -> Result<Call<'a>, Error> {
        let check = Check::new(&super::winograd_forward, target);
        check.buffers(&needs![
            x: winograd.shape.input_len(),
            transformed: winograd.weights_len(),
            bias: winograd.shape.filters() as usize,
            y: winograd.shape.output_len(),
            scratch: winograd.forward_scratch(target),
        ])?;
        let arguments = (
            winograd.forward,
            x.pointer(),
            transformed.pointer(),
            bias.pointer(),
            y.pointer(),
            scratch.pointer(),
        );
        // SAFETY: sizes are valid, the buffers fit them.
        unsafe { check.call(winograd.forward.launch(target), arguments) }
    }

    /// `dx`, the gradient to the input, by weights transformed for the way back.
    pub fn winograd_input_gradient<'a>(
        winograd: Winograd,
        dy: In<'a, f32>,
        transformed: In<'a, f32>,
        dx: Out<'a, f32>,
        scratch: Out<'a, f32>,
        target: Target,
    ) -> Result<Call<'a>, Error> {
        let check = Check::new(&super::winograd_input_gradient, target);
        check.buffers(&needs![
            dy: winograd.shape.output_len(),
            transformed: winograd.weights_len(),
            dx: winograd.shape.input_len(),
            scratch: winograd.input_gradient_scratch(target),
        ])?;
        let arguments = (
            winograd.backward,
            dy.pointer(),
            transformed.pointer(),
            dx.pointer(),
            scratch.pointer(),
        );
        // SAFETY: sizes are valid, the buffers fit them.
        unsafe { check.call(winograd.backward.launch(target), arguments) }
    }
}
