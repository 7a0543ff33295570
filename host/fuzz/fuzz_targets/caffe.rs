//! The readers of Caffe's weights and mean images.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| host::fuzzing::caffe(bytes));
