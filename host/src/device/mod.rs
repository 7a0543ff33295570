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
#[cfg(test)]
mod ptx;

use std::any::Any;
use std::cell::RefCell;
use std::fmt;
use std::ptr;
use std::sync::Arc;

use anyhow::Result;
use bytemuck::Pod;
use gpu_kernels::launch::{self, Error, In, Out, Target};
use simt_executor::Call;

use buffer::Allocation;
pub use buffer::Buffer;
pub use counting::Counting;
pub use cpu::CpuDevice;
use cuda::CudaDevice;
pub use places::{Place, Places, default_places, open, open_with};
#[cfg(test)]
pub use ptx::PtxDevice;

/// A device with memory of its own.
pub trait Device: Any + Send + Sync {
    /// What `--gpus` calls it.
    fn place(&self) -> String;

    /// What it is, for people.
    fn describe(&self) -> String;

    /// Which launch configuration it wants.
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
    ///
    /// # Safety
    /// Where the work of two streams uses the same memory and one of them writes it,
    /// [`Event`]s order the two. All else is the device's business.
    unsafe fn stream(self: Arc<Self>) -> Result<Box<dyn Stream>>;
}

/// A queue of work that runs in order. Work is queued by the methods of `dyn Stream`,
/// which check it; these here are what a device does for them.
pub trait Stream: Send {
    /// The device it belongs to.
    fn device(&self) -> &dyn Device;

    /// Queues a kernel, and keeps `memory` until it has run.
    ///
    /// # Safety
    /// The kernel's contract holds as long as `memory` is there.
    unsafe fn call(&self, call: Call, memory: Vec<Arc<Allocation>>);

    /// Stops the stream with an error, behind what is queued.
    fn fail(&self, error: Error);

    /// Queues a copy from the host to a buffer of this device.
    ///
    /// # Safety
    /// Both have the same length.
    unsafe fn upload_bytes(&self, from: Arc<[u8]>, to: Buffer<u8>);

    /// Queues a copy from a buffer of this device, or another of its kind, to one of
    /// this device.
    ///
    /// # Safety
    /// Both have the same length.
    unsafe fn copy_bytes(&self, from: Buffer<u8>, to: Buffer<u8>);

    /// Waits for all that is queued, then copies a buffer of this device to the host.
    ///
    /// # Safety
    /// Both have the same length.
    unsafe fn download_bytes(&self, from: &Buffer<u8>, to: &mut [u8]) -> Result<()>;

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
    /// Queues the call that `make` makes of buffers of this device. A call that is
    /// refused is the stream's error.
    ///
    /// ```
    /// use gpu_kernels::launch;
    /// # fn queue(stream: &dyn host::device::Stream, x: &host::device::Buffer<f32>, y: &host::device::Buffer<f32>) {
    /// stream.launch(|on| launch::relu_forward(on.read(x), on.write(y), on.target()));
    /// # }
    /// ```
    ///
    /// Others than the kernel takes do not compile:
    ///
    /// ```compile_fail,E0308
    /// # use gpu_kernels::launch;
    /// # fn queue(stream: &dyn host::device::Stream, x: &host::device::Buffer<u32>, y: &host::device::Buffer<f32>) {
    /// stream.launch(|on| launch::relu_forward(on.read(x), on.write(y), on.target()));
    /// # }
    /// ```
    pub fn launch(
        &self,
        make: impl for<'a> FnOnce(&'a Operands<'a>) -> Result<launch::Call<'a>, Error>,
    ) {
        let operands = Operands {
            device: self.device(),
            memory: RefCell::default(),
        };
        match make(&operands).map(launch::Call::into_inner) {
            // SAFETY: a call is made of arguments that fit the kernel, and all buffers of this
            // one are among the operands.
            Ok(call) => unsafe { self.call(call, operands.memory.into_inner()) },
            Err(error) => self.fail(error),
        }
    }

    /// Queues a copy of `from` into a buffer of the same length.
    pub fn upload<T: Pod>(&self, from: &[T], to: &Buffer<T>) {
        self.upload_shared(bytemuck::cast_slice(from).into(), &to.cast());
    }

    /// The same without a copy on the host meanwhile.
    pub fn upload_shared(&self, from: Arc<[u8]>, to: &Buffer<u8>) {
        assert_eq!(from.len(), to.len(), "upload of another length");
        assert_own(self.device(), to);
        // SAFETY: of the same length, as just checked.
        unsafe { self.upload_bytes(from, to.clone()) }
    }

    /// Queues a copy to a buffer of the same length on the stream's device, from this
    /// device or another of its kind.
    pub fn copy<T: Pod>(&self, from: &Buffer<T>, to: &Buffer<T>) {
        assert_eq!(from.len(), to.len(), "copy of another length");
        assert_own(self.device(), to);
        // SAFETY: of the same length, as just checked.
        unsafe { self.copy_bytes(from.cast(), to.cast()) }
    }

    /// What a buffer holds once all that is queued has run.
    pub fn download<T: Pod>(&self, from: &Buffer<T>) -> Result<Vec<T>> {
        let mut to = vec![T::zeroed(); from.len()];
        self.download_to(from, &mut to)?;
        Ok(to)
    }

    /// The same into memory that is there, of the same length.
    pub fn download_to<T: Pod>(&self, from: &Buffer<T>, to: &mut [T]) -> Result<()> {
        assert_eq!(from.len(), to.len(), "download of another length");
        assert_own(self.device(), from);
        // SAFETY: of the same length, as just checked.
        unsafe { self.download_bytes(&from.cast(), bytemuck::cast_slice_mut(to)) }
    }
}

/// The buffers of a call on their way to a stream.
pub struct Operands<'a> {
    device: &'a dyn Device,
    memory: RefCell<Vec<Arc<Allocation>>>,
}

impl Operands<'_> {
    /// Which launch configuration the device wants.
    pub fn target(&self) -> Target {
        self.device.target()
    }

    /// A buffer that the kernel reads.
    pub fn read<T: Number>(&self, buffer: &Buffer<T>) -> In<'_, T> {
        // SAFETY: numbers are only numbers.
        unsafe { self.read_any(buffer) }
    }

    /// A buffer that the kernel reads, of something else than numbers.
    ///
    /// # Safety
    /// Its elements are such as the kernel can take.
    pub unsafe fn read_any<T: Pod>(&self, buffer: &Buffer<T>) -> In<'_, T> {
        self.keep(buffer);
        // SAFETY: the stream keeps the memory until the call has run, and nobody writes it
        // meanwhile, as was promised for the stream; the elements are the caller's promise.
        unsafe { In::from_raw(buffer.address().expose_provenance() as u64, buffer.len()) }
    }

    /// A buffer that the kernel writes.
    pub fn write<T: Number>(&self, buffer: &Buffer<T>) -> Out<'_, T> {
        self.keep(buffer);
        // SAFETY: the stream keeps the memory until the call has run, and nobody else uses it
        // meanwhile, as was promised for the stream.
        unsafe { Out::from_raw(buffer.address().expose_provenance() as u64, buffer.len()) }
    }

    fn keep<T>(&self, buffer: &Buffer<T>) {
        assert_own(self.device, buffer);
        self.memory.borrow_mut().push(buffer.memory().clone());
    }
}

/// What every kernel can take, whatever its value.
pub trait Number: Pod {}
impl Number for f32 {}
impl Number for u32 {}
impl Number for u8 {}

#[track_caller]
fn assert_own<T>(device: &dyn Device, buffer: &Buffer<T>) {
    assert!(
        ptr::addr_eq(device, buffer.device()),
        "memory of another device"
    );
}
