//! How a program begins and how it fails.

use std::io::{ErrorKind, Write};
use std::process::ExitCode;

use clap::Parser;
use clap::error::ContextValue;

use crate::escape::escaped;

/// Reads the command line. Help, the version and what is wrong with the usage are shown; the program then ends with the
/// status given.
pub fn parse<P: Parser>() -> Result<P, ExitCode> {
    P::try_parse().map_err(|mut error| {
        escape_arguments(&mut error);
        match error.print() {
            Err(cause) if !error.use_stderr() && cause.kind() != ErrorKind::BrokenPipe => {
                fail(&format!("error: cannot write to standard output: {cause}"))
            }
            // Clap's statuses are 0 and 2.
            _ => ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(1)),
        }
    })
}

/// Clap shows arguments as they were typed.
fn escape_arguments(error: &mut clap::Error) {
    let context: Vec<_> = error
        .context()
        .map(|(kind, value)| (kind, value.clone()))
        .collect();
    for (kind, value) in context {
        let value = match value {
            ContextValue::String(text) => ContextValue::String(escaped(&text).to_string()),
            ContextValue::Strings(texts) => {
                ContextValue::Strings(texts.iter().map(|text| escaped(text).to_string()).collect())
            }
            _ => continue,
        };
        error.insert(kind, value);
    }
}

/// Says in one line why the program ends, and gives its status.
pub fn fail(why: &str) -> ExitCode {
    let line = why.trim_end().replace('\n', " ");
    // Waits for whoever reads, unlike a note: there is nothing left to do.
    let _ = std::io::stderr().write_all(format!("{}\n", escaped(&line)).as_bytes());
    ExitCode::FAILURE
}
