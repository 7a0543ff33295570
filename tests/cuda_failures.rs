//! A CUDA driver that fails: one clear line, exit status 1, everything given back, the last checkpoint as it was.

mod common;
mod cuda_common;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::LazyLock;

use common::{Done, Folder, bytes, checkpoint, program, run};
use cuda_common::{Call, assert_nothing_left, stand_in, train_on, with_gpus};

/// Data, and a run of two steps, `run`, which others begin with a copy of.
static DATA: LazyLock<Folder> = LazyLock::new(|| {
    let dir = common::sets(3, 24, 64);
    train_on(
        dir.path(),
        "run",
        "devices=2",
        &["--steps", "2", "--gpus", "0,1"],
    )
    .0
    .ok();
    dir
});

/// Goes on with a copy of the run on two GPUs.
fn resumed(out: &str, settings: &str) -> (Done, Vec<Call>) {
    let (dir, to) = (DATA.path(), DATA.path().join(out));
    copy_folder(&dir.join("run"), &to);
    let options = [
        "--resume",
        "--steps",
        "5",
        "--checkpoint-every",
        "4",
        "--gpus",
        "0,1",
    ];
    train_on(dir, out, &format!("devices=2 {settings}"), &options)
}

fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("a folder") {
        let entry = entry.expect("an entry");
        let target = to.join(entry.file_name());
        match entry.path().is_dir() {
            true => copy_folder(&entry.path(), &target),
            false => drop(fs::copy(entry.path(), target).expect("a copy")),
        }
    }
}

/// Checks that the run's checkpoints are whole: the first is as it was, the newest can be gone on with.
#[track_caller]
fn assert_checkpoints_intact(out: &str) {
    let [before, after] = ["run", out].map(|run| bytes(checkpoint(&DATA.path().join(run), 2)));
    assert!(before == after, "the last checkpoint has changed");
    let left = common::files(&DATA.path().join(out).join("checkpoints"));
    assert!(left.iter().all(|name| !name.contains("tmp")), "{left:?}");
}

/// How often each function is called in a run that goes well.
static CALLS: LazyLock<BTreeMap<String, usize>> = LazyLock::new(|| {
    let count = |settings: &str, out: &str| {
        let (done, calls) = resumed(out, settings);
        done.ok();
        let mut counts = BTreeMap::new();
        for call in calls {
            *counts.entry(call.name().to_owned()).or_insert(0) += 1;
        }
        counts
    };
    let mut counts = count("", "well");
    // Relays use more of some; each function is in one or the other.
    counts.extend(
        count("peers=no", "well-relayed")
            .into_iter()
            .filter(|(name, _)| name == "cuEventSynchronize"),
    );
    counts
});

/// What gives something back: nothing can be done about it.
fn gives_back(function: &str) -> bool {
    ["Free", "Destroy", "Unload", "Release"]
        .iter()
        .any(|word| function.contains(word))
}

/// `function` fails with `code` when it is called for the `nth` time; is that the end?
fn fails(function: &str, nth: usize, code: u32, ends: bool) {
    let out = format!("{function}-{nth}-{code}");
    let (done, calls) = resumed(&out, &format!("fail={function}:{nth}:{code}"));
    assert!(
        !done.err.contains("panicked"),
        "{function} {nth}: {}",
        done.err
    );
    assert_nothing_left(&calls);
    match ends {
        true => drop(done.fails(&[function, &code.to_string()])),
        false => assert!(
            matches!(done.code, Some(0 | 1)),
            "{function} {nth}: {done:?}"
        ),
    }
    assert_checkpoints_intact(&out);
}

/// Code 321 stands for one that this program does not know.
#[test]
fn each_function_fails_at_its_first_call_in_the_middle_and_at_its_last() {
    assert!(CALLS.len() > 25, "{:?}", *CALLS);
    for (function, &count) in &*CALLS {
        let mut before = 0;
        for nth in [1, count.div_ceil(2), count] {
            // `cust` does not look at its own first call; the last ones only tidy up.
            let asked_again = function == "cuCtxSetCurrent" && nth == 1;
            let tidying = nth == count && nth > 4;
            if nth > before {
                fails(
                    function,
                    nth,
                    321,
                    !(gives_back(function) || asked_again || tidying),
                );
            }
            before = nth;
        }
    }
}

/// After such an error the device answers nothing else any more.
#[test]
fn a_lost_device_ends_the_run() {
    for (function, nth) in [
        ("cuLaunchKernel", CALLS["cuLaunchKernel"] / 2),
        ("cuMemcpyPeerAsync", 9),
        ("cuStreamSynchronize", CALLS["cuStreamSynchronize"] - 40),
        ("cuMemcpyHtoDAsync_v2", CALLS["cuMemcpyHtoDAsync_v2"] - 6),
    ] {
        let out = format!("lost-{function}");
        let (done, calls) = resumed(&out, &format!("fail={function}:{nth}:719"));
        done.fails(&[
            "GPU",
            function,
            "CUDA_ERROR_LAUNCH_FAILED",
            "unspecified launch failure",
        ]);
        assert_nothing_left(&calls);
        assert_checkpoints_intact(&out);
    }
    // A device that is well again goes on with the run.
    let (done, _) = train_on(
        DATA.path(),
        "lost-cuLaunchKernel",
        "devices=2",
        &["--resume", "--steps", "5", "--gpus", "0,1"],
    );
    assert!(done.ok().out.contains("steps        5"));
}

/// A kernel goes wrong when it runs, long after it was queued without an error.
#[test]
fn a_fault_in_a_kernel_ends_the_run() {
    for (i, order) in ["", "schedule=1", "schedule=2"].iter().enumerate() {
        let out = format!("fault-{i}");
        let (done, calls) = resumed(&out, &format!("fault=sgd_update:20:700 {order}"));
        done.fails(&[
            "GPU",
            "CUDA_ERROR_ILLEGAL_ADDRESS",
            "an illegal memory access was encountered",
        ]);
        assert_nothing_left(&calls);
        assert_checkpoints_intact(&out);
    }
}

#[test]
fn a_failed_launch_names_kernel_grid_and_gpu() {
    let (done, _) = resumed("named", "fail=cuLaunchKernel:200:1");
    done.fails(&[
        "GPU ",
        "Stand-in GPU",
        "kernel ",
        "grid [",
        "block [",
        "CUDA_ERROR_INVALID_VALUE",
    ]);
}

#[test]
fn too_little_memory_says_how_much_and_which_batch_would_fit() {
    let train = |out: &str, memory: usize, batch: &str, gpus: &str| {
        let options = ["--steps", "1", "--gpus", gpus, "--batch", batch];
        let (done, calls) = train_on(
            DATA.path(),
            out,
            &format!("devices=2 memory={memory}"),
            &options,
        );
        assert_nothing_left(&calls);
        done
    };
    let memory = 17_000_000;
    let done = train("memory", memory, "256", "0,1");
    done.fails(&[
        "batch 256 needs",
        "out of memory",
        "more needed",
        "of 17 MB free",
        "batch 64 would fit",
        "GPU 0",
    ]);
    train("memory-fits", memory, "64", "0,1").ok();
    train("memory-fits-not", memory, "96", "0,1").fails(&["batch 64 would fit"]);
    // Both towers on one GPU need twice as much.
    train("memory-both", memory, "64", "0").fails(&["batch 32 would fit"]);
    train("memory-none", 100_000, "64", "0,1").fails(&["no batch would fit"]);
}

fn bench(library: &str, settings: &str) -> Done {
    let mut command = program("host");
    command.args(["bench", "--gpus", "0", "--batch", "32"]);
    run(with_gpus(&mut command, settings).env("ALEXNET_LIBCUDA", library))
}

#[test]
fn a_driver_that_does_not_suit_is_explained() {
    let library = stand_in().display().to_string();
    bench(&library, "driver=11040").fails(&[
        "CUDA 11.4",
        "PTX 7.8",
        "sm_90",
        "Unsupported .version",
        "Stand-in GPU",
    ]);
    bench(&library, "capability=7.5").fails(&[
        "compute capability 7.5",
        "sm_80, sm_90",
        "ALEXNET_PTX_TARGETS",
    ]);
    bench(&library, "devices=0").fails(&["GPU 0: no such GPU"]);
    bench("libm.so.6", "").fails(&["libm.so.6 has no cuInit", "too old"]);
    bench("/nowhere/libcuda.so.1", "")
        .fails(&["/nowhere/libcuda.so.1 cannot be loaded", "--gpus cpu"]);
}

#[test]
fn without_a_gpu_the_cpu_is_used_and_the_reason_given() {
    let bench = |library: &str, settings: &str| {
        let mut command = program("host");
        command.args(["bench", "--batch", "32", "--steps", "1", "--width", "0.1"]);
        run(with_gpus(&mut command, settings).env("ALEXNET_LIBCUDA", library)).ok()
    };
    let library = stand_in().display().to_string();
    for (library, settings, why) in [
        (
            "/nowhere/libcuda.so.1",
            "",
            "/nowhere/libcuda.so.1 cannot be loaded",
        ),
        (library.as_str(), "devices=0", "no GPU"),
        (library.as_str(), "fail=cuInit:1:999", "CUDA_ERROR_UNKNOWN"),
        (library.as_str(), "capability=7.5", "compute capability 7.5"),
    ] {
        let done = bench(library, settings);
        let lines: Vec<_> = done.err.lines().filter(|line| line.contains(why)).collect();
        assert_eq!(lines.len(), 1, "{}", done.err);
        assert!(
            lines[0].starts_with("no GPU is used: ") && done.out.contains("virtual GPU"),
            "{done:?}"
        );
    }
    for (settings, towers) in [
        ("devices=1", ["GPU 0", "GPU 0"]),
        ("devices=3", ["GPU 0", "GPU 1"]),
    ] {
        let done = bench(&library, settings);
        for (tower, gpu) in towers.iter().enumerate() {
            assert!(
                done.out.contains(&format!("tower {tower}      {gpu}: ")),
                "{}",
                done.out
            );
        }
    }
}

#[test]
fn doctor_lists_gpus_or_says_why_there_are_none() {
    let doctor = |library: &str, settings: &str| {
        let mut command = program("host");
        let command = with_gpus(command.args(["doctor", "--json"]), settings);
        run(command.env("ALEXNET_LIBCUDA", library)).ok().json()
    };
    let library = stand_in().display().to_string();
    let found = doctor(&library, "devices=2 memory=8000000000");
    assert_eq!(found["cuda"], true);
    assert_eq!(found["gpus"].as_array().map(Vec::len), Some(2));
    assert_eq!(found["gpus"][1]["memory_bytes"], 8_000_000_000_u64);
    assert_eq!(found["gpus"][0]["ptx"], "sm_90");
    let old = doctor(&library, "capability=7.5");
    assert_eq!(
        (&old["cuda"], &old["gpus"][0]["ptx"]),
        (&false.into(), &serde_json::Value::Null)
    );
    let none = doctor("/nowhere/libcuda.so.1", "");
    assert_eq!(none["cuda"], false);
    assert!(
        none["gpus_missing"]
            .as_str()
            .is_some_and(|why| why.contains("cannot be loaded"))
    );
    let text = run(with_gpus(program("host").arg("doctor"), "devices=1"))
        .ok()
        .out;
    assert!(
        text.contains(
            "GPU 0   Stand-in GPU, compute capability 9.0, 17.2 GB: runs the kernels for sm_90"
        ),
        "{text}"
    );
}

#[test]
fn places_that_cannot_be_mixed_or_found_are_refused() {
    for (gpus, words) in [
        ("0,cpu", &["--gpus", "GPU 0 and cpu"][..]),
        ("0,5", &["--gpus", "GPU 5", "no such GPU"]),
        ("0,1,0", &["--gpus", "3 places for 2 towers"]),
    ] {
        let mut command = program("host");
        command.args(["bench", "--gpus", gpus]);
        run(with_gpus(&mut command, "devices=2")).fails(words);
    }
}
