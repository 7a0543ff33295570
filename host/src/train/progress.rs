//! What a person sees of a run: a bar on a terminal, plain lines elsewhere.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

/// How often a plain line is written.
const EVERY: Duration = Duration::from_secs(10);

/// Progress towards a known end, on standard error.
pub struct Progress {
    bar: ProgressBar,
    plain: bool,
    last: Instant,
}

impl Progress {
    /// From `done` to `total`, counted in `unit`.
    pub fn new(done: u64, total: u64, unit: &str) -> Self {
        let target = console::draw_target();
        let plain = target.is_hidden();
        let bar = ProgressBar::with_draw_target(Some(total), target).with_position(done);
        let template = format!("{{bar:30}} {{pos}}/{{len}} {unit} {{msg}} {{eta}} left");
        if let Ok(style) = ProgressStyle::with_template(&template) {
            bar.set_style(style);
        }
        bar.reset_eta();
        Progress {
            bar,
            plain,
            last: Instant::now(),
        }
    }

    /// `done` is reached; `message` says how it goes.
    pub fn set(&mut self, done: u64, message: String) {
        self.bar.set_position(done);
        if self.plain && self.last.elapsed() >= EVERY {
            self.last = Instant::now();
            console::note!("{done}/{} {message}", self.bar.length().unwrap_or(0));
        }
        self.bar.set_message(message);
    }

    /// A line that stays.
    pub fn say(&self, line: &str) {
        self.bar.suspend(|| console::note(line));
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
