//! What a kernel does wrong reaches the program as on a GPU: with the next wait, as the driver's error, and for good.

mod common;

use std::os::unix::fs::symlink;
use std::process::Command;

use cudarc::driver::result::DriverError;
use cudarc::driver::{CudaContext, LaunchConfig, PushKernelArg};
use cudarc::nvrtc::Ptx;

/// A kernel's body; 64 threads run it with 64 numbers at `%x` and their own number in `%i`.
const KERNELS: [(&str, &str, u32, &str); 7] = [
    (
        "st.global.u32 [%x+256], %i;",
        "check=memory",
        700,
        "where nothing is allocated",
    ),
    (
        "st.global.u32 [%x+2], %i;",
        "check=memory",
        716,
        "misaligned",
    ),
    (
        "st.shared.u32 [256], %i;",
        "check=shared",
        700,
        "4 bytes at 256 of 256",
    ),
    ("st.shared.u32 [0], %i;", "check=shared", 719, "a race"),
    ("ld.shared.u32 %i, [0];", "check=shared", 719, "read before"),
    ("again: bra again;", "steps=1000", 702, "still runs"),
    ("trap;", "", 719, "trap"),
];

fn text(body: &str) -> String {
    format!(
        ".version 7.8\n.target sm_80\n.address_size 64\n.shared .align 4 .b8 own[256];\n\
         .visible .entry wrong(.param .u64 x)\n{{\n.reg .b64 %x;\n.reg .b32 %i;\n\
         ld.param.u64 %x, [x];\nmov.u32 %i, %tid.x;\n{body}\nret;\n}}\n"
    )
}

/// The line of the body in that text.
const LINE: &str = "PTX line 11:";

#[test]
fn each_fault_has_the_drivers_error_and_is_explained() {
    for (i, (body, settings, _, cause)) in KERNELS.iter().enumerate() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        symlink(common::stand_in(), folder.path().join("libcuda.so.1")).expect("a link");
        let this = std::env::current_exe().expect("this test's path");
        let mut command = Command::new(&this);
        command.args(["--exact", "wrong", "--ignored", "--nocapture"]);
        command.env("LD_LIBRARY_PATH", folder.path());
        command
            .env("CUDA_STAND_IN", settings)
            .env("KERNEL", i.to_string());
        let output = command.output().expect("this test runs again");
        let [out, err] =
            [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
        assert!(
            output.status.success() && out.contains("1 passed"),
            "{body}: {out}{err}"
        );
        for part in [LINE, cause, "kernel wrong"] {
            assert!(err.contains(part), "{body}: {err}");
        }
    }
}

#[test]
#[ignore = "run by each_fault_has_the_drivers_error_and_is_explained"]
fn wrong() {
    let kernel: usize = std::env::var("KERNEL")
        .expect("given")
        .parse()
        .expect("a number");
    let (body, _, code, _) = KERNELS[kernel];
    assert_eq!(codes(body), (code, code));
}

/// The error of the wait behind a kernel, and that of the next call.
fn codes(body: &str) -> (u32, u32) {
    let context = CudaContext::new(0).expect("a context");
    let stream = context.new_stream().expect("a stream");
    let mut x = stream.alloc_zeros::<u32>(64).expect("memory");
    let module = context
        .load_module(Ptx::from_src(text(body)))
        .expect("a module");
    let function = module.load_function("wrong").expect("a function");
    let mut launch = stream.launch_builder(&function);
    launch.arg(&mut x);
    // SAFETY: the argument is the kernel's; what it does wrong is what the test wants.
    unsafe { launch.launch(LaunchConfig::for_num_elems(64)) }.expect("only queued");
    let code = |result: Result<(), DriverError>| result.map_or_else(|error| error.0 as u32, |()| 0);
    let first = code(stream.synchronize());
    let then = code(stream.alloc_zeros::<u32>(1).map(drop));
    std::mem::forget((x, function, module, stream, context));
    (first, then)
}
