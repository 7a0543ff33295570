//! A program that uses `cudarc` finds the stand-in under the driver's own name, and runs on it in any order.

mod common;

use std::os::unix::fs::symlink;
use std::process::Command;
use std::sync::Arc;

use cudarc::driver::result::DriverError;
use cudarc::driver::sys::CUevent_flags;
use cudarc::driver::{CudaContext, LaunchConfig, PushKernelArg};
use cudarc::nvrtc::Ptx;

/// A kernel of another project, as clang or nvcc would give it; what it does is left out.
const PTX: &str = "
.version 7.8
.target sm_80
.address_size 64
.visible .entry scale(
    .param .u64 scale_param_0,
    .param .f32 scale_param_1,
    .param .u32 scale_param_2
)
{
    ret;
}
";

/// Runs a test of this file in a process of its own, which finds the stand-in as any program finds the driver.
fn run(test: &str, settings: &str) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    symlink(common::stand_in(), folder.path().join("libcuda.so.1")).expect("a link");
    let this = std::env::current_exe().expect("this test's path");
    let mut command = Command::new(&this);
    command.args(["--exact", test, "--ignored"]);
    command.env("LD_LIBRARY_PATH", folder.path());
    let output = command.env("CUDA_STAND_IN", settings).output();
    let output = output.expect("this test runs again");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && text.contains("1 passed"),
        "{settings}: {text}"
    );
}

#[test]
fn copies_and_launches_in_any_order() {
    run("two_streams", "");
    for seed in 0..6 {
        run("two_streams", &format!("schedule={seed}"));
    }
}

#[test]
#[ignore = "run by copies_and_launches_in_any_order"]
fn two_streams() {
    two_streams_of(&CudaContext::new(0).expect("a context")).expect("all goes well");
}

fn two_streams_of(context: &Arc<CudaContext>) -> Result<(), DriverError> {
    let [first, second] = [context.new_stream()?, context.new_stream()?];
    let numbers: Vec<f32> = (0..1000).map(|i| i as f32).collect();
    let begin = first.record_event(Some(CUevent_flags::CU_EVENT_DEFAULT))?;
    let mut a = first.clone_htod(&numbers)?;
    let function = context
        .load_module(Ptx::from_src(PTX))?
        .load_function("scale")?;
    let (factor, len) = (2.0f32, numbers.len() as u32);
    let mut launch = first.launch_builder(&function);
    launch.arg(&mut a).arg(&factor).arg(&len);
    // SAFETY: the arguments are the kernel's.
    unsafe { launch.launch(LaunchConfig::for_num_elems(len)) }?;
    let mut b = second.alloc_zeros::<f32>(numbers.len())?;
    // Behind what wrote `a`, in the other stream.
    second.memcpy_dtod(&a, &mut b)?;
    assert_eq!(second.clone_dtoh(&b)?, numbers);
    let end = first.record_event(Some(CUevent_flags::CU_EVENT_DEFAULT))?;
    assert!(begin.elapsed_ms(&end)? >= 0.0);
    context.default_stream().memset_zeros(&mut a)?;
    assert_eq!(context.per_thread_stream().clone_dtoh(&a)?, vec![0.0; 1000]);
    context.synchronize()
}

#[test]
fn occupancy_follows_from_threads_and_shared_memory() {
    run("occupied", "");
}

#[test]
#[ignore = "run by occupancy_follows_from_threads_and_shared_memory"]
fn occupied() {
    let context = CudaContext::new(0).expect("a context");
    let module = context.load_module(Ptx::from_src(PTX)).expect("a module");
    let function = module.load_function("scale").expect("a function");
    let blocks = |threads, shared| {
        function.occupancy_max_active_blocks_per_multiprocessor(threads, shared, None)
    };
    // 2048 threads, 32 blocks, 228 KiB of which each block takes 1 KiB more.
    assert_eq!(blocks(256, 0), Ok(8));
    assert_eq!(blocks(33, 0), Ok(32));
    assert_eq!(blocks(256, 100 << 10), Ok(2));
    assert!(blocks(1025, 0).is_err());
    let room = function.occupancy_available_dynamic_smem_per_block(2, 256);
    assert_eq!(room, Ok(113 << 10));
    extern "C" fn none(_: i32) -> usize {
        0
    }
    let best = function.occupancy_max_potential_block_size(none, 0, 512, None);
    assert_eq!(best, Ok((132 * 4, 512)));
}

#[test]
fn what_cannot_be_had_is_an_error() {
    run("refused", "devices=1 memory=4096");
}

#[test]
#[ignore = "run by what_cannot_be_had_is_an_error"]
fn refused() {
    let code = |error: DriverError| error.0 as u32;
    assert_eq!(code(CudaContext::new(1).expect_err("no such GPU")), 101);
    let context = CudaContext::new(0).expect("a context");
    let load = |text: &str| context.load_module(Ptx::from_src(text));
    assert_eq!(code(load("no PTX").expect_err("no module")), 200);
    let cut = &PTX[..PTX.rfind('}').expect("a body")];
    assert_eq!(code(load(cut).expect_err("cut PTX")), 218);
    let newer = PTX.replace("7.8", "9.9");
    assert_eq!(code(load(&newer).expect_err("newer PTX")), 222);
    let module = load(PTX).expect("a module");
    assert_eq!(code(module.load_function("other").expect_err("none")), 500);
    let stream = context.default_stream();
    assert_eq!(code(stream.alloc_zeros::<u8>(5000).expect_err("memory")), 2);
}

#[test]
fn a_fault_reaches_the_program_when_it_waits_and_stays() {
    run("faulty", "fault=scale:2:700");
}

#[test]
#[ignore = "run by a_fault_reaches_the_program_when_it_waits_and_stays"]
fn faulty() {
    let context = CudaContext::new(0).expect("a context");
    let stream = context.default_stream();
    let module = context.load_module(Ptx::from_src(PTX)).expect("a module");
    let function = module.load_function("scale").expect("a function");
    let mut a = stream.alloc_zeros::<f32>(32).expect("memory");
    let mut launch = || {
        let mut launch = stream.launch_builder(&function);
        launch.arg(&mut a).arg(&1f32).arg(&32u32);
        // SAFETY: the arguments are the kernel's.
        unsafe { launch.launch(LaunchConfig::for_num_elems(32)) }.map(drop)
    };
    launch().expect("queued");
    stream.synchronize().expect("done");
    launch().expect("queued, though it will fail");
    let errors = [stream.synchronize(), stream.synchronize(), launch()];
    let codes = errors.map(|error| error.expect_err("a lost device").0 as u32);
    assert_eq!(codes, [700, 700, 700]);
}
