//! Which network, as a command line names it.

use std::ffi::{OsStr, OsString};

use anyhow::Result;
use clap::Args;
use serde::{Deserialize, Serialize};

use super::spec::Spec;

/// Which network. What was not given is `None`.
#[derive(Args, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct NetworkChoice {
    /// A network that comes with the program (paper, one-gpu) or a TOML file [default: paper]
    #[arg(long, value_name = "NET|FILE.toml")]
    #[serde(skip)]
    pub net: Option<OsString>,
    /// How it is trained: a recipe that comes with the program (paper, krizhevsky-145) or a TOML file; other options say
    /// what differs [default: as the network's file has it]
    #[arg(long, value_name = "RECIPE|FILE.toml")]
    #[serde(skip)]
    pub recipe: Option<OsString>,
    /// Maps and units of every hidden layer times this, rounded to multiples of 16 in each tower [default: 1]
    #[arg(long, value_name = "W", value_parser = finite)]
    pub width: Option<f64>,
    /// Changes one key of the network, such as conv2.bias=0.1, lrn.alpha=2e-5 or train.momentum=0.8
    #[arg(long, value_name = "KEY=VALUE")]
    #[serde(skip)]
    pub set: Vec<String>,
}

impl NetworkChoice {
    /// The network, changed by the recipe, then by `before` and then by `--set`.
    pub fn load(&self, before: &[String]) -> Result<Spec> {
        let net = self.net.as_deref().unwrap_or(OsStr::new("paper"));
        self.change(Spec::load(net, &[])?, before)
    }

    /// The same changes to another network, such as that of a run that goes on.
    pub fn change(&self, spec: Spec, before: &[String]) -> Result<Spec> {
        let spec = match &self.recipe {
            Some(recipe) => spec.with_recipe(recipe)?,
            None => spec,
        };
        spec.with_sets(&[before, &self.set].concat())
    }

    /// How wide.
    pub fn width(&self) -> f64 {
        self.width.unwrap_or(1.0)
    }
}

fn finite(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(number) if f64::is_finite(number) => Ok(number),
        _ => Err("must be a number".into()),
    }
}
