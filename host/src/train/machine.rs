//! What a run is computed on. `config.toml` says it; checkpoints do not, for they are the same on every machine.

use std::fs;
use std::sync::Arc;
use std::thread::available_parallelism;

use serde::{Deserialize, Serialize};
use simt_executor::InstructionSet;

use crate::device::Device;

/// A machine, and what of it the towers have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Machine {
    /// The processor as the system calls it.
    pub cpu: String,
    /// Threads that it runs at the same time.
    pub cores: usize,
    /// The best instruction set that the kernels have for it.
    pub instruction_set: String,
    /// The towers' devices, in words.
    pub devices: Vec<String>,
}

impl Machine {
    /// This one.
    pub fn this(devices: &[Arc<dyn Device>]) -> Self {
        Self {
            cpu: cpu().unwrap_or_else(|| "unknown".into()),
            cores: available_parallelism().map_or(1, |cores| cores.get()),
            instruction_set: InstructionSet::current().name().into(),
            devices: devices.iter().map(|device| device.describe()).collect(),
        }
    }
}

fn cpu() -> Option<String> {
    let text = fs::read_to_string("/proc/cpuinfo").ok()?;
    let line = text.lines().find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim().into())
}
