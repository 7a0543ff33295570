//! For tests: a GPU made of a PTX text, which runs as the call is queued, with every check on.

use std::alloc::{Layout, alloc_zeroed, dealloc};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use anyhow::{Context, Result, bail};
use gpu_kernels::launch::{Error, Target};
use ptx_jit::{Kernel, Module, Options, Pool, Program};
use simt_executor::Call;

use super::buffer::Allocation;
use super::{Buffer, Device, Event, Stream};

/// The most basic blocks of a thread: many times what the largest case of the tests needs.
const STEPS: u64 = 1 << 20;

/// The kernels of a PTX text, compiled for the CPU.
pub struct PtxDevice {
    module: Module,
    pool: Pool,
    memory: Arc<Ranges>,
}

/// What is allocated: from where to where.
#[derive(Default)]
struct Ranges(RwLock<BTreeMap<usize, usize>>);

impl ptx_jit::Memory for Ranges {
    fn contains(&self, address: usize, bytes: usize) -> bool {
        let ranges = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let before = ranges.range(..=address).next_back();
        before.is_some_and(|(_, end)| address.checked_add(bytes).is_some_and(|last| last <= *end))
    }
}

impl PtxDevice {
    /// Compiles a text.
    pub fn new(text: &str, threads: usize) -> Result<Arc<Self>> {
        let memory = Arc::new(Ranges::default());
        let options = Options {
            refuse_fusable: true,
            memory: Some(memory.clone()),
            shared: true,
            steps: Some(STEPS),
            coverage: true,
            ..Options::default()
        };
        Ok(Arc::new(PtxDevice {
            module: Program::load(text, &options)?.instance(),
            pool: Pool::new(threads)?,
            memory,
        }))
    }

    /// One of its kernels.
    pub fn kernel(&self, name: &str) -> Option<Kernel> {
        self.module.kernel(name)
    }

    fn run(&self, call: &Call) -> Result<()> {
        let kernel = self.kernel(call.name).context("no such kernel")?;
        let parameters = kernel.function().parameters.iter();
        let pointers = call.pointers();
        let arguments: Vec<&[u8]> = parameters
            .zip(&pointers)
            // SAFETY: the call's arguments have the sizes of the kernel's parameters.
            .map(|(one, &at)| unsafe { std::slice::from_raw_parts(at.cast(), one.bytes) })
            .collect();
        // SAFETY: as the caller of `Stream::call` promised; what a wrong kernel does beyond is checked.
        unsafe { kernel.run(&self.pool, call.launch, &arguments) }?;
        Ok(())
    }
}

fn layout(bytes: usize) -> Result<Layout> {
    Ok(Layout::from_size_align(bytes.max(1), 256)?)
}

impl Device for PtxDevice {
    fn place(&self) -> String {
        "ptx".into()
    }

    fn describe(&self) -> String {
        "PTX on the CPU".into()
    }

    fn target(&self) -> Target {
        Target::Gpu
    }

    fn allocate(&self, bytes: usize) -> Result<*mut u8> {
        // SAFETY: not of no bytes.
        let memory = unsafe { alloc_zeroed(layout(bytes)?) };
        if memory.is_null() {
            bail!("out of memory");
        }
        let mut ranges = self
            .memory
            .0
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        ranges.insert(memory.expose_provenance(), memory.addr() + bytes);
        Ok(memory)
    }

    unsafe fn release(&self, memory: *mut u8, bytes: usize) {
        let mut ranges = self
            .memory
            .0
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        ranges.remove(&memory.addr());
        if let Ok(layout) = layout(bytes) {
            // SAFETY: it was allocated so, and nobody uses it any more.
            unsafe { dealloc(memory, layout) }
        }
    }

    unsafe fn stream(self: Arc<Self>) -> Result<Box<dyn Stream>> {
        Ok(Box::new(PtxStream {
            device: self,
            failed: Mutex::default(),
        }))
    }
}

struct PtxStream {
    device: Arc<PtxDevice>,
    /// The first error.
    failed: Mutex<Option<String>>,
}

impl PtxStream {
    fn failed(&self) -> MutexGuard<'_, Option<String>> {
        self.failed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Stream for PtxStream {
    fn device(&self) -> &dyn Device {
        &*self.device
    }

    unsafe fn call(&self, call: Call, _memory: Vec<Arc<Allocation>>) {
        if self.failed().is_none()
            && let Err(error) = self.device.run(&call)
        {
            *self.failed() = Some(format!("{error:#}"));
        }
    }

    fn fail(&self, error: Error) {
        self.failed().get_or_insert(error.to_string());
    }

    unsafe fn upload_bytes(&self, from: Arc<[u8]>, to: Buffer<u8>) {
        // SAFETY: `to` is memory of this process and as long; nothing is queued that uses it.
        unsafe {
            to.address()
                .copy_from_nonoverlapping(from.as_ptr(), from.len())
        }
    }

    unsafe fn copy_bytes(&self, from: Buffer<u8>, to: Buffer<u8>) {
        // SAFETY: the same.
        unsafe { to.address().copy_from(from.address(), from.len()) }
    }

    unsafe fn download_bytes(&self, from: &Buffer<u8>, to: &mut [u8]) -> Result<()> {
        self.synchronize()?;
        // SAFETY: the same.
        unsafe {
            to.as_mut_ptr()
                .copy_from_nonoverlapping(from.address(), to.len())
        };
        Ok(())
    }

    fn record(&self) -> Event {
        Event::Past
    }

    fn wait(&self, event: &Event) {
        event.synchronize();
    }

    fn synchronize(&self) -> Result<()> {
        match &*self.failed() {
            Some(failed) => bail!("{failed}"),
            None => Ok(()),
        }
    }
}
