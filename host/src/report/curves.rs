//! A run's metrics as the page's script draws them: columns, thinned so that long runs fit.

use serde::Serialize;

use crate::formats::training::Change;
use crate::metrics::log::Line;

/// Points that a curve has at most.
const POINTS: usize = 1500;

/// The curves of a run.
#[derive(Serialize)]
pub struct Curves<'a> {
    name: &'a str,
    training: Columns,
    validation: Columns,
    changes: Vec<Mark>,
}

/// A step at which the run's configuration was changed, and what it is since.
#[derive(Debug, PartialEq, Serialize)]
struct Mark {
    step: u64,
    what: String,
}

#[derive(Default, Serialize)]
struct Columns {
    step: Vec<u64>,
    loss: Vec<Option<f64>>,
    top1: Vec<Option<f64>>,
    top5: Vec<Option<f64>>,
    lr: Vec<Option<f64>>,
    speed: Vec<Option<f64>>,
}

impl<'a> Curves<'a> {
    /// Of a run's lines, and of what was changed between them.
    pub fn new(name: &'a str, lines: &[Line], changes: &[Change]) -> Self {
        let columns = |validation| {
            let own = lines.iter().filter(|line| line.validation == validation);
            Columns::new(&own.cloned().collect::<Vec<_>>())
        };
        Self {
            name,
            training: columns(false),
            validation: columns(true),
            changes: marks(changes),
        }
    }
}

/// A mark for each step that has changes.
fn marks(changes: &[Change]) -> Vec<Mark> {
    let together = changes.chunk_by(|a, b| a.step == b.step);
    let mark = |of: &[Change]| {
        let keys = of.iter().map(|change| match &change.now {
            Some(now) => format!("{} = {now}", change.key),
            None => format!("{} left out", change.key),
        });
        Mark {
            step: of[0].step + 1,
            what: keys.collect::<Vec<_>>().join(", "),
        }
    };
    together.map(mark).collect()
}

/// Lines that become one point of a curve, where there are so many.
pub fn lines_per_point(lines: usize) -> usize {
    lines.div_ceil(POINTS).max(1)
}

impl Columns {
    fn new(lines: &[Line]) -> Self {
        let mut columns = Columns::default();
        for part in lines.chunks(lines_per_point(lines.len())) {
            let mean = |of: fn(&Line) -> f64| {
                rounded(part.iter().map(of).sum::<f64>() / part.len() as f64)
            };
            let last = &part[part.len() - 1];
            columns.step.push(last.step);
            columns.loss.push(mean(|line| line.loss));
            columns.top1.push(mean(|line| line.top1_error));
            columns.top5.push(mean(|line| line.top5_error));
            columns.lr.push(rounded(last.lr));
            columns.speed.push(mean(|line| line.images_per_second));
        }
        columns
    }
}

/// To five digits; nothing, if it is no number.
pub fn rounded(value: f64) -> Option<f64> {
    value
        .is_finite()
        .then(|| format!("{value:.4e}").parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_runs_are_thinned_to_means_and_keep_their_last_step() {
        let line = |step| Line {
            step,
            loss: step as f64,
            lr: 0.1 / step as f64,
            ..Line::default()
        };
        let lines: Vec<Line> = (1..=6001).map(line).collect();
        let columns = Columns::new(&lines);
        assert_eq!(columns.step.len(), 6001usize.div_ceil(5));
        assert_eq!((columns.step[0], columns.loss[0]), (5, Some(3.0)));
        assert_eq!(columns.step.last(), Some(&6001));
        assert_eq!(columns.lr[1], Some(0.01));
    }

    #[test]
    fn changes_of_one_step_are_one_mark() {
        let change = |step, key: &str, now: Option<f64>| Change {
            step,
            key: key.into(),
            was: None,
            now: now.map(Into::into),
        };
        let changes = [
            change(9, "train.lr", Some(0.5)),
            change(9, "lrn.alpha", None),
            change(12, "train.lr", Some(0.25)),
        ];
        let mark = |step, what: &str| Mark {
            step,
            what: what.into(),
        };
        let wanted = [
            mark(10, "train.lr = 0.5, lrn.alpha left out"),
            mark(13, "train.lr = 0.25"),
        ];
        assert_eq!(marks(&changes), wanted);
    }

    #[test]
    fn what_is_no_number_is_a_gap() {
        let line = Line {
            loss: f64::NAN,
            images_per_second: 123_456.7,
            ..Line::default()
        };
        let columns = Columns::new(&[line]);
        assert_eq!((columns.loss[0], columns.speed[0]), (None, Some(123_460.0)));
    }
}
