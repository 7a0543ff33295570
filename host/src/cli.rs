//! The command line.

use clap::{CommandFactory, Parser, Subcommand};

use anyhow::Result;

use crate::commands::{
    Activations, Bench, CheckGradients, CheckKernels, Completions, Describe, Diagnose, Doctor,
    Export, Features, Filters, Import, MakeIndex, ManPages, Nets, Predict, ReportPage, Saliency,
    Similar, TestCrop, carry_out, carry_out_each,
};
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
    /// Prints the result as JSON
    #[arg(long, global = true)]
    pub json: bool,
    /// Leaves out progress and warnings: standard error gets errors only
    #[arg(long, global = true)]
    pub quiet: bool,
}

/// The commands.
#[derive(Debug, Subcommand)]
#[allow(missing_docs)]
pub enum Command {
    Train(Box<Settings>),
    TestCrop(TestCrop),
    Predict(Predict),
    Features(Features),
    Index(MakeIndex),
    Similar(Similar),
    Export(Export),
    Import(Import),
    Filters(Filters),
    Activations(Activations),
    Saliency(Saliency),
    Report(ReportPage),
    CheckGradients(CheckGradients),
    CheckKernels(CheckKernels),
    Bench(Bench),
    Nets(Nets),
    Diagnose(Diagnose),
    Doctor(Doctor),
    Completions(Completions),
    Man(ManPages),
}

impl Cli {
    /// Carries the command out and prints its report.
    pub fn run(&self) -> Result<()> {
        let json = self.json;
        console::hush(self.quiet);
        match &self.command {
            Command::Train(options) => carry_out(&**options, json),
            Command::TestCrop(options) => carry_out(options, json),
            Command::Predict(options) => carry_out_each(options, json),
            Command::Features(options) => carry_out(options, json),
            Command::Index(options) => carry_out(options, json),
            Command::Similar(options) => carry_out_each(options, json),
            Command::Export(options) => carry_out(options, json),
            Command::Import(options) => carry_out(options, json),
            Command::Filters(options) => carry_out(options, json),
            Command::Activations(options) => carry_out(options, json),
            Command::Saliency(options) => carry_out_each(options, json),
            Command::Report(options) => carry_out(options, json),
            Command::CheckGradients(options) => carry_out(options, json),
            Command::CheckKernels(options) => carry_out(options, json),
            Command::Bench(options) => carry_out(options, json),
            Command::Nets(options) => carry_out(options, json),
            Command::Diagnose(options) => carry_out(options, json),
            Command::Doctor(options) => carry_out(options, json),
            Command::Completions(options) => carry_out(&describe(options), json),
            Command::Man(options) => carry_out(&describe(options), json),
        }
    }
}

fn describe<C>(options: &C) -> Describe<'_, C> {
    let program = Cli::command();
    Describe { options, program }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::commands::Run;
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
        assert_eq!((test.checkpoint.len(), test.crops.count()), (2, 10));
    }

    /// What bash offers for a line's last word once it has read the script.
    fn offered(script: &Path, line: &[&str]) -> String {
        let asks = r#"source "$1"; shift
            COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
            _host host "${@: -1}" "${@: -2:1}" && echo "${COMPREPLY[*]}""#;
        let mut bash = std::process::Command::new("bash");
        bash.args(["--norc", "-c", asks, "bash"]);
        let output = bash.arg(script).args(line).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    #[test]
    fn bash_completes_commands_options_and_values() {
        let Ok(Command::Completions(options)) = parse("host completions bash") else {
            panic!()
        };
        let dir = tempfile::tempdir().unwrap();
        let script = dir.path().join("host");
        let report = describe(&options).run().unwrap();
        std::fs::write(&script, report.to_string()).unwrap();
        for (line, offer) in [
            (&["host", "filt"][..], "filters"),
            (&["host", "filters", "--check"], "--checkpoint"),
            (&["host", "train", "--augment", "pa"], "paper"),
        ] {
            assert_eq!(offered(&script, line), offer, "{line:?}");
        }
    }

    #[test]
    fn scripts_print_as_they_are() {
        for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
            let Ok(Command::Completions(options)) = parse(&format!("host completions {shell}"))
            else {
                panic!()
            };
            let script = describe(&options).run().unwrap().to_string();
            assert!(script.contains("check-kernels"), "{shell}");
            for line in script.lines() {
                assert_eq!(console::escaped(line).to_string(), line, "{shell}");
            }
        }
    }

    #[test]
    fn every_command_has_its_page() {
        let dir = tempfile::tempdir().unwrap();
        let out = dir.path().join("man1");
        describe(&ManPages { out: out.clone() }).run().unwrap();
        let page = |name: &str| std::fs::read_to_string(out.join(format!("{name}.1"))).unwrap();
        assert!(page("host").contains("host\\-test\\-crop(1)"));
        for command in Cli::command().get_subcommands() {
            let page = page(&format!("host-{}", command.get_name()));
            assert!(page.contains("Example: host"), "{page}");
        }
        let pages = std::fs::read_dir(&out).unwrap().count();
        assert_eq!(pages, Cli::command().get_subcommands().count() + 1);
    }
}
