//! Checkpoints: everything a run needs to go on exactly, in one safetensors file.
//!
//! The numbers are the tensors; where the training stands is the text: `format`, `net` (its TOML, overrides included),
//! `width`, `classes`, `seed`, `augment`, `order`, `step`, `epoch`, `position` and `schedule`; where there is one, also
//! `data` and `val`, which sets it was trained and validated on, and `owed`, a validation that comes next. Nothing in it
//! depends on the machine, the devices or the time, so two runs that computed the same have the same file. `latest`,
//! beside the checkpoints, holds the name of the newest.

use std::borrow::Cow;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use console::escaped;
use dataset_pack::Dataset;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Map;

use super::settings::{Kept, from_map, to_map};
use crate::atomic;
use crate::data::sampler::Place;
use crate::net::shapes::Net;
use crate::net::spec::Spec;
use crate::schedule::State;
use crate::tensors::{File, Info, Text};

const FORMAT: &str = "alexnet checkpoint 1";

/// Where a training stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Progress {
    /// The network as TOML ([`Spec::to_toml`]).
    pub net: String,
    /// What the run keeps.
    pub kept: Kept,
    /// The names of the classes.
    pub classes: Vec<String>,
    /// Steps done.
    pub step: u64,
    /// The place in the epoch.
    pub place: Place,
    /// What the schedule remembers.
    pub schedule: State,
    /// What the training set holds ([`set_identity`]); earlier versions did not write it.
    pub data: Option<String>,
    /// The same of the validation set.
    pub val: Option<String>,
    /// A validation that comes before the next step.
    pub owed: Option<Owed>,
}

/// A validation that was still to be done when a checkpoint was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Owed {
    /// One that was due: it counts for the schedule.
    Due,
    /// The one that a run ends with. It does not count, so that going on afterwards is as if the run had never ended.
    Last,
}

/// What a set holds, whatever it is called and wherever it lies.
pub fn set_identity(set: &Dataset) -> String {
    format!("{:016x}", set.content())
}

impl Progress {
    /// The network this is about, with its shapes.
    pub fn network(&self) -> Result<Net> {
        Spec::parse(&self.net)?.resolve(self.kept.width, self.classes.len())
    }

    fn to_text(&self) -> Result<Text> {
        let always = [
            ("format", FORMAT.to_string()),
            ("net", self.net.clone()),
            ("classes", json(&self.classes)?),
            ("step", json(&self.step)?),
            ("epoch", json(&self.place.epoch)?),
            ("position", json(&self.place.position)?),
            ("schedule", json(&self.schedule)?),
        ];
        let owed = self.owed.as_ref().map(json).transpose()?;
        let sometimes = [
            ("data", self.data.clone()),
            ("val", self.val.clone()),
            ("owed", owed),
        ];
        let sometimes = sometimes
            .into_iter()
            .filter_map(|(key, value)| Some((key, value?)));
        let pairs = always.into_iter().chain(sometimes);
        let pairs = pairs.map(|(key, value)| (key.to_string(), value));
        let kept = to_map(&self.kept)?.into_iter();
        Ok(pairs
            .chain(kept.map(|(key, value)| (key, value.to_string())))
            .collect())
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
            kept: read_kept(file)?,
            classes: read(file, "classes")?,
            step: read(file, "step")?,
            place: Place {
                epoch: read(file, "epoch")?,
                position: read(file, "position")?,
            },
            schedule: read(file, "schedule")?,
            data: file.optional_text("data").map(str::to_owned),
            val: file.optional_text("val").map(str::to_owned),
            owed: match file.optional_text("owed") {
                Some(_) => Some(read(file, "owed")?),
                None => None,
            },
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

/// What the file has of it; what earlier versions did not write has a default.
fn read_kept(file: &File) -> Result<Kept> {
    let mut kept = Map::new();
    for key in to_map(&Kept::default())?.keys() {
        if file.optional_text(key).is_some() {
            kept.insert(key.clone(), read(file, key)?);
        }
    }
    from_map(kept).with_context(|| escaped(file.path()).to_string())
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

    /// That a set has the classes, in the order, that the network was trained on.
    pub fn check_classes(&self, data: &Dataset, path: &Path) -> Result<()> {
        let names = data.classes().iter().map(|class| &class.name);
        ensure!(
            names.eq(&self.progress.classes),
            "{}: its classes are not those that {} was trained on",
            escaped(path),
            escaped(self.tensors.path())
        );
        Ok(())
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
        let name = name_of(progress.step);
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
            // The first checkpoint may be whole and not yet named.
            Err(error) if error.kind() == ErrorKind::NotFound => {
                return Ok(self.steps()?.last().map(|&step| self.of_step(step)));
            }
            Err(error) => return Err(error).with_context(|| escaped(&latest).to_string()),
        };
        let path = self.path.join(name.trim());
        ensure!(
            path.is_file(),
            "{}: it names `{}`, which is not there",
            escaped(&latest),
            escaped(name.trim())
        );
        Ok(Some(path))
    }

    /// The steps that there are checkpoints of, in order.
    pub fn steps(&self) -> Result<Vec<u64>> {
        let failed = || escaped(&self.path).to_string();
        let entries = match fs::read_dir(&self.path) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error).with_context(failed),
        };
        let mut steps = Vec::new();
        for entry in entries {
            let name = entry.with_context(failed)?.file_name();
            steps.extend(name.to_str().and_then(step_of));
        }
        steps.sort_unstable();
        Ok(steps)
    }

    /// Removes the checkpoint of a step.
    pub fn remove(&self, step: u64) -> Result<()> {
        let path = self.of_step(step);
        fs::remove_file(&path).with_context(|| format!("{}: cannot remove", escaped(&path)))
    }

    fn of_step(&self, step: u64) -> PathBuf {
        self.path.join(name_of(step))
    }
}

fn name_of(step: u64) -> String {
    format!("step-{step:07}.safetensors")
}

fn step_of(name: &str) -> Option<u64> {
    let step = name.strip_prefix("step-")?.strip_suffix(".safetensors")?;
    step.parse().ok().filter(|&step| name_of(step) == name)
}

#[cfg(test)]
mod tests;
