//! Compiles `gpu-kernels` to PTX for the library to embed.
//!
//! `ALEXNET_PTX_TARGETS` chooses other architectures than sm_80 and sm_90 (`sm_80,sm_100`).
//! `ALEXNET_PTX=required` makes a missing device toolchain an error, `ALEXNET_PTX=off` leaves the
//! PTX out; otherwise a machine that cannot compile for GPUs builds without PTX, and says so.

#![allow(clippy::print_stderr, reason = "Cargo shows it")]

use ptx_builder::{DEFAULT_ARCHS, Module, PtxBuilder};
use std::path::PathBuf;
use std::process::ExitCode;
use std::{env, fs};

fn main() -> ExitCode {
    for variable in ["ALEXNET_PTX", "ALEXNET_PTX_TARGETS"] {
        println!("cargo:rerun-if-env-changed={variable}");
    }
    println!("cargo:rerun-if-changed=build.rs");
    match compile().and_then(|outcome| generate(&outcome)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// The modules, or why there are none.
type Outcome = Result<Vec<Module>, String>;

fn compile() -> Result<Outcome, String> {
    let required = match variable("ALEXNET_PTX")?.as_str() {
        "" | "auto" => false,
        "required" => true,
        "off" => return Ok(Err("this build was made with ALEXNET_PTX=off".into())),
        other => {
            return Err(format!(
                "ALEXNET_PTX={other}: must be required, off or auto"
            ));
        }
    };
    let chosen = variable("ALEXNET_PTX_TARGETS")?;
    let chosen: Vec<_> = chosen
        .split(',')
        .map(str::trim)
        .filter(|name| !name.is_empty())
        .collect();
    let archs = if chosen.is_empty() {
        DEFAULT_ARCHS.to_vec()
    } else {
        chosen
    };
    let builder = archs
        .into_iter()
        .fold(PtxBuilder::new("gpu-kernels"), PtxBuilder::arch);
    match builder.build() {
        Ok(built) => Ok(Ok(built.modules)),
        Err(error) if error.is_toolchain_missing() && !required => {
            let message = error.to_string();
            println!("cargo:warning=no PTX in this build, so it cannot use a GPU:");
            for line in message.lines() {
                println!("cargo:warning={line}");
            }
            Ok(Err(one_line(&message)))
        }
        Err(error) => Err(format!("{error}\n(ALEXNET_PTX=off builds without PTX)")),
    }
}

fn variable(name: &str) -> Result<String, String> {
    match env::var(name) {
        Ok(value) => Ok(value),
        Err(env::VarError::NotPresent) => Ok(String::new()),
        Err(error) => Err(format!("{name}: {error}")),
    }
}

fn one_line(message: &str) -> String {
    message
        .lines()
        .take(2)
        .map(str::trim)
        .collect::<Vec<_>>()
        .join(" ")
}

/// Writes the Rust source that `src/lib.rs` includes.
fn generate(outcome: &Outcome) -> Result<(), String> {
    let modules: String = outcome
        .iter()
        .flatten()
        .map(|Module { arch, path }| {
            format!(
                "Ptx {{ target: \"{arch}\", compute_capability: ({}, {}), source: include_str!({:?}) }},\n",
                arch.major,
                arch.minor,
                path.display().to_string(),
            )
        })
        .collect();
    let source = format!(
        "const MODULES: &[Ptx] = &[\n{modules}];\nconst MISSING: Option<&str> = {:?};\n",
        outcome.as_ref().err()
    );
    let out_dir = env::var_os("OUT_DIR")
        .map(PathBuf::from)
        .ok_or("OUT_DIR is not set")?;
    let path = out_dir.join("ptx.rs");
    fs::write(&path, source).map_err(|error| format!("{}: {error}", path.display()))
}
