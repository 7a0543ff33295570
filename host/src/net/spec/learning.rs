//! How the weights and biases of a layer begin and learn: keys that every kind of layer has that has weights.
//!
//! | key | of what | if not given |
//! |---|---|---|
//! | `init` | initial values | see [`Init`] |
//! | `rates` | times the learning rate | 1 |
//! | `decay` | times the weight decay | 1 for weights, 0 for biases |
//! | `momentum` | the momentum itself | that of `[train]` |
//! | `schedule` | when the rate falls | that of `[train]` |
//! | `frozen` | when they stay as they are: see [`Frozen`] | never |
//!
//! All but `init` are given for both, `rates = 2`, or apart, `rates = { weights = 1, biases = 2 }`.

use anyhow::{Context, Result, bail, ensure};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use toml::{Table, Value};

use super::read::from_value;
use crate::schedule::Rule;

/// How it learns, once it has begun.
pub const COURSE: [&str; 5] = ["rates", "decay", "momentum", "schedule", "frozen"];

/// All keys of this module.
pub fn keys() -> impl Iterator<Item = &'static str> {
    ["init"].into_iter().chain(COURSE)
}

/// How a layer begins and learns.
#[derive(Clone, Debug, PartialEq)]
pub struct Learning {
    /// Initial values.
    pub init: Init,
    /// Its weights.
    pub weights: Course,
    /// Its biases.
    pub biases: Course,
}

/// Initial values of a layer.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct Init {
    /// Standard deviation of the weights, whose mean is 0.
    pub sigma: f64,
    /// Every bias.
    pub bias: f64,
    /// Whether a reduced width w divides `sigma` by √w. A layer sums over its inputs, so with w times as many
    /// the spread of what it gives out falls with √w, and after eight layers nothing is left to learn from. The
    /// layer that reads the image has as many inputs at any width and is never scaled. Setting a `sigma` with
    /// `--set` turns this off: what is given there holds as it is.
    pub scale_with_width: bool,
}

impl Default for Init {
    fn default() -> Self {
        Self {
            sigma: 0.01,
            bias: 0.0,
            scale_with_width: true,
        }
    }
}

/// How weights learn, or biases.
#[derive(Clone, Debug, PartialEq)]
pub struct Course {
    /// Times the learning rate.
    pub rate: f64,
    /// Times the weight decay.
    pub decay: f64,
    /// Momentum, if it is not the network's.
    pub momentum: Option<f64>,
    /// When the rate falls, if not with the network's.
    pub schedule: Option<Rule>,
    /// When they stay as they are.
    pub frozen: Frozen,
}

/// Epochs, counted from 0, in which weights or biases stay as they are: `true` for all, `{ until = 5 }` for those before
/// epoch 5, `{ from = 72 }` for epoch 72 and all after it, or both.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Value")]
pub struct Frozen {
    /// Those before this one.
    pub until: u32,
    /// This one and those after it.
    pub from: Option<u32>,
}

impl Frozen {
    /// Whether they stay as they are in this epoch.
    pub fn holds(&self, epoch: u32) -> bool {
        epoch < self.until || self.from.is_some_and(|from| from <= epoch)
    }
}

impl TryFrom<Value> for Frozen {
    type Error = String;

    fn try_from(value: Value) -> Result<Self, String> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Epochs {
            #[serde(default)]
            until: u32,
            from: Option<u32>,
        }
        match value {
            Value::Boolean(always) => Ok(Self {
                until: 0,
                from: always.then_some(0),
            }),
            Value::Table(_) => {
                let Epochs { until, from } =
                    from_value(value).map_err(|error| error.to_string())?;
                Ok(Self { until, from })
            }
            _ => Err(format!(
                "{value}: expected true, false or epochs such as {{ from = 72 }}"
            )),
        }
    }
}

impl Default for Learning {
    fn default() -> Self {
        let weights = Course {
            rate: 1.0,
            decay: 1.0,
            momentum: None,
            schedule: None,
            frozen: Frozen::default(),
        };
        Self {
            init: Init::default(),
            biases: Course {
                decay: 0.0,
                ..weights.clone()
            },
            weights,
        }
    }
}

impl Course {
    /// Whether they change in some epoch.
    pub fn learns(&self) -> bool {
        let never = |from| from <= self.frozen.until;
        self.rate != 0.0 && !self.frozen.from.is_some_and(never)
    }

    fn check(&self) -> Result<()> {
        for factor in [self.rate, self.decay] {
            ensure!(
                factor >= 0.0 && factor.is_finite(),
                "rates and decay must be at least 0, found {factor}"
            );
        }
        if let Some(momentum) = self.momentum {
            ensure!(
                (0.0..1.0).contains(&momentum),
                "momentum must be in [0, 1), found {momentum}"
            );
        }
        ensure!(
            self.schedule != Some(Rule::Plateau),
            "schedule: only the network's can be plateau; a layer without one follows that"
        );
        Ok(())
    }
}

impl Learning {
    /// Takes the keys out of a layer's table.
    pub(super) fn take(layer: &mut Table) -> Result<Self> {
        let mut learning = Self::default();
        if let Some(init) = layer.remove("init") {
            learning.init = from_value(init).context("init")?;
        }
        let Self {
            weights: w,
            biases: b,
            ..
        } = &mut learning;
        take(layer, "rates", [&mut w.rate, &mut b.rate])?;
        take(layer, "decay", [&mut w.decay, &mut b.decay])?;
        take(layer, "frozen", [&mut w.frozen, &mut b.frozen])?;
        take(layer, "momentum", [&mut w.momentum, &mut b.momentum])?;
        take(layer, "schedule", [&mut w.schedule, &mut b.schedule])?;
        learning.check()?;
        Ok(learning)
    }

    fn check(&self) -> Result<()> {
        let Init { sigma, bias, .. } = self.init;
        ensure!(
            sigma >= 0.0 && sigma.is_finite(),
            "sigma must be at least 0, found {sigma}"
        );
        ensure!(bias.is_finite(), "bias must be finite");
        self.weights.check()?;
        self.biases.check()
    }
}

/// Reads what is given for both weights and biases, or for each.
fn take<T>(layer: &mut Table, key: &str, [weights, biases]: [&mut T; 2]) -> Result<()>
where
    T: DeserializeOwned + Clone,
{
    match layer.remove(key) {
        None => {}
        Some(Value::Table(table)) if is_apart(&table) => {
            for (whose, value) in table {
                let to = match whose.as_str() {
                    "weights" => &mut *weights,
                    "biases" => &mut *biases,
                    other => bail!("{key}: unknown key `{other}`, expected weights or biases"),
                };
                *to = from_value(value).with_context(|| format!("{key}: {whose}"))?;
            }
        }
        Some(both) => {
            *weights = from_value(both).with_context(|| key.to_owned())?;
            *biases = weights.clone();
        }
    }
    Ok(())
}

/// Whether a value is given for weights and biases apart.
pub fn is_apart(value: &Table) -> bool {
    value.contains_key("weights") || value.contains_key("biases")
}

/// Writes out for each what a layer has for both, so that one of them can be changed.
pub fn tell_apart(layer: &mut Table, key: &str) {
    if let Some(value) = layer.get_mut(key)
        && !value.as_table().is_some_and(is_apart)
    {
        let both = ["weights", "biases"].map(|whose| (whose.to_owned(), value.clone()));
        *value = Value::Table(Table::from_iter(both));
    }
}
