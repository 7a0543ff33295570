//! What begins and ends a batch: images in, loss out.

use super::{BadSize, Call, Check, Error, In, Out, Target, keep};
use crate::augment::{self, View};
use crate::needs;
use crate::sizes::{LIMIT, product};
use crate::softmax;

/// `out`, a batch of crops of `crop` × `crop` from stored images of `size` ×
/// `size`, one for each of `views`. `pixels` has the whole images (`side` = `size`)
/// or their crops (`side` = `crop`).
pub fn augment<'a>(
    [size, side, crop]: [u32; 3],
    pixels: In<'a, u8>,
    views: In<'a, View>,
    mean: In<'a, f32>,
    out: Out<'a, f32>,
    target: Target,
) -> Result<Call<'a>, Error> {
    let check = Check::new(&augment::augment, target);
    let images = check.size(images(views.len()))?;
    check.size(keep(
        crop <= size && size < 1 << 15,
        "pixels of a crop's side must be at most those of an image, fewer than 2¹⁵",
        crop.into(),
    ))?;
    check.size(keep(
        side == size || side == crop,
        "pixels of a side must be those of the stored images or of the crops",
        side.into(),
    ))?;
    check.buffers(&needs![
        pixels: product(&[3, side, side, images]),
        views: views.len(),
        mean: product(&[3, size, size]),
        out: product(&[3, crop, crop, images]),
    ])?;
    for (number, view) in views.slice().unwrap_or_default().iter().enumerate() {
        let last = size - crop;
        if view.y > last || view.x > last {
            return Err(Error::View {
                kernel: "augment",
                view: number,
                y: view.y,
                x: view.x,
            });
        }
    }
    let arguments = (
        size,
        side,
        crop,
        images,
        pixels.pointer(),
        views.pointer(),
        mean.pointer(),
        out.pointer(),
    );
    let launch = augment::augment_launch(crop, images, target);
    // SAFETY: the buffers fit the sizes, and the views the images.
    unsafe { check.call(launch, arguments) }
}

/// The probabilities of the `classes` of each of `images`.
pub fn softmax<'a>(
    [classes, images]: [u32; 2],
    logits: In<'a, f32>,
    probabilities: Out<'a, f32>,
    target: Target,
) -> Result<Call<'a>, Error> {
    let check = Check::new(&softmax::softmax, target);
    check.size(batch(classes, images))?;
    let len = product(&[classes, images]);
    check.buffers(&needs![logits: len, probabilities: len])?;
    let arguments = (classes, images, logits.pointer(), probabilities.pointer());
    // SAFETY: the buffers fit the checked sizes.
    unsafe { check.call(softmax::softmax_launch(images, target), arguments) }
}

/// Each image's loss, and how many of the `classes` stand before its label.
pub fn cross_entropy<'a>(
    classes: u32,
    logits: In<'a, f32>,
    labels: In<'a, u32>,
    loss: Out<'a, f32>,
    better: Out<'a, f32>,
    target: Target,
) -> Result<Call<'a>, Error> {
    let check = Check::new(&softmax::cross_entropy, target);
    let count = labels.len();
    let images = check.size(images(count))?;
    check.size(batch(classes, images))?;
    let len = product(&[classes, images]);
    check.buffers(&needs![logits: len, labels: count, loss: count, better: count])?;
    let arguments = (
        classes,
        images,
        logits.pointer(),
        labels.pointer(),
        loss.pointer(),
        better.pointer(),
    );
    let launch = softmax::cross_entropy_launch(images, target);
    // SAFETY: the buffers fit the checked sizes.
    unsafe { check.call(launch, arguments) }
}

/// Which part of a loss' gradient is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LossGradient {
    /// All classes.
    pub classes: u32,
    /// The first class that is wanted.
    pub first: u32,
    /// How many are wanted.
    pub rows: u32,
    /// Rows of the output, those beyond `rows` zeros.
    pub rows_padded: u32,
    /// Images that count; the others get zeros.
    pub valid: u32,
}

/// The mean loss' gradient to the logits.
pub fn softmax_gradient<'a>(
    wanted: LossGradient,
    probabilities: In<'a, f32>,
    labels: In<'a, u32>,
    out: Out<'a, f32>,
    target: Target,
) -> Result<Call<'a>, Error> {
    let check = Check::new(&softmax::softmax_gradient, target);
    let images = check.size(images(labels.len()))?;
    let LossGradient {
        classes,
        first,
        rows,
        rows_padded,
        valid,
    } = wanted;
    check.size(batch(classes.max(rows_padded), images))?;
    check.size(keep(
        first as u64 + rows as u64 <= classes as u64 && rows <= rows_padded,
        "rows must end within the classes and the padded rows",
        rows.into(),
    ))?;
    check.size(keep(
        valid <= images,
        "valid images must be at most all",
        valid.into(),
    ))?;
    check.buffers(&needs![
        probabilities: product(&[classes, images]),
        labels: labels.len(),
        out: product(&[rows_padded, images]),
    ])?;
    let arguments = (
        classes,
        images,
        first,
        rows,
        rows_padded,
        valid,
        probabilities.pointer(),
        labels.pointer(),
        out.pointer(),
    );
    let launch = softmax::softmax_gradient_launch(rows_padded, images, target);
    // SAFETY: the buffers fit the checked sizes.
    unsafe { check.call(launch, arguments) }
}

fn images(count: usize) -> Result<u32, BadSize> {
    let rule = "images must be a multiple of 32 and fewer than 2²⁴";
    let fits = count.is_multiple_of(32) && count < 1 << 24;
    keep(fits, rule, count as u64).map(|()| count as u32)
}

fn batch(classes: u32, count: u32) -> Result<(), BadSize> {
    images(count as usize)?;
    keep(
        classes < 1 << 24,
        "classes must be fewer than 2²⁴",
        classes.into(),
    )?;
    let len = product(&[classes, count]) as u64;
    keep(len < LIMIT, "logits must be fewer than 2³¹", len)
}
