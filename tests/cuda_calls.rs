//! What is asked of the CUDA driver, against a stand-in that records it: the order of work across streams, the
//! arguments of launches, what is never asked in a step. Kernels do nothing there.

mod common;
mod cuda_common;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;
use std::sync::LazyLock;

use common::{Done, Folder, bytes, checkpoint, path, program, run, tiny, train_tiny};
use cuda_common::order::examine;
use cuda_common::{Call, assert_nothing_left, read, train_on, with_gpus};

static DATA: LazyLock<Folder> = LazyLock::new(|| common::sets(3, 24, 64));

const TRAINING: [&str; 4] = ["--steps", "6", "--checkpoint-every", "2"];

/// Trains the tiny net, checks what must always hold.
fn trained(out: &str, settings: &str, gpus: &str, more: &[&str]) -> (Done, Vec<Call>) {
    let val = path(DATA.path(), "sets/val");
    let options = [&TRAINING[..], &["--gpus", gpus, "--val", &val], more].concat();
    let (done, calls) = train_on(DATA.path(), out, settings, &options);
    let done = done.ok();
    let failed: Vec<_> = calls
        .iter()
        .filter(|call| call.json()["result"] != 0)
        .collect();
    assert!(failed.is_empty(), "{failed:?}");
    assert_nothing_left(&calls);
    (done, calls)
}

fn count(calls: &[Call], name: &str) -> usize {
    calls.iter().filter(|call| call.name() == name).count()
}

#[track_caller]
fn assert_in_order(calls: &[Call]) {
    let report = examine(calls);
    assert!(
        report.races.is_empty() && report.hasty.is_empty(),
        "{report:?}"
    );
    assert!(report.work > 100 && report.ordered > 50, "{report:?}");
}

#[test]
fn two_gpus_exchange_by_peer_copies_in_order() {
    let (done, calls) = trained("two", "devices=2", "0,1", &[]);
    assert_in_order(&calls);
    for gpu in ["GPU 0: Stand-in GPU", "GPU 1: Stand-in GPU"] {
        assert!(done.err.contains(gpu), "{}", done.err);
    }
    assert_eq!(count(&calls, "cuCtxEnablePeerAccess"), 2);
    // Forward before conv2, fc3, fc4 and the softmax, back before the first three, between two towers.
    let steps = count_kernel(&calls, "sgd_update") / SGD_UPDATES;
    let tests = count_kernel(&calls, "augment") / 2 - steps;
    assert_eq!((steps, tests), (6, 3));
    assert_eq!(
        count(&calls, "cuMemcpyPeerAsync"),
        steps * 2 * (4 + 3) + tests * 2 * 4
    );
}

/// In a step: weights and biases of four layers, in two towers.
const SGD_UPDATES: usize = 2 * 2 * 4;

fn count_kernel(calls: &[Call], kernel: &str) -> usize {
    let is_it = |call: &&Call| call.name() == "cuLaunchKernel" && call.text("kernel") == kernel;
    calls.iter().filter(is_it).count()
}

#[test]
fn gpus_out_of_reach_exchange_through_the_host_and_say_so_once() {
    let (done, calls) = trained("relayed", "devices=2 peers=no", "0,1", &[]);
    assert_in_order(&calls);
    assert_eq!(
        done.err.matches("cannot reach each other").count(),
        1,
        "{}",
        done.err
    );
    assert_eq!(count(&calls, "cuMemcpyPeerAsync"), 0);
    let copies = |name: &str| {
        let pinned = |call: &&Call| call.name() == name && call.json()["pinned"] == true;
        calls.iter().filter(pinned).count()
    };
    assert!(copies("cuMemcpyDtoHAsync_v2") > 50 && copies("cuMemcpyHtoDAsync_v2") > 50);
}

/// The judge of the order must be able to find fault: here the log lacks what keeps the order.
#[test]
fn work_out_of_order_would_be_found() {
    let (_, mut calls) = trained("judged", "devices=2 peers=no", "0,1", &[]);
    let stream = |call: &Call| (call.number("current"), call.find("stream"));
    let is_wait = |call: &Call| call.name() == "cuStreamWaitEvent";
    let waiting: BTreeSet<_> = calls
        .iter()
        .filter(|call| is_wait(call))
        .map(stream)
        .collect();
    // Each tower's work, its copies, its uploads, and the way from the other GPU.
    assert_eq!(waiting.len(), 2 * 4);
    let missed = |without: &_| {
        let kept = calls
            .iter()
            .filter(|call| !is_wait(call) || stream(call) != *without);
        !examine(kept).races.is_empty()
    };
    // Uploads wait for the last reader, which here the host has waited for as well.
    assert_eq!(
        waiting.iter().filter(|without| missed(without)).count(),
        2 * 3
    );
    calls.retain(|call| call.name() != "cuEventSynchronize");
    assert!(!examine(&calls).hasty.is_empty());
}

#[test]
fn both_towers_on_one_gpu() {
    for (out, gpus) in [("one", "0"), ("twice", "0,0")] {
        let (_, calls) = trained(out, "devices=2", gpus, &[]);
        assert_in_order(&calls);
        assert_eq!(count(&calls, "cuDevicePrimaryCtxRetain"), 1);
        assert_eq!(count(&calls, "cuModuleLoadDataEx"), 1);
        assert_eq!(count(&calls, "cuMemcpyPeerAsync"), 0);
    }
}

#[test]
fn pixels_go_up_once_to_each_gpu() {
    let uploads = |out: &str, gpus: &str| {
        let (_, calls) = trained(out, "devices=2", gpus, &[]);
        let pixels = 32 * 56 * 56 * 3;
        let is_it =
            |call: &&Call| call.name() == "cuMemcpyHtoDAsync_v2" && call.number("bytes") == pixels;
        calls.iter().filter(is_it).count()
    };
    let shared = uploads("shared", "0,0");
    assert!(shared >= 6, "{shared}");
    assert_eq!(uploads("each", "0,1"), 2 * shared);
}

#[test]
fn streams_do_not_block_and_events_tell_no_time() {
    let (_, calls) = trained("handles", "devices=2", "0,1", &[]);
    let all = |name: &str, field: &str, value: bool| {
        let mut found = calls.iter().filter(|call| call.name() == name).peekable();
        found.peek().is_some() && found.all(|call| call.json()[field] == value)
    };
    assert!(all("cuStreamCreate", "non_blocking", true));
    assert!(all("cuEventCreate", "timing", false));
    assert!(all("cuMemHostAlloc", "portable", true));
    // Images go up from pinned memory, or the host would wait for them.
    assert!(all("cuMemcpyHtoDAsync_v2", "pinned", true));
}

#[test]
fn steps_neither_allocate_nor_look_anything_up_nor_wait_for_a_device() {
    let options = ["--steps", "6", "--gpus", "0,1"];
    let (done, calls) = train_on(DATA.path(), "steady", "devices=2", &options);
    done.ok();
    // From the end of the second step on.
    let updates =
        |call: &&Call| call.name() == "cuLaunchKernel" && call.text("kernel") == "sgd_update";
    let second = calls
        .iter()
        .filter(updates)
        .nth(2 * SGD_UPDATES - 1)
        .expect("two steps");
    let begin = calls
        .iter()
        .position(|call| std::ptr::eq(call, second))
        .expect("its place");
    let free = calls
        .iter()
        .rposition(|call| updates(&call))
        .expect("an update");
    let names: BTreeSet<&str> = calls[begin..free].iter().map(Call::name).collect();
    let allowed = BTreeSet::from([
        "cuCtxSetCurrent",
        "cuLaunchKernel",
        "cuEventRecord",
        "cuStreamWaitEvent",
        "cuEventSynchronize",
        "cuStreamSynchronize",
        "cuMemcpyPeerAsync",
        "cuMemcpyDtoDAsync_v2",
        "cuMemcpyHtoDAsync_v2",
        "cuMemcpyDtoHAsync_v2",
    ]);
    assert!(
        names.is_subset(&allowed),
        "{:?}",
        names.difference(&allowed)
    );
}

/// While the weights' gradients are computed, what the towers exchange is on its way.
#[test]
fn the_exchange_runs_beside_the_weights_gradients() {
    let (_, calls) = trained("beside", "devices=2", "0,1", &[]);
    let mut unwaited: HashMap<u64, &str> = HashMap::new();
    let mut beside = 0;
    for call in &calls {
        match call.name() {
            "cuMemcpyPeerAsync" => drop(unwaited.insert(call.number("current"), "")),
            "cuStreamWaitEvent" => {}
            "cuLaunchKernel" if call.text("kernel").ends_with("_weight_gradient") => {
                beside += usize::from(unwaited.contains_key(&call.number("current")));
            }
            "cuLaunchKernel" if call.text("kernel") == "sum_parts" => {}
            "cuLaunchKernel" => drop(unwaited.remove(&call.number("current"))),
            _ => {}
        }
    }
    // fc4, fc3 and conv2 of both towers, in each of six steps.
    assert_eq!(beside, 6 * 2 * 3);
}

/// Kernels do nothing in the stand-in, so training leaves what it began with, in whatever order the rest runs.
#[test]
fn weights_go_up_and_come_back_unharmed() {
    let dir = DATA.path();
    run(&mut train_tiny(
        dir,
        "cpu",
        &["--steps", "1", "--gpus", "cpu"],
    ))
    .ok();
    let first = checkpoint(&dir.join("cpu"), 1);
    let from = first.to_str().expect("UTF-8");
    for (i, settings) in ["", "schedule=1", "schedule=2", "peers=no schedule=3"]
        .iter()
        .enumerate()
    {
        let out = format!("restored-{i}");
        trained(
            &out,
            &format!("devices=2 {settings}"),
            "0,1",
            &["--init-from", from],
        );
        assert_same_weights(&first, &checkpoint(&dir.join(out), 6));
    }
}

#[track_caller]
fn assert_same_weights(before: &Path, after: &Path) {
    let [before, after] = [before, after].map(bytes);
    let [before, after] = [&before, &after].map(|file| tensors(file));
    let mut compared = 0;
    for (name, expected) in before
        .iter()
        .filter(|(name, _)| !name.ends_with(".velocity"))
    {
        assert!(*expected == after[name], "{name}");
        compared += usize::from(expected.iter().any(|&byte| byte != 0));
    }
    assert!(compared >= 8, "{compared}");
}

fn tensors(file: &[u8]) -> BTreeMap<String, Vec<u8>> {
    let file = safetensors::SafeTensors::deserialize(file).expect("a checkpoint");
    let tensors = file.tensors().into_iter();
    tensors
        .map(|(name, tensor)| (name, tensor.data().to_vec()))
        .collect()
}

/// The stand-in compares the number of arguments and reads as many bytes as the PTX says; the program compares sizes.
#[test]
fn every_kernel_of_every_net_is_launched_as_its_ptx_says() {
    let dir = DATA.path();
    let mut launched = BTreeSet::new();
    for (i, options) in [
        &["--net", "paper", "--width", "0.1", "--gpus", "0,1"][..],
        &["--net", "one-gpu", "--width", "0.1", "--gpus", "1"],
        &["--net", &tiny(), "--gpus", "0,0"],
    ]
    .into_iter()
    .enumerate()
    {
        let log = path(dir, &format!("bench-{i}.log"));
        let mut command = program("host");
        command
            .args(["bench", "--batch", "32", "--steps", "1"])
            .args(options);
        run(with_gpus(&mut command, &format!("devices=2 log={log}"))).ok();
        let calls = read(Path::new(&log));
        assert_nothing_left(&calls);
        assert_in_order(&calls);
        let launches = calls.iter().filter(|call| call.name() == "cuLaunchKernel");
        for call in launches {
            let parameters = call.json()["parameters"]
                .as_array()
                .expect("parameters")
                .len();
            assert_eq!(call.number("arguments") as usize, parameters);
            assert_eq!(call.number("result"), 0);
            launched.insert(call.text("kernel").to_owned());
        }
    }
    assert!(launched.len() >= 20, "{launched:?}");
}
