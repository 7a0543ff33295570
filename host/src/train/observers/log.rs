//! `metrics.jsonl`: a line for each step and each validation.

use anyhow::Result;

use crate::metrics::log::Log;
use crate::train::events::{Event, Observer};

impl Observer for Log {
    fn observe(&mut self, event: &Event<'_>) -> Result<()> {
        match event {
            Event::Step { line, .. } | Event::Validation(line) => self.write(line),
            _ => Ok(()),
        }
    }
}
