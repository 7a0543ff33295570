//! What happens in a run, told to those who show it or write it down.

use std::path::Path;

use anyhow::Result;

use super::report::Report;
use crate::metrics::log::Line;

/// Something that happens.
#[derive(Debug)]
pub enum Event<'a> {
    /// The run begins, or goes on.
    Begin {
        /// What the towers run on, in words.
        devices: &'a [String],
        /// Steps done already.
        step: u64,
        /// The step that it ends after.
        last_step: u64,
    },
    /// A step is done.
    Step {
        /// What was measured.
        line: &'a Line,
        /// The mean loss of the last steps, this one among them.
        mean_loss: f64,
    },
    /// The network was tested on the validation set.
    Validation(&'a Line),
    /// The learning rate changes.
    Rate {
        /// To this.
        rate: f64,
        /// Whether that is because the validation error no longer improves.
        plateau: bool,
    },
    /// A checkpoint was written.
    Checkpoint {
        /// Of this step.
        step: u64,
        /// The file.
        path: &'a Path,
    },
    /// Something that whoever watches should know.
    Notice(&'a str),
    /// The run is over, or was stopped.
    End(&'a Report),
}

/// Somebody who shows events or writes them down.
pub trait Observer {
    /// Takes an event in. An error ends the run.
    fn observe(&mut self, event: &Event<'_>) -> Result<()>;
}

/// All who are told.
#[derive(Default)]
pub struct Observers(Vec<Box<dyn Observer>>);

impl Observers {
    /// These, told in this order.
    pub fn new(observers: Vec<Box<dyn Observer>>) -> Self {
        Self(observers)
    }

    /// Tells them.
    pub fn tell(&mut self, event: Event<'_>) -> Result<()> {
        self.0
            .iter_mut()
            .try_for_each(|observer| observer.observe(&event))
    }
}
