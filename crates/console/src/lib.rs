//! Standard output and standard error of a command-line program. Either may fill up, hang up or be read by nobody, and
//! that must neither end nor harm what the program is for.
//!
//! - [`note!`] writes a line to standard error if that is possible: progress, warnings.
//! - [`result!`] and [`print_json`] write what was asked for to standard output, or give an error to end with.
//! - [`hush`] leaves out progress and warnings, for `--quiet`; [`mute`] results as well.
//! - [`Progress`] shows how far a task is, on a terminal by a bar.
//! - [`escaped`] shows a name that comes from outside.
//! - [`parse`] reads the command line, [`fail`] ends the program.

mod bar;
mod command_line;
mod escape;
mod progress;
mod streams;

pub use command_line::{fail, parse};
pub use escape::{Escaped, escaped, json_name};
pub use progress::Progress;
pub use streams::{draw, hush, is_hushed, mute, note, print, print_json, reader_gone};

/// Writes a line to standard error, formatted as by [`format!`]; see [`note()`].
#[macro_export]
macro_rules! note {
    ($($part:tt)*) => { $crate::note(&format!($($part)*)) };
}

/// Writes a line to standard output, formatted as by [`format!`]; see [`print()`].
#[macro_export]
macro_rules! result {
    ($($part:tt)*) => { $crate::print(&format!($($part)*)) };
}
