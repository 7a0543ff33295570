//! Which part of an image the network sees, mirrored or not, in which light.
//!
//! Training under `paper` sees a random square of the image, mirrored every other time, plus colour noise
//! Σ pᵢ·αᵢ·λᵢ over the three principal components pᵢ of the training set's RGB values, αᵢ from N(0, 0.1) drawn once
//! for an image each time it is used. The paper calls λᵢ the eigenvalues of the covariance. On pixels of 0 to 255
//! these are in the thousands, and their tenths would drown the image; so λᵢ is here, as in the authors' own program,
//! the standard deviation along pᵢ, the eigenvalue's square root. That program also divides the whole noisy input, and
//! in training alone, by 1.1; the paper does not mention it and it is not done here.
//!
//! The square has size − crop + 1 places along each side: 33 × 33 for 224 out of 256, of which the paper counts 32 × 32.

use std::fmt;

use clap::ValueEnum;
use dataset_pack::Dataset;
pub use gpu_kernels::augment::View;
use gpu_kernels::random::normal;
use serde::{Deserialize, Serialize, Serializer};

use super::random::{Purpose, below, words};
use crate::net::spec::Input;

/// Standard deviation of αᵢ.
const ALPHA_SIGMA: f32 = 0.1;

/// What training does to an image before the network sees it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Augment {
    /// Random crop, mirror and colour noise.
    #[default]
    Paper,
    /// Random crop and mirror.
    Crop,
    /// The centre, as it is.
    None,
}

/// Colour noise of one α each: `components[i]` is pᵢ·λᵢ in R, G, B.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Colours {
    components: [[f32; 3]; 3],
}

impl Colours {
    /// From the variances along the principal components and the components, unit vectors (R, G, B).
    pub fn new(eigenvalues: [f64; 3], eigenvectors: [[f64; 3]; 3]) -> Self {
        let scaled =
            |i: usize| eigenvectors[i].map(|c| (c * eigenvalues[i].max(0.0).sqrt()) as f32);
        Self {
            components: [scaled(0), scaled(1), scaled(2)],
        }
    }

    /// Those of a set; none, if it was packed without its components.
    pub fn of(data: &Dataset) -> Self {
        let components = data.principal_components();
        components.map_or(Self::default(), |p| {
            Self::new(p.eigenvalues, p.eigenvectors)
        })
    }

    fn noise(&self, alpha: [f32; 3]) -> [f32; 3] {
        let [p, q, r] = self.components;
        [0, 1, 2].map(|c| alpha[0] * p[c] + alpha[1] * q[c] + alpha[2] * r[c])
    }
}

/// Views for images of one size.
#[derive(Clone, Copy, Debug)]
pub struct Views {
    /// Rows and columns of what is seen.
    crop: usize,
    /// Stored minus seen, pixels.
    margin: u32,
    seed: u64,
    augment: Augment,
    colours: Colours,
    /// The number of the first image without colour noise.
    colours_end: u64,
}

impl Views {
    /// For training with this seed.
    pub fn new(input: &Input, seed: u64, augment: Augment, colours: Colours) -> Self {
        Self {
            crop: input.crop,
            margin: margin(input),
            seed,
            augment,
            colours,
            colours_end: u64::MAX,
        }
    }

    /// With colour noise in so many epochs of so many images only; `None` for all.
    pub fn with_colour_epochs(self, epochs: Option<u32>, images: usize) -> Self {
        let end = epochs.map(|epochs| u64::from(epochs) * images as u64);
        Self {
            colours_end: end.unwrap_or(u64::MAX),
            ..self
        }
    }

    /// Rows and columns of every view.
    pub fn crop(&self) -> usize {
        self.crop
    }

    /// The view of the `number`-th image used since the training began (see [`super::sampler::Draw`]): a function of
    /// the seed and this number alone.
    pub fn training(&self, number: u64) -> View {
        if self.augment == Augment::None {
            return View {
                y: self.margin / 2,
                x: self.margin / 2,
                ..View::default()
            };
        }
        let [y, x, mirror, _] = words(self.seed, Purpose::View, number, 0);
        let noise = match self.augment == Augment::Paper && number < self.colours_end {
            true => self.noise(number),
            false => [0.0; 3],
        };
        View {
            y: below(y, self.margin + 1),
            x: below(x, self.margin + 1),
            mirror: mirror >> 31,
            noise,
        }
    }

    fn noise(&self, number: u64) -> [f32; 3] {
        let [a, b, c, d] = words(self.seed, Purpose::View, number, 1);
        let ((first, second), (third, _)) = (normal(a, b), normal(c, d));
        self.colours
            .noise([first, second, third].map(|alpha| alpha * ALPHA_SIGMA))
    }
}

/// What a test sees of an image and averages over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Crops {
    /// The corners and the centre, each also mirrored
    #[default]
    #[value(name = "10")]
    Ten,
    /// The centre
    #[value(name = "1")]
    Centre,
}

impl Crops {
    /// Their views: the corners and the centre first, then the same mirrored. Where the network sees whole images, all
    /// five are one.
    pub fn views(self, input: &Input) -> Vec<View> {
        let far = margin(input);
        let corners = [(0, 0), (0, far), (far, 0), (far, far)];
        let centre = (far / 2, far / 2);
        let at = |mirror| {
            move |&(y, x): &(u32, u32)| View {
                y,
                x,
                mirror,
                ..View::default()
            }
        };
        match self {
            Crops::Centre => vec![at(0)(&centre)],
            Crops::Ten => {
                let mut five = [&corners[..], &[centre]].concat();
                five.truncate(if far == 0 { 1 } else { 5 });
                let both = five.iter().map(at(0)).chain(five.iter().map(at(1)));
                both.collect()
            }
        }
    }

    /// What a network sees, in words.
    pub fn of(self, input: &Input) -> String {
        let Input { size, crop, .. } = input;
        match (self, size == crop) {
            (Crops::Centre, true) => format!("whole images of {size}×{size} pixels"),
            (Crops::Ten, true) => format!("whole images of {size}×{size} pixels, and mirrored"),
            (Crops::Centre, false) => format!("the centre {crop}×{crop} of {size}×{size} pixels"),
            (Crops::Ten, false) => {
                let five = format!("{crop}×{crop} of {size}×{size} pixels, corners and centre");
                format!("{five}, and mirrored")
            }
        }
    }

    /// How many they are, where images are larger than what the network sees.
    pub fn count(self) -> u32 {
        match self {
            Crops::Ten => 10,
            Crops::Centre => 1,
        }
    }
}

impl Serialize for Crops {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u32(self.count())
    }
}

impl fmt::Display for Crops {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Crops::Ten => "ten crops",
            Crops::Centre => "centre crop",
        })
    }
}

/// The view of the centre, as validation has it.
pub fn centre(input: &Input) -> View {
    Crops::Centre.views(input)[0]
}

fn margin(input: &Input) -> u32 {
    (input.size - input.crop) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    const INPUT: Input = Input {
        size: 256,
        crop: 224,
        channels: 3,
    };

    fn views(augment: Augment) -> Views {
        let colours = Colours::new(
            [400.0, 100.0, 25.0],
            [[1.0, 0.0, 0.0], [0.0, 0.6, 0.8], [0.0, -0.8, 0.6]],
        );
        Views::new(&INPUT, 42, augment, colours)
    }

    #[test]
    fn crops_reach_every_place_and_no_other() {
        let views = views(Augment::Crop);
        let mut seen = [[0u32; 33]; 33];
        let draws = 33 * 33 * 20;
        let mut mirrored = 0;
        for view in (0..draws).map(|number| views.training(number)) {
            seen[view.y as usize][view.x as usize] += 1;
            mirrored += view.mirror;
            assert!(view.mirror <= 1 && view.noise == [0.0; 3]);
        }
        assert!(seen.iter().flatten().all(|&n| n > 0));
        // Four standard deviations.
        let half = draws as f64 / 2.0;
        assert!(
            (f64::from(mirrored) - half).abs() < 4.0 * (half / 2.0).sqrt(),
            "{mirrored}"
        );
    }

    /// The noise must have the covariance 0.1²·Σ λᵢ² pᵢ pᵢᵀ.
    #[test]
    fn noise_follows_the_principal_components() {
        let views = views(Augment::Paper);
        let draws = 40_000;
        let mut sums = [0.0f64; 3];
        let mut products = [[0.0f64; 3]; 3];
        for number in 0..draws {
            let noise = views.training(number).noise.map(f64::from);
            for i in 0..3 {
                sums[i] += noise[i];
                for j in 0..3 {
                    products[i][j] += noise[i] * noise[j];
                }
            }
        }
        let n = draws as f64;
        let expected = [
            [4.0, 0.0, 0.0],
            [0.0, 0.36 + 0.16, 0.48 - 0.12],
            [0.0, 0.48 - 0.12, 0.64 + 0.09],
        ];
        for i in 0..3 {
            assert!((sums[i] / n).abs() < 0.04, "mean {sums:?}");
            for j in 0..3 {
                let found = products[i][j] / n;
                assert!(
                    (found - expected[i][j]).abs() < 0.1,
                    "{i} {j}: {found} for {}",
                    expected[i][j]
                );
            }
        }
    }

    #[test]
    fn a_view_depends_on_seed_and_number_alone() {
        let (one, other) = (
            views(Augment::Paper),
            Views {
                seed: 43,
                ..views(Augment::Paper)
            },
        );
        assert_eq!(one.training(12), views(Augment::Paper).training(12));
        assert_ne!(one.training(12), one.training(13));
        assert_ne!(one.training(12), one.training(12 + (1 << 32)));
        assert_ne!(one.training(12), other.training(12));
        let ends = views(Augment::Paper).with_colour_epochs(Some(1), 13);
        assert_eq!(ends.training(12), one.training(12));
        assert_eq!(ends.training(13).noise, [0.0; 3]);
        assert_eq!(ends.training(13).x, one.training(13).x);
        // Colour noise does not move the crops.
        let (with, without) = (one.training(5), views(Augment::Crop).training(5));
        assert_eq!(
            (with.y, with.x, with.mirror),
            (without.y, without.x, without.mirror)
        );
    }

    #[test]
    fn without_augmentation_it_is_the_centre() {
        let centre = View {
            y: 16,
            x: 16,
            mirror: 0,
            noise: [0.0; 3],
        };
        assert_eq!(views(Augment::None).training(3), centre);
        assert_eq!(Crops::Centre.views(&INPUT), [centre]);
    }

    #[test]
    fn ten_views_are_corners_and_centre_twice() {
        let ten: Vec<(u32, u32, u32)> = Crops::Ten
            .views(&INPUT)
            .iter()
            .map(|v| (v.y, v.x, v.mirror))
            .collect();
        let five = [(0, 0), (0, 32), (32, 0), (32, 32), (16, 16)];
        let expected: Vec<_> = (0..2)
            .flat_map(|mirror| five.map(|(y, x)| (y, x, mirror)))
            .collect();
        assert_eq!(ten, expected);
    }

    #[test]
    fn of_an_image_as_large_as_the_crop_there_are_two_views() {
        let whole = Input {
            size: 32,
            crop: 32,
            channels: 3,
        };
        let ten = Crops::Ten.views(&whole);
        let seen: Vec<_> = ten.iter().map(|v| (v.y, v.x, v.mirror)).collect();
        assert_eq!(seen, [(0, 0, 0), (0, 0, 1)]);
        assert_eq!(Crops::Centre.views(&whole), ten[..1]);
        let text = "whole images of 32×32 pixels, and mirrored";
        assert_eq!(Crops::Ten.of(&whole), text);
        let part = Input { crop: 24, ..whole };
        assert_eq!(Crops::Ten.views(&part).len(), 10);
        let text = "the centre 24×24 of 32×32 pixels";
        assert_eq!(Crops::Centre.of(&part), text);
    }

    #[test]
    fn an_image_as_large_as_the_crop_has_one_place() {
        let input = Input {
            size: 32,
            crop: 32,
            channels: 3,
        };
        let views = Views::new(&input, 1, Augment::Crop, Colours::default());
        assert!(
            (0..100)
                .map(|number| views.training(number))
                .all(|view| (view.y, view.x) == (0, 0))
        );
    }
}
