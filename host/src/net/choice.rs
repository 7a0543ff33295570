//! Which network, as a command line names it.

use std::ffi::{OsStr, OsString};

use anyhow::Result;
use clap::Args;
use serde::{Deserialize, Serialize};

use super::layer::Kind;
use super::layer::convolution::Algorithm;
use super::spec::{LayerSpec, Spec};

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
    /// How convolutions are computed, those for which there are several ways; the bits of the results depend on it
    #[arg(long, value_name = "NAME")]
    #[serde(skip)]
    pub algorithm: Option<Algorithm>,
    /// Changes one key of the network, such as conv2.bias=0.1, lrn.alpha=2e-5 or train.momentum=0.8
    #[arg(long, value_name = "KEY=VALUE")]
    #[serde(skip)]
    pub set: Vec<String>,
}

impl NetworkChoice {
    /// The network, changed by the recipe, by `--algorithm`, then by `before` and then by `--set`.
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
        let algorithm = match self.algorithm {
            Some(algorithm) => sets(algorithm, &spec),
            None => Vec::new(),
        };
        spec.with_sets(&[&algorithm, before, &self.set].concat())
    }

    /// How wide.
    pub fn width(&self) -> f64 {
        self.width.unwrap_or(1.0)
    }
}

/// What sets the algorithm of every convolution that can have it.
fn sets(algorithm: Algorithm, spec: &Spec) -> Vec<String> {
    let can_be = |layer: &&LayerSpec| match &layer.kind {
        Kind::Convolution(convolution) => convolution.can_be(algorithm),
        _ => false,
    };
    let set = |layer: &LayerSpec| format!("{}.algorithm={}", layer.name, algorithm.word());
    spec.layers.iter().filter(can_be).map(set).collect()
}

fn finite(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(number) if f64::is_finite(number) => Ok(number),
        _ => Err("must be a number".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of the paper's convolutions all can; --set has the last word.
    #[test]
    fn an_algorithm_is_for_those_that_can_have_it() {
        let choice = NetworkChoice {
            algorithm: Some(Algorithm::Winograd),
            set: vec!["conv3.algorithm=direct".into()],
            ..NetworkChoice::default()
        };
        let spec = choice.load(&[]).unwrap();
        let found = spec.layers.iter().filter_map(|layer| match &layer.kind {
            Kind::Convolution(convolution) => Some(convolution.algorithm),
            _ => None,
        });
        let [direct, winograd] = [Algorithm::Direct, Algorithm::Winograd];
        assert!(found.eq([winograd, winograd, direct, winograd, winograd]));
    }
}
