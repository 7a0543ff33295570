//! A kernel that fails on a virtual GPU: the error comes out and names it, later work is left out, nobody waits for ever.

use std::sync::Arc;

use gpu_kernels::launch::{self, Check};
use host::device::{Buffer, Device, Place, Stream, open};
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

fn stream(device: &Arc<dyn Device>) -> Box<dyn Stream> {
    // SAFETY: these tests use a buffer in two streams only with an event between, or when
    // the first has been waited for.
    unsafe { device.clone().stream() }.unwrap()
}

/// Queues a kernel that fills with `value`.
fn fill(stream: &dyn Stream, value: f32, to: &Buffer<f32>) {
    let len = to.len() as u32;
    stream.launch(|on| launch::constant_fill(len, value, on.write(to), on.target()));
}

fn plant(stream: &dyn Stream, kernel: &Kernel<(u32,)>) {
    // SAFETY: the kernels above need nothing of their arguments.
    stream.launch(|on| unsafe { Check::new(kernel, on.target()).call(LAUNCH, (0,)) });
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
        let stream = stream(&device());
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
    let stream = stream(&device);
    fill(&*stream, 1.0, &buffer);
    plant(&*stream, &FAILING);
    fill(&*stream, 2.0, &buffer);
    stream.upload(&[3.0; 64], &buffer);
    stream.copy(&buffer, &other);
    let first = format!("{:#}", stream.synchronize().unwrap_err());
    plant(&*stream, &DIVERGING);
    assert_eq!(format!("{:#}", stream.synchronize().unwrap_err()), first);
    assert_eq!(
        format!("{:#}", stream.download(&buffer).unwrap_err()),
        first
    );
    // Another stream of the device goes on, and sees what was done before the fault.
    let healthy = self::stream(&device);
    assert_eq!(healthy.download(&buffer).unwrap(), [1.0; 64]);
    assert_eq!(healthy.download(&other).unwrap(), [0.0; 64]);
}

#[test]
fn events_behind_a_fault_happen() {
    let device = device();
    let buffer = Buffer::new(&device, 64).unwrap();
    let (failing, waiting) = (stream(&device), stream(&device));
    plant(&*failing, &FAILING);
    let event = failing.record();
    waiting.wait(&event);
    fill(&*waiting, 5.0, &buffer);
    let back = waiting.record();
    failing.wait(&back);
    assert_eq!(waiting.download(&buffer).unwrap(), [5.0; 64]);
    assert!(failing.synchronize().is_err());
}

#[test]
fn a_call_that_is_refused_is_the_streams_error() {
    let device = device();
    let stream = stream(&device);
    let (short, long) = (
        Buffer::<f32>::new(&device, 32).unwrap(),
        Buffer::new(&device, 64).unwrap(),
    );
    fill(&*stream, 1.0, &long);
    stream.launch(|on| launch::relu_forward(on.read(&short), on.write(&long), on.target()));
    fill(&*stream, 2.0, &long);
    let error = format!("{:#}", stream.synchronize().unwrap_err());
    assert!(
        error.ends_with("relu_forward: y has 64 elements, but 32 are needed"),
        "{error}"
    );
    assert_eq!(self::stream(&device).download(&long).unwrap(), [1.0; 64]);
}

/// Nobody but the stream has the buffers any more when they are used.
#[test]
fn memory_stays_until_the_work_that_uses_it_has_run() {
    let device = device();
    let stream = stream(&device);
    let last = Buffer::<f32>::new(&device, 1 << 20).unwrap();
    for _ in 0..20 {
        let [from, to] = [(); 2].map(|()| Buffer::<f32>::new(&device, 1 << 20).unwrap());
        stream.upload(&vec![-3.0; 1 << 20], &from);
        stream.launch(|on| launch::scale(-0.5, on.read(&from), on.write(&to), on.target()));
        stream.copy(&to.slice(0..1 << 20), &last);
    }
    assert!(stream.download(&last).unwrap().iter().all(|&x| x == 1.5));
}

#[test]
#[should_panic(expected = "memory of another device")]
fn a_kernel_does_not_take_memory_of_another_device() {
    let (device, other) = (device(), device());
    let buffer = Buffer::new(&other, 64).unwrap();
    fill(&*stream(&device), 1.0, &buffer);
}
