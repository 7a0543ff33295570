//! A run's `config.toml`: all that was in force, defaults included.
//!
//! The network stands in `[net]` with every override applied, and `[net.train]` holds the batch, the learning rate, the
//! momentum and the schedule that were used, wherever they came from. `[[changes]]` is the history of those that were changed
//! when the run went on.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use console::escaped;
use serde::{Deserialize, Serialize};

use super::machine::Machine;
use super::settings::Settings;
use crate::atomic;
use crate::formats::training::Change;
use crate::net::spec::{Spec, from_value, parse_toml};

/// What a run was told.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Config {
    /// The program and its version.
    pub program: String,
    /// The number of classes.
    pub classes: usize,
    /// The options, with what is in force where none was given; a path that is not UTF-8 is written with escapes.
    #[serde(flatten)]
    pub settings: Settings,
    /// What the run was last computed on; earlier versions did not write it.
    pub machine: Option<Machine>,
    /// What of the network was changed since the run began, with the steps done until then.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<Change>,
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
    use crate::data::sampler::Order;
    use crate::data::views::Augment;
    use crate::device::{Place, Places};
    use crate::net::choice::NetworkChoice;

    fn config() -> Config {
        Config {
            program: "host 0.1.0".into(),
            classes: 10,
            settings: Settings {
                data: "sets/a \"b\"".into(),
                network: NetworkChoice {
                    width: Some(0.1 + 0.2),
                    ..NetworkChoice::default()
                },
                places: Places {
                    gpus: Some(vec![Place::Cpu, Place::Gpu(1)]),
                    threads: None,
                },
                seed: Some(7),
                augment: Some(Augment::Crop),
                order: Some(Order::Sequential),
                steps: Some(20),
                ..Settings::default()
            },
            machine: Some(Machine::this(&[])),
            changes: vec![Change {
                step: 100,
                key: "train.lr".into(),
                was: None,
                now: Some(0.02.into()),
            }],
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
