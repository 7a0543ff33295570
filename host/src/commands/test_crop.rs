//! `host test-crop`

use std::fmt;
use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use console::Progress;
use dataset_pack::Dataset;
use serde::Serialize;

use super::Run;
use crate::data::views::Crops;
use crate::evaluate::Predictions;
use crate::metrics::Score;
use crate::model::{self, Inference};

/// Tests one network, or several with their predictions averaged: error rates over a set.
#[derive(Args, Clone, Debug)]
#[command(after_help = "Example: host test-crop --checkpoint runs/a --data sets/val --crops 10")]
pub struct TestCrop {
    /// Checkpoints, or run directories for their newest
    #[arg(long, value_name = "FILE", required = true, num_args = 1..)]
    pub checkpoint: Vec<PathBuf>,
    /// The set to test on
    #[arg(long, value_name = "DIR")]
    pub data: PathBuf,
    /// What is seen of each image, and averaged over
    #[arg(long, value_enum, default_value_t)]
    pub crops: Crops,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub inference: Inference,
}

/// How good the predictions are.
#[derive(Clone, Debug, Serialize)]
pub struct Tested {
    crops: Crops,
    checkpoints: usize,
    #[serde(flatten)]
    score: Score,
}

impl Run for TestCrop {
    type Report = Tested;

    fn run(&self) -> Result<Tested> {
        let data = Dataset::open(&self.data)?;
        let checkpoints = self.checkpoint.len();
        let bar = Progress::new("tested", "images", (data.len() * checkpoints) as u64);
        let mut predictions = Predictions::new(data.len(), data.classes().len());
        for path in &self.checkpoint {
            let (mut network, checkpoint) = model::load(path, &self.inference)?;
            checkpoint.check_classes(&data, &self.data)?;
            predictions.add(&mut network, &data, self.crops, |images| {
                bar.advance(images as u64);
            })?;
        }
        Ok(Tested {
            crops: self.crops,
            checkpoints,
            score: predictions.score(&data),
        })
    }
}

impl fmt::Display for Tested {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Tested { crops, score, .. } = self;
        writeln!(f, "images       {} ({crops})", score.images)?;
        writeln!(f, "top-1 error  {:.2} %", 100.0 * score.top1_error)?;
        writeln!(f, "top-5 error  {:.2} %", 100.0 * score.top5_error)?;
        write!(f, "loss         {:.4}", score.loss)
    }
}
