//! What a run is told: the options of `host train`, and what of them its checkpoints and its `config.toml` hold.
//!
//! A new option is a field of [`Settings`]: `config.toml` has it too unless it is skipped. One that changes a key of the
//! network is a field of [`Changes`]. One that a run must keep when it goes on is also a field of [`Kept`], with
//! `#[serde(default)]` for the checkpoints that do not have it yet.

use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::Args;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::observers::tensorboard::Detail;
use crate::data::sampler::Order;
use crate::data::views::Augment;
use crate::device::Places;
use crate::formats::training::{Kept, from_map, to_map};
use crate::net::choice::NetworkChoice;
use crate::paths;
use crate::schedule::Rule;

/// Trains a network.
// What was not given is `None`.
#[derive(Args, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[command(
    after_help = "Example: host train --data sets/train --val sets/val --width 0.25 --steps 500 --out runs/a\n\
                        Goes on with it after a stop: the same with --resume\n\n\
                        SIGINT (Ctrl-C), SIGTERM, SIGHUP, SIGUSR1, SIGUSR2 and SIGXCPU save a checkpoint and end the run \
                        with status 0, in a validation too; a second Ctrl-C ends it at once. With --resume from the \
                        start, a job that is stopped and queued again needs no other command."
)]
pub struct Settings {
    /// The training set, as dataset-pack built it
    #[arg(long, value_name = "DIR")]
    #[serde(serialize_with = "paths::path")]
    pub data: PathBuf,
    /// The validation set
    #[arg(long, value_name = "DIR")]
    #[serde(serialize_with = "paths::optional_path")]
    pub val: Option<PathBuf>,
    /// The run directory: config.toml, metrics.jsonl, checkpoints and pictures
    #[arg(long, value_name = "RUN")]
    #[serde(skip)]
    pub out: PathBuf,
    #[command(flatten)]
    #[serde(flatten)]
    #[allow(missing_docs)]
    pub network: NetworkChoice,
    #[command(flatten)]
    #[serde(flatten)]
    #[allow(missing_docs)]
    pub places: Places,
    #[command(flatten)]
    #[serde(skip)]
    #[allow(missing_docs)]
    pub changes: Changes,
    /// Ends after so many steps
    #[arg(long, value_name = "N", conflicts_with = "epochs", value_parser = clap::value_parser!(u64).range(1..))]
    pub steps: Option<u64>,
    /// Seed of the initial weights, the order, the views and dropout [default: 0]
    #[arg(long, value_name = "S")]
    pub seed: Option<u64>,
    /// What is done to an image before the network sees it [default: paper]
    #[arg(long, value_enum)]
    pub augment: Option<Augment>,
    /// The order of the images [default: shuffled]
    #[arg(long, value_enum)]
    pub order: Option<Order>,
    /// Computes a batch in so many equal shares, one after the other or on as many ranks as divide them, and adds their
    /// gradients in a fixed order: the results depend on the number of shares, not on that of ranks. A power of two
    /// [default: 1]
    #[arg(long, value_name = "S", value_parser = clap::value_parser!(u32).range(1..))]
    pub shares: Option<u32>,
    /// Steps between validations [default: one epoch]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub validate_every: Option<u64>,
    /// Steps between checkpoints, besides the last [default: one after each validation]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub checkpoint_every: Option<u64>,
    /// Keeps the last N checkpoints and the one with the lowest validation error [default: all]
    #[arg(long, value_name = "N", value_parser = at_least_one)]
    pub keep: Option<usize>,
    /// Steps between measurements of each layer's norms: of its weights, their gradient and the step, in metrics.jsonl
    /// [default: none]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub norms_every: Option<u64>,
    /// Shows the run on the whole terminal: curves, rate, images a second, time left
    #[arg(long)]
    #[serde(skip)]
    pub tui: bool,
    /// Writes event files for TensorBoard into the run's folder `tensorboard`
    #[arg(long, value_name = "DETAIL", value_enum, num_args = 0..=1, default_missing_value = "scalars")]
    pub tensorboard: Option<Detail>,
    /// Begins with these weights: a checkpoint, a run directory for its newest, or a file of weights (safetensors, pth,
    /// caffemodel, npz). Layers go by their names; one that is not in it, or the last if it has other classes, starts fresh
    #[arg(long, value_name = "FILE")]
    #[serde(serialize_with = "paths::optional_path")]
    pub init_from: Option<PathBuf>,
    /// Goes on from the run's newest checkpoint; begins the run if there is none yet
    #[arg(long)]
    #[serde(skip)]
    pub resume: bool,
    /// Resumes with other images than the run has had until now
    #[arg(long)]
    #[serde(skip)]
    pub other_data: bool,
}

/// Options that change a key of the network, which has the name that stands here. It is the network that remembers
/// them: in `config.toml` they stand under `[net]`.
#[derive(Args, Clone, Debug, Default, PartialEq, Serialize)]
pub struct Changes {
    /// Images a step [default: the network's, 128]
    #[arg(long, value_name = "N")]
    #[serde(rename = "train.batch")]
    pub batch: Option<usize>,
    /// Passes through the training set [default: the network's, 90]
    #[arg(long, value_name = "N")]
    #[serde(rename = "train.epochs")]
    pub epochs: Option<usize>,
    /// Initial learning rate [default: the network's, 0.01]
    #[arg(long, value_name = "RATE")]
    #[serde(rename = "train.lr")]
    pub lr: Option<f64>,
    /// When the rate falls: plateau (by the validation error; never without --val), constant, step:E1,E2,…, exponential
    /// or cosine [default: the network's, plateau]
    #[arg(long, value_name = "RULE")]
    #[serde(rename = "train.schedule")]
    pub schedule: Option<Rule>,
    /// Probability that dropout zeroes a unit [default: the network's, 0.5]
    #[arg(long, value_name = "P")]
    #[serde(rename = "dropout.p")]
    pub dropout: Option<f64>,
}

impl Settings {
    /// What a run that begins keeps.
    pub fn kept(&self) -> Result<Kept> {
        let mut kept = to_map(&Kept::default())?;
        for (option, given) in to_map(self)? {
            kept.entry(option).and_modify(|value| *value = given);
        }
        from_map(kept)
    }

    /// That nothing was given that differs from what the run keeps.
    pub fn check(&self, kept: &Kept) -> Result<()> {
        let given = to_map(self)?;
        for (option, was) in to_map(kept)? {
            match given.get(&option) {
                Some(now) if *now != was => {
                    bail!("--{option} {}: the run has {}", shown(now), shown(&was))
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// What `config.toml` tells of the options, with what the run keeps filled in.
    pub fn filled(&self, kept: &Kept) -> Result<Self> {
        let mut all = to_map(self)?;
        all.extend(to_map(kept)?);
        from_map(all)
    }

    /// What the options change in the network, as `--set` would; to be applied before that.
    pub fn changes(&self) -> Result<Vec<String>> {
        let table = toml::Table::try_from(&self.changes)?;
        let set = |(key, value): (&String, &toml::Value)| format!("{key}={value}");
        Ok(table.iter().map(set).collect())
    }
}

fn shown(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}

fn at_least_one(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(count) if count > 0 => Ok(count),
        _ => Err("must be a number from 1".into()),
    }
}

#[cfg(test)]
mod tests;
