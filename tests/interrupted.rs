//! Ctrl-C while a command writes a file leaves nothing half-written.

mod common;

use std::path::Path;
use std::process::Stdio;
use std::sync::LazyLock;
use std::thread::sleep;
use std::time::{Duration, Instant};

use common::{Folder, bytes, files, host, path, program, run, train_tiny};

/// The run `run`, with weights enough for their writing to take some time, and these as `weights.safetensors`.
static DATA: LazyLock<Folder> = LazyLock::new(|| {
    let dir = common::sets(3, 64, 64);
    let options = ["--steps", "1", "--set", UNITS];
    run(&mut train_tiny(dir.path(), "run", &options)).ok();
    let [run, weights] = ["run", "weights.safetensors"].map(|name| path(dir.path(), name));
    host(["export", "--checkpoint", &run, "--out", &weights]).ok();
    dir
});

/// 38 MB of weights.
const UNITS: &str = "fc3.units=32768";

/// Sends Ctrl-C as soon as there is a file in `folder`, where the command writes; whether it came in time.
fn interrupted(arguments: &[String], folder: &Path) -> bool {
    std::fs::create_dir(folder).expect("a folder");
    let mut command = program("host");
    command.args(arguments).stdout(Stdio::null());
    let mut child = command.stderr(Stdio::piped()).spawn().expect("it starts");
    let begun = Instant::now();
    while files(folder).is_empty() && child.try_wait().expect("its state").is_none() {
        assert!(begun.elapsed() < Duration::from_secs(120), "no file");
        sleep(Duration::from_micros(100));
    }
    let pid = child.id().try_into().expect("a process");
    // SAFETY: it only sends a signal, to a child that nobody has waited for unless it has ended, whose number is kept.
    unsafe { libc::kill(pid, libc::SIGINT) };
    let done: common::Done = child.wait_with_output().expect("it ends").into();
    match done.code {
        Some(0) => false,
        _ => {
            done.fails(&["interrupted"]);
            true
        }
    }
}

#[test]
fn nothing_is_left_half_written() {
    let at = |name: &str| path(DATA.path(), name);
    let (run, set, weights) = (at("run"), at("sets/train"), at("weights.safetensors"));
    let net = common::tiny();
    let features = [
        "features",
        "--checkpoint",
        &run,
        "--data",
        &set,
        "--layer",
        "fc3",
    ];
    let import = ["import", "--from", &weights, "--net", &net, "--set", UNITS];
    let export = ["export", "--checkpoint", &run];
    for (number, (command, name)) in [
        (&features[..], "x.safetensors"),
        (&features, "x.npy"),
        (&export, "x.safetensors"),
        (&export, "x.npz"),
        (&export, "x.onnx"),
        (&import, "x.safetensors"),
    ]
    .into_iter()
    .enumerate()
    {
        let mut in_time = false;
        for turn in 0..20 {
            let folder = DATA.path().join(format!("out-{number}-{turn}"));
            let out = path(&folder, name);
            let batch: &[&str] = if command[0] == "features" {
                &["--batch", "32"]
            } else {
                &[]
            };
            let words = [command, &["--out", &out], batch].concat();
            let words: Vec<String> = words.into_iter().map(str::to_owned).collect();
            in_time = interrupted(&words, &folder);
            if in_time {
                assert_eq!(files(&folder), [""; 0], "{command:?}");
                break;
            }
            assert!(files(&folder).contains(&name.to_owned()), "{command:?}");
        }
        assert!(in_time, "{command:?}: always too late");
    }
}

/// An index keeps what is computed, apart from its name, and goes on from there.
#[test]
fn an_index_goes_on() {
    let at = |name: &str| path(DATA.path(), name);
    let (run, set) = (at("run"), at("sets/train"));
    let index = |out: &str| -> Vec<String> {
        let fixed = ["index", "--checkpoint", &run, "--data", &set];
        let rest = ["--batch", "32", "--out", out];
        fixed.into_iter().chain(rest).map(str::to_owned).collect()
    };
    let whole = at("whole.index");
    host(index(&whole)).ok();
    for turn in 0..20 {
        let folder = DATA.path().join(format!("index-{turn}"));
        let out = path(&folder, "x.index");
        if interrupted(&index(&out), &folder) {
            assert!(!Path::new(&out).exists());
            host(index(&out)).ok();
            assert!(bytes(&out) == bytes(&whole));
            assert_eq!(files(&folder), ["x.index"]);
            return;
        }
    }
    panic!("always too late");
}
