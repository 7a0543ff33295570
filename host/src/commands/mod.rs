//! The commands, a file for each: its options, what it does, and its report.

mod activations;
mod bench;
mod check_gradients;
mod check_kernels;
mod completions;
mod diagnose;
mod doctor;
mod exchange;
mod export;
mod features;
mod filters;
mod import;
mod index;
mod interrupt;
mod man;
mod nets;
mod predict;
mod report;
mod saliency;
mod similar;
mod test_crop;
mod train;

use std::fmt::Display;

use anyhow::{Result, bail};
use console::escaped;
use serde::Serialize;
use simt_executor::InstructionSet;

pub use activations::Activations;
pub use bench::Bench;
pub use check_gradients::CheckGradients;
pub use check_kernels::CheckKernels;
pub use completions::Completions;
pub use diagnose::Diagnose;
pub use doctor::Doctor;
pub use export::Export;
pub use features::Features;
pub use filters::Filters;
pub use import::Import;
pub use index::MakeIndex;
pub use man::ManPages;
pub use nets::Nets;
pub use predict::Predict;
pub use report::ReportPage;
pub use saliency::Saliency;
pub use similar::Similar;
pub use test_crop::TestCrop;

/// A command: its options, which can be carried out.
pub trait Run {
    /// What it did or found out, for people and for programs.
    type Report: Display + Serialize;

    /// Does it.
    fn run(&self) -> Result<Self::Report>;

    /// Whether what it found out is a failure.
    fn verdict(_: &Self::Report) -> Result<()> {
        Ok(())
    }
}

/// What a command with many results does with each.
pub type Emit<'a, T> = dyn FnMut(&T) -> Result<()> + 'a;

/// A command with many results, each printed as soon as it is there.
pub trait Stream {
    /// One of them, for people and for programs.
    type Item: Display + Serialize;

    /// Makes them.
    fn run(&self, emit: &mut Emit<Self::Item>) -> Result<()>;
}

/// Carries out a command with many results.
pub fn carry_out_each<C: Stream>(command: &C, json: bool) -> Result<()> {
    check_instruction_set()?;
    command.run(&mut |item| print_one(item, json))
}

/// A command that is about the program itself, and so needs its definition, which stands above the commands.
pub struct Describe<'a, C> {
    /// The command's options.
    pub options: &'a C,
    /// The whole command line.
    pub program: clap::Command,
}

/// Carries a command out and prints its report.
pub fn carry_out<C: Run>(command: &C, json: bool) -> Result<()> {
    check_instruction_set()?;
    let report = command.run()?;
    print_one(&report, json)?;
    C::verdict(&report)
}

fn print_one(report: &(impl Display + Serialize), json: bool) -> Result<()> {
    match json {
        true => console::print_json(&serde_json::to_string(report)?)?,
        false => console::print(report.to_string().trim_end())?,
    }
    Ok(())
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
