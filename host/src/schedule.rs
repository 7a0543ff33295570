//! How the learning rate falls while training.
//!
//! The rate of a run is ε / divideⁿ, where n counts the falls so far. `constant` never falls. `step:E1,E2,…` falls
//! when epoch E1, E2, … begins (epochs are counted from 0). `plateau` falls when `patience` validations in a row
//! have not lowered the best error by more than `min-delta`, at most `times` times: the paper's authors did by hand
//! what this rule does. The counting starts afresh after a fall, while the best error stands.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// When the rate falls.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Rule {
    /// When the validation error stops improving.
    Plateau,
    /// Never.
    Constant,
    /// At the beginning of these epochs, in rising order.
    Step(Vec<u32>),
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plateau => f.write_str("plateau"),
            Self::Constant => f.write_str("constant"),
            Self::Step(epochs) => {
                let epochs: Vec<String> = epochs.iter().map(u32::to_string).collect();
                write!(f, "step:{}", epochs.join(","))
            }
        }
    }
}

impl From<Rule> for String {
    fn from(rule: Rule) -> Self {
        rule.to_string()
    }
}

impl TryFrom<String> for Rule {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl FromStr for Rule {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!(
                "schedule `{text}`: expected plateau, constant or step:E1,E2,… with rising epochs"
            )
        };
        match text {
            "plateau" => Ok(Self::Plateau),
            "constant" => Ok(Self::Constant),
            _ => {
                let list = text.strip_prefix("step:").ok_or_else(wrong)?;
                let epochs: Vec<u32> = list
                    .split(',')
                    .map(|epoch| epoch.trim().parse().map_err(|_| wrong()))
                    .collect::<Result<_, _>>()?;
                if epochs.is_sorted_by(|a, b| a < b) {
                    Ok(Self::Step(epochs))
                } else {
                    Err(wrong())
                }
            }
        }
    }
}

/// A rule with its numbers.
#[derive(Clone, Debug, PartialEq)]
pub struct Schedule {
    /// When the rate falls.
    pub rule: Rule,
    /// What it is divided by.
    pub divide: f64,
    /// `plateau`: at most so many falls.
    pub times: u32,
    /// `plateau`: validations in a row without improvement that make it fall.
    pub patience: u32,
    /// `plateau`: by how much the best error must fall to count.
    pub min_delta: f64,
}

/// What a schedule remembers from one validation to the next.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct State {
    /// Falls so far, under `plateau`.
    pub falls: u32,
    /// Lowest validation error so far, a fraction; `None` before the first validation.
    pub best: Option<f64>,
    /// Validations in a row without improvement.
    pub waited: u32,
}

impl State {
    /// Before the first validation.
    pub const START: Self = Self {
        falls: 0,
        best: None,
        waited: 0,
    };
}

impl Schedule {
    /// What ε is multiplied by in `epoch` (counted from 0).
    pub fn factor(&self, state: &State, epoch: u32) -> f64 {
        let falls = match &self.rule {
            Rule::Constant => 0,
            Rule::Plateau => state.falls,
            Rule::Step(epochs) => epochs.iter().filter(|&&begin| begin <= epoch).count() as u32,
        };
        self.divide.powi(falls as i32).recip()
    }

    /// Takes in a validation error; true if it makes the rate fall.
    pub fn validated(&self, state: &mut State, error: f64) -> bool {
        if !error.is_nan() && state.best.is_none_or(|best| error < best - self.min_delta) {
            state.best = Some(error);
            state.waited = 0;
            return false;
        }
        state.waited += 1;
        if self.rule != Rule::Plateau || state.waited < self.patience || state.falls >= self.times {
            return false;
        }
        state.falls += 1;
        state.waited = 0;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schedule(rule: Rule) -> Schedule {
        Schedule {
            rule,
            divide: 10.0,
            times: 3,
            patience: 2,
            min_delta: 0.01,
        }
    }

    #[test]
    fn rules_are_read_as_they_are_shown() {
        for text in ["plateau", "constant", "step:25,51,79", "step:0"] {
            assert_eq!(text.parse::<Rule>().unwrap().to_string(), text);
        }
        for text in [
            "", "step", "step:", "step:2,1", "step:3,3", "step:-1", "Plateau",
        ] {
            let error = text.parse::<Rule>().unwrap_err();
            assert!(
                error.contains("expected plateau") && !error.contains('\n'),
                "{text}: {error}"
            );
        }
    }

    #[test]
    fn step_falls_when_its_epochs_begin() {
        let schedule = schedule(Rule::Step(vec![2, 5]));
        let factors: Vec<f64> = (0..7)
            .map(|epoch| schedule.factor(&State::START, epoch))
            .collect();
        assert_eq!(factors, [1.0, 1.0, 0.1, 0.1, 0.1, 0.01, 0.01]);
    }

    #[test]
    fn plateau_waits_and_stops_after_three() {
        let schedule = schedule(Rule::Plateau);
        let mut state = State::START;
        // Better, better by too little, worse: falls once two in a row did not improve.
        let fell: Vec<bool> = [0.9, 0.8, 0.795, 0.85]
            .iter()
            .map(|&error| schedule.validated(&mut state, error))
            .collect();
        assert_eq!(fell, [false, false, false, true]);
        assert_eq!(
            state,
            State {
                falls: 1,
                best: Some(0.8),
                waited: 0
            }
        );
        assert_eq!(schedule.factor(&state, 0), 0.1);
        let falls = (0..20)
            .filter(|_| schedule.validated(&mut state, 0.8))
            .count();
        assert_eq!((falls, state.falls), (2, 3));
        assert!((schedule.factor(&state, 0) - 0.001).abs() < 1e-18);
    }

    #[test]
    fn improvement_starts_the_count_afresh() {
        let schedule = schedule(Rule::Plateau);
        let mut state = State::START;
        for (i, error) in [0.9, 0.9, 0.7, 0.7, 0.5, 0.5, 0.3].into_iter().enumerate() {
            assert!(!schedule.validated(&mut state, error), "validation {i}");
        }
    }

    #[test]
    fn an_error_that_is_not_a_number_is_no_improvement() {
        let schedule = schedule(Rule::Plateau);
        for best in [Some(0.5), None] {
            let mut state = State {
                best,
                ..State::START
            };
            schedule.validated(&mut state, f64::NAN);
            assert_eq!((state.best, state.waited), (best, 1));
        }
    }

    #[test]
    fn a_saved_state_goes_on_exactly() {
        let schedule = schedule(Rule::Plateau);
        let errors = [0.9, 0.8, 0.8, 0.1 + 0.2, 0.3, 0.3, 0.3, 0.3];
        let mut straight = State::START;
        let mut resumed = State::START;
        for error in errors {
            schedule.validated(&mut straight, error);
            resumed = serde_json::from_str(&serde_json::to_string(&resumed).unwrap()).unwrap();
            schedule.validated(&mut resumed, error);
            assert_eq!(straight, resumed);
        }
    }
}
