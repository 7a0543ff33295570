//! From a file's bytes to pixels, rejecting and keeping what is damaged.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| dataset_pack::fuzzing::image(bytes));
