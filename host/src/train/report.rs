//! What a run came to.

use std::fmt;
use std::path::Path;

use serde::Serialize;

use crate::metrics::Score;
use crate::paths::ShownPath;

/// What a run came to.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The run directory.
    pub out: ShownPath,
    /// Steps done, of this run and those it went on from.
    pub step: u64,
    /// Whether a signal ended it early.
    pub stopped: bool,
    /// The mean loss of the last steps, if there was anything left to do.
    pub loss: Option<f64>,
    /// The last validation.
    pub validation: Option<Score>,
    /// The checkpoint that does best on the validation set.
    pub best: Option<Best>,
    /// What the ranks sent each other; nothing where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ranks: Option<RanksReport>,
}

impl Report {
    /// Of a run that stands at this step.
    pub fn of(out: &Path, step: u64) -> Self {
        Report {
            out: out.into(),
            step,
            stopped: false,
            loss: None,
            validation: None,
            best: None,
            ranks: None,
        }
    }
}

/// How many ranks there were, and what they sent each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct RanksReport {
    /// How many.
    pub ranks: u32,
    /// Bytes of gradients and weights that a rank sent to others in a step.
    pub bytes_sent_a_step: u64,
}

/// A checkpoint and its error on the validation set.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Best {
    /// Its step.
    pub step: u64,
    /// The fraction of images whose class is not the likeliest.
    pub top1_error: f64,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stopped = match self.stopped {
            true => " (stopped; go on with --resume)",
            false => "",
        };
        writeln!(f, "steps        {}{stopped}", self.step)?;
        if let Some(loss) = self.loss {
            writeln!(f, "loss         {loss:.4}")?;
        }
        if let Some(score) = self.validation {
            writeln!(
                f,
                "validation   {:.1} % top-1 error, {:.1} % top-5, loss {:.4}, {} images",
                100.0 * score.top1_error,
                100.0 * score.top5_error,
                score.loss,
                score.images
            )?;
        }
        if let Some(Best { step, top1_error }) = self.best {
            let percent = 100.0 * top1_error;
            writeln!(f, "best         {percent:.1} % top-1 error, at step {step}")?;
        }
        if let Some(RanksReport {
            ranks,
            bytes_sent_a_step,
        }) = self.ranks
        {
            let megabytes = bytes_sent_a_step as f64 / 1e6;
            writeln!(
                f,
                "ranks        {ranks}, each sent {megabytes:.2} MB a step"
            )?;
        }
        let out = &self.out;
        writeln!(f, "checkpoints  {out}/checkpoints")?;
        write!(f, "pictures     {out}/curves.png, {out}/filters.png")
    }
}
