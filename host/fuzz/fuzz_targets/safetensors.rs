//! The reader of weights as safetensors.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| host::fuzzing::safetensors(bytes));
