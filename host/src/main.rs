//! The program `host`.

use std::process::ExitCode;

use clap::Parser;
use host::cli::Cli;
use host::commands;

fn main() -> ExitCode {
    let cli = Cli::parse();
    match commands::run(cli.command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // One line, whatever the causes have to say.
            eprintln!(
                "error: {}",
                format!("{error:#}").trim_end().replace('\n', " ")
            );
            ExitCode::FAILURE
        }
    }
}
