//! The reader of shards, with right and with wrong checksums.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| dataset_pack::fuzzing::shard(bytes));
