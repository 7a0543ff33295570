//! A stream of a GPU.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

use anyhow::{Context, Result, anyhow};
use cust::sys;
use gpu_kernels::launch::Error;
use libcuda_loader::Failure;
use simt_executor::Call;

use super::CudaDevice;
use super::driver::check;
use super::event::CudaEvent;
use super::kernels::with_pointers;
use super::pinned::{PIECE, Uploads};
use super::raw::Raw;
use super::relay::Relay;
use crate::device::buffer::Allocation;
use crate::device::{Buffer, Device, Event, Stream, as_cuda};

/// A queue of work on a GPU.
pub(super) struct CudaStream {
    // Before what its work uses: waited for first.
    raw: Raw,
    uploads: RefCell<Uploads>,
    relays: RefCell<Vec<Relay>>,
    /// The memory of what was queued since the stream was last waited for, by its address.
    memory: RefCell<HashMap<usize, Arc<Allocation>>>,
}

impl CudaStream {
    pub fn new(device: &Arc<CudaDevice>) -> Result<Self, Failure> {
        device.make_current()?;
        Ok(CudaStream {
            raw: Raw::new(device)?,
            uploads: RefCell::default(),
            relays: RefCell::default(),
            memory: RefCell::default(),
        })
    }

    /// Keeps memory until the stream has been waited for.
    fn keep(&self, memory: &Arc<Allocation>) {
        let mut kept = self.memory.borrow_mut();
        kept.entry(Arc::as_ptr(memory).addr())
            .or_insert_with(|| memory.clone());
    }

    /// Does `action` with the device's context current, unless the device has failed before; keeps its error.
    fn queue<T>(&self, action: impl FnOnce(&Self) -> Result<T>) -> Option<T> {
        let device = &self.raw.device;
        if device.error().is_some() {
            return None;
        }
        let result = device.make_current().map_err(Into::into);
        match result.and_then(|()| action(self)) {
            Ok(value) => Some(value),
            Err(error) => {
                device.fail(format!("{error:#}"));
                None
            }
        }
    }

    fn result(&self) -> Result<()> {
        match self.raw.device.error() {
            None => Ok(()),
            Some(error) => Err(anyhow!("{error}").context(self.raw.device.describe())),
        }
    }

    fn launch(&self, call: &Call) -> Result<()> {
        let function = self.raw.device.kernels().function(call)?;
        let ([x, y, z], [i, j, k]) = (call.launch.grid, call.launch.block);
        let (shared, stream) = (call.launch.shared, self.raw.stream);
        let none = std::ptr::null_mut();
        let result = with_pointers(call, |arguments| {
            // SAFETY: whoever queued the call promised the kernel's contract, and its memory is kept; the arguments are those of its PTX, as was
            // checked when it was looked up, and the driver copies them now.
            unsafe {
                sys::cuLaunchKernel(function, x, y, z, i, j, k, shared, stream, arguments, none)
            }
        });
        check(result).with_context(|| format!("grid {:?}, block {:?}", [x, y, z], [i, j, k]))
    }

    fn upload(&self, from: &[u8], to: &Buffer<u8>) -> Result<()> {
        let (device, stream) = (&self.raw.device, self.raw.stream);
        for (i, piece) in from.chunks(PIECE).enumerate() {
            let address = to.address().wrapping_add(i * PIECE).addr() as u64;
            self.uploads.borrow_mut().stage(device, piece, |memory| {
                // SAFETY: `to` is as long as `from` and kept; the pinned memory stays until `done`.
                check(unsafe { sys::cuMemcpyHtoDAsync_v2(address, memory, piece.len(), stream) })?;
                CudaEvent::record(device, stream)
            })?;
        }
        Ok(())
    }

    fn copy(&self, source: &Arc<CudaDevice>, from: u64, to: u64, bytes: usize) -> Result<()> {
        let (own, stream) = (&self.raw.device, self.raw.stream);
        if own.number() == source.number() {
            // SAFETY: the caller of `copy_bytes` promises as many bytes in both, which are kept.
            check(unsafe { sys::cuMemcpyDtoDAsync_v2(to, from, bytes, stream) })?;
        } else if own.reaches(source) {
            let contexts = [own, source].map(|device| device.context());
            // SAFETY: the same; both contexts are alive.
            check(unsafe {
                sys::cuMemcpyPeerAsync(to, contexts[0], from, contexts[1], bytes, stream)
            })?;
        } else {
            let mut relays = self.relays.borrow_mut();
            let place = match relays.iter().position(|relay| relay.is_from(source)) {
                Some(place) => place,
                None => {
                    relays.push(Relay::new(source)?);
                    relays.len() - 1
                }
            };
            // SAFETY: the same.
            unsafe { relays[place].copy(&self.raw, [from, to], bytes) }?;
        }
        Ok(())
    }
}

impl Stream for CudaStream {
    fn device(&self) -> &dyn Device {
        &*self.raw.device
    }

    unsafe fn call(&self, call: Call, memory: Vec<Arc<Allocation>>) {
        memory.iter().for_each(|memory| self.keep(memory));
        self.queue(|stream| {
            let kernel = || format!("kernel {}", call.name);
            stream.launch(&call).with_context(kernel)
        });
    }

    fn fail(&self, error: Error) {
        self.queue(|_| Err::<(), _>(error.into()));
    }

    unsafe fn upload_bytes(&self, from: Arc<[u8]>, to: Buffer<u8>) {
        self.keep(to.memory());
        self.queue(|stream| {
            let what = || format!("an upload of {} bytes", from.len());
            stream.upload(&from, &to).with_context(what)
        });
    }

    unsafe fn copy_bytes(&self, from: Buffer<u8>, to: Buffer<u8>) {
        self.keep(from.memory());
        self.keep(to.memory());
        let [from_address, to_address] = [&from, &to].map(|buffer| buffer.address().addr() as u64);
        let bytes = from.len();
        self.queue(|stream| {
            let source = as_cuda(from.device()).context("a copy from a virtual GPU")?;
            let what = || format!("a copy of {bytes} bytes from GPU {}", source.number());
            stream
                .copy(&source, from_address, to_address, bytes)
                .with_context(what)
        });
    }

    unsafe fn download_bytes(&self, from: &Buffer<u8>, to: &mut [u8]) -> Result<()> {
        self.queue(|stream| {
            let (address, stream) = (from.address().addr() as u64, stream.raw.stream);
            let (memory, len) = (to.as_mut_ptr().cast(), to.len());
            // SAFETY: both are as long, as the caller promises, and borrowed until the copy was waited for, below.
            check(unsafe { sys::cuMemcpyDtoHAsync_v2(memory, address, len, stream) })
                .with_context(|| format!("a download of {len} bytes"))
        });
        self.synchronize()
    }

    fn record(&self) -> Event {
        let event =
            self.queue(|stream| Ok(CudaEvent::record(&stream.raw.device, stream.raw.stream)?));
        // Behind an error there is nothing to wait for.
        event.map_or(Event::Past, Event::Cuda)
    }

    fn wait(&self, event: &Event) {
        match event {
            Event::Past => {}
            Event::Cuda(event) => {
                self.queue(|stream| Ok(event.hold(stream.raw.stream)?));
            }
            Event::Cpu(signal) => signal.wait(),
        }
    }

    fn synchronize(&self) -> Result<()> {
        // Also behind an error: what was queued before it still uses memory.
        let waited = self.raw.synchronize();
        if waited.is_ok() {
            self.memory.borrow_mut().clear();
        }
        self.result()?;
        self.queue(|_| {
            waited.context(
                "waiting for its work (CUDA_LAUNCH_BLOCKING=1 tells which part of it failed)",
            )
        });
        self.result()
    }
}
