//! The gradient to the weights by Winograd's algorithm.
//!
//! ```text
//! dw = Gᵀ [ Σ_(tile, image) (Bᵀ x B) ⊙ (A dy Aᵀ) ] G
//! ```
//!
//! Again 36 matrix products, now of channels by filters, summed over columns (tile, image). A block takes a part of the
//! columns, [`SUM_COLUMNS`] at a time, whose products it adds to the part's sums:
//!
//! ```text
//!  x ──Bᵀ·B──► 36 × channels × columns ──┐
//!                                        ├──products──► + parts ──Σ──► 36 × channels × filters ──Gᵀ·G──► dw
//! dy ──A·Aᵀ──► 36 × columns × filters ───┘
//! ```
//!
//! | kernel | |
//! |---|---|
//! | [`winograd_weight_gradient`] | x and dy → sums of products in parts |
//! | [`winograd_weight_transform`] | these, added by [`sum_parts`](crate::sum::sum_parts) → dw |

use super::shape::{Cut, PLANES, Pass, SUM_COLUMNS, Window, Windows, least};
use super::tiles::{IMAGES, Tile, block_memory, transform_tile, transform_tiles};
use super::transforms::{
    self, Gradient2, Gradient4, Input, POINTS, Transform, WeightsGradient3, WeightsGradient5,
};
use crate::device::*;
use crate::gemm::{Matrix, NativeTile, PANEL, Panels, Sums};

launch_bounds!("winograd_weight_gradient", 256, 1);
/// `parts`: sums of (Bᵀ x B) ⊙ (A dy Aᵀ) from `x` and `dy`.
///
/// # Safety
/// The pointers are valid for the pass, `parts` for [`Winograd::parts_len`](super::Winograd::parts_len), `scratch` for
/// what it works in; these two overlap none of the others. Launched as [`Winograd`](super::Winograd) says.
#[kernel]
pub unsafe fn winograd_weight_gradient(
    pass: Pass,
    x: *const f32,
    dy: *const f32,
    parts: *mut f32,
    scratch: *mut f32,
) {
    let cut = Cut::HERE;
    let [part, row, col] = [
        thread::block_idx_x(),
        thread::block_idx_y(),
        thread::block_idx_z(),
    ];
    let (channel, filter) = (row * cut.gradient[0], col * cut.gradient[1]);
    let extent = Extent {
        channels: [channel, least(channel + cut.gradient[0], pass.from.count())],
        filters: [filter, least(filter + cut.gradient[1], pass.to.count())],
    };
    let [inputs_plane, gradients_plane] = pass.gradient_planes(cut);
    let inputs = block_memory(scratch, pass.gradient_len(cut));
    let gradients = inputs.add(PLANES as usize * inputs_plane);
    let sums_plane = pass.sums_plane();
    let first = part as usize * PLANES as usize * sums_plane;
    let sums = parts.add(first + Panels::at(pass.from.count(), channel, filter));

    let begin = part * pass.part_columns();
    let left = least(pass.part_columns(), pass.columns() - begin);
    let mut term = 0;
    while term * SUM_COLUMNS < left {
        let first = begin + term * SUM_COLUMNS;
        let columns = least(SUM_COLUMNS, left - term * SUM_COLUMNS);
        let group = [first, columns];
        transform_tiles::<V, Input, POINTS>(
            &pass,
            (&pass.from, x),
            extent.channels,
            group,
            (inputs, inputs_plane),
            in_rows,
        );
        let to = (gradients, gradients_plane);
        if pass.kernel == 3 {
            transform_gradients::<V, Gradient4, 4>(&pass, dy, extent.filters, group, to);
        } else {
            transform_gradients::<V, Gradient2, 2>(&pass, dy, extent.filters, group, to);
        }
        thread::sync_threads();
        let mut i = 0;
        while i < PLANES as usize {
            let [a, b] = [
                inputs.add(i * inputs_plane),
                gradients.add(i * gradients_plane),
            ];
            let sums = Sums {
                data: sums.add(i * sums_plane),
                depth: pass.from.count(),
                added: term > 0,
            };
            extent.multiply::<V>(a, b, columns, inputs_plane, sums);
            i += 1;
        }
        thread::sync_threads();
        term += 1;
    }
}

/// Where a map's column lies in a plane.
#[inline(always)]
fn in_rows(map: u32, column: u32) -> usize {
    (map * SUM_COLUMNS + column) as usize
}

/// A dy Aᵀ of `filters` at `columns` columns from `first` on: on a GPU in rows of columns, on a CPU as [`Panels`] of
/// filters, in which those beyond the last are zeros.
///
/// # Safety
/// `dy` is valid for the pass, `to` for the planes and a strip behind them, and no other block uses them.
#[inline(always)]
unsafe fn transform_gradients<V: Vector, T: Transform<N, POINTS>, const N: usize>(
    pass: &Pass,
    dy: *const f32,
    filters: [u32; 2],
    [first, columns]: [u32; 2],
    (to, plane): (*mut f32, usize),
) {
    if cfg!(target_arch = "nvptx64") {
        let (from, group) = ((&pass.to, dy), [first, columns]);
        transform_tiles::<V, T, N>(pass, from, filters, group, (to, plane), in_rows);
        return;
    }
    let lanes = V::LANES as u32;
    let strip = to.add(PLANES as usize * plane);
    let mut column = 0;
    while column < columns {
        let corner = pass.corner(first + column / IMAGES * IMAGES);
        let tile = Tile::<N>::new(&pass.to, pass.images, corner, [0, 0]);
        let mut filter = 0;
        while filter < (filters[1] - filters[0]).next_multiple_of(PANEL) {
            let to = to.add(Panels::at(columns, column, filter));
            let mut row = 0;
            while row < lanes && filters[0] + filter < filters[1] {
                let map = (filters[0] + filter + row) * pass.to.channel;
                let from = tile
                    .corner(dy.add(map as usize))
                    .wrapping_add((column % IMAGES) as usize);
                let to = strip.add((row * PLANES * lanes) as usize);
                transform_tile::<V, T, N>(&tile, from, to, V::LANES);
                row += 1;
            }
            pack::<V>((row > 0).then_some(strip.cast_const()), to, plane);
            filter += lanes;
        }
        column += lanes;
    }
}

/// A strip, transposed: a row of filters for each of its columns; zeros where there is none.
///
/// # Safety
/// As of [`transform_gradients`].
#[inline(always)]
unsafe fn pack<V: Vector>(strip: Option<*const f32>, to: *mut f32, plane: usize) {
    let mut i = 0;
    while i < PLANES as usize {
        let columns = match strip {
            Some(strip) => V::transpose(V::square(|row| {
                strip.load_vector((row * PLANES as usize + i) * V::LANES)
            })),
            None => V::square(|_| V::splat(0.0)),
        };
        let mut column = 0;
        while column < V::LANES {
            let filters = *columns.as_ref().as_ptr().add(column);
            to.store_vector(i * plane + column * PANEL as usize, filters);
            column += 1;
        }
        i += 1;
    }
}

/// The channels and filters of a block.
#[derive(Clone, Copy)]
struct Extent {
    channels: [u32; 2],
    filters: [u32; 2],
}

impl Extent {
    /// Products of a plane's operands, to `sums`; the next plane's inputs, `next` floats on, come into a CPU's cache.
    ///
    /// # Safety
    /// The operands are there, and `sums` has room for the block's channels and filters.
    #[inline(always)]
    unsafe fn multiply<V: Vector>(
        self,
        inputs: *const f32,
        gradients: *const f32,
        columns: u32,
        next: usize,
        sums: Sums,
    ) {
        let [channels, filters] = [self.channels, self.filters].map(|range| range[1] - range[0]);
        let width = filters.next_multiple_of(PANEL);
        let a = Matrix::<true> {
            data: inputs,
            stride: SUM_COLUMNS,
            depth: columns,
            width: channels,
        };
        if cfg!(target_arch = "nvptx64") {
            let b = Matrix::<true> {
                data: gradients,
                width: filters,
                ..a
            };
            let store = |row: u32, col: u32, sum: V| sums.store(sums.at(row, col), sum);
            NativeTile::product::<V, _, _>(a, b, [0, columns], [0, 0], [channels, width], store);
            return;
        }
        let b = Panels {
            data: gradients,
            depth: columns,
            width,
        };
        let next = inputs.wrapping_add(next);
        NativeTile::product_of_packed::<V, _>(a, b, [0, channels], width, next, sums);
    }
}

launch_bounds!("winograd_weight_transform", 256, 1);
/// `dw`, Gᵀ p G of the `sum` of all parts.
///
/// # Safety
/// The pointers are valid for the sizes, `sum` for one part, and do not overlap; launched with a thread for each vector
/// of (map, filter).
#[kernel]
pub unsafe fn winograd_weight_transform(windows: Windows, sum: *const f32, dw: *mut f32) {
    let maps = windows.maps.count();
    let i = thread::index_1d() * V::LANES as u32;
    if i < maps * windows.filters.get() {
        let (map, filter) = windows.filters.div_rem(i);
        let from = sum.add(Panels::at(maps, map, filter));
        let from = (from, Panels::len(maps, windows.filters.get()));
        let window = windows.window(map, filter);
        if windows.between == 3 {
            transform_weights::<V, WeightsGradient3, 3>(from, window, dw);
        } else {
            transform_weights::<V, WeightsGradient5, 5>(from, window, dw);
        }
    }
}

/// Gᵀ p G of a vector of sums, the first of which is at `from` and the others `plane` floats apart, to a window of `dw`.
///
/// # Safety
/// As of [`winograd_weight_transform`].
#[inline(always)]
unsafe fn transform_weights<V: Vector, T: Transform<POINTS, N>, const N: usize>(
    (from, plane): (*const f32, usize),
    window: Window,
    dw: *mut f32,
) {
    transforms::both::<V, T, POINTS, N>(
        |i, j| from.load_vector((i * POINTS + j) * plane),
        |at, number| {
            if let Some(at) = window.at(at / N, at % N) {
                dw.store_vector(at, number);
            }
        },
    );
}

#[cfg(all(not(target_arch = "nvptx64"), not(feature = "rust-cuda")))]
pub mod launch {
    //! Checked launches.

    use super::super::Winograd;
    use crate::launch::{Call, Check, Error, In, Out, Target, needs};

    /// `parts`, sums of products of `x` and `dy`.
    pub fn winograd_weight_gradient<'a>(
        winograd: Winograd,
        x: In<'a, f32>,
        dy: In<'a, f32>,
        parts: Out<'a, f32>,
        scratch: Out<'a, f32>,
        target: Target,
    ) -> Result<Call<'a>, Error> {
        let check = Check::new(&super::winograd_weight_gradient, target);
        check.buffers(&needs![
            x: winograd.shape.input_len(),
            dy: winograd.shape.output_len(),
            parts: winograd.parts_len(),
            scratch: winograd.weight_gradient_scratch(target),
        ])?;
        let arguments = (
            winograd.forward,
            x.pointer(),
            dy.pointer(),
            parts.pointer(),
            scratch.pointer(),
        );
        // SAFETY: sizes are valid, the buffers fit them.
        unsafe { check.call(winograd.forward.gradient_launch(target), arguments) }
    }

    /// `dw`, the gradient to the weights, from the sum of these parts.
    pub fn winograd_weight_transform<'a>(
        winograd: Winograd,
        sum: In<'a, f32>,
        dw: Out<'a, f32>,
        target: Target,
    ) -> Result<Call<'a>, Error> {
        let check = Check::new(&super::winograd_weight_transform, target);
        check.buffers(&needs![
            sum: winograd.part_len(),
            dw: winograd.shape.weights_len(),
        ])?;
        let arguments = (winograd.windows(), sum.pointer(), dw.pointer());
        // SAFETY: sizes are valid, the buffers fit them.
        unsafe { check.call(winograd.by_weights(target), arguments) }
    }
}
