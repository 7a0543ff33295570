//! PTX that other compilers make of CUDA, as `tests/cuda` has it beside its sources, against plain Rust.

mod atomics;
mod bits;
mod calls;
mod common;
mod control;
mod conversions;
mod exact;
mod floats;
mod matmul;
mod memory;
mod reduce;
mod refused;
mod scan;
mod tensor;
mod tiles;
mod votes;

/// In a process of its own: no check sees a fault where there is none.
#[test]
fn all_again_with_checks() {
    if common::checked() {
        return;
    }
    let this = std::env::current_exe().unwrap();
    let output = std::process::Command::new(this)
        .env(common::CHECKED, "1")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}");
}
