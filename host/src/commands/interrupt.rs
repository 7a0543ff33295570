//! Ctrl-C while a file is being written.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result, ensure};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::flag;

use crate::atomic;
use crate::train::stop::is_ignored;

/// Whether the command was asked to end, so that it can tidy up first.
pub struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// Listens from now on: files that are being written are given up, too. A second signal ends the program at once.
    pub fn listen() -> Result<Self> {
        let asked = atomic::unwanted();
        for signal in [SIGHUP, SIGINT, SIGTERM] {
            if !is_ignored(signal) {
                let at_once =
                    flag::register_conditional_shutdown(signal, 128 + signal, asked.clone());
                at_once.context("listening for signals")?;
                flag::register(signal, asked.clone()).context("listening for signals")?;
            }
        }
        Ok(Interrupt(asked))
    }

    /// An error if it was.
    pub fn check(&self) -> Result<()> {
        ensure!(!self.0.load(Ordering::Relaxed), "interrupted");
        Ok(())
    }
}
