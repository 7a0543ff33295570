//! `host report`

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use clap::Args;
use serde::Serialize;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::flag;

use super::Run;
use super::interrupt::Interrupt;
use crate::atomic;
use crate::model::Inference;
use crate::paths::ShownPath;
use crate::report::{Facts, Source, Wanted, page};

/// How often a watched run is looked at.
const LOOK: Duration = Duration::from_millis(200);

/// Writes runs as one HTML page that needs no network: curves, filters, predictions, configuration.
#[derive(Args, Clone, Debug)]
#[command(
    after_help = "Example: host report runs/a runs/b --out report.html\n\nPredictions are those of the newest checkpoint \
                  for the validation set that the run had, or for --data."
)]
pub struct ReportPage {
    /// Run directories
    #[arg(value_name = "RUN", required = true)]
    pub runs: Vec<PathBuf>,
    /// The page to write
    #[arg(long, value_name = "FILE.html")]
    pub out: PathBuf,
    /// The set to show predictions for [default: the run's validation set]
    #[arg(long, value_name = "DIR", conflicts_with = "watch")]
    pub data: Option<PathBuf>,
    /// Images to predict, at most; spread over the set
    #[arg(long, value_name = "N", default_value_t = 2000)]
    pub images: usize,
    /// Rewrites the page, without predictions, while the runs go on; a signal (Ctrl-C) ends it
    #[arg(long)]
    pub watch: bool,
    /// Seconds between two pages
    #[arg(long, value_name = "SECONDS", default_value_t = 5, requires = "watch",
        value_parser = clap::value_parser!(u64).range(1..))]
    pub every: u64,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub inference: Inference,
}

/// What was written.
#[derive(Clone, Debug, Serialize)]
pub struct Written {
    out: ShownPath,
    runs: usize,
    bytes: usize,
}

impl Run for ReportPage {
    type Report = Written;

    fn run(&self) -> Result<Written> {
        let mut sources = Source::all(&self.runs);
        match self.watch {
            true => self.watch(&mut sources),
            false => {
                let wanted = Wanted {
                    data: self.data.as_deref(),
                    images: self.images,
                    inference: &self.inference,
                };
                self.write(&mut sources, Some(&wanted), None)
            }
        }
    }
}

impl ReportPage {
    fn write(
        &self,
        sources: &mut [Source],
        wanted: Option<&Wanted>,
        reload: Option<u64>,
    ) -> Result<Written> {
        let facts = sources.iter_mut().map(|source| source.read(wanted));
        let page = page(&facts.collect::<Result<Vec<Facts>>>()?, reload)?;
        if !self.watch {
            Interrupt::listen()?;
        }
        atomic::write(&self.out, |out| Ok(out.write_all(page.as_bytes())?))?;
        Ok(Written {
            out: self.out.as_path().into(),
            runs: sources.len(),
            bytes: page.len(),
        })
    }

    /// Until a signal comes. What goes wrong later may be a run in the middle of something, and is tried again.
    fn watch(&self, sources: &mut [Source]) -> Result<Written> {
        let stop = Arc::new(AtomicBool::new(false));
        for signal in [SIGHUP, SIGINT, SIGTERM] {
            flag::register(signal, stop.clone()).context("listening for signals")?;
        }
        let states = |sources: &[Source]| sources.iter().map(Source::state).collect::<Vec<_>>();
        let mut seen = states(sources);
        self.write(sources, None, Some(self.every))?;
        console::note!("{}: Ctrl-C ends it", ShownPath(self.out.clone()));
        let mut written = Instant::now();
        while !stop.load(Ordering::Relaxed) {
            sleep(LOOK);
            if written.elapsed().as_secs() < self.every {
                continue;
            }
            let now = states(sources);
            if now != seen {
                match self.write(sources, None, Some(self.every)) {
                    Ok(_) => seen = now,
                    Err(error) => console::note!("warning: {error:#}"),
                }
            }
            written = Instant::now();
        }
        self.write(sources, None, None)
    }
}

impl fmt::Display for Written {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (out, size) = (&self.out, self.bytes.div_ceil(1000));
        match self.runs {
            1 => write!(f, "{out}: a run, {size} kB"),
            runs => write!(f, "{out}: {runs} runs, {size} kB"),
        }
    }
}
