//! A kernel that fails on a virtual GPU: the error comes out and names it, later work is left out, nobody waits for ever.

use std::sync::Arc;

use gpu_kernels::fill::{constant_fill, constant_fill_launch};
use host::device::{Buffer, Device, Place, Stream, View, open};
use simt_executor::{InstructionSet, Kernel, Launch, block_idx, sync_threads, thread_idx};

/// Fails in one thread of its second block.
unsafe fn fail(_: *const ()) {
    if block_idx()[0] == 1 && thread_idx()[0] == 2 {
        panic!("the planted fault");
    }
}

/// Passes a barrier in only some threads.
unsafe fn diverge(_: *const ()) {
    if thread_idx()[0] < 3 {
        sync_threads();
    }
}

// SAFETY: the code reads no arguments and needs no particular processor.
static FAILING: Kernel<(u32,)> =
    unsafe { Kernel::new("failing", &[(InstructionSet::Baseline, fail)]) };
// SAFETY: the same.
static DIVERGING: Kernel<(u32,)> =
    unsafe { Kernel::new("diverging", &[(InstructionSet::Baseline, diverge)]) };

const LAUNCH: Launch = Launch {
    grid: [4, 1, 1],
    block: [8, 1, 1],
    shared: 0,
};

fn device() -> Arc<dyn Device> {
    open(&[Place::Cpu], 1).unwrap().remove(0)
}

/// Queues a kernel that fills with `value`.
fn fill(stream: &dyn Stream, value: f32, to: View<f32>) {
    let len = to.len() as u32;
    let launch = constant_fill_launch(len, stream.device().target());
    // SAFETY: the view has `len` floats.
    unsafe { stream.launch(&constant_fill, launch, (len, len, value, to.ptr())) };
}

fn plant(stream: &dyn Stream, kernel: &Kernel<(u32,)>) {
    // SAFETY: the kernels above need nothing of their arguments.
    unsafe { stream.launch(kernel, LAUNCH, (0,)) };
}

#[test]
fn a_fault_names_its_kernel_block_and_thread() {
    for (kernel, words) in [
        (
            &FAILING,
            &[
                "failing",
                "block [1, 0, 0]",
                "thread [2, 0, 0]",
                "the planted fault",
            ][..],
        ),
        (&DIVERGING, &["diverging", "divergent barrier"]),
    ] {
        let stream = device().stream().unwrap();
        plant(&*stream, kernel);
        let error = format!("{:#}", stream.synchronize().unwrap_err());
        assert!(
            words.iter().all(|word| error.contains(word)) && !error.contains('\n'),
            "{error}"
        );
        assert!(error.contains("virtual GPU"), "{error}");
    }
}

#[test]
fn what_is_queued_behind_a_fault_is_left_out_and_the_fault_stays() {
    let device = device();
    let (buffer, other) = (
        Buffer::new(&device, 64).unwrap(),
        Buffer::new(&device, 64).unwrap(),
    );
    let stream = device.clone().stream().unwrap();
    fill(&*stream, 1.0, buffer.view());
    plant(&*stream, &FAILING);
    fill(&*stream, 2.0, buffer.view());
    stream.upload(&[3.0; 64], buffer.view());
    stream.copy(buffer.view(), other.view());
    let first = format!("{:#}", stream.synchronize().unwrap_err());
    plant(&*stream, &DIVERGING);
    assert_eq!(format!("{:#}", stream.synchronize().unwrap_err()), first);
    assert_eq!(
        format!("{:#}", stream.download(buffer.view()).unwrap_err()),
        first
    );
    // Another stream of the device goes on, and sees what was done before the fault.
    let healthy = device.clone().stream().unwrap();
    assert_eq!(healthy.download(buffer.view()).unwrap(), [1.0; 64]);
    assert_eq!(healthy.download(other.view()).unwrap(), [0.0; 64]);
}

#[test]
fn events_behind_a_fault_happen() {
    let device = device();
    let buffer = Buffer::new(&device, 64).unwrap();
    let (failing, waiting) = (
        device.clone().stream().unwrap(),
        device.clone().stream().unwrap(),
    );
    plant(&*failing, &FAILING);
    let event = failing.record();
    waiting.wait(&event);
    fill(&*waiting, 5.0, buffer.view());
    let back = waiting.record();
    failing.wait(&back);
    assert_eq!(waiting.download(buffer.view()).unwrap(), [5.0; 64]);
    assert!(failing.synchronize().is_err());
}
