//! `host nets`

use std::ffi::OsString;
use std::fmt;

use anyhow::Result;
use clap::Args;
use serde::Serialize;

use super::Run;
use crate::net::choice::NetworkChoice;
use crate::net::layer::Kind;
use crate::net::layer::convolution::Algorithm;
use crate::net::shapes::{LayerCount, Net};
use crate::net::spec::{PRESETS, Spec};

/// Lists the networks that come with the program, or shows the layers of one.
#[derive(Args, Clone, Debug)]
#[command(after_help = "Example: host nets torchvision --classes 10")]
pub struct Nets {
    /// One that comes with the program, or a TOML file; without it, all are listed
    #[arg(value_name = "NET|FILE.toml")]
    pub name: Option<OsString>,
    /// Maps and units of every hidden layer times this [default: 1]
    #[arg(long, value_name = "W")]
    pub width: Option<f64>,
    /// How convolutions are computed, those for which there are several ways
    #[arg(long, value_name = "NAME", requires = "name")]
    pub algorithm: Option<Algorithm>,
    /// Changes one key of the network
    #[arg(long, value_name = "KEY=VALUE", requires = "name")]
    pub set: Vec<String>,
    /// Classes that the last layer tells apart
    #[arg(long, default_value_t = 1000, value_name = "N")]
    pub classes: usize,
}

/// The networks, or one.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
pub enum Found {
    /// All presets.
    List(Vec<Preset>),
    /// The layers of one network.
    One(Resolved),
}

/// A preset.
#[derive(Clone, Debug, Serialize)]
pub struct Preset {
    name: &'static str,
    parameters: usize,
    summary: &'static str,
}

/// A network with its shapes.
#[derive(Clone, Debug, Serialize)]
pub struct Resolved {
    name: String,
    towers: usize,
    classes: usize,
    layers: Vec<Row>,
    parameters: usize,
    /// Of an image, forward.
    multiply_adds: usize,
    /// Bytes of weights and biases, their velocities and gradients.
    parameter_bytes: usize,
    /// Bytes of what the layers give and of the gradients to it, for each image of a batch.
    image_bytes: usize,
}

/// A layer, over all towers.
#[derive(Clone, Debug, Serialize)]
struct Row {
    layer: String,
    /// Channels, rows and columns.
    output: [usize; 3],
    parameters: usize,
    /// By the formula, whatever the algorithm.
    multiply_adds: usize,
    /// Of a convolution that is not computed by the formula.
    #[serde(skip_serializing_if = "Option::is_none")]
    algorithm: Option<&'static str>,
}

impl Run for Nets {
    type Report = Found;

    fn run(&self) -> Result<Found> {
        let width = self.width.unwrap_or(1.0);
        if self.name.is_some() {
            let choice = NetworkChoice {
                net: self.name.clone(),
                width: Some(width),
                algorithm: self.algorithm,
                set: self.set.clone(),
                ..NetworkChoice::default()
            };
            let net = choice.load(&[])?.resolve(width, self.classes)?;
            return Ok(Found::One(Resolved::of(&net)));
        }
        let preset = |(name, text): &(&'static str, &'static str)| {
            let net = Spec::load(name, &[])?.resolve(width, self.classes)?;
            Ok(Preset {
                name,
                parameters: net.parameter_count(),
                summary: text.lines().next().unwrap_or("").trim_start_matches("# "),
            })
        };
        let list: Result<_> = PRESETS.iter().map(preset).collect();
        Ok(Found::List(list?))
    }
}

impl Resolved {
    fn of(net: &Net) -> Self {
        let multiply_adds = |i: usize| {
            let layers = net.towers.iter().map(|tower| &tower[i]);
            let of = |layer: &crate::net::shapes::Layer| {
                let inputs = layer.parameters().map_or(0, |p| p.inputs);
                inputs * layer.output.len()
            };
            layers.map(of).sum()
        };
        let row = |(i, count): (usize, LayerCount)| Row {
            layer: count.name,
            output: [
                count.output.channels,
                count.output.height,
                count.output.width,
            ],
            parameters: count.parameters,
            multiply_adds: multiply_adds(i),
            algorithm: algorithm(&net.towers[0][i].kind),
        };
        let layers: Vec<Row> = net.counts().into_iter().enumerate().map(row).collect();
        let own = net
            .towers
            .iter()
            .flatten()
            .filter(|layer| !layer.in_place());
        let floats: usize = own.map(|layer| layer.output.len()).sum();
        Self {
            name: net.name.clone(),
            towers: net.towers.len(),
            classes: net.classes,
            parameters: net.parameter_count(),
            multiply_adds: layers.iter().map(|row| row.multiply_adds).sum(),
            parameter_bytes: 3 * size_of::<f32>() * net.parameter_count(),
            image_bytes: 2 * size_of::<f32>() * floats,
            layers,
        }
    }
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::List(presets) => presets.iter().try_for_each(|preset| {
                let Preset {
                    name,
                    parameters,
                    summary,
                } = preset;
                writeln!(
                    f,
                    "{name:14} {:>11} parameters  {summary}",
                    grouped(*parameters)
                )
            }),
            Self::One(net) => net.fmt(f),
        }
    }
}

impl fmt::Display for Resolved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, towers, classes) = (&self.name, self.towers, self.classes);
        writeln!(f, "{name}: {towers} tower(s), {classes} classes")?;
        writeln!(
            f,
            "{:18} {:>14} {:>12} {:>16}",
            "layer", "output", "parameters", "multiply-adds"
        )?;
        for row in &self.layers {
            let [channels, height, width] = row.output;
            let algorithm = row.algorithm.map(|word| format!("  {word}"));
            writeln!(
                f,
                "{:18} {:>14} {:>12} {:>16}{}",
                row.layer,
                format!("{channels}×{height}×{width}"),
                grouped(row.parameters),
                grouped(row.multiply_adds),
                algorithm.unwrap_or_default()
            )?;
        }
        writeln!(
            f,
            "{:18} {:>14} {:>12} {:>16}",
            "all",
            "",
            grouped(self.parameters),
            grouped(self.multiply_adds)
        )?;
        write!(
            f,
            "memory for training: {:.0} MB for the parameters, {:.2} MB for each image of a batch",
            self.parameter_bytes as f64 / 1e6,
            self.image_bytes as f64 / 1e6
        )
    }
}

/// How a convolution is computed, if not by the formula.
fn algorithm(kind: &Kind) -> Option<&'static str> {
    match kind {
        Kind::Convolution(keys) if keys.algorithm != Algorithm::Direct => {
            Some(keys.algorithm.word())
        }
        _ => None,
    }
}

/// `60,965,224`; nothing for 0.
fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    if number == 0 { String::new() } else { out }
}
