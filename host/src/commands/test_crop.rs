//! `host test-crop`

mod published;
mod submission;

use std::fmt;
use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Args;
use console::{Progress, escaped};
use dataset_pack::Dataset;
use serde::Serialize;

use super::Run;
use crate::data::views::Crops;
use crate::evaluate::{self, Predictions};
use crate::formats::checkpoint::Checkpoint;
use crate::formats::training::set_identity;
use crate::metrics::Score;
use crate::model::{self, Inference};
use crate::ranks::Ranks;

/// Tests one network, or several with their predictions averaged: error rates over a set.
#[derive(Args, Clone, Debug)]
#[command(after_help = "Example: host test-crop --checkpoint runs/a --data sets/val --crops 10")]
pub struct TestCrop {
    /// Checkpoints, or run directories for their newest; the networks may differ
    #[arg(long, value_name = "FILE", required = true, num_args = 1..)]
    pub checkpoint: Vec<PathBuf>,
    /// The set to test on
    #[arg(long, value_name = "DIR")]
    pub data: PathBuf,
    /// What is seen of each image, and averaged over
    #[arg(long, value_enum, default_value_t)]
    pub crops: Crops,
    /// Also gives the error rates of each class
    #[arg(long)]
    pub per_class: bool,
    /// Writes the five likeliest classes of each image, as ILSVRC's submissions have them
    #[arg(long, value_name = "FILE")]
    pub submission: Option<PathBuf>,
    /// ILSVRC's devkit or its meta.mat, by which a submission numbers the classes [default: places in the set's list]
    #[arg(long, value_name = "PATH", requires = "submission")]
    pub devkit: Option<PathBuf>,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub inference: Inference,
}

/// How good the predictions are.
#[derive(Clone, Debug, Serialize)]
pub struct Tested {
    crops: Crops,
    /// What the crops are of, for each kind of network.
    views: Vec<String>,
    checkpoints: usize,
    #[serde(flatten)]
    score: Score,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    classes: Vec<OfClass>,
    /// The paper's results with this one.
    #[serde(skip)]
    table: Option<String>,
}

/// How good those of a class are.
#[derive(Clone, Debug, Serialize)]
struct OfClass {
    class: String,
    #[serde(flatten)]
    score: Score,
}

impl Run for TestCrop {
    type Report = Tested;

    fn run(&self) -> Result<Tested> {
        Ranks::join()?.carry(|ranks| self.test(ranks))
    }
}

impl TestCrop {
    fn test(&self, ranks: &Ranks) -> Result<Tested> {
        let open = || {
            let data = Dataset::open(&self.data)?;
            let views = self.check(&data)?;
            Ok((data, views))
        };
        let (data, views) = ranks.agree(open())?;
        self.check_same(&data, ranks)?;
        let predictions = self.predict(&data, ranks)?;
        let (score, devkit) = (predictions.score(&data), self.devkit.as_deref());
        if let Some(path) = &self.submission
            && ranks.is_first()
        {
            submission::write(path, &predictions, &data, devkit)?;
        }
        let table = published::like(&data).map(|like| published::table(like, &score));
        Ok(Tested {
            crops: self.crops,
            views,
            checkpoints: self.checkpoint.len(),
            score,
            classes: match self.per_class {
                true => per_class(&predictions, &data),
                false => Vec::new(),
            },
            table: table.transpose()?,
        })
    }

    /// That all networks read what the set holds and have its classes, before the first of them works. Says what their
    /// crops are.
    fn check(&self, data: &Dataset) -> Result<Vec<String>> {
        let mut views = Vec::new();
        for path in &self.checkpoint {
            let (checkpoint, net) = model::open(path)?;
            checkpoint.check_classes(data, &self.data)?;
            evaluate::check_data(&net, data).with_context(|| escaped(path).to_string())?;
            let of = self.crops.of(&net.input);
            if !views.contains(&of) {
                views.push(of);
            }
        }
        if self.submission.is_some() {
            submission::numbers(data, self.devkit.as_deref())?;
        }
        Ok(views)
    }

    /// That all ranks test the same networks on the same set.
    fn check_same(&self, data: &Dataset, ranks: &Ranks) -> Result<()> {
        let what = format!("{:?} {:?}", self.crops, self.inference.batch);
        let mut same = vec![("set", set_identity(data)), ("options", what)];
        for path in &self.checkpoint {
            let text = ranks.agree(Checkpoint::open(path).and_then(|c| c.training.to_text()))?;
            same.push(("checkpoints", format!("{text:?}")));
        }
        ranks.check_same(&same)
    }

    fn predict(&self, data: &Dataset, ranks: &Ranks) -> Result<Predictions> {
        let images = data.len() * self.checkpoint.len();
        let bar = Progress::new("tested", "images", images as u64);
        let mut predictions = Predictions::new(data.len(), data.classes().len());
        for path in &self.checkpoint {
            let (mut network, _) = model::load(path, &self.inference)?;
            predictions.add(&mut network, data, self.crops, ranks, |images| {
                bar.advance(images as u64);
            })?;
        }
        Ok(predictions)
    }
}

fn per_class(predictions: &Predictions, data: &Dataset) -> Vec<OfClass> {
    let names = data.classes().iter().map(|class| class.name.clone());
    let scores = names.zip(predictions.scores(data));
    scores
        .map(|(class, score)| OfClass { class, score })
        .collect()
}

impl fmt::Display for Tested {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Tested { crops, score, .. } = self;
        writeln!(f, "images       {} ({crops})", score.images)?;
        for views in &self.views {
            writeln!(f, "crops        {views}")?;
        }
        writeln!(f, "top-1 error  {:.2} %", 100.0 * score.top1_error)?;
        writeln!(f, "top-5 error  {:.2} %", 100.0 * score.top5_error)?;
        writeln!(f, "loss         {:.4}", score.loss)?;
        if !self.classes.is_empty() {
            writeln!(f, "\n images  top-1 %  top-5 %  class")?;
        }
        for OfClass { class, score } in &self.classes {
            let (top1, top5) = (100.0 * score.top1_error, 100.0 * score.top5_error);
            let class = escaped(class);
            writeln!(f, "{:>7}  {top1:>7.2}  {top5:>7.2}  {class}", score.images)?;
        }
        if let Some(table) = &self.table {
            write!(f, "\n{table}")?;
        }
        Ok(())
    }
}
