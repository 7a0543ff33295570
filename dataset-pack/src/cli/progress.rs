//! Progress on standard error: a bar on a terminal, a line now and then elsewhere.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

/// How often a line is written where there is no terminal.
const LINE_INTERVAL: Duration = Duration::from_secs(10);

/// Shows how far a long task is.
pub(crate) struct Progress {
    verb: &'static str,
    bar: ProgressBar,
    terminal: bool,
    last_line: Mutex<Instant>,
    found: AtomicU64,
}

impl Progress {
    pub(crate) fn new(verb: &'static str, images: u64) -> Progress {
        let target = console::draw_target();
        let terminal = !target.is_hidden();
        let bar = ProgressBar::with_draw_target(Some(images), target);
        let template = "{msg} {wide_bar} {pos}/{len} images, {per_sec}, {eta} left";
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        bar.set_message(verb);
        Progress {
            verb,
            bar,
            terminal,
            last_line: Mutex::new(Instant::now()),
            found: AtomicU64::new(0),
        }
    }

    /// For tasks that learn their length only when they have begun.
    pub(crate) fn set_length(&self, images: u64) {
        self.bar.set_length(images);
    }

    /// Images that need no work: they do not count for the rate.
    pub(crate) fn found(&self, images: usize) {
        self.found.fetch_add(images as u64, Relaxed);
        self.bar.inc(images as u64);
        self.bar.reset_eta();
    }

    pub(crate) fn advance(&self, images: usize) {
        self.bar.inc(images as u64);
        // Whoever finds the clock taken leaves the line to the one who has it.
        if self.terminal {
            return;
        }
        if let Ok(mut last) = self.last_line.try_lock()
            && last.elapsed() >= LINE_INTERVAL
        {
            *last = Instant::now();
            self.line();
        }
    }

    /// Writes a line without disturbing the bar.
    pub(crate) fn note(&self, text: &str) {
        self.bar.suspend(|| console::note(text));
    }

    pub(crate) fn finish(&self) {
        self.bar.finish_and_clear();
        self.line();
    }

    fn line(&self) {
        let (done, all) = (self.bar.position(), self.bar.length().unwrap_or(0));
        let seconds = self.bar.elapsed().as_secs_f64();
        let worked = done - self.found.load(Relaxed).min(done);
        let rate = worked as f64 / seconds.max(1e-9);
        console::note!(
            "{} {done}/{all} images, {rate:.0}/s, {seconds:.1} s",
            self.verb
        );
    }
}
