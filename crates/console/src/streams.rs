//! Lines to the two streams.

use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::FileTypeExt;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use crate::escape::{escaped, is_harmful};

/// Whether notes and progress are left out.
static HUSHED: AtomicBool = AtomicBool::new(false);

/// Whether results are left out as well.
static MUTED: AtomicBool = AtomicBool::new(false);

/// Whether whoever reads standard error was too far behind for the last line.
static BEHIND: AtomicBool = AtomicBool::new(false);

/// Whether whoever read standard output has gone.
static GONE: AtomicBool = AtomicBool::new(false);

/// Whether nobody is there any more to read results: who makes many of them can stop.
pub fn reader_gone() -> bool {
    GONE.load(Relaxed)
}

/// Writes a line to standard error, if that is possible, whole and [`escaped`]: a broken stream loses it, and so does one
/// that is not read for a second, such as a stopped terminal's. Nothing waits for the next lines then until somebody
/// reads again.
pub fn note(line: &str) {
    if !is_hushed() {
        draw(&format!("{}\n", escaped(line)));
    }
}

/// From here on notes and progress are left out, or no longer.
pub fn hush(hushed: bool) {
    HUSHED.store(hushed, Relaxed);
}

/// From here on results are left out too: another program, which does the same work, prints them.
pub fn mute() {
    hush(true);
    MUTED.store(true, Relaxed);
}

/// Whether they are left out.
pub fn is_hushed() -> bool {
    HUSHED.load(Relaxed)
}

/// Writes to standard error as [`note()`] does, but as it is, and hushed or not: for what draws on a terminal.
pub fn draw(text: &str) {
    let patience = if BEHIND.load(Relaxed) { 0 } else { 1 };
    let ready = can_be_written(io::stderr().as_fd(), Some(patience));
    BEHIND.store(!ready, Relaxed);
    if ready {
        // Best effort: there is nobody to tell.
        let _ = io::stderr().write_all(text.as_bytes());
    }
}

/// Waits until a stream takes more, fails, or the seconds are over.
fn can_be_written(stream: BorrowedFd<'_>, seconds: Option<i64>) -> bool {
    let timeout = seconds.map(|tv_sec| Timespec { tv_sec, tv_nsec: 0 });
    let mut wanted = [PollFd::from_borrowed_fd(stream, PollFlags::OUT)];
    // A signal ends the wait early; then the line has no luck.
    !matches!(poll(&mut wanted, timeout.as_ref()), Ok(0) | Err(_))
}

/// Writes lines to standard output, each [`escaped`], with an end of line after the last.
///
/// A reader that has gone, as `head` does or a terminal that hangs up, has seen enough: that is no error. Any other
/// failure is one to end with.
pub fn print(text: &str) -> io::Result<()> {
    let mut lines = String::with_capacity(text.len() + 1);
    for line in text.split('\n') {
        lines.push_str(&escaped(line).to_string());
        lines.push('\n');
    }
    write_result(lines.as_bytes())
}

/// Writes JSON likewise. What is [`escaped`] elsewhere gets JSON's own escapes here.
pub fn print_json(text: &str) -> io::Result<()> {
    let mut json = String::with_capacity(text.len() + 1);
    for c in text.chars() {
        match c {
            '\n' => json.push('\n'),
            // All of them below U+10000; JSON has them in strings only.
            c if is_harmful(c) => json.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => json.push(c),
        }
    }
    json.push('\n');
    write_result(json.as_bytes())
}

fn write_result(bytes: &[u8]) -> io::Result<()> {
    if MUTED.load(Relaxed) {
        return Ok(());
    }
    let out = File::from(io::stdout().as_fd().try_clone_to_owned()?);
    match write_all(&out, bytes) {
        Err(error) if !reader_has_gone(&out, &error) => {
            let told = format!("cannot write to standard output: {error}");
            Err(io::Error::new(error.kind(), told))
        }
        Err(_) => {
            GONE.store(true, Relaxed);
            Ok(())
        }
        Ok(()) => Ok(()),
    }
}

/// Whether a write failed because a pipe's reader ended or a terminal hung up.
fn reader_has_gone(out: &File, error: &io::Error) -> bool {
    let is_device = || {
        out.metadata()
            .is_ok_and(|metadata| metadata.file_type().is_char_device())
    };
    match Errno::from_io_error(error) {
        Some(Errno::PIPE) => true,
        Some(Errno::IO) => is_device(),
        _ => false,
    }
}

/// Past the standard library's buffer, which keeps errors for itself.
fn write_all(mut out: &File, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match out.write(bytes) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(count) => bytes = &bytes[count..],
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            // Another program has made the stream one that does not wait.
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                can_be_written(out.as_fd(), None);
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
