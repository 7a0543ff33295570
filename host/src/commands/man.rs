//! `host man`

use std::fmt;
use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::{Args, Command};
use clap_mangen::Man;
use console::escaped;
use serde::Serialize;

use super::{Describe, Run};
use crate::atomic;
use crate::paths::ShownPath;

/// Writes the manual's pages, one for the program and one for each command.
#[derive(Args, Clone, Debug)]
#[command(after_help = "Example: host man --out man/man1

man finds them in ~/.local/share/man/man1; one page is read with: man -l man/man1/host-train.1")]
pub struct ManPages {
    /// The folder to write them to
    #[arg(long, value_name = "FOLDER")]
    pub out: PathBuf,
}

/// What was written.
#[derive(Clone, Debug, Serialize)]
pub struct Pages {
    out: ShownPath,
    pages: Vec<String>,
}

impl Run for Describe<'_, ManPages> {
    type Report = Pages;

    fn run(&self) -> Result<Pages> {
        let out = &self.options.out;
        fs::create_dir_all(out).with_context(|| format!("{}: cannot create", escaped(out)))?;
        let mut pages = Vec::new();
        for command in documented(&self.program) {
            let page = Man::new(command);
            let name = page.get_filename();
            atomic::write(&out.join(&name), |writer| Ok(page.render(writer)?))?;
            pages.push(name);
        }
        Ok(Pages {
            out: out.as_path().into(),
            pages,
        })
    }
}

/// The program, then its commands, each knowing its full name.
fn documented(program: &Command) -> Vec<Command> {
    let mut program = program.clone().disable_help_subcommand(true);
    program.build();
    let commands: Vec<Command> = program.get_subcommands().cloned().collect();
    [vec![program], commands].concat()
}

impl fmt::Display for Pages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} pages", self.out, self.pages.len())
    }
}
