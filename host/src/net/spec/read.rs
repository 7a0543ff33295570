//! Reading a network: the file, its typing, and the changes that `--set` makes.

use std::collections::BTreeMap;
use std::ffi::OsStr;

use anyhow::{Context, Result, anyhow, bail, ensure};
use console::escaped;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use toml::{Table, Value};

use super::{Input, Kind, LayerSpec, Learning, PRESETS, Spec, Train, inherit, learning};

impl Spec {
    /// Reads a preset by name or a file by path, then applies `sets`, each `KEY=VALUE`, in order.
    ///
    /// KEY is a path into the TOML: `towers`, `train.momentum`, or LAYER`.`key, where LAYER is a layer's name or a
    /// kind (then all layers of that kind: `dropout.p=0.3`). `sigma` and `bias` may be written without their
    /// `init.`. VALUE is TOML; a bare word is a string.
    pub fn load(net: &(impl AsRef<OsStr> + ?Sized), sets: &[String]) -> Result<Self> {
        let net = net.as_ref();
        let origin = || match PRESETS.iter().any(|(name, _)| *name == net) {
            true => format!("net {}", escaped(net)),
            false => escaped(net).to_string(),
        };
        let spec = Self::from_table(inherit::load(net)?).with_context(origin)?;
        spec.with_sets(sets)
    }

    /// The network with each of `sets` applied, in order; see [`Spec::load`].
    pub fn with_sets(self, sets: &[String]) -> Result<Self> {
        sets.iter().try_fold(self, |spec, set| {
            spec.with(set).with_context(|| format!("--set {set}"))
        })
    }

    /// Reads the TOML text of a network.
    pub fn parse(text: &str) -> Result<Self> {
        Self::from_table(parse_toml(text)?)
    }

    /// The TOML text that gives this network again: overrides included, defaults of training written out.
    pub fn to_toml(&self) -> String {
        self.table.to_string()
    }

    pub(super) fn with(&self, set: &str) -> Result<Self> {
        let (key, value) = set
            .split_once('=')
            .ok_or_else(|| anyhow!("expected KEY=VALUE"))?;
        let mut table = self.table.clone();
        let path: Vec<&str> = key.trim().split('.').collect();
        override_key(&mut table, &path, parse_value(value.trim()))?;
        Self::from_table(table)
    }

    /// All keys that have a value, as `--set` names them.
    pub fn keys(&self) -> BTreeMap<String, Value> {
        let mut keys = BTreeMap::new();
        for (key, value) in &self.table {
            let layers = value.as_array().filter(|_| key == "layer");
            for layer in layers.into_iter().flatten() {
                let name = layer.get("name").and_then(Value::as_str);
                collect_keys(name.unwrap_or_default(), layer, &mut keys);
            }
            if layers.is_none() {
                collect_keys(key, value, &mut keys);
            }
        }
        keys
    }

    /// The table of that TOML.
    pub fn to_table(&self) -> Table {
        self.table.clone()
    }

    /// Reads a network from the table of its TOML.
    pub fn from_table(mut table: Table) -> Result<Self> {
        rename_old_keys(&mut table)?;
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Top {
            name: String,
            towers: usize,
            input: Input,
            #[serde(default)]
            train: Train,
            #[serde(default)]
            layer: Vec<Table>,
        }
        let top: Top = from_value(Value::Table(table.clone()))?;
        let layers = top
            .layer
            .into_iter()
            .enumerate()
            .map(|(i, t)| read_layer(i, t))
            .collect::<Result<Vec<_>>>()?;
        // What is in force is written out, whether it was given or not.
        table.insert("train".into(), Value::try_from(&top.train)?);
        let spec = Self {
            name: top.name,
            towers: top.towers,
            input: top.input,
            train: top.train,
            layers,
            table,
        };
        spec.check()?;
        Ok(spec)
    }
}

/// Files and checkpoints of earlier versions spell two keys of training otherwise.
fn rename_old_keys(table: &mut Table) -> Result<()> {
    let Some(train) = table.get_mut("train").and_then(Value::as_table_mut) else {
        return Ok(());
    };
    if let Some(times) = train.remove("times") {
        train.insert("max-reductions".into(), times);
    }
    if let Some(divide) = train.remove("divide") {
        let divide: f64 = from_value(divide).context("train: divide")?;
        ensure!(
            divide >= 1.0 && divide.is_finite(),
            "train: divide must be at least 1, found {divide}"
        );
        train.insert("factor".into(), Value::Float(divide.recip()));
    }
    Ok(())
}

/// Parses TOML, telling an error in one line with its line number.
pub(crate) fn parse_toml(text: &str) -> Result<Table> {
    text.parse::<Table>().map_err(|error| {
        let line = error
            .span()
            .map_or(1, |span| text[..span.start].lines().count().max(1));
        anyhow!("line {line}: {}", one_line(error.message()))
    })
}

/// Types a TOML value, telling an error in one line.
pub(crate) fn from_value<T: DeserializeOwned>(value: Value) -> Result<T> {
    value
        .try_into()
        .map_err(|error: toml::de::Error| anyhow!("{}", one_line(&error.to_string())))
}

fn one_line(message: &str) -> String {
    message.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn parse_value(text: &str) -> Value {
    let table = format!("value = {text}").parse::<Table>();
    table
        .ok()
        .and_then(|mut t| t.remove("value"))
        .unwrap_or_else(|| Value::String(text.to_string()))
}

fn collect_keys(path: &str, value: &Value, keys: &mut BTreeMap<String, Value>) {
    match value {
        Value::Table(inner) => inner
            .iter()
            .for_each(|(key, value)| collect_keys(&format!("{path}.{key}"), value, keys)),
        _ => {
            keys.insert(path.to_owned(), value.clone());
        }
    }
}

fn read_layer(index: usize, mut table: Table) -> Result<LayerSpec> {
    let mut word = |key: &str| match table.remove(key) {
        Some(Value::String(word)) => Ok(word),
        _ => Err(anyhow!("`{key}` is missing or not a string")),
    };
    let name = word("name").with_context(|| format!("layer number {}", index + 1))?;
    let kind = word("kind");
    let read = || -> Result<_> {
        let given = learning::keys().find(|key| table.contains_key(*key));
        let learning = Learning::take(&mut table)?;
        let kind = Kind::read(&kind?, Value::Table(table))?;
        match given.filter(|_| !kind.keys().has_weights()) {
            Some(key) => bail!("`{key}` is for layers that have weights"),
            None => Ok((kind, learning)),
        }
    };
    let (kind, learning) = read().with_context(|| format!("layer {name}"))?;
    Ok(LayerSpec {
        name,
        kind,
        learning,
    })
}

fn override_key(table: &mut Table, path: &[&str], value: Value) -> Result<()> {
    ensure!(
        path.iter().all(|part| !part.is_empty()),
        "the key has an empty part"
    );
    if path.len() < 2 || matches!(path[0], "input" | "train") {
        return insert(table, path, value);
    }
    let layers = table
        .get_mut("layer")
        .and_then(Value::as_array_mut)
        .into_iter()
        .flatten();
    let mut found = false;
    for layer in layers.filter_map(Value::as_table_mut) {
        let is = |key: &str| layer.get(key).and_then(Value::as_str) == Some(path[0]);
        if is("name") || is("kind") {
            found = true;
            override_layer(layer, &path[1..], value.clone())?;
        }
    }
    ensure!(found, "no layer is named or of kind `{}`", path[0]);
    Ok(())
}

fn override_layer(layer: &mut Table, path: &[&str], value: Value) -> Result<()> {
    match path {
        ["sigma"] | ["init", "sigma"] => {
            insert(layer, &["init", "scale-with-width"], Value::Boolean(false))?;
            insert(layer, &["init", "sigma"], value)
        }
        ["bias"] => insert(layer, &["init", "bias"], value),
        [key, "weights" | "biases"] => {
            learning::tell_apart(layer, key);
            insert(layer, path, value)
        }
        _ => insert(layer, path, value),
    }
}

fn insert(table: &mut Table, path: &[&str], value: Value) -> Result<()> {
    match path {
        [] => bail!("the key is empty"),
        [key] => {
            table.insert(key.to_string(), value);
            Ok(())
        }
        [key, rest @ ..] => {
            let inner = table
                .entry(key.to_string())
                .or_insert_with(|| Value::Table(Table::new()));
            let inner = inner
                .as_table_mut()
                .ok_or_else(|| anyhow!("`{key}` has no keys of its own"))?;
            insert(inner, rest, value)
        }
    }
}
