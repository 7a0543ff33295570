//! The reader of networks written as TOML.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| host::fuzzing::network(bytes));
