//! A batch in shares, on one rank or on several over MPI, gives the same checkpoints and metrics, however the run is stopped.
//!
//! What needs several ranks wants `cargo build -p host --features mpi` and mpirun; without them it passes with a word, unless
//! `ALEXNET_MPI` is `required`.
#![allow(clippy::print_stderr)]

mod common;
mod cuda_common;

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::LazyLock;
use std::thread::sleep;
use std::time::{Duration, Instant};

use safetensors::SafeTensors;

use common::{Done, Folder, Running, bytes, checkpoint, host, metrics, path, run, train_tiny};
use cuda_common::order::examine;
use cuda_common::{read, stand_in};

/// No run that fails may take longer to end.
const SOON: Duration = Duration::from_secs(30);

/// The data, and in `straight` the run on one rank that all others are compared with.
static DATA: LazyLock<Folder> = LazyLock::new(|| {
    let dir = common::sets(3, 24, 64);
    run(&mut train(dir.path(), "straight", &["--steps", "4"])).ok();
    dir
});

/// A run of four shares that validates and saves every other step.
fn train(dir: &Path, out: &str, options: &[&str]) -> Command {
    // Two batches to validate with.
    let val = path(dir, "sets/train");
    let common = ["--val", &val, "--batch", "128", "--shares", "4"];
    let often = ["--validate-every", "2", "--checkpoint-every", "1"];
    train_tiny(dir, out, &[&common[..], &often, options].concat())
}

/// Whether there are several ranks here.
fn has_ranks() -> bool {
    static HAS: LazyLock<bool> = LazyLock::new(|| {
        let built = host(["doctor", "--json"]).ok().json()["ranks_by"].to_string();
        let missing = match Command::new("mpirun").arg("--version").output() {
            Ok(_) if built.contains("MPI,") => return true,
            Ok(_) => "this host has no MPI: cargo build -p host --features mpi".to_owned(),
            Err(error) => format!("mpirun: {error}"),
        };
        let required = std::env::var("ALEXNET_MPI").is_ok_and(|value| value == "required");
        assert!(!required, "{missing}");
        eprintln!("NOT tested with several ranks: {missing}");
        false
    });
    *HAS
}

/// Commands as ranks of one job: of each so many.
fn mpirun(jobs: &[(u32, &Command)]) -> Command {
    let mut mpirun = Command::new("mpirun");
    // Open MPI wants to be asked twice in a container, where tests may run as root.
    mpirun.env("OMPI_ALLOW_RUN_AS_ROOT", "1");
    mpirun.env("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1");
    mpirun.env("OMPI_MCA_rmaps_base_oversubscribe", "1");
    mpirun.env_remove("ALEXNET_CPU");
    for (i, (ranks, command)) in jobs.iter().enumerate() {
        mpirun.args((i > 0).then_some(":"));
        mpirun.args(["-n", &ranks.to_string()]);
        mpirun.arg(command.get_program()).args(command.get_args());
    }
    mpirun
}

/// Trains on so many ranks.
fn train_on(ranks: u32, out: &str, options: &[&str]) -> Done {
    run(&mut mpirun(&[(ranks, &train(DATA.path(), out, options))]))
}

#[track_caller]
fn assert_same(out: &str, step: u64) {
    let of = |out: &str| bytes(checkpoint(&DATA.path().join(out), step));
    assert!(of("straight") == of(out), "{out}: step {step} differs");
}

fn tensors(out: &str, step: u64) -> Vec<(String, Vec<f32>)> {
    let bytes = bytes(checkpoint(&DATA.path().join(out), step));
    let file = SafeTensors::deserialize(&bytes).expect("a checkpoint");
    let floats = |data: &[u8]| {
        let floats = data.as_chunks::<4>().0.iter().copied();
        floats.map(f32::from_le_bytes).collect()
    };
    let mut all: Vec<_> = file.tensors().into_iter().collect();
    all.sort_by(|a, b| a.0.cmp(&b.0));
    all.into_iter()
        .map(|(name, tensor)| (name, floats(tensor.data())))
        .collect()
}

/// Without dropout, whose masks differ, shares are the batch but for rounding: the gradients of the mean loss of all images.
#[test]
fn shares_are_the_batch_but_for_rounding() {
    let losses = ["1", "2", "4"].map(|shares| {
        let out = format!("shares-{shares}");
        let options = [
            "--batch",
            "128",
            "--steps",
            "2",
            "--dropout",
            "0",
            "--shares",
            shares,
        ];
        run(&mut train_tiny(DATA.path(), &out, &options)).ok();
        metrics(&DATA.path().join(out))[1]["loss"]
            .as_f64()
            .expect("a loss")
    });
    assert!(
        (losses[0] - losses[2]).abs() < 1e-4 * losses[0],
        "{losses:?}"
    );
    let whole = tensors("shares-1", 2);
    for other in ["shares-2", "shares-4"] {
        for ((name, a), (_, b)) in whole.iter().zip(tensors(other, 2)) {
            let far = |(a, b): (&f32, &f32)| f64::from(a - b).powi(2);
            let square = |a: &f32| f64::from(*a).powi(2);
            let distance = a.iter().zip(&b).map(far).sum::<f64>().sqrt();
            let norm = a.iter().map(square).sum::<f64>().sqrt();
            assert!(
                distance <= 1e-4 * norm,
                "{other} {name}: {distance} of {norm}"
            );
        }
    }
}

#[test]
fn what_cannot_be_shared_is_refused() {
    let shares = |out, options: &[&str], shares| {
        run(&mut replaced(
            &train(DATA.path(), out, options),
            "--shares",
            shares,
        ))
    };
    shares("refused", &["--steps", "1"], "3").fails(&["power of two"]);
    shares("refused", &["--steps", "1"], "8").fails(&["batch 128"]);
    let resume = ["--resume", "--steps", "5"];
    shares("straight", &resume, "2").fails(&["--shares 2", "the run has 4"]);
}

#[test]
fn any_number_of_ranks() {
    if !has_ranks() {
        return;
    }
    for (ranks, gpus) in [(1, "cpu"), (2, "cpu,cpu"), (2, "cpu"), (4, "cpu,cpu")] {
        let out = format!("ranks-{ranks}-{gpus}");
        let done = train_on(ranks, &out, &["--steps", "4", "--gpus", gpus]).ok();
        (1..=4).for_each(|step| assert_same(&out, step));
        let folders = ["straight", &out].map(|out| DATA.path().join(out));
        assert_eq!(metrics(&folders[0]), metrics(&folders[1]));
        // One speaks for all.
        assert_eq!(done.out.matches("checkpoints ").count(), 1, "{}", done.out);
    }
}

#[test]
fn resumed_on_another_number_of_ranks() {
    if !has_ranks() {
        return;
    }
    train_on(4, "resumed", &["--steps", "2"]).ok();
    train_on(2, "resumed", &["--steps", "3", "--resume"]).ok();
    let resume = ["--steps", "4", "--resume"];
    run(&mut train(DATA.path(), "resumed", &resume)).ok();
    assert_same("resumed", 4);
}

/// Tensors that are exchanged in several pieces, what learns by rules of its own or not at all, and norms.
#[test]
fn whatever_learns_does_so_on_any_number_of_ranks() {
    if !has_ranks() {
        return;
    }
    let options = [
        "--set",
        "fc3.units=32768",
        "--set",
        "fc3.momentum.biases=0.5",
        "--set",
        "conv1.frozen=true",
        "--set",
        "conv2.rates={ weights = 0, biases = 2 }",
        "--norms-every",
        "1",
    ];
    let go = |ranks, out, options: &[&str]| {
        let train = replaced(&train(DATA.path(), out, options), "--checkpoint-every", "2");
        run(&mut mpirun(&[(ranks, &train)])).ok();
    };
    let steps = |steps| [&options[..], &["--steps", steps]].concat();
    go(1, "wide-1", &steps("4"));
    go(2, "wide-2", &steps("2"));
    go(4, "wide-2", &[&["--resume"], &steps("4")[..]].concat());
    let folders = ["wide-1", "wide-2"].map(|out| DATA.path().join(out));
    for step in [2, 4] {
        let of = folders
            .each_ref()
            .map(|folder| bytes(checkpoint(folder, step)));
        assert!(of[0] == of[1], "step {step} differs");
    }
    let lines = folders.each_ref().map(|folder| metrics(folder));
    assert!(
        lines[0][0]["layers"]["fc3"]["gradient"].is_number(),
        "{}",
        lines[0][0]
    );
    assert_eq!(lines[0], lines[1]);
}

#[test]
fn what_the_ranks_send_is_what_the_formula_says() {
    if !has_ranks() {
        return;
    }
    let done = train_on(4, "sent", &["--steps", "2", "--json"]).ok();
    // Each tensor goes out in four chunks of a multiple of 16 floats: three to others, and their sum to three.
    let floats = |(name, values): &(String, Vec<f32>)| match name.as_str() {
        "mean" => 0,
        name if name.ends_with("velocity") => 0,
        _ => values.len().next_multiple_of(64) / 4,
    };
    let chunk: usize = tensors("sent", 2).iter().map(floats).sum();
    let sent = done.json()["ranks"]["bytes_sent_a_step"].as_u64();
    assert_eq!(sent, Some(2 * 3 * 4 * chunk as u64));
}

#[test]
fn the_exchange_is_measured() {
    if !has_ranks() {
        return;
    }
    let mut bench = common::program("host");
    bench.args(["bench", "--json", "--net", &common::tiny()]);
    bench.args(["--batch", "32", "--steps", "1", "--gpus", "cpu"]);
    assert!(run(&mut bench).ok().json().get("ranks").is_none());
    let report = run(&mut mpirun(&[(2, &bench)])).ok().json();
    let ranks = &report["ranks"];
    assert_eq!(ranks["step_seconds"], report["step_seconds"]);
    for key in [
        "bytes_sent_a_step",
        "step_seconds_one_after_the_other",
        "step_seconds_without",
        "message_seconds",
        "bytes_sent_a_second",
    ] {
        assert!(ranks[key].as_f64().is_some_and(|n| n > 0.0), "{ranks}");
    }
}

#[test]
fn a_test_on_ranks_is_that_of_one() {
    if !has_ranks() {
        return;
    }
    let [run_dir, data] = ["straight", "sets/train"].map(|name| path(DATA.path(), name));
    let mut test = common::program("host");
    test.args([
        "test-crop",
        "--json",
        "--batch",
        "32",
        "--checkpoint",
        &run_dir,
    ]);
    test.args(["--data", &data]);
    let alone = run(&mut test).ok();
    assert_eq!(run(&mut mpirun(&[(3, &test)])).ok().json(), alone.json());
}

#[test]
fn ranks_that_differ_are_refused() {
    if !has_ranks() {
        return;
    }
    let with = |options: &[&str]| {
        let common = ["--steps", "1"];
        train(DATA.path(), "differ", &[&common[..], options].concat())
    };
    let other = DATA.path().join("sets/val");
    let other = other.to_str().expect("UTF-8");
    for (options, words) in [
        (
            &["--seed", "2"][..],
            &["rank 1 of 2 on ", "its options"][..],
        ),
        (
            &["--data", other],
            &["rank 1 of 2 on ", "are not those of rank 0"],
        ),
        (&["--shares", "2"], &["rank 1 of 2 on "]),
        (&["--gpus", "99"], &["rank 1 of 2 on ", "--gpus"]),
    ] {
        let mut second = with(&[]);
        second.args(options);
        if options[0] == "--data" || options[0] == "--shares" {
            // Given once only.
            second = replaced(&with(&[]), options[0], options[1]);
        }
        let begun = Instant::now();
        let done = run(&mut mpirun(&[(1, &with(&[])), (1, &second)]));
        assert!(begun.elapsed() < SOON, "{:?}", begun.elapsed());
        assert_ne!(done.code, Some(0), "{options:?}");
        let errors: Vec<_> = done
            .err
            .lines()
            .filter(|l| l.starts_with("error: "))
            .collect();
        assert_eq!(errors.len(), 1, "{}", done.err);
        assert!(
            words.iter().all(|word| errors[0].contains(word)),
            "{}",
            errors[0]
        );
        assert!(!DATA.path().join("differ").exists() || options[0] == "--gpus");
    }
}

/// The same command with another value of an option.
fn replaced(command: &Command, option: &str, value: &str) -> Command {
    let mut other = Command::new(command.get_program());
    let mut take = false;
    for argument in command.get_args() {
        match std::mem::replace(&mut take, argument == option) {
            true => other.arg(value),
            false => other.arg(argument),
        };
    }
    other
}

/// A run on two ranks that would take for ever and has done a step, and the processes of its ranks.
fn started(out: &str) -> (Running, Vec<String>) {
    let train = train(DATA.path(), out, &["--steps", "1000000"]);
    let mut command = mpirun(&[(2, &train)]);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = Running(command.spawn().expect("mpirun starts"));
    let latest = DATA.path().join(out).join("checkpoints/latest");
    let begun = Instant::now();
    while !latest.is_file() {
        assert!(
            begun.elapsed() < Duration::from_secs(120),
            "no step is done"
        );
        sleep(Duration::from_millis(5));
    }
    let ranks = run(Command::new("pgrep").args(["-P", &child.0.id().to_string()])).ok();
    let ranks: Vec<_> = ranks.out.lines().map(str::to_owned).collect();
    assert_eq!(ranks.len(), 2, "{ranks:?}");
    (child, ranks)
}

fn kill(signal: &str, process: &str) {
    run(Command::new("kill").args([&format!("-{signal}"), process])).ok();
}

/// Waits for the end, which must come soon.
fn ended(child: &mut Child) -> Option<i32> {
    let begun = Instant::now();
    loop {
        if let Some(status) = child.try_wait().expect("it can be asked") {
            return status.code();
        }
        assert!(begun.elapsed() < SOON, "it hangs");
        sleep(Duration::from_millis(20));
    }
}

/// That a run that was ended goes on to where a straight one comes.
fn goes_on(out: &str) {
    let folder = DATA.path().join(out);
    let latest = fs::read_to_string(folder.join("checkpoints/latest")).expect("a checkpoint");
    let step = latest.trim_start_matches("step-").split('.').next();
    let step: u64 = step.and_then(|step| step.parse().ok()).expect("its step");
    let last = (step + 1).to_string();
    let straight = format!("{out}-straight");
    train_on(2, out, &["--steps", &last, "--resume"]).ok();
    run(&mut train(DATA.path(), &straight, &["--steps", &last])).ok();
    let of = |out: &str, step| bytes(checkpoint(&DATA.path().join(out), step));
    assert!(
        of(out, step) == of(&straight, step),
        "the checkpoint it was ended with"
    );
    assert!(
        of(out, step + 1) == of(&straight, step + 1),
        "the one it came to"
    );
}

#[test]
fn a_signal_to_any_rank_stops_all() {
    if !has_ranks() {
        return;
    }
    let (mut child, ranks) = started("signal");
    kill("USR1", &ranks[1]);
    assert_eq!(ended(&mut child.0), Some(0));
    goes_on("signal");
}

#[test]
fn a_rank_that_is_killed_ends_all() {
    if !has_ranks() {
        return;
    }
    for (rank, out) in [(0, "killed-0"), (1, "killed-1")] {
        let (mut child, ranks) = started(out);
        kill("KILL", &ranks[rank]);
        assert_ne!(ended(&mut child.0), Some(0));
        goes_on(out);
    }
}

/// On GPUs that only record what is asked of them: the exchange has streams of its own, and neither they nor the towers'
/// touch what the others have not finished with.
#[test]
fn streams_of_the_exchange_and_of_the_passes_wait_for_each_other() {
    if !has_ranks() {
        return;
    }
    let ranks = [0, 1].map(|rank| {
        let log = path(DATA.path(), &format!("ordered-{rank}.log"));
        let train = train(DATA.path(), "ordered", &["--steps", "4", "--gpus", "0,1"]);
        let mut command = Command::new("env");
        command.arg(format!("ALEXNET_LIBCUDA={}", stand_in().display()));
        let settings = "terminated=yes execute=no devices=2";
        command.arg(format!("CUDA_STAND_IN={settings} log={log}"));
        command.arg(train.get_program()).args(train.get_args());
        (command, log)
    });
    let jobs = ranks.each_ref().map(|(command, _)| (1, command));
    run(&mut mpirun(&jobs)).ok();
    for (_, log) in ranks {
        let report = examine(&read(Path::new(&log)));
        assert!(
            report.races.is_empty() && report.hasty.is_empty(),
            "{report:?}"
        );
        assert!(report.work > 100 && report.ordered > 50, "{report:?}");
    }
}
