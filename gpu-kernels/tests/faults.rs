//! Kernels launched wrongly: the checked mode names kernel, block and thread.
#![cfg(feature = "checked")]
mod common;

use common::{Buffer, random, try_run};
use gpu_kernels::relu::{relu_forward, relu_launch};
use gpu_kernels::softmax::{softmax, softmax_launch};
use gpu_kernels::target::Target;
use gpu_kernels::transpose::{transpose, transpose_launch};
use simt_executor::{Fault, Launch};

fn relu(len: u32, offset: usize) -> Result<(), Fault> {
    let (x, mut y) = (Buffer::new(&random(1, 8192)), Buffer::unwritten(8192));
    let launch = relu_launch(len, Target::Gpu);
    // SAFETY: the checked mode stops the kernel before it leaves the buffer.
    unsafe {
        let x = x.ptr().wrapping_add(offset);
        try_run(&relu_forward, launch, (len, x, y.mut_ptr()))
    }
}

#[test]
fn a_right_launch_is_not_complained_about() {
    assert_eq!(relu(8192, 0), Ok(()));
}

#[test]
fn a_length_beyond_the_buffer() {
    let fault = relu(8192 + 16, 0).expect_err("out of bounds");
    assert_eq!(
        (fault.kernel.as_str(), fault.block, fault.thread),
        ("relu_forward", [2, 0, 0], [0, 0, 0])
    );
    assert!(
        fault.cause.starts_with("out of bounds: 64 bytes"),
        "{fault}"
    );
}

#[test]
fn a_misaligned_pointer() {
    let fault = relu(4096, 1).expect_err("misaligned");
    assert_eq!(
        (fault.kernel.as_str(), fault.block, fault.thread),
        ("relu_forward", [0; 3], [0; 3])
    );
    assert!(
        fault.cause.starts_with("misaligned access: 64 bytes"),
        "{fault}"
    );
}

#[test]
fn too_little_shared_memory() {
    let (z, mut p) = (Buffer::new(&random(1, 320)), Buffer::unwritten(320));
    let launch = softmax_launch(32, Target::Cpu);
    let less = Launch {
        shared: launch.shared - 4,
        ..launch
    };
    // SAFETY: as above.
    let run = |launch, p| unsafe { try_run(&softmax, launch, (10, 32, z.ptr(), p)) };
    assert_eq!(run(launch, p.mut_ptr()), Ok(()));
    let fault = run(less, p.mut_ptr()).expect_err("shared memory out of bounds");
    assert_eq!(
        (fault.kernel.as_str(), fault.block, fault.thread),
        ("softmax", [0; 3], [1, 31, 0])
    );
    assert!(
        fault
            .cause
            .starts_with("shared memory out of bounds: 64 bytes"),
        "{fault}"
    );
}

#[test]
fn an_output_that_is_too_small() {
    let (x, mut y) = (
        Buffer::new(&random(1, 33 * 31)),
        Buffer::unwritten(33 * 31 - 1),
    );
    let launch = transpose_launch(33, 31, Target::Cpu);
    // SAFETY: as above.
    let fault = unsafe { try_run(&transpose, launch, (33, 31, x.ptr(), y.mut_ptr())) };
    let fault = fault.expect_err("out of bounds");
    assert_eq!(
        (fault.kernel.as_str(), fault.block),
        ("transpose", [0, 1, 0])
    );
    assert!(fault.cause.starts_with("out of bounds: 4 bytes"), "{fault}");
}
