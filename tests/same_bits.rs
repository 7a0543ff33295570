//! Twenty steps of the paper's network, narrow, with dropout and augmentation, give the same checkpoint byte for byte
//! wherever they run, however often they are stopped and whichever compiler made the program.
#![allow(clippy::print_stderr)]

mod common;

use std::hash::Hasher;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use safetensors::SafeTensors;
use twox_hash::XxHash3_64;

use common::{Done, Folder, bytes, checkpoint, metrics, path, program, run};

const STEPS: u64 = 20;

/// The data, and the run that all others are compared with, in `straight`. It crosses several epochs, and the plateau
/// schedule has made the rate fall before its middle.
static REFERENCE: LazyLock<Folder> = LazyLock::new(|| {
    let dir = common::sets(4, 24, 256);
    train(
        dir.path(),
        "straight",
        STEPS,
        &["--gpus", "cpu,cpu", "--threads", "2"],
    )
    .ok();
    dir
});

fn command(dir: &Path, out: &str, steps: u64, options: &[&str]) -> Command {
    // One run is compared with at other steps too.
    let every = if out == "straight" { "2" } else { "10" };
    let [train, val, out] = ["sets/train", "sets/val", out].map(|name| path(dir, name));
    let mut command = program("host");
    command.args(["train", "--data", &train, "--val", &val, "--out", &out]);
    command.args([
        "--width",
        "0.1",
        "--batch",
        "32",
        "--steps",
        &steps.to_string(),
    ]);
    command.args(["--validate-every", "4", "--checkpoint-every", every]);
    command.args(["--set", "train.patience=1", "--set", "train.min-delta=1"]);
    command.args(options);
    command
}

fn train(dir: &Path, out: &str, steps: u64, options: &[&str]) -> Done {
    run(&mut command(dir, out, steps, options))
}

fn file(out: &str, step: u64) -> PathBuf {
    checkpoint(&REFERENCE.path().join(out), step)
}

/// No `assert_eq`: it would print megabytes.
#[track_caller]
fn assert_same(out: &str, step: u64) {
    let (expected, found) = (bytes(file("straight", step)), bytes(file(out, step)));
    let differ = expected.iter().zip(&found).position(|(a, b)| a != b);
    assert!(
        expected == found,
        "{out}: step {step} differs from byte {differ:?} of {}",
        expected.len()
    );
}

#[test]
fn the_reference_is_a_real_training() {
    let lines = metrics(&REFERENCE.path().join("straight"));
    let steps: Vec<_> = lines
        .iter()
        .filter(|line| line.get("validation").is_none())
        .collect();
    assert_eq!(steps.len() as u64, STEPS);
    assert!(lines.len() > steps.len() && steps[steps.len() - 1]["epoch"].as_f64() > Some(5.0));
    let rates: Vec<f64> = steps
        .iter()
        .filter_map(|line| line["lr"].as_f64())
        .collect();
    assert!(rates[9] < rates[0] && rates[19] < rates[9], "{rates:?}");
}

/// What no single run can show: that another compiler, and tomorrow's source, give the same bits. The value is that of
/// Rust 1.95 and of 1.99; a change of the arithmetic that is meant changes it.
#[test]
fn any_compiler() {
    assert_eq!(hash("straight", STEPS), "fd58d46c01c594f8");
}

/// By Winograd's algorithm other bits, and again the same ones everywhere.
#[test]
fn any_compiler_by_winograd() {
    for (out, set, gpus) in [
        ("winograd", "avx512", "cpu,cpu"),
        ("elsewhere", "avx2", "cpu"),
    ] {
        let options = ["--algorithm", "winograd", "--gpus", gpus];
        run(command(REFERENCE.path(), out, 2, &options).env("ALEXNET_CPU", set)).ok();
        assert_eq!(hash(out, 2), "2f04d36ee254450e", "{set}");
    }
}

/// Of everything that a run's checkpoint holds.
fn hash(out: &str, step: u64) -> String {
    let bytes = bytes(file(out, step));
    let tensors = SafeTensors::deserialize(&bytes).expect("a checkpoint");
    let mut names = tensors.names();
    names.sort();
    let mut hash = XxHash3_64::with_seed(0);
    for name in names {
        hash.write(name.as_bytes());
        hash.write(tensors.tensor(name).expect("it is listed").data());
    }
    format!("{:016x}", hash.finish())
}

#[test]
fn one_virtual_gpu_or_two() {
    train(REFERENCE.path(), "one", STEPS, &["--gpus", "cpu"]).ok();
    assert_same("one", STEPS);
}

#[test]
fn any_number_of_threads() {
    for (threads, gpus) in [("1", "cpu"), ("3", "cpu"), ("5", "cpu,cpu")] {
        let out = format!("threads-{threads}");
        train(
            REFERENCE.path(),
            &out,
            STEPS,
            &["--gpus", gpus, "--threads", threads],
        )
        .ok();
        assert_same(&out, STEPS);
    }
}

/// The baseline computes each fused multiply-add in software, so it takes fewer steps.
#[test]
fn any_instruction_set() {
    for (set, steps) in [("baseline", 2), ("avx2", STEPS), ("avx512", STEPS)] {
        let done = run(command(REFERENCE.path(), set, steps, &[]).env("ALEXNET_CPU", set)).ok();
        if !done.err.contains(&format!("({set})")) {
            eprintln!("this machine has no {set}: not tested");
        }
        assert_same(set, steps);
    }
}

#[test]
fn straight_through_or_resumed() {
    train(REFERENCE.path(), "resumed", 10, &["--gpus", "cpu"]).ok();
    assert_same("resumed", 10);
    train(REFERENCE.path(), "resumed", STEPS, &["--resume"]).ok();
    assert_same("resumed", STEPS);
    let [straight, resumed] =
        ["straight", "resumed"].map(|out| metrics(&REFERENCE.path().join(out)));
    // The stop at step 10 made one validation more.
    let more = |line: &serde_json::Value| line["step"] == 10 && line.get("validation").is_some();
    let resumed: Vec<_> = resumed.into_iter().filter(|line| !more(line)).collect();
    assert_eq!(straight, resumed);
}
