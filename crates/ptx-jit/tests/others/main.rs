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
