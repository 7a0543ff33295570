//! Recipes: how a network is trained, apart from what it is.
//!
//! A file of TOML. `[train]` has the keys of [`Train`](super::Train); any other table is named by a layer, or by a kind for
//! all of that kind, and says how they [learn](super::learning). What a recipe does not say stays as the network has it, and
//! what it says of a layer by name counts more than what it says of its kind.

use std::ffi::OsStr;

use anyhow::{Context, Result, anyhow, bail, ensure};
use console::escaped;
use toml::{Table, Value};

use super::Spec;
use super::inherit::merge_keys;
use super::learning::{COURSE, is_apart, tell_apart};
use super::read::parse_toml;

/// The recipes that come with the program: name and text.
pub const RECIPES: &[(&str, &str)] = &[
    ("paper", include_str!("../../../../recipes/paper.toml")),
    (
        "krizhevsky-145",
        include_str!("../../../../recipes/krizhevsky-145.toml"),
    ),
    (
        "large-batch",
        include_str!("../../../../recipes/large-batch.toml"),
    ),
];

impl Spec {
    /// The network trained by a recipe: one that comes with the program, by name, or a file, by path.
    pub fn with_recipe(self, recipe: &OsStr) -> Result<Self> {
        let own = RECIPES.iter().find(|(name, _)| *name == recipe);
        let shown = match own {
            Some((name, _)) => format!("recipe {name}"),
            None => escaped(recipe).to_string(),
        };
        let change = || {
            let text = match own {
                Some((_, text)) => (*text).to_owned(),
                None => std::fs::read_to_string(recipe).map_err(|error| {
                    let names: Vec<&str> = RECIPES.iter().map(|(name, _)| *name).collect();
                    anyhow!(
                        "{error} (a recipe is a TOML file or one of {})",
                        names.join(", ")
                    )
                })?,
            };
            let mut table = self.to_table();
            apply(&mut table, parse_toml(&text)?)?;
            Self::from_table(table)
        };
        change().context(shown)
    }
}

fn apply(net: &mut Table, mut recipe: Table) -> Result<()> {
    if let Some(train) = recipe.remove("train") {
        merge_keys(net, Table::from_iter([("train".to_owned(), train)]));
    }
    for (whose, said) in &recipe {
        let said = said
            .as_table()
            .with_context(|| format!("`{whose}` is not a table"))?;
        if let Some(other) = said.keys().find(|key| !COURSE.contains(&key.as_str())) {
            bail!(
                "{whose}: unknown key `{other}`, a recipe has {}",
                COURSE.join(", ")
            );
        }
    }
    let layers = net.get_mut("layer").and_then(Value::as_array_mut);
    let layers: Vec<&mut Value> = layers.into_iter().flatten().collect();
    let mut meant = Vec::new();
    for layer in layers.into_iter().filter_map(Value::as_table_mut) {
        for key in ["kind", "name"] {
            let whose = layer.get(key).and_then(Value::as_str).unwrap_or_default();
            if let Some((whose, Value::Table(said))) = recipe.get_key_value(whose) {
                meant.push(whose);
                change(layer, said);
            }
        }
    }
    let nobody = recipe.keys().find(|whose| !meant.contains(whose));
    ensure!(
        nobody.is_none(),
        "no layer is named or of kind `{}`",
        nobody.map_or("", String::as_str)
    );
    Ok(())
}

/// What is said of both weights and biases takes the place of what there was, what is said of one leaves the other.
fn change(layer: &mut Table, said: &Table) {
    for (key, value) in said {
        match value.as_table().is_some_and(is_apart) {
            true => tell_apart(layer, key),
            false => drop(layer.remove(key)),
        }
    }
    merge_keys(layer, said.clone());
}
