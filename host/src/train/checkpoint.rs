//! Checkpoints: everything a run needs to go on exactly, in one safetensors file.
//!
//! The numbers are the tensors; where the training stands is the text: `format`, `net` (its TOML, overrides included),
//! `width`, `classes`, `seed`, `augment`, `order`, `step`, `epoch`, `position` and `schedule`. Nothing in it depends on
//! the machine, the devices or the time, so two runs that computed the same have the same file. `latest`, beside the
//! checkpoints, holds the name of the newest.

use std::borrow::Cow;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use console::escaped;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::sampler::{Order, Place};
use super::schedule::State;
use super::views::Augment;
use crate::atomic;
use crate::net::shapes::Net;
use crate::net::spec::Spec;
use crate::tensors::{File, Info, Text};

const FORMAT: &str = "alexnet checkpoint 1";

/// Where a training stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Progress {
    /// The network as TOML ([`Spec::to_toml`]).
    pub net: String,
    /// Its width.
    pub width: f64,
    /// The names of the classes.
    pub classes: Vec<String>,
    /// The seed of everything random.
    pub seed: u64,
    /// What is done to an image before the network sees it.
    pub augment: Augment,
    /// The order of the images.
    pub order: Order,
    /// Steps done.
    pub step: u64,
    /// The place in the epoch.
    pub place: Place,
    /// What the schedule remembers.
    pub schedule: State,
}

impl Progress {
    /// The network this is about, with its shapes.
    pub fn network(&self) -> Result<Net> {
        Spec::parse(&self.net)?.resolve(self.width, self.classes.len())
    }

    fn to_text(&self) -> Result<Text> {
        let pairs = [
            ("format", FORMAT.to_string()),
            ("net", self.net.clone()),
            ("width", json(&self.width)?),
            ("classes", json(&self.classes)?),
            ("seed", json(&self.seed)?),
            ("augment", json(&self.augment)?),
            ("order", json(&self.order)?),
            ("step", json(&self.step)?),
            ("epoch", json(&self.place.epoch)?),
            ("position", json(&self.place.position)?),
            ("schedule", json(&self.schedule)?),
        ];
        Ok(pairs.map(|(key, value)| (key.to_string(), value)).into())
    }

    fn from_file(file: &File) -> Result<Self> {
        let path = escaped(file.path());
        let format = file
            .text("format")
            .with_context(|| format!("{path}: not a checkpoint"))?;
        ensure!(
            format == FORMAT,
            "{path}: its format is `{format}`, not `{FORMAT}`"
        );
        Ok(Self {
            net: file.text("net")?.to_string(),
            width: read(file, "width")?,
            classes: read(file, "classes")?,
            seed: read(file, "seed")?,
            augment: read(file, "augment")?,
            order: read(file, "order")?,
            step: read(file, "step")?,
            place: Place {
                epoch: read(file, "epoch")?,
                position: read(file, "position")?,
            },
            schedule: read(file, "schedule")?,
        })
    }
}

fn json(value: &impl Serialize) -> Result<String> {
    Ok(serde_json::to_string(value)?)
}

fn read<T: DeserializeOwned>(file: &File, key: &str) -> Result<T> {
    serde_json::from_str(file.text(key)?)
        .with_context(|| format!("{}: `{key}`", escaped(file.path())))
}

/// A checkpoint open for reading.
pub struct Checkpoint {
    /// Where the training stood.
    pub progress: Progress,
    /// The tensors.
    pub tensors: File,
}

impl Checkpoint {
    /// Opens a checkpoint: the file, or the newest of the run directory that `path` names.
    pub fn open(path: &Path) -> Result<Self> {
        let tensors = if path.is_dir() {
            let latest = Folder::of(path).latest()?;
            File::open(
                &latest.with_context(|| format!("{}: it has no checkpoint yet", escaped(path)))?,
            )?
        } else {
            File::open(path)?
        };
        Ok(Self {
            progress: Progress::from_file(&tensors)?,
            tensors,
        })
    }

    /// The network it was trained with, with its shapes.
    pub fn network(&self) -> Result<Net> {
        self.progress
            .network()
            .with_context(|| escaped(self.tensors.path()).to_string())
    }
}

/// The folder of checkpoints of a run.
#[derive(Clone, Debug)]
pub struct Folder {
    path: PathBuf,
}

impl Folder {
    /// The folder `checkpoints` of the run directory `run`; made, and cleared of what a killed run left half-written.
    pub fn create(run: &Path) -> Result<Self> {
        let folder = Self::of(run);
        let path = &folder.path;
        fs::create_dir_all(path)
            .with_context(|| format!("{}: cannot make the folder", escaped(path)))?;
        atomic::remove_leftovers(path)?;
        Ok(folder)
    }

    /// The folder `checkpoints` of the run directory `run`, to read from.
    pub fn of(run: &Path) -> Self {
        Self {
            path: run.join("checkpoints"),
        }
    }

    /// Writes `step-NNNNNNN.safetensors`, then names it in `latest`. `fetch` gives a tensor's bytes when asked.
    pub fn save<'a>(
        &self,
        progress: &Progress,
        tensors: &[Info],
        fetch: impl FnMut(&Info) -> Result<Cow<'a, [u8]>>,
    ) -> Result<PathBuf> {
        let name = format!("step-{:07}.safetensors", progress.step);
        let path = self.path.join(&name);
        crate::tensors::write(&path, &progress.to_text()?, tensors, fetch)?;
        atomic::write(&self.path.join("latest"), |out| {
            Ok(writeln!(out, "{name}")?)
        })?;
        Ok(path)
    }

    /// The newest checkpoint; `None` if there is none yet.
    pub fn latest(&self) -> Result<Option<PathBuf>> {
        let latest = self.path.join("latest");
        let name = match fs::read_to_string(&latest) {
            Ok(name) => name,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error).with_context(|| escaped(&latest).to_string()),
        };
        let path = self.path.join(name.trim());
        ensure!(
            path.is_file(),
            "{}: it names `{}`, which is not there",
            escaped(&latest),
            name.trim()
        );
        Ok(Some(path))
    }
}

#[cfg(test)]
mod tests;
