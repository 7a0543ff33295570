//! The readers of class lists, ground truth, path lists, CIFAR and MATLAB files, and of the index.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| dataset_pack::fuzzing::labels(bytes));
