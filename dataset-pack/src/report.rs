//! `report.jsonl`: one line for every image that was not packed.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::atomic;
use crate::error::Error;

/// Name of the report in a set's folder.
pub(crate) const REPORT_FILE: &str = "report.jsonl";

/// An image that could not be packed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct BadImage {
    /// Path relative to the source folder.
    pub source: String,
    /// Why.
    pub reason: String,
    /// What was done about it: always "rejected" in this version.
    pub action: String,
}

impl BadImage {
    pub(crate) fn new(source: impl Into<String>, reason: impl Into<String>) -> Self {
        BadImage {
            source: source.into(),
            reason: reason.into(),
            action: "rejected".into(),
        }
    }
}

/// Writes the report, if there is anything to report.
pub(crate) fn write(folder: &Path, bad: &[BadImage]) -> Result<(), Error> {
    let path = folder.join(REPORT_FILE);
    let mut text = Vec::new();
    for image in bad {
        serde_json::to_writer(&mut text, image).map_err(|e| Error::io(&path, "write")(e.into()))?;
        text.push(b'\n');
    }
    if text.is_empty() {
        Ok(())
    } else {
        atomic::write(&path, &text)
    }
}
