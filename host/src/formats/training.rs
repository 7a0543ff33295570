//! Where a training stands, as the text of a checkpoint says it.

use std::fmt;

use anyhow::{Context, Result, ensure};
use console::escaped;
use dataset_pack::Dataset;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::tensors::{File, Text};
use crate::data::sampler::{Cursor, Order};
use crate::data::views::Augment;
use crate::net::shapes::Net;
use crate::net::spec::Spec;
use crate::schedule;

const FORMAT: &str = "alexnet checkpoint 1";

/// Where a training stands.
#[derive(Clone, Debug, PartialEq)]
pub struct TrainingState {
    /// The network as TOML ([`Spec::to_toml`]).
    pub net: String,
    /// What the run keeps.
    pub kept: Kept,
    /// The names of the classes.
    pub classes: Vec<String>,
    /// Steps done.
    pub step: u64,
    /// The next image of the epoch.
    pub cursor: Cursor,
    /// What the schedule remembers.
    pub schedule: schedule::State,
    /// What the training set holds ([`set_identity`]); earlier versions did not write it.
    pub data: Option<String>,
    /// The same of the validation set.
    pub val: Option<String>,
    /// A validation that comes before the next step.
    pub owed: Option<Owed>,
    /// What of the network was changed since the run began, in order.
    pub changes: Vec<Change>,
}

/// A key of the network that has had another value since some step; a value that was not written down is `None`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Change {
    /// Steps done when it was changed: the next was the first with it.
    pub step: u64,
    /// The key, as `--set` has it.
    pub key: String,
    /// What it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub was: Option<toml::Value>,
    /// What it is since.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub now: Option<toml::Value>,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |value: &Option<toml::Value>| match value {
            Some(value) => escaped(&value.to_string()).to_string(),
            None => "not given".into(),
        };
        let (key, was, now) = (escaped(&self.key), shown(&self.was), shown(&self.now));
        write!(
            f,
            "from step {} on {key} is {now}; it was {was}",
            self.step + 1
        )
    }
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

/// What a run keeps from its first step to its last. Checkpoints hold it under these names, which are also those of
/// the options.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Kept {
    /// How wide the hidden layers are.
    pub width: f64,
    /// The seed of everything random.
    pub seed: u64,
    /// What is done to an image before the network sees it.
    pub augment: Augment,
    /// The order of the images.
    pub order: Order,
    /// How many shares a batch is computed in.
    #[serde(default = "one")]
    pub shares: u32,
}

/// Of checkpoints that do not have it yet.
fn one() -> u32 {
    1
}

impl Default for Kept {
    fn default() -> Self {
        Self {
            width: 1.0,
            seed: 0,
            augment: Augment::default(),
            order: Order::default(),
            shares: one(),
        }
    }
}

impl TrainingState {
    /// Of a network that has not been trained here: no step, no set.
    pub fn untrained(net: String, kept: Kept, classes: Vec<String>) -> Self {
        Self {
            net,
            kept,
            classes,
            step: 0,
            cursor: Cursor::default(),
            schedule: schedule::State::START,
            data: None,
            val: None,
            owed: None,
            changes: Vec::new(),
        }
    }

    /// The network this is about, with its shapes.
    pub fn network(&self) -> Result<Net> {
        Spec::parse(&self.net)?.resolve(self.kept.width, self.classes.len())
    }

    /// What was changed when so many steps were done.
    pub fn changed_at(&self, step: u64) -> impl Iterator<Item = &Change> {
        self.changes
            .iter()
            .filter(move |change| change.step == step)
    }

    /// As the text of a file.
    pub fn to_text(&self) -> Result<Text> {
        let always = [
            ("format", FORMAT.to_string()),
            ("net", self.net.clone()),
            ("classes", json(&self.classes)?),
            ("step", json(&self.step)?),
            ("epoch", json(&self.cursor.epoch)?),
            ("position", json(&self.cursor.position)?),
            ("schedule", json(&self.schedule)?),
        ];
        let owed = self.owed.as_ref().map(json).transpose()?;
        let changes = Some(&self.changes).filter(|changes| !changes.is_empty());
        let sometimes = [
            ("data", self.data.clone()),
            ("val", self.val.clone()),
            ("owed", owed),
            ("changes", changes.map(json).transpose()?),
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

    /// What the text of a file says.
    pub fn from_file(file: &File) -> Result<Self> {
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
            cursor: Cursor {
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
            changes: match file.optional_text("changes") {
                Some(_) => read(file, "changes")?,
                None => Vec::new(),
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

/// Names and values, without those that are `None`.
pub fn to_map(from: &impl Serialize) -> Result<Map<String, Value>> {
    let map: Map<String, Value> = serde_json::from_value(serde_json::to_value(from)?)?;
    Ok(map
        .into_iter()
        .filter(|(_, value)| !value.is_null())
        .collect())
}

/// What [`to_map`] gave, or parts of several such.
pub fn from_map<T: DeserializeOwned>(map: Map<String, Value>) -> Result<T> {
    Ok(serde_json::from_value(Value::Object(map))?)
}
