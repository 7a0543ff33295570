//! What the commands do, a file for each.

mod bench;
mod check_gradients;
mod check_kernels;
mod doctor;
mod export;
mod features;
mod filters;
mod test_crop;
mod train;

use anyhow::{Result, bail};
use console::escaped;
use simt_executor::InstructionSet;

use crate::cli::Command;

/// Carries a command out.
pub fn run(command: Command) -> Result<()> {
    check_instruction_set()?;
    match command {
        Command::Train(options) => train::run(&options),
        Command::TestCrop(options) => test_crop::run(&options),
        Command::Features(options) => features::run(&options),
        Command::Export(options) => export::run(&options),
        Command::Filters(options) => filters::run(&options),
        Command::CheckGradients(options) => check_gradients::run(&options),
        Command::CheckKernels(options) => check_kernels::run(&options),
        Command::Bench(options) => bench::run(&options),
        Command::Doctor(options) => doctor::run(&options),
    }
}

/// A misspelt wish would go unnoticed: the kernels just take the best there is.
fn check_instruction_set() -> Result<()> {
    let Some(asked) = std::env::var_os(InstructionSet::VARIABLE) else {
        return Ok(());
    };
    let sets = [
        InstructionSet::Baseline,
        InstructionSet::Avx2,
        InstructionSet::Avx512,
    ];
    let names = sets.map(InstructionSet::name);
    if names.iter().all(|name| asked != *name) {
        let variable = InstructionSet::VARIABLE;
        bail!(
            "{variable}={}: it is not one of {}",
            escaped(&asked),
            names.join(", ")
        );
    }
    Ok(())
}
