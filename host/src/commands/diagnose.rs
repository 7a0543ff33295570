//! `host diagnose`

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, Result};
use clap::Args;
use console::{Progress, escaped};
use dataset_pack::Dataset;
use serde::Serialize;

use super::Run;
use crate::data::loader::Loader;
use crate::data::sampler::{Cursor, Order, Sampler};
use crate::data::views::{Augment, Colours, Views};
use crate::device::Places;
use crate::evaluate;
use crate::metrics::{Norms, Score};
use crate::net::choice::NetworkChoice;
use crate::net::context::Mode;
use crate::net::layer::Kind;
use crate::net::norms::norms;
use crate::net::shares::Shares;
use crate::net::spec::Train;
use crate::net::{Network, Sgd};
use crate::ranks::Ranks;

/// Below this share of its size, what a layer gives hardly depends on the image.
const DEAD_SIGNAL: f64 = 0.05;

/// Trains a few steps and shows, layer by layer, what becomes of the signal and of the gradient.
#[derive(Args, Clone, Debug)]
#[command(after_help = "Example: host diagnose --data sets/train --net paper --width 0.25")]
pub struct Diagnose {
    /// The training set
    #[arg(long, value_name = "DIR")]
    pub data: PathBuf,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub network: NetworkChoice,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub places: Places,
    /// Steps before looking
    #[arg(long, default_value_t = 20, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub steps: u32,
    /// Seed of the weights, the order, the views and dropout
    #[arg(long, default_value_t = 0, value_name = "S")]
    pub seed: u64,
}

/// What was seen.
#[derive(Clone, Debug, Serialize)]
pub struct Diagnosis {
    steps: u32,
    batch: usize,
    /// Of the last step.
    loss: f64,
    layers: Vec<LayerHealth>,
    /// The first layer whose output hardly depends on the image.
    dies_in: Option<String>,
    /// The layer that loses the largest part of the signal.
    loses_most: Option<String>,
}

/// What a layer gives, and how it learns if it does.
#[derive(Clone, Debug, Serialize)]
struct LayerHealth {
    layer: String,
    /// Of all outputs, over units and images.
    mean: f64,
    sigma: f64,
    /// Of what a unit gives, how much differs between the images: the root of the mean variance over the images, as a
    /// fraction of the root of the mean square.
    signal: f64,
    /// Fraction of the units that give 0 for every image of the batch.
    dead: f64,
    #[serde(flatten)]
    norms: Option<Norms>,
    update_ratio: Option<f64>,
}

impl Run for Diagnose {
    type Report = Diagnosis;

    fn run(&self) -> Result<Diagnosis> {
        let data = Arc::new(Dataset::open(&self.data)?);
        let spec = self.network.load(&[])?;
        let net = spec.resolve(self.network.width(), data.classes().len())?;
        let devices = self.places.open(net.towers.len())?;
        let mut network = Network::new(&net, &devices, spec.train.batch, self.seed)?;
        let context = || escaped(&self.data).to_string();
        evaluate::check_data(network.net(), &data).with_context(context)?;
        let mean = data.mean().context("it has no mean image");
        network.set_mean(mean.with_context(context)?);
        network.initialise();
        let loss = self.train(&mut network, &data, &spec.train)?;
        let norms = norms(&network, &Ranks::alone())?;
        // The last batch once more, as a test sees it: without dropout.
        network.forward(Mode::Test);
        let layers = layers(&network, &norms)?;
        let dies_in = layers.iter().find(|layer| layer.signal < DEAD_SIGNAL);
        let kept = |pair: &[LayerHealth]| pair[1].signal / pair[0].signal;
        let most = layers.windows(2).min_by(|a, b| kept(a).total_cmp(&kept(b)));
        Ok(Diagnosis {
            steps: self.steps,
            batch: spec.train.batch,
            loss,
            dies_in: dies_in.map(|layer| layer.layer.clone()),
            loses_most: most.map(|pair| pair[1].layer.clone()),
            layers,
        })
    }
}

impl Diagnose {
    /// Trains, and gives the last loss.
    fn train(&self, network: &mut Network, data: &Arc<Dataset>, train: &Train) -> Result<f64> {
        let colours = Colours::of(data);
        let views = Views::new(&network.net().input, self.seed, Augment::Paper, colours)
            .with_colour_epochs(train.colour_epochs, data.len());
        let sampler = Sampler::new(Order::Shuffled, self.seed, data.len() as u32);
        let batch = network.batch();
        let loader = Loader::start(
            data.clone(),
            sampler,
            views,
            Cursor::default(),
            batch,
            &Shares::WHOLE,
        )?;
        let sgd = Sgd::new(train, train.lr);
        let bar = Progress::new("trained", "steps", self.steps.into());
        let mut loss = f64::NAN;
        for step in 0..self.steps {
            network.load(&loader.next()?.batch);
            network.train(step, sgd);
            let scores = network.scores()?;
            loss = Score::of(&scores.loss, &scores.rank).loss;
            bar.advance(1);
        }
        Ok(loss)
    }
}

/// What the layers give, but for what the next overwrites, which works in place on it.
fn layers(network: &Network, norms: &BTreeMap<String, Norms>) -> Result<Vec<LayerHealth>> {
    let net = network.net();
    let (mut layers, mut first) = (Vec::new(), 0);
    for (i, layer) in net.towers[0].iter().enumerate() {
        if net.last_in_place(i) != i {
            continue;
        }
        let chain = &net.towers[0][first..=i];
        first = i + 1;
        if matches!(layer.kind, Kind::Softmax(_)) {
            continue;
        }
        let learns = chain.iter().find(|layer| layer.parameters().is_some());
        let own = learns.and_then(|layer| norms.get(&layer.name));
        let (values, units) = network.values(i)?;
        layers.push(LayerHealth {
            norms: own.copied(),
            update_ratio: own.map(Norms::update_ratio),
            ..LayerHealth::of(&learns.unwrap_or(layer).name, &values, units)
        });
    }
    Ok(layers)
}

impl LayerHealth {
    /// Of `values`, `[image][unit]`.
    fn of(layer: &str, values: &[f32], units: usize) -> Self {
        let images = (values.len() / units.max(1)).max(1) as f64;
        let (mut sums, mut squares) = (vec![0.0; units], vec![0.0; units]);
        for image in values.chunks_exact(units) {
            for (unit, &x) in image.iter().enumerate() {
                sums[unit] += f64::from(x);
                squares[unit] += f64::from(x).powi(2);
            }
        }
        let over_units =
            |numbers: &mut dyn Iterator<Item = f64>| numbers.sum::<f64>() / units as f64;
        let mean = over_units(&mut sums.iter().map(|sum| sum / images));
        let square = over_units(&mut squares.iter().map(|square| square / images));
        let between_images = sums.iter().zip(&squares);
        let variance = over_units(
            &mut between_images.map(|(sum, square)| square / images - (sum / images).powi(2)),
        );
        Self {
            layer: layer.into(),
            mean,
            sigma: (square - mean * mean).max(0.0).sqrt(),
            signal: match square > 0.0 {
                true => (variance.max(0.0) / square).sqrt(),
                false => 0.0,
            },
            dead: over_units(&mut squares.iter().map(|&s| f64::from(u8::from(s == 0.0)))),
            norms: None,
            update_ratio: None,
        }
    }
}

impl fmt::Display for Diagnosis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Diagnosis {
            steps, batch, loss, ..
        } = self;
        writeln!(
            f,
            "after {steps} steps of {batch} images the loss is {loss:.4}"
        )?;
        writeln!(
            f,
            "{:10} {:>10} {:>10} {:>8} {:>7} {:>10} {:>10} {:>10}",
            "layer", "mean", "sigma", "signal", "dead", "|weights|", "|gradient|", "update"
        )?;
        self.layers
            .iter()
            .try_for_each(|layer| writeln!(f, "{layer}"))?;
        let share = 100.0 * DEAD_SIGNAL;
        match &self.dies_in {
            None => write!(f, "the signal reaches the end")?,
            Some(layer) => write!(
                f,
                "the signal dies: from {layer} on less than {share:.0} % of what a layer gives depends on the image"
            )?,
        }
        match &self.loses_most {
            Some(layer) => write!(f, "; most of it is lost in {layer}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for LayerHealth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:10} {:10.3e} {:10.3e} {:7.1}% {:6.1}%",
            self.layer,
            self.mean,
            self.sigma,
            100.0 * self.signal,
            100.0 * self.dead
        )?;
        if let (Some(norms), Some(ratio)) = (self.norms, self.update_ratio) {
            let Norms {
                weight, gradient, ..
            } = norms;
            write!(f, " {weight:10.3e} {gradient:10.3e} {ratio:10.3e}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two units: one gives 3 or 5, one always 0.
    #[test]
    fn health_is_as_counted_by_hand() {
        let health = LayerHealth::of("x", &[3.0, 0.0, 5.0, 0.0], 2);
        assert_eq!((health.mean, health.dead), (2.0, 0.5));
        // The mean square is (9 + 25) / 4, the variance over the images (1 + 0) / 2.
        assert!((health.sigma - (8.5f64 - 4.0).sqrt()).abs() < 1e-12);
        assert!((health.signal - (0.5f64 / 8.5).sqrt()).abs() < 1e-12);
        assert_eq!(LayerHealth::of("x", &[0.0; 4], 2).signal, 0.0);
    }
}
