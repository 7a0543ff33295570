//! Mean image, RGB covariance and principal components, from integer sums.
//!
//! The sums are exact, so the results do not depend on the order in which images were added.

#[cfg(target_arch = "x86_64")]
mod avx2;

use serde::{Deserialize, Serialize};

/// Sums over all pixels of a set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Moments {
    /// Number of pixels.
    pub pixels: u64,
    /// Σ R, Σ G, Σ B.
    pub sums: [u64; 3],
    /// Σ RR, Σ RG, Σ RB, Σ GG, Σ GB, Σ BB.
    pub products: [u64; 6],
}

impl Moments {
    /// Covariance of R, G and B over all pixels (divided by the number of pixels).
    pub fn covariance(&self) -> [[f64; 3]; 3] {
        let n = i128::from(self.pixels.max(1));
        // n·Σxy − Σx·Σy is exact, so one rounding is all there is.
        let entry = |i: usize, j: usize| {
            let product = self.products[[[0, 1, 2], [1, 3, 4], [2, 4, 5]][i][j]];
            let sums = i128::from(self.sums[i]) * i128::from(self.sums[j]);
            (n * i128::from(product) - sums) as f64 / (n * n) as f64
        };
        std::array::from_fn(|i| std::array::from_fn(|j| entry(i, j)))
    }
}

/// What one shard, or one set, adds up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Totals {
    pub(crate) images: u64,
    /// Sum over the images, for each byte of an image.
    pub(crate) positions: Vec<u64>,
    /// As in [`Moments`].
    pub(crate) products: [u64; 6],
}

impl Totals {
    pub(crate) fn new(image_bytes: usize) -> Self {
        Totals {
            images: 0,
            positions: vec![0; image_bytes],
            products: [0; 6],
        }
    }

    pub(crate) fn add(&mut self, other: &Totals) {
        self.images += other.images;
        let sums = self.positions.iter_mut().zip(&other.positions);
        let products = self.products.iter_mut().zip(&other.products);
        sums.chain(products)
            .for_each(|(total, value)| *total += value);
    }

    pub(crate) fn moments(&self) -> Moments {
        let mut sums = [0; 3];
        for pixel in self.positions.as_chunks::<3>().0 {
            for (sum, value) in sums.iter_mut().zip(pixel) {
                *sum += value;
            }
        }
        let pixels = self.images * (self.positions.len() / 3) as u64;
        Moments {
            pixels,
            sums,
            products: self.products,
        }
    }

    pub(crate) fn mean(&self) -> Vec<f32> {
        let images = self.images.max(1) as f64;
        self.positions
            .iter()
            .map(|&sum| (sum as f64 / images) as f32)
            .collect()
    }
}

/// So many bytes fit into a sum of 16 bits.
const FEW: usize = 257;

/// Images that are added together: the sums are gone through less often, and the caches suffice.
const TOGETHER: usize = 5;

/// The sums of a shard while its images come, of which there are at most `MAX_SHARD_IMAGES`.
pub(crate) struct Sums {
    images: u64,
    positions: Vec<u32>,
    /// Of the last images: half the memory to go through for each.
    few: Vec<u16>,
    images_in_few: usize,
    products: [u64; 6],
}

impl Sums {
    pub(crate) fn new(image_bytes: usize) -> Self {
        Sums {
            images: 0,
            positions: vec![0; image_bytes],
            few: vec![0; image_bytes],
            images_in_few: 0,
            products: [0; 6],
        }
    }

    /// Adds the pixels of images.
    pub(crate) fn add_pixels(&mut self, mut images: &[u8]) {
        let bytes = self.positions.len();
        while !images.is_empty() {
            if self.images_in_few == FEW {
                self.empty_few();
            }
            let fit = (FEW - self.images_in_few)
                .min(TOGETHER)
                .min(images.len() / bytes);
            let (these, rest) = images.split_at(fit * bytes);
            add_bytes(&mut self.few, these);
            self.images_in_few += fit;
            self.images += fit as u64;
            images = rest;
        }
    }

    /// Adds what [`products`] gave of an image.
    pub(crate) fn add_products(&mut self, products: [u64; 6]) {
        let sums = self.products.iter_mut().zip(products);
        sums.for_each(|(sum, value)| *sum += value);
    }

    fn empty_few(&mut self) {
        for (sum, few) in self.positions.iter_mut().zip(&mut self.few) {
            *sum += u32::from(std::mem::take(few));
        }
        self.images_in_few = 0;
    }

    /// The sums for each byte of an image, and those of the products.
    pub(crate) fn finish(mut self) -> (Vec<u32>, [u64; 6]) {
        self.empty_few();
        (self.positions, self.products)
    }
}

impl From<Sums> for Totals {
    fn from(sums: Sums) -> Totals {
        let images = sums.images;
        let (positions, products) = sums.finish();
        Totals {
            images,
            positions: positions.into_iter().map(u64::from).collect(),
            products,
        }
    }
}

/// Adds images, each as long as `few`, byte by byte.
fn add_bytes(few: &mut [u16], images: &[u8]) {
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx2") {
        // SAFETY: the processor has AVX2.
        return unsafe { avx2::add_bytes(few, images) };
    }
    add_bytes_plain(few, images);
}

#[inline(always)]
fn add_bytes_plain(few: &mut [u16], images: &[u8]) {
    const LANES: usize = 32;
    let bytes = few.len();
    let (blocks, rest) = few.as_chunks_mut::<LANES>();
    let at_rest = blocks.len() * LANES;
    for (at, block) in blocks.iter_mut().enumerate() {
        let mut sums = *block;
        for image in images.chunks_exact(bytes) {
            let levels = &image.as_chunks::<LANES>().0[at];
            sums.iter_mut()
                .zip(levels)
                .for_each(|(sum, &level)| *sum += u16::from(level));
        }
        *block = sums;
    }
    for image in images.chunks_exact(bytes) {
        let levels = rest.iter_mut().zip(&image[at_rest..]);
        levels.for_each(|(sum, &level)| *sum += u16::from(level));
    }
}

/// Σ RR, Σ RG, Σ RB, Σ GG, Σ GB, Σ BB of one image.
pub(crate) fn products(rgb: &[u8]) -> [u64; 6] {
    #[cfg(target_arch = "x86_64")]
    let (mut totals, done) = if is_x86_feature_detected!("avx2") {
        // SAFETY: the processor has AVX2.
        unsafe { avx2::products(rgb) }
    } else {
        ([0; 6], 0)
    };
    #[cfg(not(target_arch = "x86_64"))]
    let (mut totals, done) = ([0; 6], 0);
    for pixel in rgb[done..].as_chunks::<3>().0 {
        let [r, g, b] = pixel.map(u64::from);
        for (total, product) in totals
            .iter_mut()
            .zip([r * r, r * g, r * b, g * g, g * b, b * b])
        {
            *total += product;
        }
    }
    totals
}

/// Eigenvalues and eigenvectors of the covariance.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct PrincipalComponents {
    /// Variances along the components, largest first, in squared pixel levels.
    pub eigenvalues: [f64; 3],
    /// `eigenvectors[i]` is the unit vector (R, G, B) of `eigenvalues[i]`. Its entry of largest
    /// magnitude (the first of equals) is positive.
    pub eigenvectors: [[f64; 3]; 3],
}

impl PrincipalComponents {
    /// Of a symmetric matrix, by Jacobi's rotations.
    pub fn of(covariance: [[f64; 3]; 3]) -> Self {
        let mut a = covariance;
        // Rows of `v` become the eigenvectors.
        let mut v = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]];
        // Convergence is quadratic: a handful of sweeps reaches the last bit.
        for _sweep in 0..16 {
            for (p, q) in [(0, 1), (0, 2), (1, 2)] {
                rotate(&mut a, &mut v, p, q);
            }
        }
        let mut order = [0, 1, 2];
        order.sort_by(|&i, &j| a[j][j].total_cmp(&a[i][i]));
        let eigenvalues = order.map(|i| a[i][i]);
        PrincipalComponents {
            eigenvalues,
            eigenvectors: order.map(|i| with_sign(v[i])),
        }
    }
}

/// Turns the plane of `p` and `q` so that `a[p][q]` becomes zero.
fn rotate(a: &mut [[f64; 3]; 3], v: &mut [[f64; 3]; 3], p: usize, q: usize) {
    if a[p][q] == 0.0 {
        return;
    }
    let theta = (a[q][q] - a[p][p]) / (2.0 * a[p][q]);
    let t = theta.signum() / (theta.abs() + (theta * theta + 1.0).sqrt());
    let c = 1.0 / (t * t + 1.0).sqrt();
    let s = t * c;
    for row in a.iter_mut() {
        (row[p], row[q]) = (c * row[p] - s * row[q], s * row[p] + c * row[q]);
    }
    for matrix in [a, v] {
        let (rp, rq) = (matrix[p], matrix[q]);
        for k in 0..3 {
            matrix[p][k] = c * rp[k] - s * rq[k];
            matrix[q][k] = s * rp[k] + c * rq[k];
        }
    }
}

fn with_sign(vector: [f64; 3]) -> [f64; 3] {
    let mut largest = vector[0];
    for x in vector {
        if x.abs() > largest.abs() {
            largest = x;
        }
    }
    if largest < 0.0 {
        vector.map(|x| -x)
    } else {
        vector
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn many_white_images_do_not_overflow() {
        let mut sums = Sums::new(40);
        sums.add_pixels(&vec![255; 40 * 1000]);
        assert_eq!(sums.finish().0, [255_000; 40]);
    }

    #[test]
    fn white_and_long_images_do_not_overflow() {
        let pixels = 3 * 8 * 16_000 + 1001;
        let products = products(&vec![255; pixels * 3]);
        assert_eq!(products, [255 * 255 * pixels as u64; 6]);
    }

    proptest! {
        #[test]
        fn positions_are_those_of_a_plain_loop(
            bytes in 1usize..100, runs in prop::collection::vec(0usize..400, 0..4), level: u8,
        ) {
            let (mut sums, mut expected) = (Sums::new(bytes), vec![0u32; bytes]);
            for &images in &runs {
                let mut pixels: Vec<u8> = (0..bytes * images).map(|i| (i * i) as u8).collect();
                pixels.iter_mut().step_by(3).for_each(|pixel| *pixel = level);
                for image in pixels.chunks_exact(bytes) {
                    expected.iter_mut().zip(image).for_each(|(sum, &x)| *sum += u32::from(x));
                }
                sums.add_pixels(&pixels);
            }
            prop_assert_eq!(sums.images, runs.iter().sum::<usize>() as u64);
            prop_assert_eq!(sums.finish().0, expected);
        }

        #[test]
        fn products_are_those_of_a_plain_loop(pixels in prop::collection::vec(any::<[u8; 3]>(), 0..200)) {
            let mut expected = [0u64; 6];
            for p in &pixels {
                let p = p.map(u64::from);
                let pairs = [(0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2)];
                for (total, (i, j)) in expected.iter_mut().zip(pairs) {
                    *total += p[i] * p[j];
                }
            }
            prop_assert_eq!(products(pixels.as_flattened()), expected);
        }

        #[test]
        fn components_rebuild_the_matrix(entries in prop::array::uniform6(-1000.0f64..1000.0)) {
            let [a, b, c, d, e, f] = entries;
            let matrix = [[a, b, c], [b, d, e], [c, e, f]];
            let pca = PrincipalComponents::of(matrix);
            let (l, v) = (pca.eigenvalues, pca.eigenvectors);
            prop_assert!(l[0] >= l[1] && l[1] >= l[2]);
            for i in 0..3 {
                for j in 0..3 {
                    let rebuilt: f64 = (0..3).map(|k| l[k] * v[k][i] * v[k][j]).sum();
                    prop_assert!((rebuilt - matrix[i][j]).abs() < 1e-9);
                    let dot: f64 = (0..3).map(|k| v[i][k] * v[j][k]).sum();
                    prop_assert!((dot - f64::from(u8::from(i == j))).abs() < 1e-12);
                }
                let top = v[i].iter().fold(0.0f64, |m, x| if x.abs() > m.abs() { *x } else { m });
                prop_assert!(top > 0.0);
            }
        }
    }
}
