//! `host completions`

use std::fmt;

use anyhow::Result;
use clap::Args;
use clap_complete::{Shell, generate};
use serde::Serialize;

use super::{Describe, Run};

/// Prints a script that lets a shell complete the commands and their options.
#[derive(Args, Clone, Debug)]
#[command(after_help = "Example: host completions bash

bash reads it from ~/.local/share/bash-completion/completions/host, fish from ~/.config/fish/completions/host.fish, \
                        zsh from a file _host in a folder of its fpath.")]
pub struct Completions {
    /// The shell
    #[arg(value_name = "SHELL")]
    pub shell: Shell,
}

/// What the shell is to read.
#[derive(Clone, Debug, Serialize)]
pub struct Script {
    shell: String,
    script: String,
}

impl Run for Describe<'_, Completions> {
    type Report = Script;

    fn run(&self) -> Result<Script> {
        let mut program = self.program.clone();
        let name = program.get_name().to_owned();
        let mut script = Vec::new();
        generate(self.options.shell, &mut program, name, &mut script);
        Ok(Script {
            shell: self.options.shell.to_string(),
            script: String::from_utf8(script)?,
        })
    }
}

impl fmt::Display for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.script)
    }
}
