//! The reader of tar archives.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| dataset_pack::fuzzing::archive(bytes));
