//! `host bench`

use std::collections::BTreeMap;
use std::fmt;
use std::time::Instant;

use anyhow::Result;
use clap::Args;
use gpu_kernels::target::Target;
use serde::Serialize;

use super::Run;
use super::exchange::Exchange;
use crate::data::views::centre;
use crate::device::Places;
use crate::net::choice::NetworkChoice;
use crate::net::context::{Mode, Share};
use crate::net::shares::Shares;
use crate::net::{Batch, Network, Sgd};
use crate::ranks::Ranks;

const CLASSES: usize = 1000;

/// Measures the speed of training, and under a launcher what the ranks' exchange takes.
#[derive(Args, Clone, Debug)]
#[command(after_help = "Example: host bench --net paper --batch 128 --layers")]
pub struct Bench {
    #[command(flatten)]
    #[allow(missing_docs)]
    pub network: NetworkChoice,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub places: Places,
    /// Images a step, of each rank
    #[arg(long, default_value_t = 128, value_name = "N")]
    pub batch: usize,
    /// Steps measured, after one that is not
    #[arg(long, default_value_t = 5, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub steps: u32,
    /// Shows each layer's share
    #[arg(long)]
    pub layers: bool,
}

/// Speeds: medians over the steps.
#[derive(Clone, Debug, Serialize)]
pub struct Speed {
    net: String,
    width: f64,
    batch: usize,
    steps: u32,
    devices: Vec<String>,
    training_images_per_second: f64,
    step_seconds: f64,
    inference_images_per_second: f64,
    peak_memory_bytes: Option<u64>,
    /// What the ranks' exchange takes; nothing where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    ranks: Option<Exchange>,
    /// Of each layer.
    layers: Option<BTreeMap<String, Times>>,
}

/// Seconds for the output, the gradient to the input, the gradients to the weights.
type Times = [f64; 3];

impl Run for Bench {
    type Report = Speed;

    fn run(&self) -> Result<Speed> {
        Ranks::join()?.carry(|ranks| self.measure(ranks))
    }
}

impl Bench {
    fn measure(&self, ranks: &Ranks) -> Result<Speed> {
        let spec = self.network.load(&[])?;
        let net = spec.resolve(self.network.width(), CLASSES)?;
        let devices = self.places.open(net.towers.len())?;
        let all = self.batch * ranks.size() as usize;
        let shares = Shares::new(ranks.size(), all, [ranks.rank(), ranks.size()])?;
        let mut network = Network::in_shares(&net, &devices, self.batch, 0, shares)?;
        network.initialise();
        let batch = batch(&network);
        let sgd = Sgd::new(&spec.train, spec.train.lr);
        let (steps, images) = (self.steps, self.batch as f64);
        let exchange = Exchange::measure(&mut network, ranks, &batch, steps, sgd)?;
        let training = match &exchange {
            Some(exchange) => exchange.step_seconds(),
            None => {
                train(&mut network, &batch, 0, sgd)?;
                median_of(1..=steps, |step| train(&mut network, &batch, step, sgd))?
            }
        };
        let testing = median_of(1..=steps, |_| test(&mut network, &batch))?;
        let mut layers = || layers(&mut network, &batch, steps);
        Ok(Speed {
            net: net.name.clone(),
            width: self.network.width(),
            batch: self.batch,
            steps,
            devices: devices.iter().map(|device| device.describe()).collect(),
            training_images_per_second: images / training,
            step_seconds: training,
            inference_images_per_second: images / testing,
            ranks: exchange,
            layers: self.layers.then(&mut layers).transpose()?,
            peak_memory_bytes: peak_memory(),
        })
    }
}

impl fmt::Display for Speed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (tower, device) in self.devices.iter().enumerate() {
            writeln!(f, "tower {tower}      {device}")?;
        }
        let Speed { batch, steps, .. } = self;
        writeln!(f, "batch        {batch} images, median of {steps} steps")?;
        writeln!(
            f,
            "training     {:.1} images/s, {:.3} s a step",
            self.training_images_per_second, self.step_seconds
        )?;
        let inference = self.inference_images_per_second;
        writeln!(f, "inference    {inference:.1} images/s")?;
        if let Some(bytes) = self.peak_memory_bytes {
            let mebibytes = bytes as f64 / 1_048_576.0;
            writeln!(f, "memory       {mebibytes:.0} MiB at most")?;
        }
        if let Some(exchange) = &self.ranks {
            writeln!(f, "{exchange}")?;
        }
        for (name, times) in self.layers.iter().flatten() {
            let [forward, input, weights] = times.map(|seconds| 1e3 * seconds);
            writeln!(
                f,
                "{name:12} {forward:9.2} ms forward {input:9.2} ms input gradient {weights:9.2} ms weight gradient"
            )?;
        }
        Ok(())
    }
}

/// Seconds of a training step.
pub(super) fn train(network: &mut Network, batch: &Batch, step: u32, sgd: Sgd) -> Result<f64> {
    let begun = Instant::now();
    network.load(batch);
    network.train(step, sgd);
    // As training does: the next batch arrives meanwhile.
    network.upload(batch);
    network.scores()?;
    Ok(begun.elapsed().as_secs_f64())
}

/// Seconds of a batch's way forward.
fn test(network: &mut Network, batch: &Batch) -> Result<f64> {
    let begun = Instant::now();
    network.load(batch);
    network.forward(Mode::Test);
    network.scores()?;
    Ok(begun.elapsed().as_secs_f64())
}

fn median_of(
    steps: impl Iterator<Item = u32>,
    seconds: impl FnMut(u32) -> Result<f64>,
) -> Result<f64> {
    Ok(median(steps.map(seconds).collect::<Result<_>>()?))
}

/// Made-up images: the speed does not depend on what they show.
fn batch(network: &Network) -> Batch {
    let (images, input) = (network.batch(), network.net().input);
    let pixels = images * input.crop * input.crop * input.channels;
    Batch {
        pixels: (0..pixels)
            .map(|i| (i as u32).wrapping_mul(2_654_435_761).to_be_bytes()[0])
            .collect(),
        side: input.crop,
        views: vec![centre(&input); images],
        labels: (0..images).map(|i| (i % CLASSES) as u32).collect(),
        valid: images,
    }
}

pub(super) fn median(mut seconds: Vec<f64>) -> f64 {
    seconds.sort_by(f64::total_cmp);
    seconds[seconds.len() / 2]
}

/// Seconds of each layer for its output and its gradients, waited for one by one,
/// so their sum is more than a step's.
fn layers(network: &mut Network, batch: &Batch, steps: u32) -> Result<BTreeMap<String, Times>> {
    // Waiting takes about as long as a GPU's small kernels do.
    let repeat = match network.target() {
        Target::Cpu => 1,
        Target::Gpu => 10,
    };
    let mut all: BTreeMap<String, Vec<Times>> = BTreeMap::new();
    for step in 0..steps {
        network.load(batch);
        let times = network.time_layers(
            Mode::Train {
                step,
                share: Share::WHOLE,
            },
            repeat,
        )?;
        for (i, (name, times)) in times.into_iter().enumerate() {
            all.entry(format!("{i:02} {name}")).or_default().push(times);
        }
    }
    let medians = all.into_iter().map(|(name, times)| {
        let of = |which: usize| median(times.iter().map(|times| times[which]).collect());
        (name, [of(0), of(1), of(2)])
    });
    Ok(medians.collect())
}

/// The most memory that this process has had resident.
fn peak_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes * 1024)
}
