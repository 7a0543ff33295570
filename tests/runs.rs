//! What a run must not be mixed up with: another run, other images; and what it cannot do.

mod common;

use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::sync::LazyLock;
use std::thread::sleep;
use std::time::{Duration, Instant};

use common::{Folder, bytes, checkpoint, metrics, pack, path, run, train_tiny};

static DATA: LazyLock<Folder> = LazyLock::new(|| common::sets(3, 16, 64));

fn at(name: &str) -> String {
    path(DATA.path(), name)
}

#[test]
fn two_runs_do_not_share_a_folder() {
    let first = train_tiny(DATA.path(), "shared", &["--steps", "1000000"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("it starts");
    let first = common::Running(first);
    let metrics_file = at("shared/metrics.jsonl");
    let begun = Instant::now();
    while !Path::new(&metrics_file).is_file() {
        assert!(begun.elapsed() < Duration::from_secs(120), "no metrics");
        sleep(Duration::from_millis(2));
    }
    for options in [&["--steps", "1"][..], &["--steps", "1", "--resume"]] {
        run(&mut train_tiny(DATA.path(), "shared", options)).fails(&[
            &at("shared"),
            "another host",
            "--out",
        ]);
    }
    drop(first);
    let lines = metrics(&DATA.path().join("shared"));
    assert!(
        lines
            .iter()
            .zip(1..)
            .all(|(line, step)| line["step"] == step)
    );
    // The lock goes with the program.
    run(&mut train_tiny(
        DATA.path(),
        "shared",
        &["--resume", "--steps", "1"],
    ))
    .ok();
}

#[test]
fn a_run_goes_on_with_other_images_only_if_told_to() {
    let sets = at("sets");
    let [train, val] = ["train", "val"].map(|name| path(Path::new(&sets), name));
    let other = ["drawn", "set"].map(|name| at(&format!("other-{name}")));
    let size = ["--classes", "3", "--per-class", "12", "--seed", "9"];
    pack(["synth", "--out", &other[0]].iter().chain(&size)).ok();
    pack([
        "build", "--source", &other[0], "--out", &other[1], "--size", "64",
    ])
    .ok();
    let go = |options: &[&str]| {
        let mut command = common::program("host");
        command.args(["train", "--net", &common::tiny(), "--out", &at("images")]);
        run(command.args(options))
    };
    go(&["--data", &train, "--val", &val, "--steps", "1"]).ok();
    let resume = ["--resume", "--steps", "2"];
    let words = ["not what", "step-0000001.safetensors", "--other-data"];
    go(&[&["--data", &other[1]], &resume[..]].concat())
        .fails(&[&[&other[1][..]], &words[..]].concat());
    go(&[&["--data", &train, "--val", &other[1]], &resume[..]].concat())
        .fails(&[&[&other[1][..]], &words[..]].concat());
    assert_eq!(metrics(&DATA.path().join("images")).len(), 2);
    // The same images packed again, and elsewhere, are the same; a run may do without its validation set.
    let again = at("again");
    pack([
        "build",
        "--source",
        &at("drawn"),
        "--out",
        &again,
        "--size",
        "64",
        "--val-fraction",
        "0.25",
    ])
    .ok();
    go(&[&["--data", &path(Path::new(&again), "train")], &resume[..]].concat()).ok();
    let told = ["--resume", "--other-data", "--steps"];
    go(&[&["--data", &other[1]], &told[..], &["3"]].concat()).ok();
    // Now those are the run's.
    go(&["--data", &other[1], "--resume", "--steps", "4"]).ok();
    go(&["--data", &train, "--resume", "--steps", "5"]).fails(&words[..1]);
}

/// As earlier versions wrote them.
#[test]
fn a_checkpoint_that_does_not_tell_its_images_goes_on() {
    run(&mut train_tiny(DATA.path(), "old", &["--steps", "1"])).ok();
    let file = checkpoint(&DATA.path().join("old"), 1);
    let whole = bytes(&file);
    let length = u64::from_le_bytes(*whole.first_chunk().expect("a length")) as usize;
    let mut header: serde_json::Value =
        serde_json::from_slice(&whole[8..8 + length]).expect("a header");
    let text = header["__metadata__"].as_object_mut().expect("text");
    assert!(text.remove("data").is_some());
    let mut header = header.to_string();
    header.extend(std::iter::repeat_n(
        ' ',
        header.len().next_multiple_of(8) - header.len(),
    ));
    let parts = [
        &(header.len() as u64).to_le_bytes()[..],
        header.as_bytes(),
        &whole[8 + length..],
    ];
    fs::write(&file, parts.concat()).expect("written");
    run(&mut train_tiny(
        DATA.path(),
        "old",
        &["--resume", "--steps", "3"],
    ))
    .ok();
    run(&mut train_tiny(DATA.path(), "straight", &["--steps", "3"])).ok();
    let [old, straight] =
        ["old", "straight"].map(|out| bytes(checkpoint(&DATA.path().join(out), 3)));
    assert!(old == straight);
}

#[test]
fn a_rate_that_cannot_fall_is_said() {
    let val = at("sets/val");
    for (out, options, said) in [
        ("plateau", &["--schedule", "plateau"][..], true),
        (
            "plateau-val",
            &["--schedule", "plateau", "--val", &val],
            false,
        ),
        ("constant", &["--schedule", "constant"], false),
        ("step", &["--schedule", "step:1"], false),
    ] {
        let done = run(&mut train_tiny(
            DATA.path(),
            out,
            &[&["--steps", "1"], options].concat(),
        ))
        .ok();
        assert_eq!(
            done.err.contains("warning: without --val"),
            said,
            "{}",
            done.err
        );
    }
}
