//! `host`'s CUDA device on the stand-in: what goes up comes back, and what goes from GPU to GPU arrives.

mod common;

use std::process::Command;
use std::sync::Arc;

use gpu_kernels::launch::Check;
use host::device::{Buffer, Device, Place, Stream, open};
use simt_executor::{InstructionSet, Kernel, Launch};

/// Runs a test of this file in a process of its own, in which GPUs are the stand-in's.
fn with_gpus(test: &str, settings: &str) {
    let this = std::env::current_exe().expect("this test's path");
    let output = Command::new(&this)
        .args(["--exact", test, "--ignored"])
        .env(libcuda_loader::VARIABLE, common::stand_in())
        .env("CUDA_STAND_IN", format!("terminated=yes {settings}"))
        .output()
        .expect("this test runs again");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && text.contains("1 passed"),
        "{text}"
    );
}

fn gpus(count: usize) -> Vec<Arc<dyn Device>> {
    let places: Vec<Place> = (0..count).map(Place::Gpu).collect();
    open(&places, count).expect("GPUs")
}

fn stream(device: &Arc<dyn Device>) -> Box<dyn Stream> {
    // SAFETY: where a test uses a buffer in two streams an event is between.
    unsafe { device.clone().stream() }.unwrap()
}

fn numbers(seed: u32, len: usize) -> Vec<u32> {
    (0..len as u32)
        .map(|i| (i ^ seed).wrapping_mul(0x9e37_79b9))
        .collect()
}

/// Settings under which what the program left unordered runs in any order: on the streams' own threads, and as
/// `schedule` has it.
fn schedules(settings: &str, seeds: u64) -> impl Iterator<Item = String> {
    let seeded = (0..seeds).map(|seed| format!("schedule={seed}"));
    let all = ["".to_owned()].into_iter().chain(seeded);
    all.map(move |order| format!("{settings} {order}"))
}

#[test]
fn uploads_come_back() {
    for settings in schedules("", 3) {
        with_gpus("up_and_down", &settings);
    }
}

#[test]
#[ignore = "run by uploads_come_back"]
fn up_and_down() {
    let device = gpus(1).remove(0);
    let stream = stream(&device);
    // Uploads go in pieces of 32 MiB through two buffers, which grow and are used again.
    let lengths = [5, 1 << 10, 0, 3, (20 << 20) + 7, 1 << 20, 17];
    let buffers = lengths.map(|len| Buffer::<u32>::new(&device, len).unwrap());
    for buffer in &buffers {
        let zeros = stream.download(buffer).unwrap();
        assert!(
            zeros.iter().all(|&word| word == 0),
            "memory begins with zeros"
        );
    }
    for (seed, buffer) in buffers.iter().enumerate() {
        stream.upload(&numbers(seed as u32, buffer.len()), buffer);
    }
    for (seed, buffer) in buffers.iter().enumerate() {
        let back = stream.download(buffer).unwrap();
        assert!(back == numbers(seed as u32, lengths[seed]), "upload {seed}");
    }
    stream.copy(&buffers[1].slice(10..14), &buffers[0].slice(1..5));
    assert_eq!(
        stream.download(&buffers[0]).unwrap()[1..],
        numbers(1, 14)[10..]
    );
}

#[test]
fn copies_arrive_directly_and_through_the_host() {
    for settings in ["devices=3", "devices=3 peers=no"] {
        for settings in schedules(settings, 10) {
            with_gpus("from_gpu_to_gpu", &settings);
        }
    }
}

#[test]
#[ignore = "run by copies_arrive_directly_and_through_the_host"]
fn from_gpu_to_gpu() {
    let devices = gpus(3);
    let streams: Vec<_> = devices.iter().map(stream).collect();
    // The second length makes what is copied through grow.
    for (round, len) in [100, 5000, 31].into_iter().enumerate() {
        let buffers: Vec<_> = devices
            .iter()
            .map(|device| Buffer::<u32>::new(device, 3 * len).unwrap())
            .collect();
        for (i, stream) in streams.iter().enumerate() {
            let own = buffers[i].slice(i * len..(i + 1) * len);
            stream.upload(&numbers((10 * round + i) as u32, len), &own);
        }
        let ready: Vec<_> = streams.iter().map(|stream| stream.record()).collect();
        for (to, stream) in streams.iter().enumerate() {
            for from in (0..3).filter(|&from| from != to) {
                stream.wait(&ready[from]);
                let part = from * len..(from + 1) * len;
                let (source, target) = (&buffers[from], &buffers[to]);
                stream.copy(&source.slice(part.clone()), &target.slice(part));
            }
        }
        for (buffer, stream) in buffers.iter().zip(&streams) {
            let all = stream.download(buffer).unwrap();
            let expected: Vec<u32> = (0..3)
                .flat_map(|i| numbers((10 * round + i) as u32, len))
                .collect();
            assert!(all == expected, "round {round}");
        }
    }
}

#[test]
fn launches_that_do_not_fit_the_ptx_are_refused() {
    for test in ["unknown_kernel", "other_arguments"] {
        with_gpus(test, "");
    }
}

unsafe fn nothing(_: *const ()) {}

/// The error of launching a kernel of this name and these arguments.
fn refused<A: simt_executor::Arguments + 'static>(name: &'static str, arguments: A) -> String {
    // SAFETY: it reads nothing.
    let kernel: Kernel<A> = unsafe { Kernel::new(name, &[(InstructionSet::Baseline, nothing)]) };
    let stream = stream(&gpus(1)[0]);
    let launch = Launch::cover(1, 32);
    // SAFETY: it is refused.
    stream.launch(|on| unsafe { Check::new(&kernel, on.target()).call(launch, arguments) });
    format!("{:#}", stream.synchronize().unwrap_err())
}

#[test]
#[ignore = "run by launches_that_do_not_fit_the_ptx_are_refused"]
fn unknown_kernel() {
    let error = refused("no_such_kernel", (1u32,));
    assert!(
        error.contains("GPU 0") && error.contains("kernel no_such_kernel"),
        "{error}"
    );
}

#[test]
#[ignore = "run by launches_that_do_not_fit_the_ptx_are_refused"]
fn other_arguments() {
    let error = refused("relu_forward", (1u64, 2u64, 3u64));
    assert!(
        error.contains("[8, 8, 8]") && error.contains("[4, 8, 8]"),
        "{error}"
    );
}
