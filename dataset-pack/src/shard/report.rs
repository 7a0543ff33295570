//! `report.jsonl`: one line for every image that was not packed cleanly.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::sys::atomic;

/// Name of the report in a set's folder.
pub(crate) const REPORT_FILE: &str = "report.jsonl";

/// What was done about a bad image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// It is not in the set.
    Rejected,
    /// It is in the set, with what could be decoded of it.
    Kept,
}

/// An image that could not be packed cleanly.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct BadImage {
    /// Path within the source.
    pub source: String,
    /// Why.
    pub reason: String,
    /// What was done about it.
    pub action: Action,
}

impl BadImage {
    /// Its line, with the line's end.
    pub(crate) fn line(&self) -> Result<Vec<u8>, serde_json::Error> {
        let mut line = serde_json::to_vec(self)?;
        line.push(b'\n');
        Ok(line)
    }
}

/// How many of a report's lines tell of each action: rejected, kept.
pub(crate) fn count(lines: &[u8]) -> Result<(u64, u64), String> {
    let (mut rejected, mut kept) = (0, 0);
    for line in lines.split(|&b| b == b'\n').filter(|line| !line.is_empty()) {
        let bad: BadImage = serde_json::from_slice(line).map_err(|e| format!("its report: {e}"))?;
        match bad.action {
            Action::Rejected => rejected += 1,
            Action::Kept => kept += 1,
        }
    }
    Ok((rejected, kept))
}

/// Writes the report, if there is anything to report.
pub(crate) fn write(folder: &Path, lines: &[u8]) -> Result<(), Error> {
    let path = folder.join(REPORT_FILE);
    if !lines.is_empty() {
        return atomic::write(&path, lines);
    }
    // One of an earlier attempt may tell of images that are packed now.
    match std::fs::remove_file(&path) {
        Err(cause) if cause.kind() != std::io::ErrorKind::NotFound => {
            Err(Error::io(&path, "remove")(cause))
        }
        _ => Ok(()),
    }
}
