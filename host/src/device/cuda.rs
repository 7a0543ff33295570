//! NVIDIA GPUs, through `cust` and the driver that `libcuda-loader` finds at run time.
//!
//! One host thread queues the work of all GPUs: launching only queues, so the GPUs work side by side, and events order
//! what they exchange. No call waits for a whole device while a step runs.
//!
//! | module | what |
//! |---|---|
//! | [`driver`] | the driver and its GPUs |
//! | `kernels` | the PTX of a GPU, its functions |
//! | `raw` | a stream of the driver |
//! | `stream` | launches and copies |
//! | `event` | what one stream waits for in another |
//! | `pinned` | host memory for uploads |
//! | `relay` | copies between GPUs that cannot reach each other |

pub mod driver;
mod event;
pub mod kernels;
mod pinned;
mod raw;
mod relay;
mod stream;

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, Weak};

use anyhow::{Context as _, Result};
use cust::context::Context;
use cust::sys::{self, CUcontext, CUevent, CUresult};
use gpu_kernels::target::Target;
use libcuda_loader::Failure;

use super::{Device, Memory, OutOfMemory, Stream};
use driver::{Gpu, check, checked};
pub use event::CudaEvent;
use kernels::Kernels;
use stream::CudaStream;

/// A GPU with its context and the kernels in it.
pub struct CudaDevice {
    gpu: Gpu,
    raw: i32,
    itself: Weak<CudaDevice>,
    /// Numbers of the GPUs whose memory it can copy from directly.
    reach: Mutex<HashSet<usize>>,
    events: Mutex<Vec<Handle>>,
    error: OnceLock<String>,
    kernels: Kernels,
    // Last: everything else lives in it.
    context: Context,
}

/// An event of the driver's that is not in use.
struct Handle(CUevent);
// SAFETY: a handle of the driver, which any thread may use.
unsafe impl Send for Handle {}

impl CudaDevice {
    /// The GPU of this number, with its kernels loaded.
    pub fn open(number: usize) -> Result<Arc<CudaDevice>> {
        let (device, gpu) = driver::open(number).with_context(|| format!("GPU {number}"))?;
        let open = || -> Result<_> {
            let context = checked(Context::new(device))?;
            // `cust` does not look whether this worked.
            current(&context)?;
            Ok((Kernels::load(&gpu)?, context))
        };
        let (kernels, context) = open().with_context(|| describe(&gpu))?;
        Ok(Arc::new_cyclic(|itself| CudaDevice {
            gpu,
            raw: device.as_raw(),
            itself: itself.clone(),
            reach: Mutex::default(),
            events: Mutex::default(),
            error: OnceLock::new(),
            kernels,
            context,
        }))
    }

    /// Lets GPUs copy from each other's memory; says so where they cannot.
    pub fn connect(devices: &[Arc<CudaDevice>]) -> Result<()> {
        for (i, a) in devices.iter().enumerate() {
            for b in &devices[i + 1..] {
                let direct = a.enable(b)? & b.enable(a)?;
                if !direct {
                    console::note!(
                        "GPU {} and GPU {} cannot reach each other's memory: what their towers exchange goes through \
                         the host",
                        a.number(),
                        b.number()
                    );
                }
            }
        }
        Ok(())
    }

    fn enable(&self, peer: &CudaDevice) -> Result<bool> {
        let pair = || format!("GPU {} reaching for GPU {}", self.number(), peer.number());
        let mut can = 0;
        // SAFETY: `can` takes the answer.
        check(unsafe { sys::cuDeviceCanAccessPeer(&mut can, self.raw, peer.raw) })
            .with_context(pair)?;
        if can == 0 {
            return Ok(false);
        }
        self.make_current()?;
        // SAFETY: both contexts are alive.
        match check(unsafe { sys::cuCtxEnablePeerAccess(peer.context.as_raw(), 0) }) {
            Err(error) if error.is(CUresult::CUDA_ERROR_TOO_MANY_PEERS) => return Ok(false),
            Err(error) if error.is(CUresult::CUDA_ERROR_PEER_ACCESS_ALREADY_ENABLED) => {}
            result => result.with_context(pair)?,
        }
        self.reach
            .lock()
            .unwrap_or_else(|e| e.into_inner())
            .insert(peer.number());
        Ok(true)
    }

    pub(super) fn number(&self) -> usize {
        self.gpu.number
    }

    /// Whether it can copy from that GPU's memory directly.
    fn reaches(&self, peer: &CudaDevice) -> bool {
        let reach = self.reach.lock().unwrap_or_else(|e| e.into_inner());
        reach.contains(&peer.number())
    }

    fn kernels(&self) -> &Kernels {
        &self.kernels
    }

    fn context(&self) -> CUcontext {
        self.context.as_raw()
    }

    /// Makes its context the calling thread's.
    fn make_current(&self) -> Result<(), Failure> {
        current(&self.context)
    }

    /// An event that is not in use; its context is current.
    fn event(&self) -> Result<CUevent, Failure> {
        match self.events().pop() {
            Some(Handle(event)) => Ok(event),
            None => event::create(),
        }
    }

    fn take_back(&self, event: CUevent) {
        self.events().push(Handle(event));
    }

    fn events(&self) -> MutexGuard<'_, Vec<Handle>> {
        self.events.lock().unwrap_or_else(|e| e.into_inner())
    }

    pub(super) fn shared(&self) -> Option<Arc<CudaDevice>> {
        self.itself.upgrade()
    }

    /// The error that came first. It stops all streams: what one has left out another would miss.
    fn error(&self) -> Option<&str> {
        self.error.get().map(String::as_str)
    }

    fn fail(&self, error: String) {
        // A later error follows from the first.
        let _ = self.error.set(error);
    }

    /// Memory with whatever it holds.
    fn claim(&self, bytes: usize) -> Result<u64> {
        let mut address = 0;
        // SAFETY: `address` takes the address.
        match check(unsafe { sys::cuMemAlloc_v2(&mut address, bytes.max(1)) }) {
            Err(error) if error.is(CUresult::CUDA_ERROR_OUT_OF_MEMORY) => {
                let memory = self.memory();
                Err(OutOfMemory {
                    needed: bytes,
                    memory,
                }
                .into())
            }
            result => Ok(result.map(|()| address)?),
        }
    }

    /// Zeros, and waits until they are there.
    fn clear(&self, address: u64, bytes: usize) -> Result<()> {
        // The default stream, which neither waits for the others nor holds them up.
        let stream = std::ptr::null_mut();
        // SAFETY: just allocated with this length.
        check(unsafe { sys::cuMemsetD8Async(address, 0, bytes, stream) })?;
        // SAFETY: the default stream is always there.
        Ok(check(unsafe { sys::cuStreamSynchronize(stream) })?)
    }
}

fn current(context: &Context) -> Result<(), Failure> {
    // SAFETY: the context is alive.
    check(unsafe { sys::cuCtxSetCurrent(context.as_raw()) })
}

fn describe(gpu: &Gpu) -> String {
    let (major, minor) = gpu.capability;
    format!(
        "GPU {}: {}, compute capability {major}.{minor}",
        gpu.number, gpu.name
    )
}

impl Device for CudaDevice {
    fn place(&self) -> String {
        self.number().to_string()
    }

    fn describe(&self) -> String {
        format!(
            "{}, kernels for {}",
            describe(&self.gpu),
            self.kernels.ptx.target
        )
    }

    fn target(&self) -> Target {
        Target::Gpu
    }

    fn memory(&self) -> Option<Memory> {
        let (mut free, mut total) = (0, 0);
        self.make_current().ok()?;
        // SAFETY: both take a number.
        check(unsafe { sys::cuMemGetInfo_v2(&mut free, &mut total) }).ok()?;
        Some(Memory { free, total })
    }

    fn allocate(&self, bytes: usize) -> Result<*mut u8> {
        self.make_current()?;
        let address = self.claim(bytes)?;
        let memory = std::ptr::with_exposed_provenance_mut(address as usize);
        // The driver does not clear nothing.
        if bytes > 0
            && let Err(error) = self.clear(address, bytes)
        {
            // SAFETY: nothing uses it yet.
            unsafe { self.release(memory, bytes) };
            return Err(error);
        }
        Ok(memory)
    }

    unsafe fn release(&self, memory: *mut u8, _bytes: usize) {
        // Memory of a context that is lost is gone already.
        let _ = self.make_current();
        // SAFETY: from `allocate`, and nothing uses it, as the caller promises.
        let _ = check(unsafe { sys::cuMemFree_v2(memory.addr() as u64) });
    }

    unsafe fn stream(self: Arc<Self>) -> Result<Box<dyn Stream>> {
        let stream = CudaStream::new(&self).with_context(|| self.describe())?;
        Ok(Box::new(stream))
    }
}

impl Drop for CudaDevice {
    fn drop(&mut self) {
        let _ = self.make_current();
        for Handle(event) in self.events().drain(..) {
            // SAFETY: not in use, as all that use it have gone.
            let _ = check(unsafe { sys::cuEventDestroy_v2(event) });
        }
    }
}
