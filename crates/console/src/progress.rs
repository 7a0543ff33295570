//! How far a long task is: a bar on a terminal, a line now and then elsewhere.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use crate::bar::draw_target;
use crate::streams::note;

/// How often a line is written where there is no terminal.
const LINE_INTERVAL: Duration = Duration::from_secs(10);

/// Shows on standard error how far a task is, until it is dropped.
pub struct Progress {
    verb: &'static str,
    unit: &'static str,
    bar: ProgressBar,
    is_drawn: bool,
    last_line: Mutex<Instant>,
    /// What was done before, which the rate leaves out.
    skipped: AtomicU64,
}

impl Progress {
    /// `verb` says what is being done ("packed"), `unit` what is counted, up to `total`.
    pub fn new(verb: &'static str, unit: &'static str, total: u64) -> Progress {
        let target = draw_target();
        let is_drawn = !target.is_hidden();
        let bar = ProgressBar::with_draw_target(Some(total), target);
        let template =
            format!("{verb} {{wide_bar}} {{pos}}/{{len}} {unit}, {{per_sec}}, {{eta}} left{{msg}}");
        if let Ok(style) = ProgressStyle::with_template(&template) {
            bar.set_style(style);
        }
        Progress {
            verb,
            unit,
            bar,
            is_drawn,
            last_line: Mutex::new(Instant::now()),
            skipped: AtomicU64::new(0),
        }
    }

    /// For tasks that learn their length only when they have begun.
    pub fn set_length(&self, total: u64) {
        self.bar.set_length(total);
    }

    /// So much more needs no work.
    pub fn skip(&self, count: u64) {
        self.skipped.fetch_add(count, Relaxed);
        self.bar.inc(count);
        self.bar.reset_eta();
    }

    /// So much more is done.
    pub fn advance(&self, count: u64) {
        self.bar.inc(count);
        self.line_now_and_then();
    }

    /// How it goes, shown behind the count.
    pub fn set_message(&self, message: &str) {
        self.bar.set_message(format!("; {message}"));
    }

    /// A line that stays.
    pub fn note(&self, line: &str) {
        self.bar.suspend(|| note(line));
    }

    /// Clears the bar and writes what was done, which stays.
    pub fn finish(&self) {
        self.bar.finish_and_clear();
        self.line();
    }

    fn line_now_and_then(&self) {
        if self.is_drawn {
            return;
        }
        // Whoever finds the clock taken leaves the line to the one who has it.
        if let Ok(mut last) = self.last_line.try_lock()
            && last.elapsed() >= LINE_INTERVAL
        {
            *last = Instant::now();
            self.line();
        }
    }

    fn line(&self) {
        let (done, all) = (self.bar.position(), self.bar.length().unwrap_or(0));
        let seconds = self.bar.elapsed().as_secs_f64();
        let worked = done - self.skipped.load(Relaxed).min(done);
        note(&format!(
            "{} {done}/{all} {}, {}/s, {seconds:.1} s{}",
            self.verb,
            self.unit,
            rounded(worked as f64 / seconds.max(1e-9)),
            self.bar.message()
        ));
    }
}

/// With a digit behind the point where that tells something.
fn rounded(rate: f64) -> String {
    match rate < 10.0 {
        true => format!("{rate:.1}"),
        false => format!("{rate:.0}"),
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
