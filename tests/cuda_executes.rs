//! The kernels' PTX, executed by the stand-in for the CUDA driver: the bits of the CPU, whatever the placement and the
//! order in which streams run, and no access where none should be.

mod common;
mod cuda_common;

use std::sync::LazyLock;

use common::{Folder, bytes, checkpoint, path, program, run, tiny, train_tiny};
use cuda_common::with_gpus;

static DATA: LazyLock<Folder> = LazyLock::new(|| common::sets(3, 24, 64));

/// Sums and products that a GPU's compiler could fuse are refused.
const EXECUTE: &str = "execute=yes fusable=no devices=2";

/// Two steps with dropout, augmentation and a validation; gives the last checkpoint.
fn trained(out: &str, settings: &str, gpus: &str, more: &[&str]) -> Vec<u8> {
    let val = path(DATA.path(), "sets/val");
    let steps = ["--steps", "2", "--checkpoint-every", "1"];
    let options = [&steps, &["--gpus", gpus, "--val", &val][..], more].concat();
    let mut command = train_tiny(DATA.path(), out, &options);
    run(with_gpus(&mut command, &format!("{EXECUTE} {settings}"))).ok();
    bytes(checkpoint(&DATA.path().join(out), 2))
}

static ON_THE_CPU: LazyLock<Vec<u8>> = LazyLock::new(|| trained("cpu", "", "cpu,cpu", &[]));

#[test]
fn training_gives_the_cpus_checkpoint_on_one_gpu_and_two() {
    let places = [
        ("0", ""),
        ("0,0", ""),
        ("0,1", ""),
        ("0,1", "peers=no"),
        ("0,1", "capability=8.0"),
        ("0,1", "capability=10.0"),
    ];
    for (i, (gpus, settings)) in places.into_iter().enumerate() {
        let on_gpus = trained(&format!("placed-{i}"), settings, gpus, &[]);
        assert!(on_gpus == *ON_THE_CPU, "--gpus {gpus} {settings}");
    }
}

#[test]
fn the_order_in_which_streams_run_changes_no_bit() {
    for seed in 0..6 {
        let (gpus, peers) = [("0,1", "yes"), ("0,1", "no"), ("0,0", "yes")][seed % 3];
        let settings = format!("schedule={seed} peers={peers}");
        let shuffled = trained(&format!("shuffled-{seed}"), &settings, gpus, &[]);
        assert!(shuffled == *ON_THE_CPU, "--gpus {gpus} {settings}");
    }
}

#[test]
fn a_run_goes_on_elsewhere_to_the_same_end() {
    for (first, then) in [("cpu,cpu", "0,1"), ("0,1", "cpu,cpu")] {
        let out = format!("moved-{first}");
        trained(&out, "", first, &[]);
        let run = DATA.path().join(&out);
        std::fs::remove_file(checkpoint(&run, 2)).expect("it was there");
        std::fs::write(run.join("checkpoints/latest"), "step-0000001.safetensors\n")
            .expect("a file to write");
        let end = trained(&out, "", then, &["--resume"]);
        assert!(end == *ON_THE_CPU, "{first} and then {then}");
    }
}

#[test]
fn no_access_strays_and_none_races() {
    let checked = trained("checked", "check=memory,shared steps=100000000", "0,1", &[]);
    assert!(checked == *ON_THE_CPU);
}

/// `host check-kernels` of a network.
fn check(net: &str, settings: &str, more: &[&str]) -> serde_json::Value {
    let small = [
        "check-kernels",
        "--net",
        net,
        "--width",
        "0.1",
        "--batch",
        "32",
    ];
    let mut command = program("host");
    let command = command
        .args(small)
        .args(["--gpus", "0", "--json"])
        .args(more);
    let done = run(with_gpus(command, &format!("{EXECUTE} {settings}"))).ok();
    let found = done.json();
    let cases = found["kernels"].as_array().expect("kernels");
    assert!(cases.iter().all(|case| case["different"] == 0));
    found
}

#[test]
fn every_kernel_has_the_cpus_bits_for_every_gpu() {
    for capability in ["8.0", "9.0", "10.0"] {
        let found = check(
            "paper",
            &format!("capability={capability}"),
            &["--classes", "40"],
        );
        assert_eq!(found["unchecked"], serde_json::json!([]), "{capability}");
    }
    for net in [
        "krizhevsky-145",
        "cifar-no-lrn",
        "cifar-tanh",
        "torchvision",
    ] {
        check(net, "", &["--classes", "10"]);
    }
}

/// Where tiles are whole, sums are long and indices large.
#[test]
fn the_papers_products_have_the_cpus_bits_at_full_width() {
    let mut command = program("host");
    let command = command.args(["check-kernels", "--batch", "32", "--gpus", "0", "--kernel"]);
    for product in ["convolution", "fully_connected"] {
        let passes = ["forward", "input_gradient", "weight_gradient"];
        command.args(passes.map(|pass| format!("{product}_{pass}")));
    }
    run(with_gpus(command, EXECUTE)).ok();
}

#[test]
fn no_kernel_strays_or_races_in_any_of_its_cases() {
    check(&tiny(), "check=memory,shared", &[]);
}
