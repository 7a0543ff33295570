//! The reader of checkpoints and of what they say of themselves.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| host::fuzzing::checkpoint(bytes));
