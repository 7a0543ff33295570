//! `host check-kernels`

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use console::Progress;
use serde::Serialize;

use super::Run;
use crate::check::{Case, Comparison};
use crate::device::{CpuDevice, Device, Places};
use crate::net;
use crate::net::choice::NetworkChoice;

/// Compares every kernel's results with the CPU's, bit for bit, on the shapes of a network's layers.
#[derive(Args, Clone, Debug)]
#[command(
    after_help = "Example: host check-kernels --gpus 0 --width 0.1 --batch 32\n\
                        How fast each is at full width: host check-kernels --gpus 0 --repeat 20"
)]
pub struct CheckKernels {
    #[command(flatten)]
    #[allow(missing_docs)]
    pub network: NetworkChoice,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub places: Places,
    /// Images in the layers' batches
    #[arg(long, default_value_t = 128, value_name = "N")]
    pub batch: usize,
    /// Classes that the last layer tells apart
    #[arg(long, default_value_t = 1000, value_name = "N")]
    pub classes: usize,
    /// Only these
    #[arg(long, value_name = "NAME", num_args = 1..)]
    pub kernel: Vec<String>,
    /// Also the first layer's gradient to the images, which `saliency` alone asks for
    #[arg(long)]
    pub image_gradient: bool,
    /// Also measures each, over so many launches
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub repeat: u32,
    /// Lists what would be compared, with operations and bytes, and runs nothing
    #[arg(long, conflicts_with = "repeat")]
    pub list: bool,
}

/// What was compared.
#[derive(Clone, Debug, Serialize)]
pub struct Compared {
    /// None where nothing ran.
    device: Option<String>,
    kernels: Vec<Outcome>,
    /// Kernels of this build's PTX that no case ran.
    unchecked: BTreeSet<String>,
}

/// What a kernel's case gave.
#[derive(Clone, Debug, Serialize)]
struct Outcome {
    kernel: &'static str,
    shape: String,
    /// Numbers whose bits are not the CPU's, if it ran.
    different: Option<usize>,
    /// The buffer and the element of the first, and both values' bits.
    first_difference: Option<(usize, usize, [u32; 2])>,
    /// Of a launch.
    seconds: Option<f64>,
    flops: f64,
    bytes: usize,
}

impl Run for CheckKernels {
    type Report = Compared;

    fn run(&self) -> Result<Compared> {
        let chosen = self.cases()?;
        if self.list {
            return Ok(Compared {
                device: None,
                kernels: chosen.iter().map(Outcome::listed).collect(),
                unchecked: BTreeSet::new(),
            });
        }
        let device = self.places.open(1)?.remove(0);
        let reference = reference(&device)?;
        console::note!("{} against {}", device.describe(), reference.describe());
        let bar = Progress::new("compared", "cases", chosen.len() as u64);
        let mut kernels = Vec::new();
        for case in &chosen {
            bar.set_message(case.kernel);
            let outcome = Outcome::of(case, case.run([&device, &reference], self.repeat)?);
            if outcome.is_wrong() {
                bar.note(&outcome.to_string());
            }
            kernels.push(outcome);
            bar.advance(1);
        }
        Ok(Compared {
            device: Some(device.describe()),
            kernels,
            unchecked: match self.kernel.is_empty() {
                true => unchecked(&chosen)?,
                false => BTreeSet::new(),
            },
        })
    }

    fn verdict(report: &Compared) -> Result<()> {
        let wrong = report.kernels.iter().filter(|one| one.is_wrong());
        let wrong: BTreeSet<_> = wrong.map(|one| one.kernel).collect();
        if !wrong.is_empty() {
            bail!("not the CPU's bits: {}", joined(wrong));
        }
        if !report.unchecked.is_empty() {
            bail!(
                "the network uses no {}",
                joined(report.unchecked.iter().map(String::as_str))
            );
        }
        Ok(())
    }
}

impl CheckKernels {
    fn cases(&self) -> Result<Vec<Case>> {
        let spec = self.network.load(&[])?;
        let shapes = spec.resolve(self.network.width(), self.classes)?;
        ensure!(
            self.batch.is_multiple_of(net::IMAGES) && self.batch > 0,
            "--batch {}: the kernels need a multiple of {} images",
            self.batch,
            net::IMAGES
        );
        let is_chosen =
            |case: &Case| self.kernel.is_empty() || self.kernel.iter().any(|k| k == case.kernel);
        let cases = net::cases(&shapes, self.batch, self.image_gradient)?.into_iter();
        let chosen: Vec<Case> = cases.filter(is_chosen).collect();
        ensure!(
            !chosen.is_empty(),
            "there is no kernel {}",
            self.kernel.join(", ")
        );
        Ok(chosen)
    }
}

/// The CPU; against itself it runs on one thread.
fn reference(device: &Arc<dyn Device>) -> Result<Arc<dyn Device>> {
    let threads = match device.place().as_str() {
        "cpu" => 1,
        _ => std::thread::available_parallelism().map_or(1, |n| n.get()),
    };
    Ok(CpuDevice::new(threads)?)
}

/// Kernels of this build's PTX that no case runs.
fn unchecked(cases: &[Case]) -> Result<BTreeSet<String>> {
    let mut names = BTreeSet::new();
    for ptx in alexnet::PTX {
        let module = ptx_reader::Module::parse(ptx.source).context(ptx.target)?;
        names.extend(module.entries().map(|entry| entry.name.clone()));
    }
    names.retain(|name| cases.iter().all(|case| case.kernel != *name));
    Ok(names)
}

fn joined<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    names.into_iter().collect::<Vec<_>>().join(", ")
}

impl Outcome {
    /// Of a case that did not run.
    fn listed(case: &Case) -> Self {
        Self {
            kernel: case.kernel,
            shape: case.shape.clone(),
            different: None,
            first_difference: None,
            seconds: None,
            flops: case.flops,
            bytes: case.bytes(),
        }
    }

    fn of(case: &Case, found: Comparison) -> Self {
        Self {
            different: Some(found.different),
            first_difference: found.first,
            seconds: found.seconds,
            ..Self::listed(case)
        }
    }

    fn is_wrong(&self) -> bool {
        self.different.is_some_and(|count| count > 0)
    }

    fn speed(&self) -> String {
        let Some(seconds) = self.seconds else {
            return String::new();
        };
        let flops = match self.flops > 0.0 {
            true => format!(" {:9.1} GFLOP/s", self.flops / seconds / 1e9),
            false => String::new(),
        };
        let bytes = self.bytes as f64 / seconds / 1e9;
        format!("{:10.1} us {bytes:8.1} GB/s{flops}  ", 1e6 * seconds)
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = match (self.different, self.first_difference) {
            (None, _) => format!("{:.3e} FLOP, {:.3e} bytes", self.flops, self.bytes as f64),
            (Some(_), None) => "identical".to_owned(),
            (Some(different), Some((tensor, element, [a, b]))) => format!(
                "{different} DIFFERENT, first buffer {tensor}[{element}]: {:e} ({a:08x}) and {:e} ({b:08x})",
                f32::from_bits(a),
                f32::from_bits(b)
            ),
        };
        let (kernel, speed, shape) = (self.kernel, self.speed(), &self.shape);
        write!(f, "{kernel:32} {speed}{verdict}  {shape}")
    }
}

impl fmt::Display for Compared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut kernels = self.kernels.iter();
        kernels.try_for_each(|outcome| writeln!(f, "{outcome}"))
    }
}
