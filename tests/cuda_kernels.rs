//! `host check-kernels`: it knows every kernel, finds the CPU equal to itself and a device that does nothing not.

mod common;
mod cuda_common;

use std::collections::BTreeSet;

use common::{Done, program, run};
use cuda_common::with_gpus;

const SMALL: [&str; 7] = [
    "check-kernels",
    "--width",
    "0.1",
    "--batch",
    "32",
    "--classes",
    "40",
];

fn check(options: &[&str]) -> Done {
    let mut command = program("host");
    run(with_gpus(command.args(SMALL).args(options), ""))
}

#[test]
fn the_cpu_computes_every_kernel_alike_on_one_thread_and_several() {
    let done = check(&["--gpus", "cpu", "--threads", "3", "--json"]).ok();
    let found = done.json();
    assert_eq!(found["unchecked"], serde_json::json!([]));
    let cases = found["kernels"].as_array().expect("kernels");
    let names: BTreeSet<_> = cases
        .iter()
        .filter_map(|case| case["kernel"].as_str())
        .collect();
    assert!(names.len() >= 28, "{names:?}");
    assert!(cases.iter().all(|case| case["different"] == 0));
    let of = |kernel: &str| -> BTreeSet<&str> {
        let own = cases.iter().filter(|case| case["kernel"] == kernel);
        own.filter_map(|case| case["shape"].as_str()).collect()
    };
    // The padding of the last layer, the gradient to images that nobody asks for, and special values.
    assert!(
        of("constant_fill").contains("20 of 32"),
        "{:?}",
        of("constant_fill")
    );
    let first = |shape: &&str| shape.starts_with("3x224x224");
    assert!(of("convolution_forward").iter().any(first));
    assert!(!of("convolution_input_gradient").iter().any(first));
    assert!(
        of("sum_parts")
            .iter()
            .any(|shape| shape.starts_with("1 parts"))
    );
    let special = |shape: &&str| shape.ends_with("special values");
    let without: Vec<_> = names
        .iter()
        .filter(|name| !of(name).iter().any(special))
        .collect();
    assert_eq!(
        without,
        [&"constant_fill", &"gaussian_fill"],
        "they read no floats"
    );
    assert!(cases.iter().any(|case| case["flops"].as_f64() > Some(1e6)));
}

/// A list has all of them and what they would work on, and nothing of a result.
#[test]
fn kernels_can_be_listed() {
    let listed = check(&["--list", "--json"]).ok();
    let ran = check(&["--gpus", "cpu", "--json"]).ok();
    let [listed, ran] = [listed.json(), ran.json()].map(|found| {
        let kernels = found["kernels"].as_array().expect("kernels");
        let sized = kernels.iter().map(|one| {
            (
                ["kernel", "shape", "flops", "bytes"].map(|key| one[key].clone()),
                one["different"].clone(),
            )
        });
        sized.collect::<Vec<_>>()
    });
    assert!(listed.iter().all(|(_, different)| different.is_null()));
    assert!(
        listed
            .iter()
            .map(|(sizes, _)| sizes)
            .eq(ran.iter().map(|(sizes, _)| sizes))
    );
}

/// Every kernel must be found out: its results stay what they were before.
#[test]
fn kernels_that_do_nothing_are_found_out() {
    let found = check(&["--gpus", "0", "--json"]);
    let cases = found.json()["kernels"].as_array().expect("kernels").clone();
    found.fails(&["not the CPU's bits", "convolution_forward", "transpose"]);
    let same: Vec<_> = cases.iter().filter(|case| case["different"] == 0).collect();
    assert!(same.is_empty(), "{same:?}");
}

#[test]
fn single_kernels_can_be_measured_and_wrong_names_are_refused() {
    let done = check(&["--gpus", "cpu", "--kernel", "relu_forward", "--repeat", "2"]).ok();
    assert!(
        done.out
            .lines()
            .all(|line| line.starts_with("relu_forward") && line.contains("GB/s")),
        "{}",
        done.out
    );
    check(&["--gpus", "cpu", "--kernel", "no_such"]).fails(&["there is no kernel no_such"]);
    run(program("host").args(["check-kernels", "--gpus", "cpu", "--batch", "33"]))
        .fails(&["--batch 33", "multiple of 32"]);
}
