//! Where kernels run: a GPU, or a virtual one on the CPU.
//!
//! Work is queued on a [`Stream`] and runs in order, while the caller goes on;
//! [`Event`]s order the work of different streams. An error stops its stream, and
//! on a GPU all streams of the device: what is queued behind it is skipped, and
//! [`Stream::synchronize`] returns it.

mod buffer;
mod counting;
mod cpu;
pub mod cuda;
mod places;

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use anyhow::Result;
use bytemuck::Pod;
use gpu_kernels::target::Target;
use simt_executor::{Arguments, Call, Kernel, Launch};

pub use buffer::{Buffer, View};
pub use counting::Counting;
pub use cpu::CpuDevice;
use cuda::CudaDevice;
pub use places::{Place, default_places, open, open_with};

/// A device with memory of its own.
pub trait Device: Any + Send + Sync {
    /// What `--gpus` calls it.
    fn place(&self) -> String;

    /// What it is, for people.
    fn describe(&self) -> String;

    /// Which launch geometry it wants.
    fn target(&self) -> Target;

    /// Its memory, where it has memory of its own.
    fn memory(&self) -> Option<Memory> {
        None
    }

    /// `bytes` bytes of zeros, at a multiple of 256; [`OutOfMemory`] where there are not as many.
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

    /// Queues a copy from memory of `source`, this device or another of its
    /// kind; events order it with that device's work.
    ///
    /// # Safety
    /// Both ranges are valid until the copy has run, and nothing else uses them
    /// meanwhile.
    unsafe fn copy_bytes(&self, source: &dyn Device, from: *const u8, to: *mut u8, bytes: usize);

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
pub enum Event {
    /// Nobody needs to wait for it.
    Past,
    /// Of a virtual GPU.
    Cpu(cpu::Signal),
    /// Of a GPU.
    Cuda(cuda::CudaEvent),
}

impl Event {
    /// Waits for it, here and now.
    fn synchronize(&self) {
        match self {
            Event::Past => {}
            Event::Cpu(signal) => signal.wait(),
            // Its stream reports what went wrong.
            Event::Cuda(event) => drop(event.synchronize()),
        }
    }
}

/// Memory of a device, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory {
    /// What nobody uses.
    pub free: usize,
    /// All of it.
    pub total: usize,
}

/// A device has too little memory.
#[derive(Clone, Copy, Debug)]
pub struct OutOfMemory {
    /// What was asked for, in bytes.
    pub needed: usize,
    /// What there was.
    pub memory: Option<Memory>,
}

impl fmt::Display for OutOfMemory {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let mb = |bytes: usize| bytes as f64 / 1e6;
        write!(f, "out of memory: {:.1} MB more needed", mb(self.needed))?;
        match self.memory {
            Some(Memory { free, total }) => {
                write!(f, ", {:.1} of {:.0} MB free", mb(free), mb(total))
            }
            None => Ok(()),
        }
    }
}

impl std::error::Error for OutOfMemory {}

/// The GPU that a device is, if it is one.
fn as_cuda(device: &dyn Device) -> Option<Arc<CudaDevice>> {
    (device as &dyn Any).downcast_ref::<CudaDevice>()?.shared()
}

impl dyn Stream + '_ {
    /// Queues `kernel` with these arguments. Others than it takes do not compile:
    ///
    /// ```compile_fail,E0308
    /// use gpu_kernels::relu::{relu_forward, relu_launch};
    /// # fn queue(stream: &dyn host::device::Stream, x: *const f32, y: *mut f32) {
    /// let launch = relu_launch(32, stream.device().target());
    /// // `relu_forward(len: u32, x: *const f32, y: *mut f32)`
    /// unsafe { stream.launch(&relu_forward, launch, (32u32, x)) };
    /// # }
    /// ```
    ///
    /// ```compile_fail,E0308
    /// # use gpu_kernels::relu::{relu_forward, relu_launch};
    /// # fn queue(stream: &dyn host::device::Stream, x: *const f32, y: *mut f32) {
    /// # let launch = relu_launch(32, stream.device().target());
    /// unsafe { stream.launch(&relu_forward, launch, (32u64, x, y)) };
    /// # }
    /// ```
    ///
    /// ```
    /// # use gpu_kernels::relu::{relu_forward, relu_launch};
    /// # fn queue(stream: &dyn host::device::Stream, x: *const f32, y: *mut f32) {
    /// # let launch = relu_launch(32, stream.device().target());
    /// unsafe { stream.launch(&relu_forward, launch, (32u32, x, y)) };
    /// # }
    /// ```
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

    /// Queues a copy between views of the same length on the stream's device.
    pub fn copy<T: Pod>(&self, from: View<T>, to: View<T>) {
        self.fetch(self.device(), from, to);
    }

    /// Queues a copy from a view of `source` to one of the same length here.
    pub fn fetch<T: Pod>(&self, source: &dyn Device, from: View<T>, to: View<T>) {
        assert_eq!(from.len(), to.len(), "copy of another length");
        // SAFETY: as for `upload`.
        unsafe { self.copy_bytes(source, from.ptr().cast(), to.ptr().cast(), from.bytes()) }
    }

    /// What a view holds once all that is queued has run.
    pub fn download<T: Pod>(&self, from: View<T>) -> Result<Vec<T>> {
        let mut to = vec![T::zeroed(); from.len()];
        // SAFETY: as for `upload`.
        unsafe { self.download_bytes(from.ptr().cast(), bytemuck::cast_slice_mut(&mut to))? };
        Ok(to)
    }
}
