//! What `host train --tensorboard` writes, read by TensorBoard's own reader.

mod common;

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::Command;

use common::{files, host, metrics, path, run, train_tiny};

/// `ALEXNET_TENSORBOARD` names a Python that has TensorBoard.
#[test]
fn tensorboard_reads_each_point_once() {
    let dir = common::sets(3, 16, 64);
    let val = path(dir.path(), "sets/val");
    let (out, options) = (
        "run",
        [
            "--val",
            &val,
            "--validate-every",
            "4",
            "--tensorboard",
            "histograms",
        ],
    );
    let train = |more: &[&str]| {
        run(&mut train_tiny(
            dir.path(),
            out,
            &[&options[..], more].concat(),
        ))
    };
    train(&["--steps", "8"]).ok();
    train(&["--steps", "16", "--resume"]).ok();
    // As after a crash: steps 13 to 16, and the validation at 12, were written and are done again.
    let folder = dir.path().join(out);
    let checkpoints = folder.join("checkpoints");
    fs::remove_file(common::checkpoint(&folder, 16)).expect("removed");
    fs::write(checkpoints.join("latest"), "step-0000012.safetensors\n").expect("written");
    let events = folder.join("tensorboard");
    let newest = events.join(files(&events).last().expect("a file"));
    let cut = fs::metadata(&newest).expect("a file").len() - 5;
    fs::OpenOptions::new()
        .write(true)
        .open(&newest)
        .and_then(|file| file.set_len(cut))
        .expect("cut");
    // Not asked for again: a run goes on with it.
    let again = [
        "--val",
        &val,
        "--validate-every",
        "4",
        "--steps",
        "16",
        "--resume",
    ];
    run(&mut train_tiny(dir.path(), out, &again)).ok();
    assert_eq!(files(&events).len(), 3);
    assert_eq!(metrics(&folder).len(), 16 + 4);

    let Some(python) = std::env::var_os("ALEXNET_TENSORBOARD") else {
        say("NOT READ BACK: ALEXNET_TENSORBOARD names no Python that has TensorBoard");
        return;
    };
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tensorboard_events.py");
    let done = run(Command::new(python).arg("-B").arg(script).arg(&folder)).ok();
    assert_eq!(done.out.trim(), "20 lines, 4 images, 4 histograms");
}

#[test]
fn without_the_option_there_is_none() {
    let dir = common::sets(2, 16, 64);
    run(&mut train_tiny(dir.path(), "run", &["--steps", "1"])).ok();
    assert!(!dir.path().join("run/tensorboard").exists());
    let help = host(["train", "--help"]).ok();
    assert!(
        help.out.contains("--tensorboard [<DETAIL>]"),
        "{}",
        help.out
    );
}

/// Past the test program, which shows what is printed only of tests that fail.
fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}
