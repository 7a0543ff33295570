//! The program `host`.

use std::process::ExitCode;

use host::cli::Cli;
use host::commands;

fn main() -> ExitCode {
    match console::parse::<Cli>().map(|cli| commands::run(cli.command)) {
        Ok(Ok(())) => ExitCode::SUCCESS,
        Ok(Err(error)) => console::fail(&format!("error: {error:#}")),
        Err(code) => code,
    }
}
