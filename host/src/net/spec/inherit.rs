//! Networks that say only how they differ from another.
//!
//! `base` names a preset, or a file by its path from this file's folder. Of the rest, `[input]`, `[train]` and single
//! keys are the base's but for those that are given; layers too, by name. A layer with a `kind` takes the place of the
//! base's layer of that name; one that the base does not have says `after` or `before` which layer it stands. `remove`
//! lists layers that are left out.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail, ensure};
use console::escaped;
use toml::{Table, Value};

use super::PRESETS;
use super::read::parse_toml;

/// The whole table of a preset, by name, or of a file, by path.
pub fn load(net: &OsStr) -> Result<Table> {
    resolve(Origin::of(net, Path::new("")), &mut Vec::new())
}

/// Where a network stands.
#[derive(Clone, PartialEq)]
enum Origin {
    Preset(&'static str, &'static str),
    File(PathBuf),
}

impl Origin {
    fn of(net: &OsStr, folder: &Path) -> Self {
        match PRESETS.iter().find(|(name, _)| *name == net) {
            Some((name, text)) => Self::Preset(name, text),
            None => Self::File(folder.join(net)),
        }
    }

    fn shown(&self) -> String {
        match self {
            Self::Preset(name, _) => format!("net {name}"),
            Self::File(path) => escaped(path).to_string(),
        }
    }

    fn table(&self) -> Result<Table> {
        let text = match self {
            Self::Preset(_, text) => (*text).to_owned(),
            Self::File(path) => std::fs::read_to_string(path).map_err(|error| {
                let presets: Vec<&str> = PRESETS.iter().map(|(name, _)| *name).collect();
                anyhow!(
                    "{}: {error} (a network is a TOML file or one of {})",
                    self.shown(),
                    presets.join(", ")
                )
            })?,
        };
        parse_toml(&text).with_context(|| self.shown())
    }

    fn folder(&self) -> &Path {
        match self {
            Self::Preset(..) => Path::new(""),
            Self::File(path) => path.parent().unwrap_or(Path::new("")),
        }
    }
}

fn resolve(origin: Origin, heirs: &mut Vec<Origin>) -> Result<Table> {
    let mut table = origin.table()?;
    let Some(base) = table.remove("base") else {
        return Ok(table);
    };
    let inherit = || -> Result<Table> {
        let base = base.as_str().context("`base` is not a string")?;
        let base = Origin::of(OsStr::new(base), origin.folder());
        heirs.push(origin.clone());
        ensure!(
            !heirs.contains(&base),
            "base {}: it has this network as its own base",
            base.shown()
        );
        let mut whole = resolve(base, heirs)?;
        merge(&mut whole, table)?;
        Ok(whole)
    };
    inherit().with_context(|| origin.shown())
}

/// Changes a network by what another says.
fn merge(whole: &mut Table, mut changes: Table) -> Result<()> {
    let layers = whole.entry("layer").or_insert(Value::Array(Vec::new()));
    let layers = layers.as_array_mut().context("`layer` is not a list")?;
    for name in changes.remove("remove").map_or(Ok(Vec::new()), names)? {
        let at = position(layers, &name).with_context(|| format!("remove {name}"))?;
        layers.remove(at);
    }
    if let Some(changed) = changes.remove("layer") {
        for layer in changed.as_array().context("`layer` is not a list")? {
            let layer = layer.as_table().context("a layer is not a table")?;
            let name = layer.get("name").and_then(Value::as_str);
            let name = name.context("a layer has no name")?.to_owned();
            change_layer(layers, &name, layer.clone()).with_context(|| format!("layer {name}"))?;
        }
    }
    merge_keys(whole, changes);
    Ok(())
}

fn change_layer(layers: &mut Vec<Value>, name: &str, mut layer: Table) -> Result<()> {
    let (after, before) = (layer.remove("after"), layer.remove("before"));
    let neighbour = after.as_ref().or(before.as_ref());
    let Some(neighbour) = neighbour.map(|value| value.as_str().context("a neighbour's name"))
    else {
        let at = position(layers, name)?;
        match layer.contains_key("kind") {
            true => layers[at] = Value::Table(layer),
            false => {
                let own = layers[at].as_table_mut().context("it is not a table")?;
                merge_keys(own, layer);
            }
        }
        return Ok(());
    };
    ensure!(
        position(layers, name).is_err(),
        "the base has one; `after` and `before` are for new layers"
    );
    let at = position(layers, neighbour?)?;
    layers.insert(at + usize::from(after.is_some()), Value::Table(layer));
    Ok(())
}

/// Tables are merged key by key, all else is replaced.
pub fn merge_keys(own: &mut Table, changes: Table) {
    for (key, value) in changes {
        match (own.get_mut(&key), value) {
            (Some(Value::Table(own)), Value::Table(changes)) => merge_keys(own, changes),
            (_, value) => {
                own.insert(key, value);
            }
        }
    }
}

fn position(layers: &[Value], name: &str) -> Result<usize> {
    let is = |layer: &Value| layer.get("name").and_then(Value::as_str) == Some(name);
    match layers.iter().position(is) {
        Some(at) => Ok(at),
        None => bail!(
            "the base has no layer `{name}`; a new one says `after` or `before` which it stands"
        ),
    }
}

fn names(list: Value) -> Result<Vec<String>> {
    let list: Result<Vec<String>, _> = list.try_into();
    list.ok().context("`remove` is not a list of layers' names")
}
