//! The commands and their options.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::device::Places;
use crate::net::choice::NetworkChoice;
use crate::train::settings::Settings;

/// AlexNet end to end: trains the paper's network on the project's own GPU kernels, tests it, looks into it.
#[derive(Debug, Parser)]
#[command(name = "host", version, max_term_width = 100)]
#[command(
    after_help = "Exit status: 0 done, 1 failed, 2 wrong usage. Results go to standard output, all else to standard \
                  error. What standard error does not take is left out; a result that cannot be written is a failure, \
                  unless whoever reads it has seen enough."
)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Trains a network.
    #[command(
        after_help = "Example: host train --data sets/train --val sets/val --width 0.25 --steps 500 --out runs/a\n\
                            Goes on with it after a stop: the same with --resume\n\n\
                            SIGINT (Ctrl-C), SIGTERM, SIGHUP, SIGUSR1, SIGUSR2 and SIGXCPU save a checkpoint and end the run \
                            with status 0, in a validation too; a second Ctrl-C ends it at once. With --resume from the \
                            start, a job that is stopped and queued again needs no other command."
    )]
    Train(Box<Settings>),
    /// Tests one network, or several with their predictions averaged: error rates over a set.
    #[command(
        after_help = "Example: host test-crop --checkpoint runs/a --data sets/val --crops 10"
    )]
    TestCrop(TestCrop),
    /// Writes what a layer gives for every image of a set.
    #[command(
        after_help = "Example: host features --checkpoint runs/a --data sets/val --layer fc7 --out fc7.safetensors"
    )]
    Features(Features),
    /// Writes the weights as PyTorch names and shapes them, both towers joined.
    #[command(after_help = "Example: host export --checkpoint runs/a --out alexnet.safetensors")]
    Export(Export),
    /// Draws the filters of the first layer.
    #[command(after_help = "Example: host filters --checkpoint runs/a --out filters.png")]
    Filters(Filters),
    /// Compares every layer's gradients with differences of the loss.
    #[command(after_help = "Example: host check-gradients --net paper --gpus cpu")]
    CheckGradients(CheckGradients),
    /// Compares every kernel's results with the CPU's, bit for bit, on the shapes of a network's layers.
    #[command(
        after_help = "Example: host check-kernels --gpus 0 --width 0.1 --batch 32\n\
                            How fast each is at full width: host check-kernels --gpus 0 --repeat 20"
    )]
    CheckKernels(CheckKernels),
    /// Measures the speed of training.
    #[command(after_help = "Example: host bench --net paper --batch 128 --layers")]
    Bench(Bench),
    /// Says what this build and this machine can do, and why not more.
    #[command(after_help = "Example: host doctor")]
    Doctor(Doctor),
}

/// `host test-crop`
#[derive(Args, Clone, Debug)]
pub struct TestCrop {
    /// Checkpoints, or run directories for their newest
    #[arg(long, value_name = "FILE", required = true, num_args = 1..)]
    pub checkpoint: Vec<PathBuf>,
    /// The set to test on
    #[arg(long, value_name = "DIR")]
    pub data: PathBuf,
    /// 10: corners and centre, each also mirrored, averaged; 1: the centre
    #[arg(long, default_value = "10", value_parser = ["10", "1"])]
    pub crops: String,
    /// Images at a time
    #[arg(long, default_value_t = 128, value_name = "N")]
    pub batch: usize,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub places: Places,
    /// Prints the result as JSON
    #[arg(long)]
    pub json: bool,
}

/// `host features`
#[derive(Args, Clone, Debug)]
pub struct Features {
    /// A checkpoint, or a run directory for its newest
    #[arg(long, value_name = "FILE")]
    pub checkpoint: PathBuf,
    /// The set
    #[arg(long, value_name = "DIR")]
    pub data: PathBuf,
    /// The layer
    #[arg(long, value_name = "NAME")]
    pub layer: String,
    /// The file: `features` (f32, a row for each image) and `labels` (i64)
    #[arg(long, value_name = "FILE.safetensors")]
    pub out: PathBuf,
    /// Also writes `images` (u8, [n, size, size, 3]) and `mean` (f32), so that another program can compute the same
    #[arg(long)]
    pub with_images: bool,
    /// Images at a time
    #[arg(long, default_value_t = 128, value_name = "N")]
    pub batch: usize,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub places: Places,
}

/// `host export`
#[derive(Args, Clone, Debug)]
pub struct Export {
    /// A checkpoint, or a run directory for its newest
    #[arg(long, value_name = "FILE")]
    pub checkpoint: PathBuf,
    /// The file to write
    #[arg(long, value_name = "FILE.safetensors")]
    pub out: PathBuf,
}

/// `host filters`
#[derive(Args, Clone, Debug)]
pub struct Filters {
    /// A checkpoint, or a run directory for its newest
    #[arg(long, value_name = "FILE")]
    pub checkpoint: PathBuf,
    /// The picture to write
    #[arg(long, value_name = "FILE.png")]
    pub out: PathBuf,
}

/// `host check-gradients`
#[derive(Args, Clone, Debug)]
pub struct CheckGradients {
    #[command(flatten)]
    #[allow(missing_docs)]
    pub network: NetworkChoice,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub places: Places,
    /// Seed of the weights, the images and the places looked at
    #[arg(long, default_value_t = 0, value_name = "S")]
    pub seed: u64,
    /// Prints the result as JSON
    #[arg(long)]
    pub json: bool,
}

/// `host check-kernels`
#[derive(Args, Clone, Debug)]
pub struct CheckKernels {
    #[command(flatten)]
    #[allow(missing_docs)]
    pub network: NetworkChoice,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub places: Places,
    /// Images in the layers' batches
    #[arg(long, default_value_t = 128, value_name = "N")]
    pub batch: usize,
    /// Classes that the last layer tells apart
    #[arg(long, default_value_t = 1000, value_name = "N")]
    pub classes: usize,
    /// Only these
    #[arg(long, value_name = "NAME", num_args = 1..)]
    pub kernel: Vec<String>,
    /// Also measures each, over so many launches
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub repeat: u32,
    /// Prints the result as JSON
    #[arg(long)]
    pub json: bool,
}

/// `host bench`
#[derive(Args, Clone, Debug)]
pub struct Bench {
    #[command(flatten)]
    #[allow(missing_docs)]
    pub network: NetworkChoice,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub places: Places,
    /// Images a step
    #[arg(long, default_value_t = 128, value_name = "N")]
    pub batch: usize,
    /// Steps measured, after one that is not
    #[arg(long, default_value_t = 5, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub steps: u32,
    /// Shows each layer's share
    #[arg(long)]
    pub layers: bool,
    /// Prints the result as JSON
    #[arg(long)]
    pub json: bool,
}

/// `host doctor`
#[derive(Args, Clone, Debug)]
pub struct Doctor {
    /// Prints the result as JSON
    #[arg(long)]
    pub json: bool,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;
    use clap::error::ErrorKind;

    fn parse(line: &str) -> Result<Command, clap::Error> {
        Cli::try_parse_from(line.split_whitespace()).map(|cli| cli.command)
    }

    #[test]
    fn the_definition_holds_together() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_shows_an_example_that_can_be_read() {
        for command in Cli::command().get_subcommands() {
            let help = command
                .get_after_help()
                .map(|text| text.to_string())
                .unwrap_or_default();
            let line = help
                .lines()
                .next()
                .and_then(|line| line.strip_prefix("Example: "));
            let line = line.unwrap_or_else(|| panic!("{} has no example", command.get_name()));
            parse(line).unwrap_or_else(|error| panic!("{line}: {error}"));
        }
    }

    #[test]
    fn wrong_usage_exits_with_2_and_help_with_0() {
        for (line, kind) in [
            ("host", ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand),
            ("host fly", ErrorKind::InvalidSubcommand),
            ("host train --data d", ErrorKind::MissingRequiredArgument),
            (
                "host train --data d --out o --schedule step:2,1",
                ErrorKind::ValueValidation,
            ),
            (
                "host train --data d --out o --gpus cpu,x",
                ErrorKind::ValueValidation,
            ),
            (
                "host train --data d --out o --width nan",
                ErrorKind::ValueValidation,
            ),
            (
                "host train --data d --out o --gpus 0 --gpus 1",
                ErrorKind::ArgumentConflict,
            ),
            (
                "host train --data d --out o --augment all",
                ErrorKind::InvalidValue,
            ),
            (
                "host train --data d --out o --steps 3 --epochs 1",
                ErrorKind::ArgumentConflict,
            ),
            (
                "host test-crop --checkpoint c --data d --crops 5",
                ErrorKind::InvalidValue,
            ),
        ] {
            let error = parse(line).unwrap_err();
            assert_eq!((error.kind(), error.exit_code()), (kind, 2), "{line}");
        }
        assert_eq!(parse("host train --help").unwrap_err().exit_code(), 0);
    }

    #[test]
    fn several_checkpoints_follow_one_option() {
        let Ok(Command::TestCrop(test)) = parse("host test-crop --checkpoint a b --data d") else {
            panic!()
        };
        assert_eq!((test.checkpoint.len(), test.crops.as_str()), (2, "10"));
    }
}
