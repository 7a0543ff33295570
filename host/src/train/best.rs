//! Which checkpoints do best on the validation set, and which of a run's checkpoints stay.

use std::collections::BTreeMap;

use super::report::Best;
use crate::metrics::log::Line;

/// The top-1 errors that a run's validations found, by step.
#[derive(Clone, Debug, Default)]
pub struct Validations(BTreeMap<u64, f64>);

impl Validations {
    /// Those among a run's lines of metrics.
    pub fn of(lines: &[Line]) -> Self {
        let validations = lines.iter().filter(|line| line.validation);
        Self(
            validations
                .map(|line| (line.step, line.top1_error))
                .collect(),
        )
    }

    /// Takes one more in.
    pub fn add(&mut self, step: u64, top1_error: f64) {
        self.0.insert(step, top1_error);
    }

    /// Of these steps the one with the lowest error, the earliest if several have it.
    pub fn best(&self, steps: &[u64]) -> Option<Best> {
        let known = steps.iter().filter_map(|step| self.0.get_key_value(step));
        let best = known.min_by(|a, b| a.1.total_cmp(b.1).then(a.0.cmp(b.0)))?;
        Some(Best {
            step: *best.0,
            top1_error: *best.1,
        })
    }

    /// Of the steps with a checkpoint, in order, those to remove: all but the last `keep` and the best.
    pub fn superfluous(&self, steps: &[u64], keep: usize) -> Vec<u64> {
        let best = self.best(steps).map(|best| best.step);
        let older = &steps[..steps.len().saturating_sub(keep)];
        let others = older.iter().copied().filter(|&step| Some(step) != best);
        others.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(step: u64, top1_error: f64, validation: bool) -> Line {
        Line {
            step,
            top1_error,
            validation,
            ..Line::default()
        }
    }

    #[test]
    fn the_last_and_the_best_stay() {
        let lines = [
            line(10, 0.0, false),
            line(10, 0.5, true),
            line(20, 0.3, true),
            line(30, 0.3, true),
            line(40, 0.4, true),
        ];
        let mut validations = Validations::of(&lines);
        let steps = [5, 10, 20, 30, 40, 50];
        let best = Best {
            step: 20,
            top1_error: 0.3,
        };
        assert_eq!(validations.best(&steps), Some(best));
        assert_eq!(validations.superfluous(&steps, 2), [5, 10, 30]);
        assert_eq!(validations.superfluous(&steps, 9), [0; 0]);
        // Only a checkpoint that is there can be the best.
        assert_eq!(validations.superfluous(&[5, 10, 40, 50], 1), [5, 10]);
        validations.add(50, 0.1);
        assert_eq!(validations.superfluous(&steps, 1), [5, 10, 20, 30, 40]);
    }

    #[test]
    fn without_validations_the_last_stay() {
        let none = Validations::default();
        assert_eq!(none.best(&[1, 2]), None);
        assert_eq!(none.superfluous(&[1, 2, 3], 1), [1, 2]);
    }
}
