//! How well a network does on a set it does not train on.

use anyhow::{Result, ensure};
use dataset_pack::Dataset;

use crate::data::loader::Gatherer;
use crate::data::sampler::{WholeBatch, whole_batches};
use crate::data::views::{Crops, centre};
use crate::metrics::{Score, Tally};
use crate::net::context::Mode;
use crate::net::shapes::Net;
use crate::net::{Batch, ImageScores, Network};
use crate::ranks::Ranks;

/// That the data is what the network reads.
pub fn check_data(net: &Net, data: &Dataset) -> Result<()> {
    let size = data.size();
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

/// Every image of a set in batches of the network's size.
pub fn batches(network: &Network, data: &Dataset) -> Vec<WholeBatch> {
    whole_batches(data.len() as u32, network.batch()).collect()
}

/// Those of them that are a rank's: neighbours, as many as others have or one more.
fn own_batches(network: &Network, data: &Dataset, ranks: &Ranks) -> Vec<WholeBatch> {
    let mut all = batches(network, data);
    let [rank, size] = [ranks.rank(), ranks.size()].map(|n| n as usize);
    let begin = |rank: usize| all.len() * rank / size;
    let (begin, end) = (begin(rank), begin(rank + 1));
    all.drain(begin..end).collect()
}

/// Scores the centre crop of every image, as validation while training does. Nothing, if `stop` says so to any rank
/// between two batches.
pub fn validate(
    network: &mut Network,
    data: &Dataset,
    stop: impl Fn() -> bool,
    ranks: &Ranks,
) -> Result<Option<Score>> {
    let centre = centre(&network.net().input);
    let mut own = ImageScores::default();
    let mut gatherer = Gatherer::new(network.net().input.crop);
    let mut left = false;
    for batch in own_batches(network, data, ranks) {
        left = stop();
        if left {
            break;
        }
        network.load(&gatherer.whole(data, &batch, centre)?);
        network.forward(Mode::Test);
        own.add(network.scores()?);
    }
    if ranks.any(left) {
        return Ok(None);
    }
    let all = own.of_all(ranks);
    Ok(Some(Score::of(&all.loss, &all.rank)))
}

/// Gives what a layer makes of the centre of every image, in parts: the number of the first image, and a row for each.
/// Batches that end within the first `skip` images are left out.
pub fn features(
    network: &mut Network,
    data: &Dataset,
    layer: usize,
    skip: usize,
    mut each: impl FnMut(usize, Vec<f32>) -> Result<()>,
) -> Result<()> {
    let centre = centre(&network.net().input);
    let mut gatherer = Gatherer::new(network.net().input.crop);
    for batch in batches(network, data) {
        if batch.images.end as usize > skip {
            let images = gatherer.whole(data, &batch, centre)?;
            each(batch.images.start as usize, seen(network, &images, layer)?)?;
        }
    }
    Ok(())
}

/// What a layer makes of a batch, a row for each image that counts. Only the layers up to that one work.
pub fn seen(network: &mut Network, images: &Batch, layer: usize) -> Result<Vec<f32>> {
    network.load(images);
    network.forward_to(layer, Mode::Test);
    Ok(network.values(layer)?.0)
}

/// Adds to `sums`, `[image][class]`, what a network makes of whole images: the sum over as many crops as
/// [`Crops::count`] says.
fn add_views(
    network: &mut Network,
    images: &mut Batch,
    crops: Crops,
    sums: &mut [f32],
) -> Result<()> {
    let views = crops.views(&network.net().input);
    // All networks count alike, also those that see an image in fewer ways.
    let weight = crops.count() as f32 / views.len() as f32;
    for view in views {
        images.views.fill(view);
        network.load(images);
        network.forward(Mode::Test);
        let probabilities = network.probabilities()?;
        sums.iter_mut()
            .zip(probabilities)
            .for_each(|(sum, p)| *sum += weight * p);
    }
    Ok(())
}

/// The mean probabilities, `[image][class]`, of whole images: those that [`Predictions`] has of the same in a set.
pub fn probabilities(network: &mut Network, images: &mut Batch, crops: Crops) -> Result<Vec<f32>> {
    let mut sums = vec![0.0; images.valid * network.net().classes];
    add_views(network, images, crops, &mut sums)?;
    let terms = crops.count() as f32;
    Ok(sums.into_iter().map(|sum| sum / terms).collect())
}

/// The largest of some numbers, `count` or all there are: their places, the largest first, of equals the first.
pub fn largest(values: &[f32], count: usize) -> Vec<usize> {
    let mut places: Vec<usize> = (0..values.len()).collect();
    places.sort_by(|&a, &b| values[b].total_cmp(&values[a]));
    places.truncate(count);
    places
}

/// Class probabilities of every image of a set, `[image][class]`, averaged over crops and possibly networks.
pub struct Predictions {
    classes: usize,
    sums: Vec<f32>,
    terms: u32,
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

    /// Adds what a network makes of every image, each rank of its part; `done` is told of the images of each batch.
    pub fn add(
        &mut self,
        network: &mut Network,
        data: &Dataset,
        crops: Crops,
        ranks: &Ranks,
        mut done: impl FnMut(usize),
    ) -> Result<()> {
        check_data(network.net(), data)?;
        let centre = centre(&network.net().input);
        let mut gatherer = Gatherer::new(data.size());
        let own = own_batches(network, data, ranks);
        let begin = own.first().map_or(0, |batch| batch.images.start);
        let end = own.last().map_or(0, |batch| batch.images.end);
        for batch in own {
            let mut images = gatherer.whole(data, &batch, centre)?;
            let begin = batch.images.start as usize * self.classes;
            let end = begin + batch.valid() * self.classes;
            add_views(network, &mut images, crops, &mut self.sums[begin..end])?;
            done(batch.valid());
        }
        let own = begin as usize * self.classes..end as usize * self.classes;
        self.sums = ranks.gather(self.sums[own].to_vec());
        self.terms += crops.count();
        Ok(())
    }

    /// The mean probabilities of an image.
    pub fn of(&self, image: usize) -> impl Iterator<Item = f32> {
        let sums = &self.sums[image * self.classes..(image + 1) * self.classes];
        sums.iter().map(|sum| sum / self.terms as f32)
    }

    /// Scores them. Of classes that tie with the label, those before it are ahead of it.
    pub fn score(&self, data: &Dataset) -> Score {
        let mut tally = Tally::default();
        for image in 0..data.len() {
            let (loss, rank) = self.judged(data, image);
            tally.add(loss, rank);
        }
        tally.score()
    }

    /// Likewise, for the images of each class.
    pub fn scores(&self, data: &Dataset) -> Vec<Score> {
        let mut tallies = vec![Tally::default(); self.classes];
        for image in 0..data.len() {
            let (loss, rank) = self.judged(data, image);
            tallies[data.label(image) as usize].add(loss, rank);
        }
        tallies.iter().map(Tally::score).collect()
    }

    /// The loss of an image, and how many classes are ahead of its own.
    fn judged(&self, data: &Dataset, image: usize) -> (f64, f32) {
        let (label, p) = (data.label(image) as usize, Vec::from_iter(self.of(image)));
        let own = p[label];
        let is_ahead =
            |(class, &other): (usize, &f32)| other > own || (other == own && class < label);
        let ahead = p.iter().enumerate().filter(|&one| is_ahead(one)).count();
        let rank = if own.is_nan() { own } else { ahead as f32 };
        (-f64::from(own.max(f32::MIN_POSITIVE)).ln(), rank)
    }

    /// The likeliest classes of an image, `count` or all there are; the likeliest first, of those that tie the first.
    pub fn best(&self, image: usize, count: usize) -> Vec<usize> {
        largest(&Vec::from_iter(self.of(image)), count)
    }
}
