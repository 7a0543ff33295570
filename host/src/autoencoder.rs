//! An auto-encoder that learns short binary codes for rows of features, as section 6.1 of the paper proposes.
//!
//! ```text
//! h = tanh(W·x + b)      the encoder, of features x whose mean is taken off
//! y = V·h + d            the decoder; the loss is ½·|y − x|², the mean over a batch
//! ```
//!
//! A code has a bit for each unit: whether it is above 0. It is a network like any other, on the project's kernels; only
//! its loss is computed here.

use std::sync::Arc;

use anyhow::{Context, Result, ensure};

use crate::data::random::{Purpose, below, words};
use crate::device::Device;
use crate::index::Encoder;
use crate::net::context::{Mode, Share};
use crate::net::layer::Kind;
use crate::net::layer::activation::Tanh;
use crate::net::layer::fully_connected::{FullyConnected, Units};
use crate::net::rates::Rates;
use crate::net::shapes::{Banks, Dims, Layer, Net, ParameterSpec};
use crate::net::spec::{Init, Input, Learning, Reads};
use crate::net::{Network, Sgd};

/// Rows of a step.
const BATCH: usize = 128;
/// The learning rate of the first step; it falls to 0 in a straight line. At ten times as much the units saturate, and codes
/// find less than those of random weights.
const RATE: f64 = 0.002;
const MOMENTUM: f64 = 0.9;
/// Rows that mean and scale are taken from.
const SAMPLE: usize = 10_000;
/// The mean of |x|² as the encoder reads x: with it the rate suits features of any width and size.
const POWER: f64 = 1024.0;

/// How an auto-encoder is trained.
#[derive(Clone, Copy, Debug)]
pub struct Course {
    /// Bits of a code, a multiple of 64.
    pub bits: usize,
    /// Seed of the weights and of the order of the rows.
    pub seed: u64,
    /// Steps.
    pub steps: u32,
}

/// Rows of features to learn from.
pub struct Rows<'a> {
    /// How many.
    pub count: usize,
    /// Features of each.
    pub width: usize,
    /// Gives one of them.
    pub row: &'a dyn Fn(usize) -> Result<Vec<f32>>,
}

/// Trains an auto-encoder; `step` is told of each step. The same rows and course give the same encoder, bit for bit.
pub fn train(
    rows: &Rows,
    course: Course,
    device: &Arc<dyn Device>,
    mut step: impl FnMut() -> Result<()>,
) -> Result<Encoder> {
    ensure!(rows.count > 0, "there are no images to learn from");
    let Course { bits, seed, steps } = course;
    let (mean, scale) = mean_and_scale(rows)?;
    let mut network = untrained(rows.width, bits, seed, device)?;
    for number in 0..steps {
        let mut batch = Vec::with_capacity(BATCH * rows.width);
        for place in 0..BATCH as u64 {
            let counter = u64::from(number) * BATCH as u64 + place;
            let [word, ..] = words(seed, Purpose::Codes, counter, 0);
            let row = (rows.row)(below(word, rows.count as u32) as usize)?;
            batch.extend(normalised(&row, &mean, scale));
        }
        let left = 1.0 - f64::from(number) / f64::from(steps);
        learn(&mut network, &batch, number, RATE * left)?;
        step()?;
    }
    let (_, first, stream) = network.parameters().next().context("no encoder")?;
    Ok(Encoder {
        bits,
        mean,
        scale,
        weights: stream.download(&first.weights.value)?,
        biases: stream.download(&first.biases.value)?,
    })
}

/// A trained encoder at work.
pub struct Coder {
    mean: Vec<f32>,
    scale: f32,
    network: Network,
}

impl Coder {
    /// Places it on a device.
    pub fn new(encoder: &Encoder, device: &Arc<dyn Device>) -> Result<Self> {
        let layers = [connected(encoder.mean.len(), encoder.bits, 0.0)];
        let network = place(&layers, device, 0)?;
        for (_, parameters, stream) in network.parameters() {
            stream.upload(&encoder.weights, &parameters.weights.value);
            stream.upload(&encoder.biases, &parameters.biases.value);
        }
        Ok(Coder {
            mean: encoder.mean.clone(),
            scale: encoder.scale,
            network,
        })
    }

    /// The most rows it codes at a time.
    pub fn most(&self) -> usize {
        BATCH
    }

    /// The codes of rows of features, one behind the other: bit i of a row is bit i mod 64 of its word i / 64.
    pub fn codes(&mut self, features: &[f32]) -> Result<Vec<u64>> {
        let (mean, scale) = (&self.mean, self.scale);
        let rows = features.chunks_exact(mean.len());
        let count = rows.len();
        let mut batch: Vec<f32> = rows.flat_map(|row| normalised(row, mean, scale)).collect();
        batch.resize(BATCH * mean.len(), 0.0);
        load(&mut self.network, &batch);
        self.network.forward(Mode::Test);
        let (units, bits) = self.network.values(0)?;
        let word = |units: &[f32]| {
            let set = units.iter().enumerate().filter(|(_, unit)| **unit > 0.0);
            set.fold(0u64, |word, (i, _)| word | 1 << i)
        };
        Ok(units[..count * bits].chunks(64).map(word).collect())
    }
}

/// Of a sample of the rows, evenly spread: the mean, and what makes [`POWER`] of the rest.
fn mean_and_scale(rows: &Rows) -> Result<(Vec<f32>, f32)> {
    let count = rows.count.min(SAMPLE);
    let (mut sums, mut squares) = (vec![0f64; rows.width], 0f64);
    for number in 0..count {
        let row = (rows.row)(number * rows.count / count)?;
        for (sum, x) in sums.iter_mut().zip(row) {
            *sum += f64::from(x);
            squares += f64::from(x).powi(2);
        }
    }
    let count = count as f64;
    let of_mean: f64 = sums.iter().map(|sum| (sum / count).powi(2)).sum();
    let power = squares / count - of_mean;
    let scale = if power > 0.0 {
        (POWER / power).sqrt()
    } else {
        0.0
    };
    let mean = sums.iter().map(|sum| (sum / count) as f32).collect();
    Ok((mean, scale as f32))
}

fn normalised(row: &[f32], mean: &[f32], scale: f32) -> impl Iterator<Item = f32> {
    row.iter()
        .zip(mean)
        .map(move |(x, mean)| (x - mean) * scale)
}

/// Encoder and decoder with their initial weights.
fn untrained(width: usize, bits: usize, seed: u64, device: &Arc<dyn Device>) -> Result<Network> {
    // Units begin as far from 0 as a tanh bends.
    let encoder = connected(width, bits, POWER.sqrt().recip());
    let tanh = Layer {
        name: "tanh".into(),
        input: encoder.output,
        kind: Kind::Tanh(Tanh {}),
        parameters: None,
        ..encoder.clone()
    };
    let network = place(&[encoder, tanh, connected(bits, width, 0.01)], device, seed)?;
    network.initialise();
    Ok(network)
}

/// A step on a batch, `[row][feature]`.
fn learn(network: &mut Network, batch: &[f32], step: u32, rate: f64) -> Result<()> {
    let mode = Mode::Train {
        step,
        share: Share::WHOLE,
    };
    load(network, batch);
    network.forward(mode);
    let (decoded, _) = network.values(2)?;
    let off = decoded.iter().zip(batch);
    let gradient: Vec<f32> = off.map(|(y, x)| (y - x) / BATCH as f32).collect();
    network.backward_from(&transposed(&gradient), mode);
    let sgd = Sgd {
        rate,
        momentum: MOMENTUM,
        decay: 0.0,
    };
    network.update(&Rates::new(network.net(), sgd, 0, |_| rate));
    Ok(())
}

fn units(channels: usize) -> Dims {
    Dims {
        channels,
        height: 1,
        width: 1,
    }
}

/// A fully connected layer whose weights begin with this standard deviation.
fn connected(inputs: usize, outputs: usize, sigma: f64) -> Layer {
    let init = Init {
        sigma,
        ..Init::default()
    };
    Layer {
        name: "connected".into(),
        input: units(inputs),
        output: units(outputs),
        exchanges: false,
        kind: Kind::FullyConnected(FullyConnected {
            units: Units::Count(outputs),
            reads: Reads::Own,
        }),
        parameters: Some(ParameterSpec {
            inputs,
            outputs,
            first_output: 0,
            banks: Banks::Groups(1),
            init,
        }),
        learning: Learning::default(),
    }
}

/// A network of one tower without a loss; what it reads is an image of one pixel with many colours.
fn place(layers: &[Layer], device: &Arc<dyn Device>, seed: u64) -> Result<Network> {
    let net = Net {
        name: "auto-encoder".into(),
        input: Input {
            size: 1,
            crop: 1,
            channels: layers[0].input.channels,
        },
        classes: 0,
        towers: vec![layers.to_vec()],
    };
    Network::new(&net, std::slice::from_ref(device), BATCH, seed)
}

/// Queues rows, `[row][feature]`.
fn load(network: &mut Network, rows: &[f32]) {
    network.load_floats(&transposed(rows), &[0; BATCH]);
}

/// From row after row to feature after feature.
fn transposed(rows: &[f32]) -> Vec<f32> {
    let width = rows.len() / BATCH;
    let mut columns = vec![0.0; rows.len()];
    for (i, row) in rows.chunks_exact(width).enumerate() {
        for (to, &x) in columns[i..].iter_mut().step_by(BATCH).zip(row) {
            *to = x;
        }
    }
    columns
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::CpuDevice;

    /// Rows in eight clumps: rows of a clump must have codes closer to each other than to those of other clumps, and the
    /// same come out with any number of threads.
    #[test]
    fn rows_alike_get_codes_alike_whatever_the_threads() {
        let (width, clumps) = (50, 8);
        let noise = |a: usize, b: usize| {
            let [word, ..] = words(7, Purpose::View, a as u64, b as u32);
            word as f32 / u32::MAX as f32 - 0.5
        };
        let row = |i: usize| {
            let of = |j| 5.0 + 4.0 * noise(1000 + i % clumps, j) + 0.3 * noise(i, j);
            Ok((0..width).map(of).collect())
        };
        let rows = Rows {
            count: 400,
            width,
            row: &row,
        };
        let coded = |threads| {
            let device: Arc<dyn Device> = CpuDevice::new(threads).unwrap();
            let course = Course {
                bits: 64,
                seed: 1,
                steps: 60,
            };
            let encoder = train(&rows, course, &device, || Ok(())).unwrap();
            let mut coder = Coder::new(&encoder, &device).unwrap();
            let all: Vec<f32> = (0..80).flat_map(|i| row(i).unwrap()).collect();
            coder.codes(&all).unwrap()
        };
        let codes = coded(1);
        assert_eq!(codes.len(), 80);
        let apart = |a: usize, b: usize| (codes[a] ^ codes[b]).count_ones();
        for a in 0..80 {
            let own = (0..80).filter(|b| b % clumps == a % clumps);
            let others = (0..80).filter(|b| b % clumps != a % clumps);
            let own = own.map(|b| apart(a, b)).max().unwrap();
            let others = others.map(|b| apart(a, b)).min().unwrap();
            assert!(own < others, "row {a}: {own} and {others} bits");
        }
        assert!(coded(3) == codes);
    }
}
