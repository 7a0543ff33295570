//! The stand-in for the CUDA driver, and what its log says about a run.
#![allow(dead_code)]

pub mod order;
#[path = "../../crates/cuda-stand-in/tests/common/mod.rs"]
mod stand_in;

pub use stand_in::stand_in;

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::common::{Done, path, run, train_tiny};

/// Lets a program find the stand-in, set as `CUDA_STAND_IN` describes. Kernels do nothing unless it says `execute=yes`.
pub fn with_gpus<'a>(command: &'a mut Command, settings: &str) -> &'a mut Command {
    command
        .env("ALEXNET_LIBCUDA", stand_in())
        // `host` ends its arguments, so that they can be counted.
        .env(
            "CUDA_STAND_IN",
            format!("terminated=yes execute=no {settings}"),
        )
}

/// One call of the driver.
#[derive(Debug)]
pub struct Call(Value);

impl Call {
    /// The function.
    pub fn name(&self) -> &str {
        self.text("call")
    }

    /// Text of the call.
    #[track_caller]
    pub fn text(&self, field: &str) -> &str {
        self.0[field]
            .as_str()
            .unwrap_or_else(|| panic!("{field}: {}", self.0))
    }

    /// A number of the call.
    #[track_caller]
    pub fn number(&self, field: &str) -> u64 {
        self.0[field]
            .as_u64()
            .unwrap_or_else(|| panic!("{field}: {}", self.0))
    }

    /// Whether it has this number.
    pub fn find(&self, field: &str) -> Option<u64> {
        self.0[field].as_u64()
    }

    /// The whole line.
    pub fn json(&self) -> &Value {
        &self.0
    }
}

/// The calls of a log.
pub fn read(log: &Path) -> Vec<Call> {
    let text = fs::read_to_string(log).unwrap_or_else(|e| panic!("{}: {e}", log.display()));
    let call =
        |line: &str| Call(serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}")));
    text.lines().map(call).collect()
}

/// Trains the tiny net on GPUs of the stand-in; gives its calls as well.
pub fn train_on(dir: &Path, out: &str, settings: &str, options: &[&str]) -> (Done, Vec<Call>) {
    let log = path(dir, &format!("{out}.log"));
    let settings = format!("log={log} {settings}");
    let done = run(with_gpus(&mut train_tiny(dir, out, options), &settings));
    (done, read(Path::new(&log)))
}

/// Checks that all that was taken was given back.
#[track_caller]
pub fn assert_nothing_left(calls: &[Call]) {
    let count = |name: &str| {
        let worked = |call: &&Call| call.name() == name && call.0["result"] == 0;
        calls.iter().filter(worked).count()
    };
    let released = || {
        let releases = |call: &&Call| call.name() == "cuDevicePrimaryCtxRelease_v2";
        calls.iter().filter(releases)
    };
    let retained = count("cuDevicePrimaryCtxRetain");
    assert_eq!(retained, released().count(), "contexts");
    for call in released() {
        let living = call.0["living"]
            .as_object()
            .expect("what lives on a device");
        // Pinned memory belongs to no device: it must be gone with the last.
        let last = std::ptr::eq(call, released().next_back().expect("a release"));
        let left: Vec<_> = living
            .iter()
            .filter(|(kind, count)| **count != 0 && (last || *kind != "pinned"))
            .collect();
        assert!(left.is_empty(), "left: {left:?}");
    }
}
