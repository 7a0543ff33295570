//! How well a network does and how it learns: loss, errors, norms, and the file they are written down in.

pub mod log;

use serde::{Deserialize, Serialize};

/// Loss and errors, over some images.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Score {
    /// How many images.
    pub images: usize,
    /// Fraction of the images whose class is not the likeliest.
    pub top1_error: f64,
    /// Fraction of the images whose class is not among the five likeliest.
    pub top5_error: f64,
    /// Mean negative log-probability of the right class.
    pub loss: f64,
}

/// Euclidean norms over a layer's weights, all towers together; biases are left out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Norms {
    /// Of the weights.
    pub weight: f64,
    /// Of the gradient of the mean loss to them.
    pub gradient: f64,
    /// Of the last step.
    pub update: f64,
}

impl Norms {
    /// The last step as a fraction of the weights; of no weights, 0.
    pub fn update_ratio(&self) -> f64 {
        match self.weight > 0.0 {
            true => self.update / self.weight,
            false => 0.0,
        }
    }
}

impl Score {
    /// Of a batch: the loss and the rank of each image, see [`Tally::add`].
    pub fn of(loss: &[f32], rank: &[f32]) -> Self {
        let mut tally = Tally::default();
        tally.add_all(loss, rank);
        tally.score()
    }
}

/// Adds images up to a [`Score`].
#[derive(Clone, Copy, Debug, Default)]
pub struct Tally {
    images: usize,
    loss: f64,
    top1_hits: usize,
    top5_hits: usize,
}

impl Tally {
    /// Takes an image in: its loss, and how many classes are held likelier than the right one; a rank that is not a
    /// number is an error.
    pub fn add(&mut self, loss: f64, rank: f32) {
        self.images += 1;
        self.loss += loss;
        self.top1_hits += usize::from(rank < 1.0);
        self.top5_hits += usize::from(rank < 5.0);
    }

    /// Takes a batch in.
    pub fn add_all(&mut self, loss: &[f32], rank: &[f32]) {
        let images = loss.iter().zip(rank);
        images.for_each(|(&loss, &rank)| self.add(f64::from(loss), rank));
    }

    /// The means; of no images, zeros.
    pub fn score(&self) -> Score {
        let of_images = |sum: f64| sum / self.images.max(1) as f64;
        let errors = |hits: usize| of_images((self.images - hits) as f64);
        Score {
            images: self.images,
            top1_error: errors(self.top1_hits),
            top5_error: errors(self.top5_hits),
            loss: of_images(self.loss),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fifth_likeliest_is_among_five_and_what_is_no_number_is_an_error() {
        let mut tally = Tally::default();
        tally.add_all(&[0.0, 1.0], &[0.0, 4.0]);
        tally.add(f64::NAN, f32::NAN);
        tally.add(3.0, 5.0);
        let Score {
            images,
            top1_error,
            top5_error,
            loss,
        } = tally.score();
        assert_eq!((images, top1_error, top5_error), (4, 0.75, 0.5));
        assert!(loss.is_nan());
        assert_eq!(Tally::default().score(), Score::default());
    }
}
