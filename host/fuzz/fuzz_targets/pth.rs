//! The reader of PyTorch's files and their pickles.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| host::fuzzing::pth(bytes));
