//! The input kernel against its formula.
mod common;

use common::{Buffer, bits, here, random, random_below, run};
use gpu_kernels::augment::{View, augment, augment_launch};
use gpu_kernels::target::Target;
use proptest::prelude::*;

struct Batch {
    size: usize,
    crop: usize,
    /// Whole images.
    pixels: Vec<u8>,
    views: Vec<View>,
    mean: Vec<f32>,
}

impl Batch {
    fn new(size: usize, crop: usize, images: usize, seed: u32) -> Self {
        let place = random_below(seed, 3 * images, (size - crop + 1) as u32);
        let noise = random(seed, 3 * images);
        let view = |n: usize| View {
            y: place[3 * n],
            x: place[3 * n + 1],
            mirror: n as u32 % 3,
            noise: [0, 1, 2].map(|c| 9.0 * noise[3 * n + c]),
        };
        let pixels = random_below(seed ^ 1, images * size * size * 3, 256);
        Batch {
            size,
            crop,
            pixels: pixels.iter().map(|&p| p as u8).collect(),
            views: (0..images).map(view).collect(),
            mean: random(seed ^ 2, size * size * 3)
                .iter()
                .map(|x| 120.0 + 9.0 * x)
                .collect(),
        }
    }

    /// Of each image what its view takes, not yet mirrored.
    fn crops(&self) -> Vec<u8> {
        let images = self.pixels.chunks(self.size * self.size * 3);
        let rows = images.zip(&self.views).flat_map(|(image, view)| {
            let rows = image.chunks(self.size * 3).skip(view.y as usize);
            let of_row = |row| &<[u8]>::get(row, view.x as usize * 3..).unwrap()[..self.crop * 3];
            rows.take(self.crop).flat_map(of_row)
        });
        rows.copied().collect()
    }

    /// Of the whole images or of the crops.
    fn run(&self, target: Target, whole: bool) -> Vec<f32> {
        let images = self.views.len();
        let (size, crop) = (self.size as u32, self.crop as u32);
        let (side, pixels) = match whole {
            true => (size, Buffer::new(&self.pixels)),
            false => (crop, Buffer::new(&self.crops())),
        };
        let (views, mean) = (Buffer::new(&self.views), Buffer::new(&self.mean));
        let mut out = Buffer::unwritten(3 * self.crop * self.crop * images);
        let launch = augment_launch(crop, images as u32, target);
        let n = images as u32;
        let pointers = (pixels.ptr(), views.ptr(), mean.ptr(), out.mut_ptr());
        let arguments = (
            size, side, crop, n, pointers.0, pointers.1, pointers.2, pointers.3,
        );
        // SAFETY: the buffers have these sizes, and the views lie inside the images.
        unsafe { run(&augment, launch, arguments) };
        out.to_vec()
    }

    fn reference(&self) -> Vec<f32> {
        let (images, crop) = (self.views.len(), self.crop);
        let value = |i: usize| {
            let (n, x, y) = (i % images, i / images % crop, i / (images * crop) % crop);
            let c = i / (images * crop * crop);
            let view = self.views[n];
            let x = if view.mirror == 0 { x } else { crop - 1 - x };
            let at = ((view.y as usize + y) * self.size + view.x as usize + x) * 3 + c;
            let pixel = self.pixels[n * self.size * self.size * 3 + at] as f32;
            (pixel - self.mean[at]) + view.noise[c]
        };
        (0..3 * crop * crop * images).map(value).collect()
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn as_the_formula(crop in 1..70usize, more in 0..9usize, images in 1..3usize, seed: u32) {
        let batch = Batch::new(crop + more, crop, 32 * images, seed);
        let want = bits(&batch.reference());
        for whole in [true, false] {
            prop_assert_eq!(bits(&batch.run(here(), whole)), &want[..]);
            prop_assert_eq!(bits(&batch.run(Target::Gpu, whole)), &want[..]);
        }
    }
}

#[test]
fn a_mirrored_crop_is_the_crop_mirrored() {
    let mut batch = Batch::new(12, 10, 32, 1);
    batch.views.iter_mut().for_each(|view| view.mirror = 0);
    let straight = batch.run(here(), true);
    batch.views.iter_mut().for_each(|view| view.mirror = 1);
    let mirrored = batch.run(here(), true);
    for (row, turned) in straight.chunks(10 * 32).zip(mirrored.chunks(10 * 32)) {
        let back: Vec<f32> = turned.chunks(32).rev().flatten().copied().collect();
        assert_eq!(row, back);
    }
}
