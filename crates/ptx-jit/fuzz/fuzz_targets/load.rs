//! A text is a program whose kernels compile, or an error. Seeds: `tests/cuda/nvcc` and `tests/cuda/clang`.
#![no_main]

use ptx_jit::{Options, Program};

libfuzzer_sys::fuzz_target!(|text: &str| {
    if let Ok(program) = Program::load(text, &Options::default()) {
        let module = program.instance();
        for entry in program.module().entries() {
            let _ = module.kernel(&entry.name);
        }
    }
});
