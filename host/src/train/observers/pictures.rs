//! `curves.png`, and `filters.png` where there are filters to show: drawn when the run ends.

use std::path::PathBuf;

use anyhow::Result;

use crate::formats::checkpoint::Checkpoint;
use crate::formats::pytorch;
use crate::metrics::log;
use crate::picture::{curves, filters};
use crate::train::events::{Event, Observer};

/// In the run directory, from what stands there.
pub struct Pictures {
    /// The run directory.
    pub out: PathBuf,
}

impl Observer for Pictures {
    fn observe(&mut self, event: &Event<'_>) -> Result<()> {
        match event {
            Event::End(_) => self.draw(),
            _ => Ok(()),
        }
    }
}

impl Pictures {
    fn draw(&self) -> Result<()> {
        let out = &self.out;
        let checkpoint = Checkpoint::open(out)?;
        let net = checkpoint.network()?;
        let lines = log::read(&out.join("metrics.jsonl"))?;
        if !lines.is_empty() {
            let title = format!("{}, width {}", net.name, checkpoint.training.kept.width);
            curves::write(&out.join("curves.png"), &title, &lines)?;
        }
        let joint = pytorch::joint_tensors(&net, &checkpoint.tensors)?;
        if let Some((info, weights)) = joint.first()
            && info.shape.len() == 4
        {
            let path = out.join("filters.png");
            filters::write(&path, weights, &info.shape, net.towers.len())?;
        }
        Ok(())
    }
}
