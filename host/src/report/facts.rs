//! What a run directory tells.

use std::path::{Path, PathBuf};
use std::rc::Rc;

use anyhow::Result;
use console::escaped;
use toml::Value;

use super::predictions::{Predicted, predict};
use super::trained::Trained;
use crate::formats::checkpoint::Folder;
use crate::metrics::log::{self, Line};
use crate::model::Inference;
use crate::net::spec::{PRESETS, Spec};
use crate::train::config::Config;

/// Steps that the last loss is the mean of.
const RECENT: usize = 20;

/// What a run directory tells.
pub struct Facts {
    /// The run's name on the page.
    pub name: String,
    /// All that was in force.
    pub config: Config,
    /// The same, a line for each key.
    pub keys: Vec<(String, String)>,
    /// Keys of the network that are not as its preset has them: now, and there. None for a network of one's own.
    pub changes: Option<Vec<(String, String, String)>>,
    /// What was measured.
    pub lines: Vec<Line>,
    /// What the newest checkpoint holds, if there is one.
    pub trained: Option<Rc<Trained>>,
    /// What its predictions are, or why they are left out.
    pub predicted: Result<Rc<Predicted>, String>,
}

/// Which predictions are wanted.
pub struct Wanted<'a> {
    /// The set to predict for, if not the run's own validation set.
    pub data: Option<&'a Path>,
    /// How many of its images at most.
    pub images: usize,
    /// How the network is run.
    pub inference: &'a Inference,
}

/// A run directory, which may be read again and again.
pub struct Source {
    folder: PathBuf,
    name: String,
    /// The newest checkpoint that was seen.
    trained: Option<(PathBuf, Rc<Trained>)>,
}

impl Source {
    /// Run directories, named by their last names, or by their whole paths if these are not different.
    pub fn all(folders: &[PathBuf]) -> Vec<Self> {
        let last = |path: &PathBuf| {
            let name = path.canonicalize().ok();
            let name = name.as_deref().unwrap_or(path).file_name();
            name.map_or_else(
                || escaped(path).to_string(),
                |name| escaped(name).to_string(),
            )
        };
        let names: Vec<String> = folders.iter().map(last).collect();
        let source = |(folder, name): (&PathBuf, &String)| Source {
            folder: folder.clone(),
            name: match names.iter().filter(|other| *other == name).count() {
                1 => name.clone(),
                _ => escaped(folder).to_string(),
            },
            trained: None,
        };
        folders.iter().zip(&names).map(source).collect()
    }

    /// Reads it as it is now.
    pub fn read(&mut self, wanted: Option<&Wanted>) -> Result<Facts> {
        let config = Config::read(&self.folder.join("config.toml"))?;
        let latest = Folder::of(&self.folder).latest()?;
        if let Some(path) = &latest
            && self.trained.as_ref().is_none_or(|(seen, _)| seen != path)
        {
            self.trained = Some((path.clone(), Rc::new(Trained::open(path)?)));
        }
        let predicted = match (wanted, &latest) {
            (None, _) => Err("They are left out while the run is watched.".into()),
            (_, None) => Err("There is no checkpoint yet.".into()),
            (Some(wanted), Some(checkpoint)) => predictions(&config, checkpoint, wanted)?,
        };
        Ok(Facts {
            name: self.name.clone(),
            keys: flat(&Value::try_from(&config)?),
            changes: changes(&config)?,
            lines: log::read_so_far(&self.folder.join("metrics.jsonl"))?,
            trained: self.trained.as_ref().map(|(_, trained)| trained.clone()),
            predicted,
            config,
        })
    }

    /// Something that is another whenever the run has moved on.
    pub fn state(&self) -> (u64, Option<PathBuf>) {
        let metrics = self.folder.join("metrics.jsonl").metadata();
        let latest = Folder::of(&self.folder).latest();
        (metrics.map_or(0, |data| data.len()), latest.ok().flatten())
    }
}

impl Facts {
    /// The lines of training.
    pub fn training(&self) -> impl DoubleEndedIterator<Item = &Line> {
        self.lines.iter().filter(|line| !line.validation)
    }

    /// The validation with the lowest top-1 error, the first of equals.
    pub fn best(&self) -> Option<&Line> {
        let validations = self.lines.iter().filter(|line| line.validation);
        validations.min_by(|a, b| a.top1_error.total_cmp(&b.top1_error))
    }

    /// The mean loss of the last steps.
    pub fn loss(&self) -> Option<f64> {
        let last: Vec<f64> = self
            .training()
            .rev()
            .take(RECENT)
            .map(|line| line.loss)
            .collect();
        (!last.is_empty()).then(|| last.iter().sum::<f64>() / last.len() as f64)
    }

    /// Images per second, the median over the steps.
    pub fn speed(&self) -> Option<f64> {
        let mut all: Vec<f64> = self.training().map(|line| line.images_per_second).collect();
        all.sort_by(f64::total_cmp);
        all.get(all.len() / 2).copied()
    }

    /// Seconds that the steps took.
    pub fn seconds(&self) -> Result<f64> {
        let batch = self.config.spec()?.train.batch as f64;
        Ok(self
            .training()
            .map(|line| batch / line.images_per_second)
            .sum())
    }
}

/// An error only where it was asked for a set by name.
fn predictions(
    config: &Config,
    checkpoint: &Path,
    wanted: &Wanted,
) -> Result<Result<Rc<Predicted>, String>> {
    let Some(set) = wanted.data.or(config.settings.val.as_deref()) else {
        return Ok(Err(
            "The run has no validation set, and no --data names one.".into(),
        ));
    };
    match predict(checkpoint, set, wanted.inference, wanted.images) {
        Ok(predicted) => Ok(Ok(Rc::new(predicted))),
        Err(error) if wanted.data.is_some() => Err(error),
        Err(error) => {
            let why = format!(
                "The validation set cannot be used: {error:#}; --data names another place."
            );
            console::note!("predictions are left out: {why}");
            Ok(Err(why))
        }
    }
}

fn changes(config: &Config) -> Result<Option<Vec<(String, String, String)>>> {
    let name = config
        .net
        .get("name")
        .and_then(Value::as_str)
        .unwrap_or_default();
    if PRESETS.iter().all(|(preset, _)| *preset != name) {
        return Ok(None);
    }
    let preset = flat(&Value::Table(Spec::load(name, &[])?.to_table()));
    let was = |key: &str| {
        let found = preset.iter().find(|(other, _)| other == key);
        found.map_or("–".into(), |(_, value)| value.clone())
    };
    let now = flat(&Value::Table(config.net.clone())).into_iter();
    let changed = now.map(|(key, now)| (was(&key), key, now));
    let changed = changed.filter(|(was, _, now)| was != now);
    Ok(Some(
        changed.map(|(was, key, now)| (key, now, was)).collect(),
    ))
}

/// A line for each key: `net.train.lr`, `net.conv1.kernel`.
fn flat(value: &Value) -> Vec<(String, String)> {
    fn walk(at: &str, value: &Value, found: &mut Vec<(String, String)>) {
        let below = |key: &str| match (at, key) {
            (at, "layer") => at.to_owned(),
            ("", key) => key.to_owned(),
            (at, key) => format!("{at}.{key}"),
        };
        match value {
            Value::Table(table) => {
                table
                    .iter()
                    .for_each(|(key, value)| walk(&below(key), value, found));
            }
            Value::Array(list) if list.iter().any(Value::is_table) => {
                for (i, item) in list.iter().enumerate() {
                    let name = item.get("name").and_then(Value::as_str);
                    walk(
                        &below(&name.map_or(i.to_string(), str::to_owned)),
                        item,
                        found,
                    );
                }
            }
            Value::String(text) => found.push((at.into(), text.clone())),
            other => found.push((at.into(), other.to_string())),
        }
    }
    let mut found = Vec::new();
    walk("", value, &mut found);
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_named_by_layer() {
        let text = "seed = 7\n[net]\nname = \"paper\"\n[[net.layer]]\nname = \"conv1\"\ninit = { sigma = 0.5 }\n";
        let keys = flat(&Value::Table(toml::from_str(text).unwrap()));
        let wanted = [
            "seed 7",
            "net.name paper",
            "net.conv1.name conv1",
            "net.conv1.init.sigma 0.5",
        ];
        let found: Vec<String> = keys
            .iter()
            .map(|(key, value)| format!("{key} {value}"))
            .collect();
        assert_eq!(found, wanted);
    }

    #[test]
    fn runs_of_one_name_are_told_apart() {
        let names = |paths: [&str; 3]| {
            Source::all(&paths.map(PathBuf::from))
                .into_iter()
                .map(|s| s.name)
                .collect::<Vec<_>>()
        };
        assert_eq!(names(["x/a", "y/a", "y/b/"]), ["x/a", "y/a", "b"]);
    }
}
