//! `host check-gradients`

use std::fmt;

use anyhow::{Result, ensure};
use clap::Args;
use serde::Serialize;

use super::Run;
use crate::data::random::{Purpose, words};
use crate::device::Places;
use crate::net::choice::NetworkChoice;
use crate::net::context::{Mode, Share};
use crate::net::layer::Kind;
use crate::net::spec::Spec;
use crate::net::{IMAGES, Network, Parameters};

const CLASSES: usize = 10;
/// What the ways' bends and the logits' rounding may make of a right gradient.
const TOLERANCE: f64 = 0.05;

/// How much the loss is to change on either side, one after the other until the check holds: ReLU and pooling bend
/// the way, the less the shorter it is, but a short one drowns in the rounding of the logits.
const CHANGES: [f64; 6] = [1e-3, 2.5e-4, 6e-5, 1.5e-5, 4e-6, 1e-6];

/// Compares every layer's gradients, and that to the images, with differences of the loss.
#[derive(Args, Clone, Debug)]
#[command(after_help = "Example: host check-gradients --net paper --gpus cpu")]
pub struct CheckGradients {
    #[command(flatten)]
    #[allow(missing_docs)]
    pub network: NetworkChoice,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub places: Places,
    /// Seed of the weights, the images and the places looked at
    #[arg(long, default_value_t = 0, value_name = "S")]
    pub seed: u64,
}

/// What the check of each tensor gave.
#[derive(Clone, Debug, Serialize)]
#[serde(transparent)]
pub struct Gradients(Vec<Checked>);

/// What one tensor's check gave.
#[derive(Clone, Debug, Serialize)]
struct Checked {
    tensor: String,
    /// |g|².
    gradient: f64,
    /// The same by differences of the loss.
    difference: f64,
    /// How far they are apart, as a fraction of the larger.
    error: f64,
    holds: bool,
}

impl CheckGradients {
    fn without_dropout(&self) -> Result<Spec> {
        let spec = self.network.load(&[])?;
        let mut kinds = spec.layers.iter().map(|layer| &layer.kind);
        match kinds.any(|kind| matches!(kind, Kind::Dropout(_))) {
            true => self.network.load(&["dropout.p=0".to_owned()]),
            false => Ok(spec),
        }
    }
}

/// Moves each tensor a small way along its own gradient g and compares the
/// change of the loss with what g promises: (L(w + h·g) − L(w − h·g)) / 2h = |g|².
/// A direction in which all elements take part rises well above rounding.
impl Run for CheckGradients {
    type Report = Gradients;

    fn run(&self) -> Result<Gradients> {
        let spec = self.without_dropout()?;
        let net = spec.resolve(self.network.width(), CLASSES)?;
        let devices = self.places.open(net.towers.len())?;
        let mut network = Network::with_image_gradients(&net, &devices, IMAGES, self.seed)?;
        network.initialise();
        let (image, labels) = input(&network, self.seed);
        network.load_floats(&image, &labels);
        let mode = Mode::Train {
            step: 0,
            share: Share::WHOLE,
        };
        network.forward(mode);
        network.backward(mode);
        let gradient = network.image_gradients()?;
        let mut checked = Vec::new();
        for index in 0..network.parameters().count() {
            for kind in ["weight", "bias"] {
                checked.push(check(&network, &labels, index, kind)?);
            }
        }
        checked.push(check_images(&mut network, &image, &labels, &gradient)?);
        Ok(Gradients(checked))
    }

    fn verdict(Gradients(checked): &Gradients) -> Result<()> {
        let wrong = checked.iter().filter(|c| !c.holds);
        let wrong: Vec<&str> = wrong.map(|c| c.tensor.as_str()).collect();
        ensure!(
            wrong.is_empty(),
            "the gradients of {} do not hold",
            wrong.join(", ")
        );
        Ok(())
    }
}

impl fmt::Display for Gradients {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in &self.0 {
            writeln!(
                f,
                "{:24} |g|² {:.4e}  by differences {:.4e}  off by {:.2} %{}",
                c.tensor,
                c.gradient,
                c.difference,
                100.0 * c.error,
                if c.holds { "" } else { "  WRONG" }
            )?;
        }
        Ok(())
    }
}

impl Checked {
    fn new(tensor: String, gradient: f64, difference: f64) -> Self {
        let scale = gradient.abs().max(difference.abs());
        let error = match scale == 0.0 {
            true => 0.0,
            false => (gradient - difference).abs() / scale,
        };
        Self {
            tensor,
            gradient,
            difference,
            error,
            holds: error <= TOLERANCE,
        }
    }
}

fn check(network: &Network, labels: &[u32], index: usize, kind: &str) -> Result<Checked> {
    let Some((tower, weights, stream)) = network.parameters().nth(index) else {
        anyhow::bail!("no tensor {index}")
    };
    let tensor = pick(weights, kind);
    let (value, gradient) = (
        stream.download(&tensor.value)?,
        stream.download(&tensor.gradient)?,
    );
    let name = format!("tower{tower}.{}.{kind}", weights.name);
    let checked = compare(&name, &value, &gradient, |moved| {
        stream.upload(moved, &tensor.value);
        network.forward(Mode::Train {
            step: 0,
            share: Share::WHOLE,
        });
        loss(network, labels)
    })?;
    stream.upload(&value, &tensor.value);
    Ok(checked)
}

/// `gradient` lies image after image, the images pixel after pixel.
fn check_images(
    network: &mut Network,
    images: &[f32],
    labels: &[u32],
    gradient: &[f32],
) -> Result<Checked> {
    let pixels = gradient.len() / IMAGES;
    let gradient: Vec<f32> = (0..gradient.len())
        .map(|i| gradient[i % IMAGES * pixels + i / IMAGES])
        .collect();
    compare("images", images, &gradient, |moved| {
        network.load_floats(moved, labels);
        network.forward(Mode::Train {
            step: 0,
            share: Share::WHOLE,
        });
        loss(network, labels)
    })
}

/// `loss` says what it is with other values.
fn compare(
    name: &str,
    values: &[f32],
    gradient: &[f32],
    mut loss: impl FnMut(&[f32]) -> Result<f64>,
) -> Result<Checked> {
    let square: f64 = gradient.iter().map(|&g| f64::from(g).powi(2)).sum();
    let mut loss_at = |h: f64| {
        let along = values.iter().zip(gradient);
        let moved = along.map(|(&w, &g)| (f64::from(w) + h * f64::from(g)) as f32);
        loss(&moved.collect::<Vec<_>>())
    };
    let mut checked = Checked::new(name.to_owned(), square, 0.0);
    for step in CHANGES.map(|change| change / square) {
        if !checked.holds {
            let difference = (loss_at(step)? - loss_at(-step)?) / (2.0 * step);
            checked = Checked::new(name.to_owned(), square, difference);
        }
    }
    Ok(checked)
}

/// The loss in f64: as a float it would be rounded by more than a short step changes it.
fn loss(network: &Network, labels: &[u32]) -> Result<f64> {
    let softmax = network.net().towers[0].len() - 1;
    let (logits, classes) = network.values(softmax - 1)?;
    let images = logits.chunks_exact(classes).zip(labels);
    let of = |(logits, &label): (&[f32], &u32)| {
        let sum: f64 = logits.iter().map(|&x| f64::from(x).exp()).sum();
        sum.ln() - f64::from(logits[label as usize])
    };
    Ok(images.map(of).sum::<f64>() / labels.len() as f64)
}

fn pick<'a>(weights: &'a Parameters, kind: &str) -> &'a crate::net::parameters::Tensor {
    if kind == "weight" {
        &weights.weights
    } else {
        &weights.biases
    }
}

/// Smooth made-up images, `[colour][row][column][image]`, and their labels.
fn input(network: &Network, seed: u64) -> (Vec<f32>, Vec<u32>) {
    let side = network.net().input.crop;
    let [a, b, ..] = words(seed, Purpose::View, 0, 0);
    let (p, q) = (1.0 + (a % 7) as f32, 1.0 + (b % 7) as f32);
    let pixel = |i: usize| {
        let (n, place) = (i % IMAGES, i / IMAGES);
        let (c, y, x) = (place / (side * side), place / side % side, place % side);
        let wave = (x as f32 * (n as f32 + p) + y as f32 * q * (c as f32 + 1.0)) * 0.02;
        60.0 * wave.sin() + n as f32
    };
    let image = (0..3 * side * side * IMAGES).map(pixel).collect();
    (image, (0..IMAGES).map(|n| (n % CLASSES) as u32).collect())
}
