//! A device that does nothing but count the memory that is asked for.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Result, bail};
use gpu_kernels::launch::{Error, Target};
use simt_executor::Call;

use super::buffer::Allocation;
use super::{Buffer, Device, Event, Stream};

/// Stands in for a GPU to learn how much memory something takes there.
#[derive(Clone, Default)]
pub struct Counting(Arc<AtomicUsize>);

/// GPUs hand out memory in multiples of this.
const GRAIN: usize = 512;

impl Counting {
    /// A device of which nothing has been asked yet.
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// Bytes that have been asked for.
    pub fn bytes(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

impl Device for Counting {
    fn place(&self) -> String {
        "none".into()
    }

    fn describe(&self) -> String {
        "a device that only counts memory".into()
    }

    fn target(&self) -> Target {
        Target::Gpu
    }

    fn allocate(&self, bytes: usize) -> Result<*mut u8> {
        let grains = bytes.next_multiple_of(GRAIN).max(GRAIN);
        self.0.fetch_add(grains, Ordering::Relaxed);
        Ok(std::ptr::without_provenance_mut(GRAIN))
    }

    unsafe fn release(&self, _memory: *mut u8, _bytes: usize) {}

    unsafe fn stream(self: Arc<Self>) -> Result<Box<dyn Stream>> {
        Ok(Box::new(self.as_ref().clone()))
    }
}

impl Stream for Counting {
    fn device(&self) -> &dyn Device {
        self
    }

    unsafe fn call(&self, _call: Call, _memory: Vec<Arc<Allocation>>) {}

    fn fail(&self, _error: Error) {}

    unsafe fn upload_bytes(&self, _from: Arc<[u8]>, _to: Buffer<u8>) {}

    unsafe fn copy_bytes(&self, _from: Buffer<u8>, _to: Buffer<u8>) {}

    unsafe fn download_bytes(&self, _from: &Buffer<u8>, _to: &mut [u8]) -> Result<()> {
        bail!("{} holds nothing", self.describe())
    }

    fn record(&self) -> Event {
        Event::Past
    }

    fn wait(&self, _event: &Event) {}

    fn synchronize(&self) -> Result<()> {
        Ok(())
    }
}
