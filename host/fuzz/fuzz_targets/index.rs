//! The reader of indices of features, and the search in one.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| host::fuzzing::index(bytes));
