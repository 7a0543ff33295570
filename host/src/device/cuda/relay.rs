//! Copies between GPUs that cannot reach each other's memory: down to the host, up again.

use std::sync::Arc;

use cust::sys;
use libcuda_loader::Failure;

use super::CudaDevice;
use super::driver::check;
use super::event::CudaEvent;
use super::pinned::Pinned;
use super::raw::Raw;

/// The way from one GPU to a stream of another.
pub(super) struct Relay {
    source: Arc<CudaDevice>,
    /// Copies down; belongs to the source.
    down: Raw,
    memory: Option<Pinned>,
}

impl Relay {
    pub fn new(source: &Arc<CudaDevice>) -> Result<Self, Failure> {
        source.make_current()?;
        Ok(Relay {
            source: source.clone(),
            down: Raw::new(source)?,
            memory: None,
        })
    }

    pub fn is_from(&self, source: &CudaDevice) -> bool {
        self.source.number() == source.number()
    }

    /// Queues the copy of `bytes` bytes behind what `to` has queued, and `to` behind the copy.
    ///
    /// # Safety
    /// As `Stream::copy_bytes`.
    pub unsafe fn copy(
        &mut self,
        to: &Raw,
        [from_address, to_address]: [u64; 2],
        bytes: usize,
    ) -> Result<(), Failure> {
        to.device.make_current()?;
        let before = CudaEvent::record(&to.device, to.stream)?;
        self.source.make_current()?;
        if self
            .memory
            .as_ref()
            .is_none_or(|memory| memory.len() < bytes)
        {
            // What was copied before may still be on its way up.
            before.synchronize()?;
            self.source.make_current()?;
            self.memory = None;
            self.memory = Some(Pinned::new(&self.source, bytes)?);
        }
        let Some(memory) = &self.memory else {
            return Ok(());
        };
        before.hold(self.down.stream)?;
        // SAFETY: the caller's promise; the pinned memory is long enough, and free once `before` has happened.
        check(unsafe {
            sys::cuMemcpyDtoHAsync_v2(memory.as_ptr(), from_address, bytes, self.down.stream)
        })?;
        let down = CudaEvent::record(&self.source, self.down.stream)?;
        to.device.make_current()?;
        down.hold(to.stream)?;
        // SAFETY: the same.
        check(unsafe { sys::cuMemcpyHtoDAsync_v2(to_address, memory.as_ptr(), bytes, to.stream) })
    }
}
