//! The command `dataset-pack`: folders of images into shards, and back.

mod cli;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    match cli::run(cli::Arguments::parse()) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("dataset-pack: {error:#}");
            ExitCode::FAILURE
        }
    }
}
