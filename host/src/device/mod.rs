//! Where kernels run: a GPU, or a virtual one on the CPU.
//!
//! Work is queued on a [`Stream`] and runs in order, while the caller goes on;
//! [`Event`]s order the work of different streams. An error stops its stream:
//! what is queued behind it is skipped, and [`Stream::synchronize`] returns it.

mod buffer;
mod cpu;
mod places;

use std::sync::Arc;

use anyhow::Result;
use bytemuck::Pod;
use gpu_kernels::target::Target;
use simt_executor::{Arguments, Call, Kernel, Launch};

pub use buffer::{Buffer, View};
pub use cpu::CpuDevice;
pub use places::{Place, open, open_with};

/// A device with memory of its own.
pub trait Device: Send + Sync {
    /// What it is, for people.
    fn describe(&self) -> String;

    /// Which launch geometry it wants.
    fn target(&self) -> Target;

    /// `bytes` bytes of zeros, at a multiple of 256.
    fn allocate(&self, bytes: usize) -> Result<*mut u8>;

    /// Gives memory back.
    ///
    /// # Safety
    /// It came from `allocate(bytes)` of this device, and no queued work uses it.
    unsafe fn release(&self, memory: *mut u8, bytes: usize);

    /// A new queue of work.
    fn stream(self: Arc<Self>) -> Result<Box<dyn Stream>>;
}

/// A queue of work that runs in order.
pub trait Stream: Send {
    /// The device it belongs to.
    fn device(&self) -> &dyn Device;

    /// Queues a kernel.
    fn call(&self, call: Call);

    /// Queues a copy from the host.
    ///
    /// # Safety
    /// `to` is valid for as many bytes until the copy has run, and nothing else
    /// uses them meanwhile.
    unsafe fn upload_bytes(&self, from: Arc<[u8]>, to: *mut u8);

    /// Queues a copy from memory of this or another device; events order it
    /// with that device's work.
    ///
    /// # Safety
    /// Both ranges are valid until the copy has run, and nothing else uses them
    /// meanwhile.
    unsafe fn copy_bytes(&self, from: *const u8, to: *mut u8, bytes: usize);

    /// Waits for all that is queued, then copies to the host.
    ///
    /// # Safety
    /// `from` is valid for as many bytes.
    unsafe fn download_bytes(&self, from: *const u8, to: &mut [u8]) -> Result<()>;

    /// An event that happens when all that is queued so far has run.
    fn record(&self) -> Event;

    /// What is queued from here on waits for the event.
    fn wait(&self, event: &Event);

    /// Waits for all that is queued; the first error if there was one.
    fn synchronize(&self) -> Result<()>;
}

/// A point in a stream's work.
#[derive(Clone)]
pub struct Event(cpu::Signal);

impl dyn Stream + '_ {
    /// Queues `kernel` with these arguments.
    ///
    /// # Safety
    /// The kernel's own contract, until it has run.
    pub unsafe fn launch<A: Arguments + 'static>(
        &self,
        kernel: &Kernel<A>,
        launch: Launch,
        arguments: A,
    ) {
        // SAFETY: the caller's promise.
        self.call(unsafe { Call::new(kernel, launch, arguments) });
    }

    /// Queues a copy of `from` into a view of the same length.
    pub fn upload<T: Pod>(&self, from: &[T], to: View<T>) {
        assert_eq!(from.len(), to.len(), "upload of another length");
        // SAFETY: a view is valid as long as its buffer, which outlives the work queued on it.
        unsafe { self.upload_bytes(bytemuck::cast_slice(from).into(), to.ptr().cast()) }
    }

    /// Queues a copy between views of the same length, on one device or two.
    pub fn copy<T: Pod>(&self, from: View<T>, to: View<T>) {
        assert_eq!(from.len(), to.len(), "copy of another length");
        // SAFETY: as for `upload`.
        unsafe { self.copy_bytes(from.ptr().cast(), to.ptr().cast(), from.bytes()) }
    }

    /// What a view holds once all that is queued has run.
    pub fn download<T: Pod>(&self, from: View<T>) -> Result<Vec<T>> {
        let mut to = vec![T::zeroed(); from.len()];
        // SAFETY: as for `upload`.
        unsafe { self.download_bytes(from.ptr().cast(), bytemuck::cast_slice_mut(&mut to))? };
        Ok(to)
    }
}
