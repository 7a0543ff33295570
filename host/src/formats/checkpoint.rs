//! Checkpoints: everything a run needs to go on exactly, in one safetensors file.
//!
//! The numbers are the tensors; where the training stands is the text: `format`, `net` (its TOML, overrides included),
//! `width`, `classes`, `seed`, `augment`, `order`, `shares`, `step`, `epoch`, `position` and `schedule`; where there is one, also
//! `data` and `val`, which sets it was trained and validated on, `owed`, a validation that comes next, and `changes`, which
//! keys of the network were changed at which step. Nothing in it depends on the machine, the devices or the time, so two runs that computed the same have the same file. `latest`,
//! beside the checkpoints, holds the name of the newest.

use std::borrow::Cow;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use console::escaped;
use dataset_pack::Dataset;

use super::tensors::{self, File, Info};
use super::training::TrainingState;
use crate::atomic;
use crate::net::shapes::Net;

/// A checkpoint open for reading.
pub struct Checkpoint {
    /// Where the training stood.
    pub training: TrainingState,
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
            training: TrainingState::from_file(&tensors)?,
            tensors,
        })
    }

    /// The network it was trained with, with its shapes.
    pub fn network(&self) -> Result<Net> {
        self.training
            .network()
            .with_context(|| escaped(self.tensors.path()).to_string())
    }

    /// That a set has the classes, in the order, that the network was trained on.
    pub fn check_classes(&self, data: &Dataset, path: &Path) -> Result<()> {
        let names = data.classes().iter().map(|class| &class.name);
        ensure!(
            names.eq(&self.training.classes),
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
        training: &TrainingState,
        tensors: &[Info],
        fetch: impl FnMut(&Info) -> Result<Cow<'a, [u8]>>,
    ) -> Result<PathBuf> {
        let name = name_of(training.step);
        let path = self.path.join(&name);
        tensors::write(&path, &training.to_text()?, tensors, fetch)?;
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
