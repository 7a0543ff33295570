//! What the driver has: is it there, which GPUs.

use std::sync::OnceLock;

use anyhow::{Context, Result};
use cust::CudaFlags;
use cust::device::{Device, DeviceAttribute};
use cust::error::CudaResult;
use cust::sys::CUresult;
use libcuda_loader::{Failure, last_failure, library};

/// A call through `cust::sys` that may have failed.
pub(super) fn check(result: CUresult) -> Result<(), Failure> {
    match result {
        CUresult::CUDA_SUCCESS => Ok(()),
        _ => Err(failure()),
    }
}

/// A call through `cust` that may have failed. Its own errors must not be shown: they panic without a driver.
pub(super) fn checked<T>(result: CudaResult<T>) -> Result<T, Failure> {
    result.map_err(|_| failure())
}

fn failure() -> Failure {
    last_failure().unwrap_or(Failure {
        function: "the CUDA driver",
        code: None,
    })
}

/// A GPU, as the driver describes it.
#[derive(Clone, Debug)]
pub struct Gpu {
    /// Its number in `--gpus`.
    pub number: usize,
    /// Its name.
    pub name: String,
    /// Its compute capability.
    pub capability: (u32, u32),
    /// Its memory in bytes.
    pub memory: usize,
}

/// Initialises the driver, once.
fn initialised() -> Result<()> {
    static INITIALISED: OnceLock<Result<(), Failure>> = OnceLock::new();
    (*INITIALISED.get_or_init(|| checked(cust::init(CudaFlags::empty()))))?;
    Ok(())
}

/// All GPUs; an error says why there are none.
pub fn gpus() -> Result<Vec<Gpu>> {
    initialised()?;
    let count = checked(Device::num_devices())? as usize;
    anyhow::ensure!(count > 0, "the CUDA driver finds no GPU");
    (0..count).map(|number| Ok(open(number)?.1)).collect()
}

/// One GPU.
pub(super) fn open(number: usize) -> Result<(Device, Gpu)> {
    initialised()?;
    let device = checked(Device::get_device(number as u32)).context("no such GPU")?;
    let capability = |attribute| checked(device.get_attribute(attribute)).map(|n| n as u32);
    let gpu = Gpu {
        number,
        name: checked(device.name())?,
        capability: (
            capability(DeviceAttribute::ComputeCapabilityMajor)?,
            capability(DeviceAttribute::ComputeCapabilityMinor)?,
        ),
        memory: checked(device.total_memory())?,
    };
    Ok((device, gpu))
}

/// The driver, by the newest CUDA that it knows: `CUDA 12.4 (libcuda.so.1)`.
pub fn version() -> Result<String> {
    let library = library().map_err(anyhow::Error::msg)?;
    let version = checked(cust::CudaApiVersion::get())?;
    Ok(format!(
        "CUDA {}.{} ({library})",
        version.major(),
        version.minor()
    ))
}
