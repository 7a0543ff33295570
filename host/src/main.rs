//! The program `host`.

use std::process::ExitCode;

use host::cli::Cli;

fn main() -> ExitCode {
    match console::parse::<Cli>().map(|cli| cli.run()) {
        Ok(Ok(())) => ExitCode::SUCCESS,
        Ok(Err(error)) => console::fail(&format!("error: {error:#}")),
        Err(code) => code,
    }
}
