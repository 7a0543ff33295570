//! What TensorBoard shows of a run: event files in its folder `tensorboard`, one for each time the run was started.
//!
//! A resumed run drops from the older files what came after the checkpoint it goes on from, and its new file begins with
//! a session's start, at which a TensorBoard that is looking on drops the same.

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use clap::ValueEnum;
use console::escaped;
use image::ImageFormat;
use serde::{Deserialize, Serialize};

use crate::formats::checkpoint::Checkpoint;
use crate::formats::pytorch;
use crate::formats::tensorboard::{
    Event as Record, Histogram, Image, Session, Shown, Summary, Value, What, kept_bytes, write,
};
use crate::metrics::log::Line;
use crate::picture::{encode, filters};
use crate::train::events::{Event, Observer};

/// Buckets of a histogram.
const BUCKETS: usize = 64;

/// What is written for TensorBoard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Detail {
    /// Loss, errors, rate and speed, and the filters at every checkpoint
    Scalars,
    /// Also a histogram of every tensor at every checkpoint
    Histograms,
}

/// The event files of a run.
pub struct TensorBoard {
    folder: PathBuf,
    detail: Detail,
    file: Option<(PathBuf, File)>,
    /// The step of each value's last point: what a step is done twice for, as a validation after a crash, is one point.
    last: HashMap<String, i64>,
}

impl TensorBoard {
    /// In the run directory `out`.
    pub fn new(out: &Path, detail: Detail) -> Self {
        Self {
            folder: out.join("tensorboard"),
            detail,
            file: None,
            last: HashMap::new(),
        }
    }

    /// Begins a file for the steps after `step`.
    fn begin(&mut self, step: u64) -> Result<()> {
        let folder = self.folder.clone();
        let cannot = || format!("{}: cannot write", escaped(&folder));
        fs::create_dir_all(&folder).with_context(cannot)?;
        let mut number = 0;
        for entry in fs::read_dir(&folder).with_context(cannot)? {
            let path = entry.with_context(cannot)?.path();
            if let Some(old) = number_of(&path) {
                number = number.max(old + 1);
                self.drop_after(&path, step)?;
            }
        }
        // Readers want the `tfevents` and take files in the order of their names.
        let path = folder.join(format!("events.out.tfevents.{number:010}.alexnet"));
        let file =
            File::create_new(&path).with_context(|| format!("{}: cannot write", escaped(&path)))?;
        self.file = Some((path, file));
        self.write(0, What::FileVersion("brain.Event:2".into()))?;
        let session = Session {
            status: Session::START,
        };
        self.write(step + 1, What::Session(session))
    }

    fn write(&mut self, step: u64, what: What) -> Result<()> {
        let Some((path, file)) = &mut self.file else {
            return Ok(());
        };
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        let record = Record {
            wall_time: since.map_or(0.0, |since| since.as_secs_f64()),
            step: step as i64,
            what: Some(what),
        };
        write(file, &record).with_context(|| format!("{}: cannot write", escaped(path)))
    }

    /// The values that have no point at this step yet.
    fn show(&mut self, step: u64, mut values: Vec<Value>) -> Result<()> {
        let step_of = step as i64;
        values.retain(|value| self.last.get(&value.tag).is_none_or(|&last| last < step_of));
        if values.is_empty() {
            return Ok(());
        }
        let tags = values.iter().map(|value| (value.tag.clone(), step_of));
        self.last.extend(tags);
        self.write(step, What::Summary(Summary { values }))
    }

    /// Cuts off what an older file has of later steps, and takes in what it keeps.
    fn drop_after(&mut self, path: &Path, step: u64) -> Result<()> {
        let kept = kept_bytes(path, |record| match &record.what {
            Some(What::Session(_)) => true,
            _ if record.step > step as i64 => false,
            Some(What::Summary(summary)) => {
                for value in &summary.values {
                    self.last.insert(value.tag.clone(), record.step);
                    // Not asked for again, they go on.
                    if matches!(value.shown, Some(Shown::Histogram(_))) {
                        self.detail = Detail::Histograms;
                    }
                }
                true
            }
            _ => true,
        })?;
        let file = OpenOptions::new().write(true).open(path);
        file.and_then(|file| file.set_len(kept))
            .with_context(|| format!("{}: cannot write", escaped(path)))
    }

    fn scalars(&mut self, line: &Line) -> Result<()> {
        let kind = if line.validation {
            "validation"
        } else {
            "training"
        };
        let named =
            |name: &str, value: f64| shown(format!("{name}/{kind}"), Shown::Scalar(value as f32));
        let mut values = vec![
            named("loss", line.loss),
            named("top1_error", line.top1_error),
            named("top5_error", line.top5_error),
            named("images_per_second", line.images_per_second),
        ];
        if !line.validation {
            values.push(shown("learning_rate".into(), Shown::Scalar(line.lr as f32)));
        }
        self.show(line.step, values)
    }

    fn checkpoint(&mut self, step: u64, path: &Path) -> Result<()> {
        let checkpoint = Checkpoint::open(path)?;
        let net = checkpoint.network()?;
        let joint = pytorch::joint_tensors(&net, &checkpoint.tensors)?;
        let mut values = Vec::new();
        if let Some((info, weights)) = joint.first()
            && matches!(info.shape[..], [_, 3, _, _])
        {
            let picture = filters::draw(weights, &info.shape, net.towers.len())?;
            let image = Image {
                height: picture.height() as i32,
                width: picture.width() as i32,
                colorspace: 3,
                encoded: encode(&picture, ImageFormat::Png)?,
            };
            values.push(shown(format!("filters/{}", info.name), Shown::Image(image)));
        }
        if self.detail == Detail::Histograms {
            let histogram = |values: &[f32]| Shown::Histogram(Histogram::new(values, BUCKETS));
            values.extend(
                joint
                    .iter()
                    .map(|(info, values)| shown(info.name.clone(), histogram(values))),
            );
        }
        self.show(step, values)
    }
}

impl Observer for TensorBoard {
    fn observe(&mut self, event: &Event<'_>) -> Result<()> {
        match event {
            Event::Begin { step, .. } => self.begin(*step),
            Event::Step { line, .. } | Event::Validation(line) => self.scalars(line),
            Event::Checkpoint { step, path } => self.checkpoint(*step, path),
            _ => Ok(()),
        }
    }
}

fn shown(tag: String, shown: Shown) -> Value {
    Value {
        tag,
        shown: Some(shown),
    }
}

/// The number of an event file of ours.
fn number_of(path: &Path) -> Option<u64> {
    let name = path.file_name()?.to_str()?;
    let number = name
        .strip_prefix("events.out.tfevents.")?
        .strip_suffix(".alexnet")?;
    number.parse().ok()
}
