//! What the commands do, a file for each.

mod bench;
mod check_gradients;
mod doctor;
mod export;
mod features;
mod filters;
mod test_crop;
mod train;

use anyhow::Result;

use crate::cli::Command;

/// Carries a command out.
pub fn run(command: Command) -> Result<()> {
    match command {
        Command::Train(options) => train::run(&options),
        Command::TestCrop(options) => test_crop::run(&options),
        Command::Features(options) => features::run(&options),
        Command::Export(options) => export::run(&options),
        Command::Filters(options) => filters::run(&options),
        Command::CheckGradients(options) => check_gradients::run(&options),
        Command::Bench(options) => bench::run(&options),
        Command::Doctor(options) => doctor::run(&options),
    }
}
