//! The reader of NumPy's archives.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| host::fuzzing::npz(bytes));
