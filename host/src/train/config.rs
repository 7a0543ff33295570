//! A run's `config.toml`: all that was in force, defaults included.
//!
//! The network stands in `[net]` with every override applied, and `[net.train]` holds the batch, the learning rate, the
//! momentum and the schedule that were used, wherever they came from.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use console::escaped;
use serde::{Deserialize, Serialize};

use super::sampler::Order;
use super::views::Augment;
use crate::atomic;
use crate::net::spec::{Spec, from_value, parse_toml};

/// What a run was told.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Config {
    /// The program and its version.
    pub program: String,
    /// The training set.
    pub data: PathBuf,
    /// The validation set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub val: Option<PathBuf>,
    /// A place for each tower.
    pub gpus: Vec<String>,
    /// How wide the hidden layers are.
    pub width: f64,
    /// The number of classes.
    pub classes: usize,
    /// The seed of everything random.
    pub seed: u64,
    /// What is done to an image before the network sees it.
    pub augment: Augment,
    /// The order of the images.
    pub order: Order,
    /// The last step, if the run ends by steps; otherwise it ends after `net.train.epochs`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub steps: Option<u64>,
    /// Where the initial weights came from, if not from the seed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub init_from: Option<PathBuf>,
    /// The network.
    pub net: toml::Table,
}

impl Config {
    /// Writes the file.
    pub fn write(&self, path: &Path) -> Result<()> {
        let text = toml::to_string(self).with_context(|| escaped(path).to_string())?;
        atomic::write(path, |out| Ok(out.write_all(text.as_bytes())?))
    }

    /// Reads the file.
    pub fn read(path: &Path) -> Result<Self> {
        let read = || from_value(toml::Value::Table(parse_toml(&fs::read_to_string(path)?)?));
        read().with_context(|| escaped(path).to_string())
    }

    /// The network that was in force.
    pub fn spec(&self) -> Result<Spec> {
        Spec::from_table(self.net.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> Config {
        Config {
            program: "host 0.1.0".into(),
            data: "sets/a \"b\"".into(),
            val: None,
            gpus: vec!["cpu".into(), "cpu".into()],
            width: 0.1 + 0.2,
            classes: 10,
            seed: 7,
            augment: Augment::Crop,
            order: Order::Sequential,
            steps: Some(20),
            init_from: None,
            net: Spec::load("paper", &["train.lr=0.02".into()])
                .unwrap()
                .to_table(),
        }
    }

    #[test]
    fn it_is_read_as_it_was_written() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("config.toml");
        config().write(&path).unwrap();
        let read = Config::read(&path).unwrap();
        assert_eq!(read, config());
        assert_eq!(read.spec().unwrap().train.lr, 0.02);
        // What the network leaves out is written too.
        let text = fs::read_to_string(&path).unwrap();
        assert!(
            text.contains("patience") && text.contains("min-delta"),
            "{text}"
        );
    }

    #[test]
    fn damage_names_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("config.toml");
        for (text, cause) in [
            ("seed = ", "config.toml: line 1: "),
            ("seed = 1\n", "config.toml: missing field"),
        ] {
            fs::write(&path, text).unwrap();
            let error = format!("{:#}", Config::read(&path).unwrap_err());
            assert!(error.contains(cause) && !error.contains('\n'), "{error}");
        }
        let missing = format!(
            "{:#}",
            Config::read(&dir.path().join("none.toml")).unwrap_err()
        );
        assert!(missing.contains("none.toml: No such file"), "{missing}");
    }
}
