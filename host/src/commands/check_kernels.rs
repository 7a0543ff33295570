//! `host check-kernels`

use std::collections::BTreeSet;
use std::sync::Arc;

use anyhow::{Result, bail, ensure};
use serde_json::{Value, json};

use crate::check::{Case, Comparison};
use crate::cli::CheckKernels;
use crate::device::{CpuDevice, Device};
use crate::net;

pub fn run(options: &CheckKernels) -> Result<()> {
    let spec = options.network.load(&[])?;
    let shapes = spec.resolve(options.network.width(), options.classes)?;
    ensure!(
        options.batch.is_multiple_of(net::IMAGES) && options.batch > 0,
        "--batch {}: the kernels need a multiple of {} images",
        options.batch,
        net::IMAGES
    );
    let device = options.places.open(1)?.remove(0);
    // Against itself the CPU runs on one thread.
    let threads = match device.place().as_str() {
        "cpu" => 1,
        _ => std::thread::available_parallelism().map_or(1, |n| n.get()),
    };
    let reference: Arc<dyn Device> = CpuDevice::new(threads)?;
    console::note!("{} against {}", device.describe(), reference.describe());
    let chosen: Vec<Case> = net::cases(&shapes, options.batch)
        .into_iter()
        .filter(|case| {
            options.kernel.is_empty() || options.kernel.iter().any(|name| name == case.kernel)
        })
        .collect();
    ensure!(
        !chosen.is_empty(),
        "there is no kernel {}",
        options.kernel.join(", ")
    );
    let mut results = Vec::new();
    let mut wrong = BTreeSet::new();
    for case in &chosen {
        let outcome = case.run([&device, &reference], options.repeat)?;
        if outcome.different > 0 {
            wrong.insert(case.kernel);
        }
        match options.json {
            true => results.push(as_json(case, &outcome)),
            false => console::print(&shown(case, &outcome))?,
        }
    }
    let unchecked = match options.kernel.is_empty() {
        true => unchecked(&chosen),
        false => BTreeSet::new(),
    };
    if options.json {
        let device = device.describe();
        let result = json!({ "device": device, "kernels": results, "unchecked": unchecked });
        console::print_json(&result.to_string())?;
    }
    if !wrong.is_empty() {
        let wrong: Vec<_> = wrong.into_iter().collect();
        bail!("not the CPU's bits: {}", wrong.join(", "));
    }
    if !unchecked.is_empty() {
        let unchecked: Vec<_> = unchecked.into_iter().collect();
        bail!("the network uses no {}", unchecked.join(", "));
    }
    Ok(())
}

/// Kernels of this build's PTX that no case runs.
fn unchecked(cases: &[Case]) -> BTreeSet<&'static str> {
    let lines = alexnet::PTX.iter().flat_map(|ptx| ptx.source.lines());
    let name = |line: &'static str| line.strip_prefix(".visible .entry ")?.strip_suffix('(');
    lines
        .filter_map(name)
        .filter(|name| cases.iter().all(|case| case.kernel != *name))
        .collect()
}

fn shown(case: &Case, outcome: &Comparison) -> String {
    let verdict = match outcome.first {
        None => "identical".to_owned(),
        Some((tensor, element, [a, b])) => format!(
            "{} DIFFERENT, first buffer {tensor}[{element}]: {:e} ({a:08x}) and {:e} ({b:08x})",
            outcome.different,
            f32::from_bits(a),
            f32::from_bits(b)
        ),
    };
    let speed = outcome.seconds.map_or(String::new(), |seconds| {
        let bytes = case.bytes() as f64;
        let flops = match case.flops > 0.0 {
            true => format!(" {:9.1} GFLOP/s", case.flops / seconds / 1e9),
            false => String::new(),
        };
        format!(
            "{:10.1} us {:8.1} GB/s{flops}  ",
            1e6 * seconds,
            bytes / seconds / 1e9
        )
    });
    format!("{:32} {speed}{verdict}  {}", case.kernel, case.shape)
}

fn as_json(case: &Case, outcome: &Comparison) -> Value {
    json!({
        "kernel": case.kernel,
        "shape": case.shape,
        "different": outcome.different,
        "first_difference": outcome.first,
        "seconds": outcome.seconds,
        "flops": case.flops,
        "bytes": case.bytes(),
    })
}
