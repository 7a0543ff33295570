//! `y[j][i] = x[i][j]` for an x of `rows` × `cols`, of any size.
//!
//! x and y must not overlap; where `rows` and `cols` are multiples of 4 the
//! pointers must be of 16 bytes. Launch as [`transpose_launch`] says: a block
//! for each tile of [`TILE`] × [`TILE`] elements, columns of x along x, rows
//! along y, any number of threads along x. A tile goes through shared memory, so
//! that reads and writes both run along memory; squares of vectors are transposed in
//! registers on the way, except in the ragged tiles at the edges.
//!
//! ```
//! use gpu_kernels::launch::{self, Floats, In, Out, Target};
//!
//! let pool = simt_executor::Pool::new(1)?;
//! let x = Floats::from(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0][..]);
//! let mut y = Floats::zeros(6);
//! launch::transpose([2, 3], In::from(&x), Out::from(&mut y), Target::Cpu)?.run(&pool)?;
//! assert_eq!(y[..], [1.0, 4.0, 2.0, 5.0, 3.0, 6.0]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use crate::device::*;

#[cfg(not(target_arch = "nvptx64"))]
use {crate::target::Target, cuda_std::simt::Launch};

/// Rows and columns of a block's tile.
pub const TILE: u32 = 32;

/// Floats of the tile in shared memory.
const FLOATS: usize = TILE as usize * TILE as usize;

/// Where y's element (`j`, `i`) of the tile lies in shared memory: row by row, and the vectors of a row in an order that
/// changes from one row of squares to the next, so that a column of vectors lies in different banks.
#[inline(always)]
fn place<V: Vector>(j: usize, i: usize) -> usize {
    let across = TILE as usize / V::LANES;
    let vector = (i / V::LANES) ^ (j / V::LANES % across);
    j * TILE as usize + vector * V::LANES + i % V::LANES
}

/// The launch of [`transpose`].
#[cfg(not(target_arch = "nvptx64"))]
pub fn transpose_launch(rows: u32, cols: u32, target: Target) -> Launch {
    let threads = match target {
        Target::Cpu => 1,
        Target::Gpu => 64,
    };
    Launch {
        grid: [cols.div_ceil(TILE).max(1), rows.div_ceil(TILE).max(1), 1],
        block: [threads, 1, 1],
        shared: (FLOATS * size_of::<f32>()) as u32,
    }
}

/// A matrix of `rows` × `cols` to one of `cols` × `rows`.
///
/// # Safety
/// Both are valid for `rows · cols` elements and do not overlap; launched as
/// [`transpose_launch`] says.
#[kernel]
pub unsafe fn transpose(rows: u32, cols: u32, x: *const f32, y: *mut f32) {
    let (i0, j0) = (thread::block_idx_y() * TILE, thread::block_idx_x() * TILE);
    let x = x.wrapping_add(i0 as usize * cols as usize + j0 as usize);
    let y = y.wrapping_add(j0 as usize * rows as usize + i0 as usize);
    let whole = i0 + TILE <= rows && j0 + TILE <= cols;
    if whole && rows.is_multiple_of(4) && cols.is_multiple_of(4) {
        whole_tile::<V>(rows as usize, cols as usize, x, y);
    } else {
        ragged_tile::<V>([rows, cols], [i0, j0], x, y);
    }
}

/// The tile whose first element is x's; every thread of the block calls this.
///
/// # Safety
/// x and y are valid for that tile, at multiples of 16 bytes; launched as
/// [`transpose_launch`] says.
#[inline(always)]
unsafe fn whole_tile<V: Vector>(rows: usize, cols: usize, x: *const f32, y: *mut f32) {
    let tile = Shared::dynamic();
    let across = TILE as usize / V::LANES;
    let (first, threads) = (
        thread::thread_idx_x() as usize,
        thread::block_dim_x() as usize,
    );
    let mut unit = first;
    while unit < across * across {
        let (i, j) = (unit / across * V::LANES, unit % across * V::LANES);
        let transposed = V::transpose(V::square(|row| x.load_vector((i + row) * cols + j)));
        let transposed = transposed.as_ref();
        let mut row = 0;
        while row < V::LANES {
            tile.store_vector(place::<V>(j + row, i), *transposed.as_ptr().add(row));
            row += 1;
        }
        unit += threads;
    }
    thread::sync_threads();
    let mut unit = first;
    while unit < TILE as usize * across {
        let (j, i) = (unit / across, unit % across * V::LANES);
        y.store_vector(j * rows + i, tile.load_vector::<V>(place::<V>(j, i)));
        unit += threads;
    }
}

/// The same for what there is of a tile whose first element is (`i0`, `j0`).
///
/// # Safety
/// x and y are valid for what there is of it; launched as [`transpose_launch`]
/// says.
#[inline(always)]
unsafe fn ragged_tile<V: Vector>(
    [rows, cols]: [u32; 2],
    [i0, j0]: [u32; 2],
    x: *const f32,
    y: *mut f32,
) {
    let tile = Shared::dynamic();
    let (first, threads) = (thread::thread_idx_x(), thread::block_dim_x());
    let mut unit = first;
    while unit < TILE * TILE {
        let (i, j) = (unit / TILE, unit % TILE);
        if i0 + i < rows && j0 + j < cols {
            let value = x.load(i as usize * cols as usize + j as usize);
            tile.store(place::<V>(j as usize, i as usize), value);
        }
        unit += threads;
    }
    thread::sync_threads();
    let mut unit = first;
    while unit < TILE * TILE {
        let (j, i) = (unit / TILE, unit % TILE);
        if i0 + i < rows && j0 + j < cols {
            y.store(
                j as usize * rows as usize + i as usize,
                tile.load(place::<V>(j as usize, i as usize)),
            );
        }
        unit += threads;
    }
}

#[cfg(all(not(target_arch = "nvptx64"), not(feature = "rust-cuda")))]
pub mod launch {
    //! Checked launches.

    use crate::launch::{Call, Check, Error, In, Out, Target, keep, needs};
    use crate::sizes::{LIMIT, product};

    /// `y`, the `rows` × `cols` matrix `x` with rows and columns exchanged.
    pub fn transpose<'a>(
        [rows, cols]: [u32; 2],
        x: In<'a, f32>,
        y: Out<'a, f32>,
        target: Target,
    ) -> Result<Call<'a>, Error> {
        let check = Check::new(&super::transpose, target);
        let sides = rows.max(cols);
        check.size(keep(
            (sides as u64) < LIMIT,
            "rows and columns must each be fewer than 2³¹",
            sides.into(),
        ))?;
        let len = product(&[rows, cols]);
        let by_vectors = rows.is_multiple_of(4) && cols.is_multiple_of(4);
        let align = if by_vectors { 16 } else { align_of::<f32>() };
        check.buffers(&needs![x: len, y: len].map(|need| need.aligned(align)))?;
        let arguments = (rows, cols, x.pointer(), y.pointer());
        // SAFETY: the buffers have so many elements.
        unsafe { check.call(super::transpose_launch(rows, cols, target), arguments) }
    }
}
