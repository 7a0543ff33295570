//! Where progress bars are drawn.

use std::io::{self, IsTerminal};
use std::sync::Mutex;

use indicatif::{ProgressDrawTarget, TermLike};

use crate::streams::{draw, is_hushed};

/// Redraws a second.
const RATE: u8 = 20;

/// Standard error if it is a terminal, one that may hang up or be stopped; otherwise nowhere: `is_hidden` tells.
pub(crate) fn draw_target() -> ProgressDrawTarget {
    match io::stderr().is_terminal() && !is_hushed() {
        true => ProgressDrawTarget::term_like_with_hz(Box::<Terminal>::default(), RATE),
        false => ProgressDrawTarget::hidden(),
    }
}

/// Collects what is drawn, then writes it as notes are written. Nothing of it fails.
#[derive(Debug, Default)]
struct Terminal {
    drawn: Mutex<String>,
}

impl Terminal {
    fn put(&self, text: &str) -> io::Result<()> {
        if let Ok(mut drawn) = self.drawn.lock() {
            drawn.push_str(text);
        }
        Ok(())
    }

    fn move_cursor(&self, count: usize, direction: char) -> io::Result<()> {
        match count {
            0 => Ok(()),
            _ => self.put(&format!("\x1b[{count}{direction}")),
        }
    }
}

impl TermLike for Terminal {
    fn width(&self) -> u16 {
        match rustix::termios::tcgetwinsize(io::stderr()) {
            Ok(size) if size.ws_col > 0 => size.ws_col,
            _ => 80,
        }
    }

    fn move_cursor_up(&self, n: usize) -> io::Result<()> {
        self.move_cursor(n, 'A')
    }

    fn move_cursor_down(&self, n: usize) -> io::Result<()> {
        self.move_cursor(n, 'B')
    }

    fn move_cursor_right(&self, n: usize) -> io::Result<()> {
        self.move_cursor(n, 'C')
    }

    fn move_cursor_left(&self, n: usize) -> io::Result<()> {
        self.move_cursor(n, 'D')
    }

    fn write_line(&self, line: &str) -> io::Result<()> {
        self.put(line)?;
        self.put("\n")
    }

    fn write_str(&self, text: &str) -> io::Result<()> {
        self.put(text)
    }

    fn clear_line(&self) -> io::Result<()> {
        self.put("\r\x1b[2K")
    }

    fn flush(&self) -> io::Result<()> {
        if let Ok(mut drawn) = self.drawn.lock() {
            draw(&std::mem::take(&mut *drawn));
        }
        Ok(())
    }
}
