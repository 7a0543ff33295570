//! `host bench`

use std::collections::BTreeMap;
use std::time::Instant;

use anyhow::Result;
use gpu_kernels::target::Target;
use serde_json::json;

use crate::cli::Bench;
use crate::data::views::test_views;
use crate::net::context::Mode;
use crate::net::{Batch, Network, Sgd};

const CLASSES: usize = 1000;

pub fn run(options: &Bench) -> Result<()> {
    let spec = options.network.load(&[])?;
    let net = spec.resolve(options.network.width(), CLASSES)?;
    let devices = options.places.open(net.towers.len())?;
    let mut network = Network::new(&net, &devices, options.batch, 0)?;
    network.initialise();
    let batch = batch(&network);
    let rates = Sgd {
        rate: spec.train.lr,
        momentum: spec.train.momentum,
        decay: spec.train.decay,
    };
    let mut train = |step| -> Result<f64> {
        let begun = Instant::now();
        network.load(&batch);
        network.train(step, rates);
        // As training does: the next batch arrives meanwhile.
        network.upload(&batch);
        network.outcome()?;
        Ok(begun.elapsed().as_secs_f64())
    };
    train(0)?;
    let training = (1..=options.steps)
        .map(&mut train)
        .collect::<Result<Vec<_>>>()?;
    let mut test = || -> Result<f64> {
        let begun = Instant::now();
        network.load(&batch);
        network.forward(Mode::Test);
        network.outcome()?;
        Ok(begun.elapsed().as_secs_f64())
    };
    let testing = (0..options.steps)
        .map(|_| test())
        .collect::<Result<Vec<_>>>()?;
    let layers = match options.layers {
        true => Some(layers(&mut network, &batch, options.steps)?),
        false => None,
    };
    let (step, forward) = (median(training), median(testing));
    let rate = |seconds: f64| options.batch as f64 / seconds;
    let memory = peak_memory();
    if options.json {
        let result = json!({
            "net": net.name,
            "width": options.network.width(),
            "batch": options.batch,
            "devices": devices.iter().map(|d| d.describe()).collect::<Vec<_>>(),
            "training_images_per_second": rate(step),
            "step_seconds": step,
            "inference_images_per_second": rate(forward),
            "peak_memory_bytes": memory,
            "layers": layers,
        });
        console::print_json(&result.to_string())?;
        return Ok(());
    }
    for (tower, device) in devices.iter().enumerate() {
        console::result!("tower {tower}      {}", device.describe())?;
    }
    console::result!(
        "batch        {} images, median of {} steps",
        options.batch,
        options.steps
    )?;
    console::result!(
        "training     {:.1} images/s, {:.3} s a step",
        rate(step),
        step
    )?;
    console::result!("inference    {:.1} images/s", rate(forward))?;
    if let Some(bytes) = memory {
        console::result!("memory       {:.0} MiB at most", bytes as f64 / 1_048_576.0)?;
    }
    for (name, times) in layers.into_iter().flatten() {
        let [forward, input, weights] = times.map(|seconds| 1e3 * seconds);
        console::result!(
            "{name:12} {forward:9.2} ms forward {input:9.2} ms input gradient {weights:9.2} ms weight gradient"
        )?;
    }
    Ok(())
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
        views: vec![test_views(&input, false)[0]; images],
        labels: (0..images).map(|i| (i % CLASSES) as u32).collect(),
        valid: images,
    }
}

fn median(mut seconds: Vec<f64>) -> f64 {
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
        let times = network.time_layers(Mode::Train { step }, repeat)?;
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

/// Seconds for the output, the gradient to the input, the gradients to the weights.
type Times = [f64; 3];

/// The most memory that this process has had resident.
fn peak_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes * 1024)
}
