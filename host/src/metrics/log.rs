//! What a run measures, a line of JSON for each step and each validation: `metrics.jsonl`.
//!
//! A line is on its way to the disk when it is written. A resumed run cuts off what was measured after the step it
//! resumes from, so that the file reads as if the run had never stopped.

use std::collections::{BTreeMap, VecDeque};
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use console::escaped;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use super::Norms;

/// One line. What is not a number is written as `null`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Line {
    /// Steps done.
    pub step: u64,
    /// Passes through the training set, with fraction.
    pub epoch: f64,
    /// Mean negative log-probability of the right class.
    #[serde(deserialize_with = "number_or_null")]
    pub loss: f64,
    /// Fraction of the images whose class is not the likeliest.
    pub top1_error: f64,
    /// Fraction of the images whose class is not among the five likeliest.
    pub top5_error: f64,
    /// Learning rate in force.
    pub lr: f64,
    /// Images per second, of the step or of the validation.
    pub images_per_second: f64,
    /// Whether this is a validation, over all of the validation set.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub validation: bool,
    /// Of each layer that learns, where they were asked for.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub layers: BTreeMap<String, Norms>,
    /// What of the network was changed before this step, by its key, as it is from here on.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub changes: BTreeMap<String, Value>,
}

fn number_or_null<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or(f64::NAN))
}

/// The file of a run, open for writing.
pub struct Log {
    path: PathBuf,
    file: File,
}

impl Log {
    /// A new file; one that is there is emptied.
    pub fn create(path: &Path) -> Result<Self> {
        Self::open(path, |_| 0)
    }

    /// Goes on with a file: lines that do not belong `before`, and a last line cut short, are dropped. Lines are in the
    /// order of their steps, a validation's behind its step's.
    pub fn resume(path: &Path, before: impl Fn(&Line) -> bool) -> Result<Self> {
        Self::open(path, |file| whole_lines(file, before))
    }

    fn open(path: &Path, keep: impl FnOnce(&File) -> u64) -> Result<Self> {
        let open = || {
            let mut options = OpenOptions::new();
            let file = options.read(true).append(true).create(true).open(path)?;
            file.set_len(keep(&file))?;
            Ok::<_, std::io::Error>(file)
        };
        let file = open().with_context(|| format!("{}: cannot write", escaped(path)))?;
        Ok(Self {
            path: path.to_path_buf(),
            file,
        })
    }

    /// Adds a line.
    pub fn write(&mut self, line: &Line) -> Result<()> {
        let mut text = serde_json::to_string(line)?;
        text.push('\n');
        self.file
            .write_all(text.as_bytes())
            .with_context(|| format!("{}: cannot write", escaped(&self.path)))
    }
}

/// How many bytes the first lines take that belong. An unreadable one is what a crash left.
fn whole_lines(file: &File, belongs: impl Fn(&Line) -> bool) -> u64 {
    let mut reader = BufReader::new(file);
    let mut kept = 0;
    let mut text = String::new();
    while let Ok(length) = reader.read_line(&mut text) {
        let line = text
            .ends_with('\n')
            .then(|| serde_json::from_str::<Line>(&text).ok())
            .flatten();
        if !line.is_some_and(|line| belongs(&line)) {
            break;
        }
        kept += length as u64;
        text.clear();
    }
    kept
}

/// All lines of a file.
pub fn read(path: &Path) -> Result<Vec<Line>> {
    let name = || escaped(path).to_string();
    let file = File::open(path).with_context(name)?;
    let lines = BufReader::new(file).lines().enumerate();
    let read = |(i, text): (usize, std::io::Result<String>)| {
        let text = text.with_context(name)?;
        serde_json::from_str(&text).with_context(|| format!("{}: line {}", escaped(path), i + 1))
    };
    lines.map(read).collect()
}

/// All whole lines of a file that somebody may be writing, none if it is not there yet.
pub fn read_so_far(path: &Path) -> Result<Vec<Line>> {
    let name = || escaped(path).to_string();
    let text = match std::fs::read_to_string(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        text => text.with_context(name)?,
    };
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    let read = |(i, line): (usize, &str)| {
        serde_json::from_str(line).with_context(|| format!("{}: line {}", escaped(path), i + 1))
    };
    whole.lines().enumerate().map(read).collect()
}

/// The mean of the last so many values.
#[derive(Clone, Debug)]
pub struct Running {
    window: usize,
    values: VecDeque<f64>,
}

impl Running {
    /// Over the last `window` values, at least 1.
    pub fn new(window: usize) -> Self {
        Self {
            window: window.max(1),
            values: VecDeque::new(),
        }
    }

    /// Takes a value in and gives the mean.
    pub fn add(&mut self, value: f64) -> f64 {
        if self.values.len() == self.window {
            self.values.pop_front();
        }
        self.values.push_back(value);
        self.values.iter().sum::<f64>() / self.values.len() as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn line(step: u64, validation: bool) -> Line {
        let loss = 1.0 / (step + 1) as f64;
        Line {
            step,
            epoch: 0.5,
            loss,
            top1_error: 0.3,
            top5_error: 0.1,
            lr: 0.01,
            images_per_second: 7.0,
            validation,
            layers: BTreeMap::new(),
            changes: BTreeMap::new(),
        }
    }

    fn write(path: &Path, lines: &[Line]) {
        let mut metrics = Log::create(path).unwrap();
        lines.iter().for_each(|line| metrics.write(line).unwrap());
    }

    #[test]
    fn lines_have_the_promised_fields() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("metrics.jsonl");
        write(&path, &[line(1, false), line(1, true)]);
        let fields = r#"{"step":1,"epoch":0.5,"loss":0.5,"top1_error":0.3,"top5_error":0.1,"lr":0.01,"images_per_second":7.0"#;
        let expected = format!("{fields}}}\n{fields},\"validation\":true}}\n");
        assert_eq!(fs::read_to_string(&path).unwrap(), expected);
        assert_eq!(read(&path).unwrap(), [line(1, false), line(1, true)]);
    }

    #[test]
    fn a_resumed_file_is_as_if_never_stopped() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("metrics.jsonl");
        write(
            &path,
            &[
                line(1, false),
                line(2, false),
                line(2, true),
                line(3, false),
                line(4, false),
            ],
        );
        fs::OpenOptions::new()
            .append(true)
            .open(&path)
            .unwrap()
            .write_all(b"{\"step\":5,\"ep")
            .unwrap();
        let mut metrics = Log::resume(&path, |line| line.step <= 2).unwrap();
        metrics.write(&line(3, false)).unwrap();
        assert_eq!(
            read(&path).unwrap(),
            [
                line(1, false),
                line(2, false),
                line(2, true),
                line(3, false)
            ]
        );
    }

    #[test]
    fn a_line_cut_short_is_dropped_even_if_its_step_counts() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("metrics.jsonl");
        write(&path, &[line(1, false), line(2, false)]);
        let text = fs::read_to_string(&path).unwrap();
        fs::write(&path, &text[..text.len() - 1]).unwrap();
        Log::resume(&path, |_| true).unwrap();
        assert_eq!(read(&path).unwrap(), [line(1, false)]);
    }

    #[test]
    fn a_missing_file_is_begun_and_an_old_one_emptied() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("metrics.jsonl");
        Log::resume(&path, |_| true)
            .unwrap()
            .write(&line(6, false))
            .unwrap();
        assert_eq!(read(&path).unwrap().len(), 1);
        Log::create(&path).unwrap();
        assert_eq!(read(&path).unwrap().len(), 0);
    }

    #[test]
    fn a_loss_that_is_not_a_number_can_be_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("metrics.jsonl");
        write(
            &path,
            &[Line {
                loss: f64::NAN,
                ..line(1, false)
            }],
        );
        assert!(read(&path).unwrap()[0].loss.is_nan());
    }

    #[test]
    fn wrong_lines_and_a_full_disk_name_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("metrics.jsonl");
        fs::write(&path, "{\"step\":1}\n").unwrap();
        let error = format!("{:#}", read(&path).unwrap_err());
        assert!(
            error.contains("metrics.jsonl: line 1: missing field"),
            "{error}"
        );
        let mut full = Log {
            path: "/dev/full".into(),
            file: OpenOptions::new().write(true).open("/dev/full").unwrap(),
        };
        let error = format!("{:#}", full.write(&line(1, false)).unwrap_err());
        assert!(
            error.starts_with("/dev/full: cannot write: No space left on device"),
            "{error}"
        );
    }

    #[test]
    fn a_running_mean_forgets() {
        let mut mean = Running::new(2);
        assert_eq!([1.0, 3.0, 5.0].map(|x| mean.add(x)), [1.0, 2.0, 4.0]);
    }
}
