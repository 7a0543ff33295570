//! How the learning rate falls while training.
//!
//! | rule | the rate |
//! |---|---|
//! | `constant` | ε |
//! | `step:E1,E2,…` | ε · factorⁿ, where n of these epochs have begun (epochs are counted from 0) |
//! | `plateau` | ε · factorⁿ, where n counts the reductions so far, at most `max-reductions` |
//! | `exponential` | ε · factor^(max-reductions · t), where t goes from 0 to 1 over the run |
//! | `cosine` | ε · (1 + cos πt) / 2 |
//!
//! `plateau` reduces the rate when `patience` validations in a row have not lowered the best error by more than
//! `min-delta`: the paper's authors did by hand what this rule does. The counting starts afresh after a reduction, while
//! the best error stands.
//!
//! In the first steps, as many as make `warmup` epochs, the rate also grows in equal steps from 0.

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
    /// A little each step, by the same factor.
    Exponential,
    /// Along half a cosine, to 0.
    Cosine,
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plateau => f.write_str("plateau"),
            Self::Constant => f.write_str("constant"),
            Self::Exponential => f.write_str("exponential"),
            Self::Cosine => f.write_str("cosine"),
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
                "schedule `{text}`: expected plateau, constant, exponential, cosine or step:E1,E2,… with rising epochs"
            )
        };
        match text {
            "plateau" => Ok(Self::Plateau),
            "constant" => Ok(Self::Constant),
            "exponential" => Ok(Self::Exponential),
            "cosine" => Ok(Self::Cosine),
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
    /// What a reduction multiplies the rate by.
    pub factor: f64,
    /// `plateau`: at most so many reductions; `exponential`: what it comes to.
    pub max_reductions: u32,
    /// `plateau`: validations in a row without improvement that reduce the rate.
    pub patience: u32,
    /// `plateau`: by how much the best error must fall to count.
    pub min_delta: f64,
    /// Steps in which the rate grows to its full height.
    pub warmup_steps: u64,
}

/// Where a run is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// Steps done.
    pub step: u64,
    /// The step that the run ends after.
    pub last_step: u64,
    /// The epoch, counted from 0.
    pub epoch: u32,
}

/// What a schedule remembers from one validation to the next.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct State {
    /// Reductions so far, under `plateau`.
    #[serde(rename = "falls")]
    pub reductions: u32,
    /// Lowest validation error so far, a fraction; `None` before the first validation.
    pub best: Option<f64>,
    /// Validations in a row without improvement.
    pub waited: u32,
}

impl State {
    /// Before the first validation.
    pub const START: Self = Self {
        reductions: 0,
        best: None,
        waited: 0,
    };
}

impl Schedule {
    /// What ε is multiplied by in the next step if it falls by `rule`, this schedule's or another with its numbers.
    pub fn multiplier(&self, rule: &Rule, state: &State, at: Position) -> f64 {
        let done = (at.step as f64 / at.last_step.max(1) as f64).min(1.0);
        let falling = match rule {
            Rule::Constant => 1.0,
            Rule::Plateau => self.reduced(state.reductions),
            Rule::Step(epochs) => {
                let begun = epochs.iter().filter(|&&begin| begin <= at.epoch);
                self.reduced(begun.count() as u32)
            }
            // From libm, whose results do not depend on the machine.
            Rule::Exponential => libm::pow(self.factor, f64::from(self.max_reductions) * done),
            Rule::Cosine => (1.0 + libm::cos(std::f64::consts::PI * done)) / 2.0,
        };
        match at.step < self.warmup_steps {
            true => falling * (at.step + 1) as f64 / self.warmup_steps as f64,
            false => falling,
        }
    }

    /// Whether the rate stays as it is from this step on until it is reduced.
    pub fn has_steps(&self, step: u64) -> bool {
        !matches!(self.rule, Rule::Exponential | Rule::Cosine) && step >= self.warmup_steps
    }

    /// Divides rather than multiplies: then ten times 0.1 is 1.
    fn reduced(&self, reductions: u32) -> f64 {
        self.factor.recip().powi(reductions as i32).recip()
    }

    /// Takes in a validation error; true if it reduces the rate.
    pub fn validated(&self, state: &mut State, error: f64) -> bool {
        if !error.is_nan() && state.best.is_none_or(|best| error < best - self.min_delta) {
            state.best = Some(error);
            state.waited = 0;
            return false;
        }
        state.waited += 1;
        if self.rule != Rule::Plateau
            || state.waited < self.patience
            || state.reductions >= self.max_reductions
        {
            return false;
        }
        state.reductions += 1;
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
            factor: 0.1,
            max_reductions: 3,
            patience: 2,
            min_delta: 0.01,
            warmup_steps: 0,
        }
    }

    fn at(step: u64, epoch: u32) -> Position {
        Position {
            step,
            last_step: 100,
            epoch,
        }
    }

    #[test]
    fn smooth_rules_go_from_the_full_rate_to_their_end() {
        let of =
            |rule, step| schedule(Rule::Constant).multiplier(&rule, &State::START, at(step, 0));
        for (rule, half, end) in [
            (Rule::Exponential, 10f64.powf(-1.5), 1e-3),
            (Rule::Cosine, 0.5, 0.0),
        ] {
            assert_eq!(of(rule.clone(), 0), 1.0);
            assert!((of(rule.clone(), 50) - half).abs() < 1e-15, "{rule}");
            assert!((of(rule.clone(), 100) - end).abs() < 1e-15, "{rule}");
            assert_eq!(of(rule.clone(), 200), of(rule, 100));
        }
    }

    #[test]
    fn warm_up_grows_in_equal_steps_and_multiplies_the_rule() {
        let schedule = Schedule {
            warmup_steps: 4,
            ..schedule(Rule::Step(vec![1]))
        };
        let factors = [(0, 0), (1, 0), (2, 1), (3, 1), (4, 1), (5, 0)].map(|(step, epoch)| {
            schedule.multiplier(&schedule.rule, &State::START, at(step, epoch))
        });
        assert_eq!(factors, [0.25, 0.5, 0.1 * 3.0 / 4.0, 0.1, 0.1, 1.0]);
    }

    #[test]
    fn rules_are_read_as_they_are_shown() {
        for text in [
            "plateau",
            "constant",
            "step:25,51,79",
            "step:0",
            "exponential",
            "cosine",
        ] {
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
            .map(|epoch| schedule.multiplier(&schedule.rule, &State::START, at(0, epoch)))
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
                reductions: 1,
                best: Some(0.8),
                waited: 0
            }
        );
        assert_eq!(schedule.multiplier(&Rule::Plateau, &state, at(0, 0)), 0.1);
        let falls = (0..20)
            .filter(|_| schedule.validated(&mut state, 0.8))
            .count();
        assert_eq!((falls, state.reductions), (2, 3));
        assert!((schedule.multiplier(&Rule::Plateau, &state, at(0, 0)) - 0.001).abs() < 1e-18);
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
