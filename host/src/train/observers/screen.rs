//! `--tui`: the run on the whole terminal, as it goes: curves, rate, images a second, time left, what was said.
//!
//! The terminal stays as the program found it but for its other screen, which is left at the end, in a panic, and at a
//! Ctrl-C that ends the program at once. What was said is said again then, where it stays.

use std::io::{self, IsTerminal, Write};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use anyhow::Result;
use console::escaped;
use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;

use self::view::View;
use crate::metrics::log::Line;
use crate::train::events::{Event, Observer};

mod view;

const ENTER: &str = "\x1b[?1049h\x1b[?25l";
const LEAVE: &str = "\x1b[?25h\x1b[?1049l";

/// Between two pictures.
const PAUSE: Duration = Duration::from_millis(100);

/// Whether the other screen is shown.
static SHOWN: AtomicBool = AtomicBool::new(false);

/// What was said while it is.
static SAID: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// Shows a line, wherever lines are shown now.
pub fn say(line: &str) {
    match SAID.lock() {
        Ok(mut said) if SHOWN.load(Relaxed) => said.push(line.into()),
        _ => console::note(line),
    }
}

/// Goes back to the terminal as it was, if that is needed.
pub fn leave() {
    if SHOWN.swap(false, Relaxed) {
        console::draw(LEAVE);
        console::hush(false);
        let said = SAID.lock().map(|mut said| std::mem::take(&mut *said));
        said.iter().flatten().for_each(|line| console::note(line));
    }
}

/// Collects what is drawn, then writes it unless nobody reads.
#[derive(Default)]
struct Paper(Vec<u8>);

impl Write for Paper {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        console::draw(&String::from_utf8_lossy(&self.0));
        self.0.clear();
        Ok(())
    }
}

/// The run on the whole terminal.
pub struct Screen {
    terminal: Terminal<CrosstermBackend<Paper>>,
    view: View,
    drawn: Option<Instant>,
}

impl Screen {
    /// Takes the terminal, if standard error is one; shows these lines of a run that goes on.
    pub fn take(name: &str, before: &[Line]) -> Option<Self> {
        if !io::stderr().is_terminal() {
            return None;
        }
        let terminal = Terminal::new(CrosstermBackend::new(Paper::default())).ok()?;
        let colours = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        let mut view = View::new(name, colours);
        before.iter().for_each(|line| view.add(line));
        // A panic says why on the screen that stays.
        let say_why = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |why| {
            leave();
            say_why(why);
        }));
        console::hush(true);
        SHOWN.store(true, Relaxed);
        console::draw(ENTER);
        Some(Self {
            terminal,
            view,
            drawn: None,
        })
    }

    fn draw(&mut self) {
        if let Ok(said) = SAID.lock() {
            self.view.said = said.clone();
        }
        // A picture that does not reach the terminal is no reason to stop.
        let _ = self.terminal.draw(|frame| self.view.draw(frame));
        self.drawn = Some(Instant::now());
    }
}

impl Observer for Screen {
    fn observe(&mut self, event: &Event<'_>) -> Result<()> {
        match event {
            Event::Begin {
                devices,
                step,
                last_step,
            } => {
                devices.iter().for_each(|device| say(device));
                self.view.begin(*step, *last_step);
            }
            Event::Step { line, .. } => {
                self.view.add(line);
                if self.drawn.is_some_and(|drawn| drawn.elapsed() < PAUSE) {
                    return Ok(());
                }
            }
            Event::Validation(line) => self.view.add(line),
            Event::Rate { rate, plateau } => say(&match plateau {
                true => format!("the validation error no longer improves: learning rate {rate}"),
                false => format!("learning rate {rate}"),
            }),
            Event::Notice(text) => say(text),
            Event::Checkpoint { path, .. } => self.view.saved = escaped(path).to_string(),
            Event::End(_) => {
                leave();
                return Ok(());
            }
        }
        self.draw();
        Ok(())
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        leave();
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::Read;
    use std::os::fd::FromRawFd;
    use std::process::{Command, Stdio};

    use super::*;

    /// Set in the program that is to panic.
    const PANICS: &str = "ALEXNET_TEST_PANICS";

    /// Does nothing by itself; the test below starts it on a terminal.
    #[test]
    fn a_run_that_panics() {
        if std::env::var_os(PANICS).is_some() {
            let mut screen = Screen::take("a", &[]).expect("a terminal");
            screen.draw();
            say("something was said");
            std::thread::spawn(|| panic!("the planted fault"))
                .join()
                .expect_err("it panics");
        }
    }

    /// A terminal: the side of whoever looks at it, and the program's.
    fn terminal() -> (File, File) {
        let (mut seen, mut used) = (-1, -1);
        let none = std::ptr::null_mut();
        let size = libc::winsize {
            ws_row: 40,
            ws_col: 120,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        // SAFETY: it writes the two descriptors, which nobody else owns, and reads the size.
        unsafe {
            let done = libc::openpty(&mut seen, &mut used, none, none.cast(), &size);
            assert_eq!(done, 0);
            (File::from_raw_fd(seen), File::from_raw_fd(used))
        }
    }

    #[test]
    fn a_panic_gives_the_terminal_back_and_tells_why() {
        let (mut seen, used) = terminal();
        let this = std::env::current_exe().unwrap();
        let name = "train::observers::screen::tests::a_run_that_panics";
        let mut command = Command::new(this);
        command
            .args(["--exact", name, "--nocapture"])
            .env(PANICS, "1");
        command.stdin(Stdio::null()).stdout(Stdio::null());
        let mut child = command.stderr(used).spawn().unwrap();
        drop(command);
        let (mut all, mut part) = (Vec::new(), [0; 4096]);
        // At the end of the program the terminal hangs up, which is an error to its reader.
        while let Ok(count @ 1..) = seen.read(&mut part) {
            all.extend_from_slice(&part[..count]);
        }
        assert!(child.wait().unwrap().success());
        let text = String::from_utf8_lossy(&all);
        let (before, after) = text.split_once(LEAVE).expect("the screen is left");
        assert!(before.contains(ENTER), "{before}");
        assert!(
            after.contains("something was said") && after.contains("the planted fault"),
            "{after}"
        );
        assert!(!after.contains("\x1b[?1049"), "{after}");
    }
}
