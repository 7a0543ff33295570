//! Sums, first values, and turning around.

use super::{BadSize, Call, Check, Error, In, Out, Target, keep};
use crate::divisor::Divisor;
use crate::elementwise;
use crate::needs;
use crate::sizes::{LIMIT, product};
use crate::{fill, sum, transpose};

/// `y`, the sum of `count` parts of y's length; y may be the first of them.
pub fn sum_parts<'a>(
    count: u32,
    parts: In<'a, f32>,
    y: Out<'a, f32>,
    target: Target,
) -> Result<Call<'a>, Error> {
    let check = Check::new(&sum::sum_parts, target);
    let len = check.sixteens(y.len())?;
    check.size(at_least_one(count))?;
    check.in_place(&needs![parts: product(&[len, count]), y: y.len()])?;
    let arguments = (len, count, parts.pointer(), y.pointer());
    // SAFETY: the buffers fit the checked sizes.
    unsafe { check.call(sum::sum_parts_launch(len, target), arguments) }
}

/// The same, and an element of `bias` added for every so many `images`.
pub fn sum_parts_with_bias<'a>(
    images: u32,
    count: u32,
    parts: In<'a, f32>,
    bias: In<'a, f32>,
    y: Out<'a, f32>,
    target: Target,
) -> Result<Call<'a>, Error> {
    let check = Check::new(&sum::sum_parts_with_bias, target);
    let len = check.sixteens(y.len())?;
    check.size(at_least_one(count))?;
    check.size(keep(
        images > 0 && images.is_multiple_of(16) && len.is_multiple_of(images),
        "images must be a multiple of 16 and divide the sums",
        images.into(),
    ))?;
    check.in_place(&needs![
        parts: product(&[len, count]),
        bias: (len / images) as usize,
        y: y.len(),
    ])?;
    let arguments = (
        len,
        Divisor::new(images),
        count,
        parts.pointer(),
        bias.pointer(),
        y.pointer(),
    );
    // SAFETY: the buffers fit the checked sizes.
    unsafe { check.call(sum::sum_parts_launch(len, target), arguments) }
}

/// `y`, the sum of each map of `columns` floats: the gradient to a bias.
pub fn sum_maps<'a>(
    columns: u32,
    x: In<'a, f32>,
    y: Out<'a, f32>,
    target: Target,
) -> Result<Call<'a>, Error> {
    let check = Check::new(&sum::sum_maps, target);
    check.size(keep(
        columns.is_multiple_of(16) && (columns as u64) < LIMIT,
        "columns must be a multiple of 16 and fewer than 2³¹",
        columns.into(),
    ))?;
    let maps = check.size(count(y.len()))?;
    check.buffers(&needs![x: product(&[maps, columns]), y: y.len()])?;
    let arguments = (columns, x.pointer(), y.pointer());
    // SAFETY: the buffers fit the checked sizes.
    unsafe { check.call(sum::sum_maps_launch(maps, target), arguments) }
}

/// A matrix of normal numbers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Gaussian {
    /// Its rows.
    pub rows: u32,
    /// Elements from row to row, a multiple of 16.
    pub stride: u32,
    /// Elements of a row that are not 0.
    pub valid: u32,
    /// Their standard deviation.
    pub sigma: f32,
    /// The run's seed.
    pub seed: [u32; 2],
    /// The tensor's number.
    pub stream: u32,
}

/// Fills `out` with normal numbers.
pub fn gaussian_fill<'a>(
    matrix: Gaussian,
    out: Out<'a, f32>,
    target: Target,
) -> Result<Call<'a>, Error> {
    let check = Check::new(&fill::gaussian_fill, target);
    let Gaussian {
        rows,
        stride,
        valid,
        sigma,
        seed,
        stream,
    } = matrix;
    check.sixteens(stride as usize)?;
    check.size(keep(
        valid <= stride,
        "valid elements must be at most the stride",
        valid.into(),
    ))?;
    check.buffers(&needs![out: product(&[rows, stride])])?;
    let arguments = (rows, stride, valid, sigma, seed, stream, out.pointer());
    let launch = fill::gaussian_fill_launch(rows, stride, target);
    // SAFETY: the buffer fits the checked sizes.
    unsafe { check.call(launch, arguments) }
}

/// Sets the first `valid` elements of `out` to `value`, the rest to 0.
pub fn constant_fill<'a>(
    valid: u32,
    value: f32,
    out: Out<'a, f32>,
    target: Target,
) -> Result<Call<'a>, Error> {
    let check = Check::new(&fill::constant_fill, target);
    let len = check.sixteens(out.len())?;
    check.size(keep(
        valid <= len,
        "valid elements must be at most all",
        valid.into(),
    ))?;
    check.buffers(&needs![out: out.len()])?;
    let arguments = (len, valid, value, out.pointer());
    // SAFETY: the buffer has `len` elements.
    unsafe { check.call(elementwise::launch(len, target), arguments) }
}

/// `y`, the `rows` × `cols` matrix `x` with rows and columns exchanged.
pub fn transpose<'a>(
    [rows, cols]: [u32; 2],
    x: In<'a, f32>,
    y: Out<'a, f32>,
    target: Target,
) -> Result<Call<'a>, Error> {
    let check = Check::new(&transpose::transpose, target);
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
    unsafe { check.call(transpose::transpose_launch(rows, cols, target), arguments) }
}

fn at_least_one(parts: u32) -> Result<(), BadSize> {
    keep(parts > 0, "parts must be at least 1", parts.into())
}

fn count(maps: usize) -> Result<u32, BadSize> {
    let rule = "maps must be fewer than 2³¹";
    keep((maps as u64) < LIMIT, rule, maps as u64).map(|()| maps as u32)
}
