//! A stream as the driver knows it.

use std::sync::Arc;

use cust::sys::{self, CUstream};
use libcuda_loader::Failure;

use super::CudaDevice;
use super::driver::check;

/// A stream that does not wait for the device's default stream.
pub(super) struct Raw {
    pub device: Arc<CudaDevice>,
    pub stream: CUstream,
}

const NON_BLOCKING: u32 = 1;

// SAFETY: a handle of the driver, which any thread may use.
unsafe impl Send for Raw {}

impl Raw {
    /// Of the device, whose context is current.
    pub fn new(device: &Arc<CudaDevice>) -> Result<Self, Failure> {
        let mut stream = std::ptr::null_mut();
        // SAFETY: `stream` takes the handle.
        check(unsafe { sys::cuStreamCreate(&mut stream, NON_BLOCKING) })?;
        let device = device.clone();
        Ok(Raw { device, stream })
    }

    /// Waits until all that was queued is done.
    pub fn synchronize(&self) -> Result<(), Failure> {
        self.device.make_current()?;
        // SAFETY: it is alive.
        check(unsafe { sys::cuStreamSynchronize(self.stream) })
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        // What is queued must not outlive the memory it uses. Errors have been reported, or nobody asked for them.
        let _ = self.synchronize();
        // SAFETY: from `new`, and not used any more.
        let _ = check(unsafe { sys::cuStreamDestroy_v2(self.stream) });
    }
}
