//! `host doctor`

use anyhow::Result;
use serde_json::json;
use simt_executor::InstructionSet;

use crate::cli::Doctor;

pub fn run(options: &Doctor) -> Result<()> {
    let cores = std::thread::available_parallelism().map_or(1, |n| n.get());
    let set = InstructionSet::current();
    let targets: Vec<&str> = alexnet::PTX.iter().map(|ptx| ptx.target).collect();
    if options.json {
        let result = json!({
            "cpu_threads": cores,
            "instruction_set": set.name(),
            "ptx": targets,
            "ptx_missing": alexnet::PTX_MISSING,
            "cuda": false,
        });
        println!("{result}");
        return Ok(());
    }
    println!("CPU   {cores} threads, kernels for {}", set.name());
    if set == InstructionSet::Baseline {
        println!(
            "      without AVX2 and FMA each fused multiply-add is computed in software, slowly"
        );
    }
    match alexnet::PTX_MISSING {
        None => println!("PTX   in this build, for {}", targets.join(", ")),
        Some(why) => println!("PTX   not in this build: {why}"),
    }
    println!("GPU   not used: this build runs kernels on the CPU only");
    Ok(())
}
