//! How well a network does on a set it does not train on.

use anyhow::{Result, ensure};
use dataset_pack::Dataset;

use crate::data::loader::Gatherer;
use crate::data::sampler::{WholeBatch, whole_batches};
use crate::data::views::test_views;
use crate::net::Network;
use crate::net::context::Mode;

/// Error rates and loss over a set.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Score {
    /// Images in the set.
    pub images: usize,
    /// Mean negative log-probability of the right class.
    pub loss: f64,
    /// Fraction of images whose class is not the likeliest.
    pub top1_error: f64,
    /// Fraction of images whose class is not among the five likeliest.
    pub top5_error: f64,
}

/// Class probabilities of every image of a set, `[image][class]`, averaged over
/// crops and possibly networks.
pub struct Predictions {
    classes: usize,
    sums: Vec<f32>,
    terms: u32,
}

/// Whether an image at this place among the classes counts as an error.
pub fn errors(better: &[f32], top: f32) -> f64 {
    let hits = better.iter().filter(|&&place| place < top).count();
    (better.len() - hits) as f64
}

/// That the data is what the network reads.
pub fn check_data(network: &Network, data: &Dataset) -> Result<()> {
    let (net, size) = (network.net(), data.size());
    ensure!(
        size == net.input.size,
        "the data's images are {size}×{size}, the network reads {0}×{0}",
        net.input.size
    );
    let classes = data.classes().len();
    ensure!(
        classes == net.classes,
        "the data has {classes} classes, the network {}",
        net.classes
    );
    Ok(())
}

/// Scores the centre crop of every image, as validation while training does. Nothing, if `stop` says so between two
/// batches.
pub fn validate(
    network: &mut Network,
    data: &Dataset,
    stop: impl Fn() -> bool,
) -> Result<Option<Score>> {
    let centre = test_views(&network.net().input, false)[0];
    let mut score = Score {
        images: data.len(),
        ..Score::default()
    };
    let mut gatherer = Gatherer::new(network.net().input.crop);
    for batch in batches(network, data) {
        if stop() {
            return Ok(None);
        }
        network.load(&gatherer.whole(data, &batch, centre)?);
        network.forward(Mode::Test);
        let outcome = network.outcome()?;
        score.loss += outcome
            .loss
            .iter()
            .map(|&loss| f64::from(loss))
            .sum::<f64>();
        score.top1_error += errors(&outcome.rank, 1.0);
        score.top5_error += errors(&outcome.rank, 5.0);
    }
    let mean = |sum: f64| sum / data.len().max(1) as f64;
    Ok(Some(Score {
        loss: mean(score.loss),
        top1_error: mean(score.top1_error),
        top5_error: mean(score.top5_error),
        ..score
    }))
}

impl Predictions {
    /// None yet, for a set of `images` images.
    pub fn new(images: usize, classes: usize) -> Self {
        Predictions {
            classes,
            sums: vec![0.0; images * classes],
            terms: 0,
        }
    }

    /// Adds what a network makes of ten crops of every image, or of the centre.
    pub fn add(
        &mut self,
        network: &mut Network,
        data: &Dataset,
        ten: bool,
        mut done: impl FnMut(usize),
    ) -> Result<()> {
        check_data(network, data)?;
        let views = test_views(&network.net().input, ten);
        let mut gatherer = Gatherer::new(data.size());
        for batch in batches(network, data) {
            let mut images = gatherer.whole(data, &batch, views[0])?;
            for &view in &views {
                images.views.fill(view);
                network.load(&images);
                network.forward(Mode::Test);
                let probabilities = network.probabilities()?;
                let begin = batch.images.start as usize * self.classes;
                let sums = &mut self.sums[begin..begin + probabilities.len()];
                sums.iter_mut()
                    .zip(probabilities)
                    .for_each(|(sum, p)| *sum += p);
            }
            done(batch.valid());
        }
        self.terms += views.len() as u32;
        Ok(())
    }

    /// The mean probabilities of an image.
    pub fn of(&self, image: usize) -> impl Iterator<Item = f32> {
        let sums = &self.sums[image * self.classes..(image + 1) * self.classes];
        sums.iter().map(|sum| sum / self.terms as f32)
    }

    /// Scores them. Of classes that tie with the label, those before it count as better.
    pub fn score(&self, data: &Dataset) -> Score {
        let images = data.len();
        let mut score = Score {
            images,
            ..Score::default()
        };
        for image in 0..images {
            let (label, p) = (
                data.label(image) as usize,
                self.of(image).collect::<Vec<_>>(),
            );
            let own = p[label];
            let ahead =
                |(class, &other): (usize, &f32)| other > own || (other == own && class < label);
            let better = p.iter().enumerate().filter(|&one| ahead(one)).count();
            let lost = own.is_nan();
            score.loss -= f64::from(own.max(f32::MIN_POSITIVE)).ln() / images as f64;
            score.top1_error += f64::from(u8::from(lost || better >= 1)) / images as f64;
            score.top5_error += f64::from(u8::from(lost || better >= 5)) / images as f64;
        }
        score
    }
}

/// Every image of a set in batches of the network's size.
pub fn batches(network: &Network, data: &Dataset) -> Vec<WholeBatch> {
    whole_batches(data.len() as u32, network.batch()).collect()
}
