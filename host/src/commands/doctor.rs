//! `host doctor`

use anyhow::Result;
use libcuda_loader::library;
use serde_json::{Value, json};
use simt_executor::InstructionSet;

use crate::cli::Doctor;
use crate::device::cuda::driver::{self, Gpu};
use crate::device::cuda::kernels::no_ptx;

pub fn run(options: &Doctor) -> Result<()> {
    let cores = std::thread::available_parallelism().map_or(1, |n| n.get());
    let set = InstructionSet::current();
    let targets: Vec<&str> = alexnet::PTX.iter().map(|ptx| ptx.target).collect();
    let gpus = driver::gpus().map_err(|error| format!("{error:#}"));
    // Without the library there is no version to ask for.
    let version = library().ok().map(|_| driver::version());
    let version = version.map(|result| result.unwrap_or_else(|error| format!("{error:#}")));
    if options.json {
        let result = json!({
            "cpu_threads": cores,
            "instruction_set": set.name(),
            "ptx": targets,
            "ptx_missing": alexnet::PTX_MISSING,
            "cuda": gpus.as_ref().is_ok_and(|gpus| gpus.iter().any(|gpu| ptx_of(gpu).is_some())),
            "driver": version,
            "gpus": gpus.as_ref().map_or(vec![], |gpus| gpus.iter().map(as_json).collect()),
            "gpus_missing": gpus.as_ref().err(),
        });
        console::print_json(&result.to_string())?;
        return Ok(());
    }
    console::result!("CPU     {cores} threads, kernels for {}", set.name())?;
    if set == InstructionSet::Baseline {
        console::result!(
            "        without AVX2 and FMA each fused multiply-add is computed in software, slowly"
        )?;
    }
    match alexnet::PTX_MISSING {
        None => console::result!("PTX     in this build, for {}", targets.join(", "))?,
        Some(why) => console::result!("PTX     not in this build: {why}")?,
    }
    if let Some(version) = version {
        console::result!("driver  {version}")?;
    }
    match gpus {
        Ok(gpus) => gpus.iter().try_for_each(print)?,
        Err(why) => console::result!("GPU     none: {why}")?,
    }
    Ok(())
}

fn ptx_of(gpu: &Gpu) -> Option<&'static str> {
    alexnet::ptx_for(gpu.capability.0, gpu.capability.1).map(|ptx| ptx.target)
}

fn print(gpu: &Gpu) -> std::io::Result<()> {
    let (major, minor) = gpu.capability;
    let kernels = match ptx_of(gpu) {
        Some(target) => format!("runs the kernels for {target}"),
        None => format!("not used: {}", no_ptx(gpu)),
    };
    console::result!(
        "GPU {}   {}, compute capability {major}.{minor}, {:.1} GB: {kernels}",
        gpu.number,
        gpu.name,
        gpu.memory as f64 / 1e9
    )
}

fn as_json(gpu: &Gpu) -> Value {
    let (major, minor) = gpu.capability;
    json!({
        "number": gpu.number,
        "name": gpu.name,
        "compute_capability": format!("{major}.{minor}"),
        "memory_bytes": gpu.memory,
        "ptx": ptx_of(gpu),
    })
}
