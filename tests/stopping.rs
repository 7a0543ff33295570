//! A run that is stopped, killed or short of disk goes on as if nothing had happened.

mod common;

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::LazyLock;
use std::thread::sleep;
use std::time::{Duration, Instant};

use common::{Done, Folder, bytes, checkpoint, files, metrics, path, run, train_tiny};

static DATA: LazyLock<Folder> = LazyLock::new(|| common::sets(3, 24, 64));

fn train(out: &str, options: &[&str]) -> Command {
    train_tiny(DATA.path(), out, options)
}

/// Starts a run that would take for ever and waits until it has done some steps. It may ignore a signal from the
/// start.
fn started(out: &str, ignored: Option<&str>, options: &[&str]) -> Child {
    let train = train(out, &["--steps", "1000000"]);
    // The test itself may run where signals are ignored.
    let mut command = Command::new("env");
    command.arg("--default-signal=HUP,INT,TERM");
    command.args(ignored.map(|name| format!("--ignore-signal={name}")));
    let child = command
        .arg(train.get_program())
        .args(train.get_args())
        .args(options)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    let metrics = DATA.path().join(out).join("metrics.jsonl");
    let begun = Instant::now();
    while fs::read_to_string(&metrics)
        .unwrap_or_default()
        .lines()
        .count()
        < 7
    {
        assert!(
            begun.elapsed() < Duration::from_secs(120),
            "no step is done"
        );
        sleep(Duration::from_millis(2));
    }
    child
}

fn signal(child: &Child, name: &str) {
    let kill = format!("kill -{name} {}", child.id());
    assert!(
        Command::new("sh")
            .args(["-c", &kill])
            .status()
            .expect("a shell")
            .success()
    );
}

/// Goes on for some steps and compares with a run that was never stopped.
fn assert_goes_on(out: &str, from: u64) {
    let to = (from + 5).to_string();
    run(&mut train(out, &["--resume", "--steps", &to])).ok();
    let straight = format!("{out}-straight");
    run(&mut train(&straight, &["--steps", &to])).ok();
    let [straight, out] = [straight, out.to_owned()].map(|name| DATA.path().join(name));
    assert!(bytes(checkpoint(&out, from + 5)) == bytes(checkpoint(&straight, from + 5)));
    assert_eq!(metrics(&out), metrics(&straight));
}

/// What it leaves when it ends, which must be soon.
fn ended(mut child: Child) -> Done {
    let begun = Instant::now();
    while child.try_wait().expect("its state").is_none() {
        if begun.elapsed() > Duration::from_secs(60) {
            child.kill().expect("it is killed");
            panic!("it does not end");
        }
        sleep(Duration::from_millis(2));
    }
    child.wait_with_output().expect("its output").into()
}

#[test]
fn a_signal_saves_and_ends() {
    for name in ["HUP", "INT", "TERM"] {
        let child = started(name, None, &[]);
        signal(&child, name);
        let done = ended(child).ok();
        assert!(done.out.contains("--resume"), "{}", done.out);
        let run = DATA.path().join(name);
        let steps = metrics(&run).len() as u64;
        assert!(checkpoint(&run, steps).is_file() && run.join("curves.png").is_file());
        assert_goes_on(name, steps);
    }
}

#[test]
fn a_signal_that_was_ignored_stays_so_and_others_are_heard() {
    for name in ["HUP", "INT"] {
        let out = format!("ignored-{name}");
        let child = started(&out, Some(name), &[]);
        let metrics = DATA.path().join(&out).join("metrics.jsonl");
        let steps = || bytes(&metrics).len();
        signal(&child, name);
        let (before, begun) = (steps(), Instant::now());
        // Many steps later it is still at work.
        while steps() < before + 2000 {
            assert!(
                begun.elapsed() < Duration::from_secs(60),
                "it went no further"
            );
            sleep(Duration::from_millis(2));
        }
        signal(&child, "TERM");
        let done = ended(child).ok();
        assert!(done.out.contains("--resume"), "{}", done.out);
    }
}

#[test]
fn a_killed_run_goes_on_from_its_last_checkpoint() {
    let mut child = started("killed", None, &["--checkpoint-every", "3"]);
    child.kill().expect("it is killed");
    child.wait().expect("it ends");
    let folder = DATA.path().join("killed/checkpoints");
    let latest = fs::read_to_string(folder.join("latest")).expect("a checkpoint was written");
    let step = latest
        .trim()
        .trim_start_matches("step-")
        .trim_end_matches(".safetensors");
    // What a kill in the middle of writing leaves, and a line cut short.
    fs::write(folder.join("step-0000099.safetensors.Ab12.tmp"), "half").expect("written");
    let mut lines = bytes(DATA.path().join("killed/metrics.jsonl"));
    lines.extend(b"{\"step\":");
    fs::write(DATA.path().join("killed/metrics.jsonl"), lines).expect("written");
    assert_goes_on("killed", step.parse().expect("a number"));
    assert!(files(&folder).iter().all(|name| !name.ends_with(".tmp")));
}

/// Runs a command with files limited to so many blocks of 512 bytes, as on a disk that fills up.
fn with_full_disk(blocks: u32, command: &Command) -> Done {
    let mut shell = Command::new("sh");
    let script = format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$@\"");
    shell
        .args(["-c", &script, "sh"])
        .arg(command.get_program())
        .args(command.get_args());
    run(&mut shell)
}

#[test]
fn a_full_disk_leaves_the_last_checkpoint() {
    let at = DATA.path().join("full");
    run(&mut train("full", &["--steps", "2"])).ok();
    let before = files(&at.join("checkpoints"));
    let done = with_full_disk(64, &train("full", &["--resume", "--steps", "4"]));
    done.fails(&[
        "full/checkpoints/step-0000004.safetensors: cannot write",
        "File too large",
    ]);
    assert_eq!(files(&at.join("checkpoints")), before);
    assert_goes_on("full", 2);
    // The same for what is made of a checkpoint.
    let [file, picture] = ["export.safetensors", "filters.png"].map(|name| path(DATA.path(), name));
    for (command, out, blocks) in [("export", &file, 64), ("filters", &picture, 1)] {
        let mut program = common::program("host");
        program.args([
            command,
            "--checkpoint",
            &path(DATA.path(), "full"),
            "--out",
            out,
        ]);
        with_full_disk(blocks, &program).fails(&[out, "cannot write", "File too large"]);
        assert!(!Path::new(out).exists());
    }
    assert!(
        files(DATA.path())
            .iter()
            .all(|name| !name.ends_with(".tmp"))
    );
}

#[test]
fn metrics_that_cannot_be_written_are_named() {
    let options = ["--steps", "1000", "--checkpoint-every", "1000"];
    with_full_disk(16, &train("metrics", &options))
        .fails(&["metrics/metrics.jsonl: cannot write", "File too large"]);
}

#[test]
fn a_loss_that_is_no_number_ends_the_run_and_keeps_what_was_before() {
    run(&mut train("nan", &["--steps", "2"])).ok();
    let done = run(&mut train(
        "nan",
        &["--resume", "--steps", "50", "--lr", "1e30"],
    ));
    done.fails(&[
        "nan",
        "the loss became",
        "the last checkpoint is of step 2",
        "--lr",
    ]);
    let run_folder = DATA.path().join("nan");
    let lines = metrics(&run_folder);
    assert!(
        lines.len() >= 2 && lines.iter().all(|line| line["loss"].is_number()),
        "{lines:?}"
    );
    assert_eq!(
        files(&run_folder.join("checkpoints")),
        ["latest", "step-0000002.safetensors"]
    );
    assert_goes_on("nan", 2);
}
