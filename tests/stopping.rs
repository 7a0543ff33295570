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
    command.arg("--default-signal=HUP,INT,TERM,USR1,USR2,XCPU");
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
    for name in ["HUP", "INT", "TERM", "USR1", "USR2", "XCPU"] {
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

/// As a shell and a scheduler both pass on what they were sent, or the one grows impatient.
#[test]
fn a_signal_that_comes_again_changes_nothing() {
    for names in [["HUP", "HUP"], ["USR1", "TERM"], ["INT", "TERM"]] {
        let out = names.concat();
        let child = started(&out, None, &[]);
        names.iter().for_each(|name| signal(&child, name));
        let done = ended(child).ok();
        assert!(done.out.contains("--resume"), "{}", done.out);
        let run = DATA.path().join(&out);
        let steps = metrics(&run).len() as u64;
        assert!(checkpoint(&run, steps).is_file());
    }
}

/// A run whose validation takes a while, and which has just begun that.
fn validating(out: &str, options: &[&str]) -> Child {
    let child = train(out, &[&["--val", &LONG], options].concat())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    let latest = DATA.path().join(out).join("checkpoints/latest");
    let begun = Instant::now();
    while !latest.is_file() {
        assert!(begun.elapsed() < Duration::from_secs(120), "no checkpoint");
        sleep(Duration::from_millis(1));
    }
    child
}

/// A validation set for that.
static LONG: LazyLock<String> = LazyLock::new(|| {
    let [drawn, set] = ["long-drawn", "long"].map(|name| path(DATA.path(), name));
    let size = ["--classes", "3", "--per-class", "400"];
    common::pack(["synth", "--out", &drawn].iter().chain(&size)).ok();
    common::pack(["build", "--source", &drawn, "--out", &set, "--size", "64"]).ok();
    set
});

#[test]
fn a_validation_is_left_at_once_and_made_up_for() {
    run(&mut train("validated", &["--steps", "4", "--val", &LONG])).ok();
    let straight = DATA.path().join("validated");
    assert!(
        metrics(&straight)
            .iter()
            .filter(|line| line["validation"] == true)
            .count()
            > 1
    );
    for name in ["TERM", "KILL"] {
        let out = format!("validation-{name}");
        let child = validating(&out, &["--steps", "4"]);
        signal(&child, name);
        let done = ended(child);
        assert_eq!(done.code, (name == "TERM").then_some(0), "{}", done.err);
        let folder = DATA.path().join(&out);
        let lines = metrics(&folder);
        assert!(
            lines.iter().all(|line| line.get("validation").is_none()),
            "{lines:?}"
        );
        let step = lines.len() as u64;
        assert_eq!(
            files(&folder.join("checkpoints")),
            ["latest", &format!("step-{step:07}.safetensors")]
        );
        // A kill behind the validation, before it is saved, leaves its line as well.
        let line = fs::read_to_string(straight.join("metrics.jsonl")).expect("metrics");
        let line = line
            .lines()
            .find(|line| line.contains("validation"))
            .expect("one");
        let file = folder.join("metrics.jsonl");
        let told = fs::read_to_string(&file).expect("metrics");
        fs::write(file, format!("{told}{line}\n")).expect("written");
        let resume = ["--resume", "--steps", "4", "--val", &LONG];
        run(&mut train(&out, &resume)).ok();
        assert_eq!(metrics(&folder), metrics(&straight));
        for step in [step, 4] {
            assert!(
                bytes(checkpoint(&folder, step)) == bytes(checkpoint(&straight, step)),
                "step {step}"
            );
        }
    }
}

/// The validation that a run ends with is made up for only if the run does end there.
#[test]
fn the_last_validation_is_left_at_once_too() {
    for to in ["1", "3"] {
        let [out, straight] = ["last", "last-straight"].map(|name| format!("{name}-{to}"));
        let options = |steps| ["--validate-every", "1000", "--steps", steps];
        let child = validating(&out, &options("1"));
        signal(&child, "TERM");
        assert!(ended(child).ok().out.contains("--resume"));
        let val = ["--val", &LONG];
        let resume = [&["--resume"], &val[..], &options(to)].concat();
        assert!(
            run(&mut train(&out, &resume))
                .ok()
                .out
                .contains("validation")
        );
        run(&mut train(&straight, &[&val[..], &options(to)].concat())).ok();
        let [out, straight] = [out, straight].map(|name| DATA.path().join(name));
        assert_eq!(metrics(&out), metrics(&straight));
        let step = to.parse().expect("a number");
        assert!(bytes(checkpoint(&out, step)) == bytes(checkpoint(&straight, step)));
    }
}

#[test]
fn a_run_without_a_checkpoint_is_begun_by_resume() {
    let child = started("early", None, &["--checkpoint-every", "1000000"]);
    signal(&child, "KILL");
    ended(child);
    assert_eq!(files(&DATA.path().join("early/checkpoints")), [""; 0]);
    let resume = ["--resume", "--steps", "3"];
    let done = run(&mut train("early", &resume)).ok();
    assert!(
        done.err
            .contains("no checkpoint to resume from: the run begins"),
        "{}",
        done.err
    );
    // And one without any folder; later its own weights count, not those it was to begin with.
    let weights = path(
        &DATA.path().join("early/checkpoints"),
        "step-0000003.safetensors",
    );
    let begin = ["--init-from", &weights, "--resume", "--steps"];
    run(&mut train("begun", &[&begin[..], &["1"]].concat())).ok();
    run(&mut train("begun", &[&begin[..], &["2"]].concat())).ok();
    run(&mut train(
        "begun-straight",
        &["--init-from", &weights, "--steps", "2"],
    ))
    .ok();
    let [begun, straight] =
        ["begun", "begun-straight"].map(|out| bytes(checkpoint(&DATA.path().join(out), 2)));
    assert!(begun == straight);
    run(&mut train("new", &resume)).ok();
    for out in ["early", "new"] {
        assert_eq!(metrics(&DATA.path().join(out)).len(), 3);
        assert_goes_on(out, 3);
    }
}

#[test]
fn a_finished_run_has_nothing_left_to_do() {
    run(&mut train("finished", &["--steps", "3"])).ok();
    let before = bytes(DATA.path().join("finished/metrics.jsonl"));
    for steps in ["3", "2"] {
        let done = run(&mut train("finished", &["--resume", "--steps", steps])).ok();
        assert!(
            done.err.contains("3 steps are done already"),
            "{}",
            done.err
        );
        assert!(
            !done.out.contains("loss") && !done.out.contains("stopped"),
            "{}",
            done.out
        );
        assert_eq!(bytes(DATA.path().join("finished/metrics.jsonl")), before);
    }
}

#[test]
fn the_last_checkpoints_and_the_best_stay() {
    let val = path(DATA.path(), "sets/val");
    let every = ["--validate-every", "2", "--keep", "2", "--val", &val];
    let steps = |to| [&["--steps", to][..], &every].concat();
    run(&mut train("kept", &steps("8"))).ok();
    let done = run(&mut train(
        "kept",
        &[&["--resume"], &steps("16")[..]].concat(),
    ))
    .ok();
    let folder = DATA.path().join("kept");
    let errors = metrics(&folder)
        .into_iter()
        .filter(|line| line["validation"] == true);
    let errors: Vec<(f64, u64)> = errors
        .map(|line| {
            (
                line["top1_error"].as_f64().expect("a number"),
                line["step"].as_u64().expect("a number"),
            )
        })
        .collect();
    assert_eq!(errors.len(), 8);
    let best = errors
        .iter()
        .fold(
            (2.0, 0),
            |best, &one| if one.0 < best.0 { one } else { best },
        )
        .1;
    let mut expected = vec!["latest".to_owned()];
    let mut steps = vec![best, 14, 16];
    steps.sort_unstable();
    steps.dedup();
    expected.extend(
        steps
            .iter()
            .map(|step| format!("step-{step:07}.safetensors")),
    );
    assert_eq!(files(&folder.join("checkpoints")), expected);
    assert!(
        done.out.contains(&format!("at step {best}")),
        "{}",
        done.out
    );
}

#[test]
fn a_checkpoint_that_is_not_named_yet_counts() {
    run(&mut train("unnamed", &["--steps", "2"])).ok();
    fs::remove_file(DATA.path().join("unnamed/checkpoints/latest")).expect("removed");
    run(&mut train("unnamed", &["--steps", "2"])).fails(&["unnamed", "--resume"]);
    assert_goes_on("unnamed", 2);
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
