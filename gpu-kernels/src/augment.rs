//! The input layer: stored images to a batch of crops (sections 2 and 4.1 of the
//! paper).
//!
//! ```text
//! out[c][y][x][n] = pixel − mean + noise[c]
//! ```
//!
//! with the pixel of image n at row `view.y + y` and column `view.x + x`, or, in
//! a mirrored view, `view.x + crop − 1 − x`; the mean image is read at the same
//! place as the pixel. In units of the stored levels, 0 to 255. The subtraction
//! is rounded before the noise is added.
//!
//! `pixels` is `[images][side][side][3]` bytes: the stored images (`side` = `size`),
//! or of each what its view takes (`side` = `crop`), which is less to copy. `mean` is
//! `[size][size][3]`, `views` `[images]`, `out` `[3][crop][crop][images]`. Images are
//! a multiple of 32, `out` of 16 bytes; every view lies inside its image (`y + crop ≤
//! size`, `x + crop ≤ size`). Launch as [`augment_launch`] says: a block for each
//! [`PIXELS`] pixels (along x) of each row (along y) of each [`IMAGES`] images
//! (along z). The images lie apart in memory and shall lie side by side, so a
//! block transposes its pixels in shared memory. On a GPU its threads along x take
//! pixels and along y images, then all take vectors of images; on a CPU an image's
//! colours are taken by vectors as well, and squares of vectors are transposed. Any
//! number of threads.
//!
//! ```
//! use gpu_kernels::launch::{self, Floats, In, Out, Target};
//! use gpu_kernels::augment::View;
//!
//! let pool = simt_executor::Pool::new(1)?;
//! // 32 images of 2 × 2 pixels, grey but for the level 90 of the first; crops of 1 × 1.
//! let image = [[90; 3], [50; 3], [50; 3], [50; 3]].concat();
//! let (pixels, mean) = (image.repeat(32), Floats::from(&[40.0; 2 * 2 * 3][..]));
//! let mut views = [View { y: 0, x: 0, mirror: 0, noise: [1.0, 0.0, -1.0] }; 32];
//! views[1].x = 1;
//! let mut out = Floats::zeros(3 * 32);
//! let (bytes, at) = (In::from(&pixels), In::from(&views));
//! launch::augment([2, 2, 1], bytes, at, In::from(&mean), Out::from(&mut out), Target::Cpu)?.run(&pool)?;
//! assert_eq!((out[0], out[32], out[64]), (51.0, 50.0, 49.0)); // red, green, blue of image 0
//! assert_eq!(out[1], 11.0); // red of image 1
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use crate::device::*;

#[cfg(not(target_arch = "nvptx64"))]
use {crate::target::Target, cuda_std::simt::Launch};

/// Pixels of a block, in one row.
pub const PIXELS: u32 = 32;

/// Images of a block.
pub const IMAGES: u32 = 32;

/// From one pixel to the next in shared memory: not a multiple of all its banks.
const STRIDE: usize = IMAGES as usize + 4;

/// What to take of one image.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[cfg_attr(feature = "bytemuck", derive(bytemuck::Pod, bytemuck::Zeroable))]
#[repr(C)]
pub struct View {
    /// First row.
    pub y: u32,
    /// First column, in the image as stored, mirrored or not.
    pub x: u32,
    /// Not 0 to exchange left and right.
    pub mirror: u32,
    /// What to add to red, green and blue, in levels.
    pub noise: [f32; 3],
}

/// The launch of [`augment`].
#[cfg(not(target_arch = "nvptx64"))]
pub fn augment_launch(crop: u32, images: u32, target: Target) -> Launch {
    Launch {
        grid: [crop.div_ceil(PIXELS), crop, images / IMAGES],
        block: match target {
            Target::Cpu => [1, 1, 1],
            Target::Gpu => [32, 8, 1],
        },
        shared: 3 * PIXELS * STRIDE as u32 * size_of::<f32>() as u32,
    }
}

/// One view's pixels.
#[derive(Clone, Copy)]
struct Row {
    /// The index of the byte of pixel 0, within an image of `pixels`.
    pixel: usize,
    /// Of its float, within the mean image.
    mean: usize,
    /// From one pixel to the next, modulo 2⁶⁴.
    step: usize,
    noise: [f32; 3],
}

impl Row {
    /// Row `y` of the view.
    #[inline(always)]
    fn new(view: View, [size, side, crop]: [u32; 3], y: u32) -> Row {
        let (x, step) = if view.mirror != 0 {
            (crop - 1, 3usize.wrapping_neg())
        } else {
            (0, 3)
        };
        let mean = (view.y + y) * size + view.x + x;
        let pixel = if side == crop { y * crop + x } else { mean };
        Row {
            pixel: pixel as usize * 3,
            mean: mean as usize * 3,
            step,
            noise: view.noise,
        }
    }

    /// Red, green and blue at column `x` of the view.
    ///
    /// # Safety
    /// The view lies inside its image; `image` and `mean` are valid for the sizes,
    /// `x` is below the crop.
    #[inline(always)]
    unsafe fn pixel(&self, x: u32, image: *const u8, mean: *const f32) -> [f32; 3] {
        let along = self.step.wrapping_mul(x as usize);
        let (p, m) = (
            self.pixel.wrapping_add(along),
            self.mean.wrapping_add(along),
        );
        let colour =
            |c: usize| (image.load(p + c) as f32 - mean.load(m + c)) + *self.noise.as_ptr().add(c);
        [colour(0), colour(1), colour(2)]
    }

    /// The colours of as many pixels as a vector has lanes, from column `x` of the view on, to `to`.
    ///
    /// # Safety
    /// As of [`pixel`](Self::pixel), for all of them; `to` has room.
    #[inline(always)]
    unsafe fn vectors<V: Vector>(&self, x: u32, image: *const u8, mean: *const f32, to: Shared) {
        let mirrored = self.step != 3;
        // Which of them lies first in memory.
        let first = x as usize + if mirrored { V::LANES - 1 } else { 0 };
        let along = self.step.wrapping_mul(first);
        let (p, m) = (
            self.pixel.wrapping_add(along),
            self.mean.wrapping_add(along),
        );
        let mut begin = 0;
        while begin < 3 * V::LANES {
            let pixels = V::from_fn(|lane| image.load(p + begin + lane) as f32);
            let mean = V::from_fn(|lane| mean.load(m + begin + lane));
            let noise = V::from_fn(|lane| *self.noise.as_ptr().add((begin + lane) % 3));
            // In this order, as of a single pixel.
            let colours = (pixels - mean) + noise;
            if !mirrored {
                to.store_vector(begin, colours);
            }
            let mut lane = 0;
            while lane < V::LANES && mirrored {
                let (pixel, c) = ((begin + lane) / 3, (begin + lane) % 3);
                to.store(3 * (V::LANES - 1 - pixel) + c, colours.lane(lane));
                lane += 1;
            }
            begin += V::LANES;
        }
    }
}

/// A batch of crops from stored images.
///
/// # Safety
/// The pointers are valid for the sizes, every view lies inside its image, `out`
/// overlaps none of the others; launched as [`augment_launch`] says.
#[kernel]
pub unsafe fn augment(
    size: u32,
    side: u32,
    crop: u32,
    images: u32,
    pixels: *const u8,
    views: *const View,
    mean: *const f32,
    out: *mut f32,
) {
    let (x0, y) = (thread::block_idx_x() * PIXELS, thread::block_idx_y());
    let part = Part {
        sizes: [size, side, crop],
        images,
        x0,
        y,
        count: if crop - x0 < PIXELS {
            crop - x0
        } else {
            PIXELS
        },
        first: thread::block_idx_z() * IMAGES,
    };
    if V::LANES > 4 {
        part.read_rows::<V>(pixels, views, mean);
        thread::sync_threads();
        part.write_squares::<V>(out);
    } else {
        part.read_pixels(pixels, views, mean);
        thread::sync_threads();
        part.write_vectors::<V>(out);
    }
}

/// A block's part: `count` pixels from column `x0` of row `y` on of the [`IMAGES`] images from `first` on.
#[derive(Clone, Copy)]
struct Part {
    /// Those of stored images, of what there is of them, and of crops.
    sizes: [u32; 3],
    images: u32,
    x0: u32,
    y: u32,
    count: u32,
    first: u32,
}

/// This thread's number and how many there are, along x and along y.
#[inline(always)]
fn threads() -> [[u32; 2]; 2] {
    [
        [thread::thread_idx_x(), thread::block_dim_x()],
        [thread::thread_idx_y(), thread::block_dim_y()],
    ]
}

/// Pixel by pixel: in shared memory an image's colour is at `(colour · PIXELS + pixel) · STRIDE + image`.
impl Part {
    /// The row of image `i`, and the image's first byte.
    ///
    /// # Safety
    /// As of [`augment`].
    #[inline(always)]
    unsafe fn row(&self, i: u32, pixels: *const u8, views: *const View) -> (Row, *const u8) {
        let (n, side) = ((self.first + i) as usize, self.sizes[1] as usize);
        let row = Row::new(views.load(n), self.sizes, self.y);
        (row, pixels.wrapping_add(n * side * side * 3))
    }

    /// Reads the pixels to shared memory.
    ///
    /// # Safety
    /// As of [`augment`].
    #[inline(always)]
    unsafe fn read_pixels(&self, pixels: *const u8, views: *const View, mean: *const f32) {
        let tile = Shared::dynamic();
        let [[tx, across], [ty, down]] = threads();
        let mut i = ty;
        while i < IMAGES {
            let (row, image) = self.row(i, pixels, views);
            let mut x = tx;
            while x < self.count {
                let [r, g, b] = row.pixel(self.x0 + x, image, mean);
                tile.store(x as usize * STRIDE + i as usize, r);
                tile.store((PIXELS + x) as usize * STRIDE + i as usize, g);
                tile.store((2 * PIXELS + x) as usize * STRIDE + i as usize, b);
                x += across;
            }
            i += down;
        }
    }

    /// Writes them from there.
    ///
    /// # Safety
    /// As of [`augment`], after a barrier.
    #[inline(always)]
    unsafe fn write_vectors<V: Vector>(&self, out: *mut f32) {
        let tile = Shared::dynamic();
        let [[tx, across], [ty, down]] = threads();
        let vectors = IMAGES / V::LANES as u32;
        let mut unit = ty * across + tx;
        while unit < 3 * PIXELS * vectors {
            let (pixel, image) = (unit / vectors, unit % vectors * V::LANES as u32);
            let (c, x) = (pixel / PIXELS, pixel % PIXELS);
            if x < self.count {
                let colour = tile.load_vector::<V>(pixel as usize * STRIDE + image as usize);
                out.store_vector(self.at(c, x, image), colour);
            }
            unit += across * down;
        }
    }

    /// Where colour `c` of pixel `x` of image `image` goes.
    #[inline(always)]
    fn at(&self, c: u32, x: u32, image: u32) -> usize {
        let crop = self.sizes[2];
        let pixel = (c * crop + self.y) * crop + self.x0 + x;
        pixel as usize * self.images as usize + (self.first + image) as usize
    }
}

/// Floats of an image in shared memory where its pixels lie there in a row, three colours each.
const ROW: usize = 3 * PIXELS as usize;

/// Row by row.
impl Part {
    /// Reads the pixels to shared memory, by vectors as far as they are whole.
    ///
    /// # Safety
    /// As of [`augment`].
    #[inline(always)]
    unsafe fn read_rows<V: Vector>(&self, pixels: *const u8, views: *const View, mean: *const f32) {
        let [[tx, across], [ty, down]] = threads();
        let mut i = ty * across + tx;
        while i < IMAGES {
            let (row, image) = self.row(i, pixels, views);
            let to = Shared::dynamic().from(i as usize * ROW);
            let lanes = V::LANES as u32;
            let mut x = 0;
            while x + lanes <= self.count {
                let to = to.from(3 * x as usize);
                row.vectors::<V>(self.x0 + x, image, mean, to);
                x += lanes;
            }
            while x < self.count {
                let colours = row.pixel(self.x0 + x, image, mean);
                let mut c = 0;
                while c < 3 {
                    to.store(3 * x as usize + c, *colours.as_ptr().add(c));
                    c += 1;
                }
                x += 1;
            }
            i += across * down;
        }
    }

    /// Writes them from there, transposed by squares.
    ///
    /// # Safety
    /// As of [`augment`], after a barrier.
    #[inline(always)]
    unsafe fn write_squares<V: Vector>(&self, out: *mut f32) {
        let tile = Shared::dynamic();
        let [[tx, across], [ty, down]] = threads();
        let vectors = IMAGES as usize / V::LANES;
        let mut unit = (ty * across + tx) as usize;
        while unit < ROW / V::LANES * vectors {
            let (value, image) = (unit / vectors * V::LANES, unit % vectors * V::LANES);
            let square = V::square(|line| tile.load_vector((image + line) * ROW + value));
            let square = V::transpose(square);
            let mut line = 0;
            while line < V::LANES {
                let (x, c) = ((value + line) / 3, (value + line) % 3);
                if (x as u32) < self.count {
                    let colour = *square.as_ref().as_ptr().add(line);
                    out.stream_vector(self.at(c as u32, x as u32, image as u32), colour);
                }
                line += 1;
            }
            unit += (across * down) as usize;
        }
    }
}

#[cfg(all(not(target_arch = "nvptx64"), not(feature = "rust-cuda")))]
pub mod launch {
    //! Checked launches.

    use super::View;
    use crate::launch::{Call, Check, Error, In, Out, Target, keep, needs};
    use crate::sizes::{batch, product};

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
        let check = Check::new(&super::augment, target);
        let images = check.size(batch(views.len()))?;
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
        let launch = super::augment_launch(crop, images, target);
        // SAFETY: the buffers fit the sizes, and the views the images.
        unsafe { check.call(launch, arguments) }
    }
}
