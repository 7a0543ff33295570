//! Events, used again and again.

use std::sync::Arc;

use cust::sys::{self, CUevent, CUstream};
use libcuda_loader::Failure;

use super::CudaDevice;
use super::driver::check;

/// Events that tell no time cost less.
const DISABLE_TIMING: u32 = 2;

/// A recorded event.
#[derive(Clone)]
pub struct CudaEvent(Arc<Owned>);

struct Owned {
    raw: CUevent,
    device: Arc<CudaDevice>,
}

// SAFETY: a handle of the driver, which any thread may use.
unsafe impl Send for Owned {}
// SAFETY: the same.
unsafe impl Sync for Owned {}

impl CudaEvent {
    /// Records where a stream of the device, whose context is current, has got to.
    pub(super) fn record(device: &Arc<CudaDevice>, stream: CUstream) -> Result<Self, Failure> {
        let event = CudaEvent(Arc::new(Owned {
            raw: device.event()?,
            device: device.clone(),
        }));
        // SAFETY: both are alive.
        check(unsafe { sys::cuEventRecord(event.0.raw, stream) })?;
        Ok(event)
    }

    /// Lets a stream, whose context is current, wait for it.
    pub(super) fn hold(&self, stream: CUstream) -> Result<(), Failure> {
        // SAFETY: both are alive. The wait is for what was recorded by now, so the event may be recorded again.
        check(unsafe { sys::cuStreamWaitEvent(stream, self.0.raw, 0) })
    }

    /// Waits for it.
    pub fn synchronize(&self) -> Result<(), Failure> {
        self.0.device.make_current()?;
        // SAFETY: it is alive.
        check(unsafe { sys::cuEventSynchronize(self.0.raw) })
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        self.device.take_back(self.raw);
    }
}

/// A new event in the current context.
pub(super) fn create() -> Result<CUevent, Failure> {
    let mut raw = std::ptr::null_mut();
    // SAFETY: `raw` takes the handle.
    check(unsafe { sys::cuEventCreate(&mut raw, DISABLE_TIMING) })?;
    Ok(raw)
}
