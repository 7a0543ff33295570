//! Host memory that a GPU copies from and to by itself.

use std::ffi::c_void;
use std::sync::Arc;

use cust::sys;
use libcuda_loader::Failure;

use super::CudaDevice;
use super::driver::check;
use super::event::CudaEvent;

/// Page-locked memory that all contexts know.
pub(super) struct Pinned {
    device: Arc<CudaDevice>,
    memory: *mut c_void,
    len: usize,
}

const PORTABLE: u32 = 1;

// SAFETY: memory of its own, which any thread may use.
unsafe impl Send for Pinned {}

impl Pinned {
    /// So many bytes; the device's context is current.
    pub fn new(device: &Arc<CudaDevice>, len: usize) -> Result<Self, Failure> {
        let mut memory = std::ptr::null_mut();
        // SAFETY: `memory` takes the address.
        check(unsafe { sys::cuMemHostAlloc(&mut memory, len, PORTABLE) })?;
        let device = device.clone();
        Ok(Pinned {
            device,
            memory,
            len,
        })
    }

    pub fn as_ptr(&self) -> *mut c_void {
        self.memory
    }

    pub fn len(&self) -> usize {
        self.len
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        // A context that is lost has freed it already.
        let _ = self.device.make_current();
        // SAFETY: from `new`; whoever owns it has waited for the copies.
        let _ = check(unsafe { sys::cuMemFreeHost(self.memory) });
    }
}

/// The longest piece of an upload.
pub(super) const PIECE: usize = 32 << 20;

/// Two buffers by turns: one is filled while the GPU still copies from the other.
#[derive(Default)]
pub(super) struct Uploads {
    halves: [Option<Half>; 2],
    turn: usize,
}

struct Half {
    memory: Pinned,
    /// When the GPU has copied from it.
    done: Option<CudaEvent>,
}

impl Uploads {
    /// Puts up to [`PIECE`] bytes into pinned memory and lets `copy` queue the copy from there.
    pub fn stage(
        &mut self,
        device: &Arc<CudaDevice>,
        bytes: &[u8],
        copy: impl FnOnce(*const c_void) -> Result<CudaEvent, Failure>,
    ) -> Result<(), Failure> {
        let half = &mut self.halves[self.turn];
        self.turn = 1 - self.turn;
        if let Some(done) = half.as_mut().and_then(|half| half.done.take()) {
            done.synchronize()?;
        }
        if half
            .as_ref()
            .is_none_or(|half| half.memory.len() < bytes.len())
        {
            *half = None;
            *half = Some(Half {
                memory: Pinned::new(device, bytes.len())?,
                done: None,
            });
        }
        let Some(half) = half else { return Ok(()) };
        let memory = half.memory.as_ptr();
        // SAFETY: it is long enough, and nothing copies from it any more.
        unsafe {
            memory
                .cast::<u8>()
                .copy_from_nonoverlapping(bytes.as_ptr(), bytes.len())
        };
        half.done = Some(copy(memory)?);
        Ok(())
    }
}
