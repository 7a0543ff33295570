//! The program as its users type it.

mod common;

use common::{draw, folder, packed, run, text};

const COMMANDS: [&str; 6] = ["build", "verify", "info", "inspect", "extract", "synth"];

#[test]
fn every_command_has_help_with_an_example() {
    for command in COMMANDS {
        let (status, stdout, _) = run(&[command, "--help"]);
        assert_eq!(status, 0);
        assert!(
            stdout.contains(&format!("Example:\n  dataset-pack {command}")),
            "{stdout}"
        );
    }
}

#[test]
fn wrong_usage_exits_with_2() {
    let wrong: [&[&str]; 7] = [
        &[],
        &["pack"],
        &["build", "--source", "x"],
        &[
            "build",
            "--source",
            "x",
            "--out",
            "y",
            "--val-fraction",
            "1.5",
        ],
        &["build", "--source", "x", "--out", "y", "--size", "0"],
        &[
            "build",
            "--source",
            "x",
            "--out",
            "y",
            "--split",
            "val",
            "--val-fraction",
            "0.1",
        ],
        &["synth", "--out", "x", "--classes", "0", "--per-class", "1"],
    ];
    for arguments in wrong {
        let (status, stdout, stderr) = run(arguments);
        assert_eq!((status, stdout.as_str()), (2, ""), "{arguments:?}");
        assert!(!stderr.is_empty());
    }
}

#[test]
fn failures_exit_with_1_and_one_line() {
    let dir = folder();
    let nowhere = dir.path().join("nowhere");
    let nowhere = text(&nowhere);
    let failing: [&[&str]; 5] = [
        &["build", "--source", nowhere, "--out", nowhere],
        &["verify", nowhere],
        &["info", nowhere],
        &["inspect", nowhere, "--index", "0"],
        &["extract", nowhere, "--out", nowhere],
    ];
    for arguments in failing {
        let (status, stdout, stderr) = run(arguments);
        assert_eq!((status, stdout.as_str()), (1, ""), "{arguments:?}");
        assert_eq!(stderr.lines().count(), 1, "{stderr}");
        assert!(
            stderr.starts_with(&format!("dataset-pack: {nowhere}")),
            "{stderr}"
        );
    }
}

#[test]
fn drawing_packing_and_looking() {
    let dir = folder();
    let [drawn, out, png] = ["drawn", "out", "first.png"].map(|name| dir.path().join(name));
    let synth = [
        "synth",
        "--out",
        text(&drawn),
        "--classes",
        "2",
        "--per-class",
        "5",
    ];
    assert_eq!(run(&synth).0, 0);
    let (status, _, stderr) = run(&synth);
    assert_eq!(status, 1);
    assert!(stderr.contains("not empty"), "{stderr}");

    let build = [
        "build",
        "--source",
        text(&drawn),
        "--out",
        text(&out),
        "--val-fraction",
        "0.2",
    ];
    let (status, stdout, stderr) = run(&[&build[..], &["--json"]].concat());
    assert_eq!(status, 0, "{stderr}");
    let built: serde_json::Value = serde_json::from_str(&stdout).expect("JSON alone");
    assert_eq!(built[0]["counts"]["packed"], 8);
    assert_eq!(built[1]["split"], "val");

    let train = out.join("train");
    let (status, stdout, _) = run(&["info", text(&train), "--json"]);
    let info: serde_json::Value = serde_json::from_str(&stdout).expect("JSON");
    assert_eq!(
        (status, &info["size"], &info["images"]),
        (0, &256.into(), &8.into())
    );
    assert!(info["statistics"]["eigenvalues"][0].as_f64() > Some(0.0));
    let (_, stdout, _) = run(&["info", text(&train)]);
    assert!(
        stdout.contains("0-disc-plain") && stdout.contains("component"),
        "{stdout}"
    );

    let inspect = ["inspect", text(&train), "--index", "7", "--png", text(&png)];
    let (status, stdout, _) = run(&inspect);
    assert_eq!(status, 0);
    assert!(
        stdout.contains("class   ") && stdout.contains(".jpg ("),
        "{stdout}"
    );
    let picture = image::open(&png).expect("a PNG").into_rgb8();
    let set = dataset_pack::Dataset::open(&train).expect("opens");
    assert_eq!(picture.as_raw(), &set.image(7).expect("whole"));
    let (status, _, stderr) = run(&["inspect", text(&train), "--index", "8"]);
    assert_eq!(status, 1);
    assert!(
        stderr.contains("no image 8; the set has images 0 to 7"),
        "{stderr}"
    );
}

#[test]
fn verify_says_that_a_set_is_whole() {
    let dir = packed();
    let (status, stdout, _) = run(&["verify", text(&dir.path().join("set"))]);
    assert_eq!(status, 0);
    assert!(
        stdout.ends_with("set: whole: 12 images in 3 shards\n"),
        "{stdout}"
    );
}

#[test]
fn drawings_depend_on_the_seed_alone() {
    let dir = folder();
    let [a, b] = ["a", "b"].map(|name| dir.path().join(name));
    draw(&a);
    draw(&b);
    let read = |folder: &std::path::Path, n: u32| {
        std::fs::read(folder.join(format!("0-disc-plain/{n:05}.jpg"))).expect("reads")
    };
    assert_eq!(read(&a, 0), read(&b, 0));
    assert_ne!(read(&a, 0), read(&a, 1));
}
