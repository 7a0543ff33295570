//! A virtual GPU: the executor's cores, the host's memory, a thread for each stream.

use std::collections::HashMap;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::JoinHandle;

use anyhow::{Context, Result};
use gpu_kernels::launch::{Error, Target};
use memmap2::{MmapMut, MmapOptions};
use simt_executor::{Call, InstructionSet, Pool, memory};

use super::buffer::Allocation;
use super::{Buffer, Device, Event, Stream, as_cuda};

/// A virtual GPU on some of the machine's cores.
pub struct CpuDevice {
    pool: Pool,
    memory: Mutex<HashMap<usize, MmapMut>>,
}

impl CpuDevice {
    /// A virtual GPU with so many worker threads.
    pub fn new(threads: usize) -> Result<Arc<CpuDevice>> {
        let pool = Pool::new(threads).context("starting a virtual GPU's threads")?;
        Ok(Arc::new(CpuDevice {
            pool,
            memory: Mutex::default(),
        }))
    }
}

impl CpuDevice {
    fn maps(&self) -> MutexGuard<'_, HashMap<usize, MmapMut>> {
        self.memory.lock().unwrap_or_else(|e| e.into_inner())
    }
}

impl Device for CpuDevice {
    fn place(&self) -> String {
        "cpu".into()
    }

    fn describe(&self) -> String {
        let (threads, set) = (self.pool.threads(), InstructionSet::current().name());
        format!(
            "virtual GPU on {threads} CPU thread{} ({set})",
            if threads == 1 { "" } else { "s" }
        )
    }

    fn target(&self) -> Target {
        Target::Cpu
    }

    fn allocate(&self, bytes: usize) -> Result<*mut u8> {
        let mut map = MmapOptions::new()
            .len(bytes.max(1))
            .map_anon()
            .context("out of memory")?;
        // A kernel strides through images by megabytes: with small pages it would
        // wait for their addresses more than for the images. Only advice.
        #[cfg(target_os = "linux")]
        let _ = map.advise(memmap2::Advice::HugePage);
        let memory = map.as_mut_ptr();
        memory::register(memory, bytes);
        self.maps().insert(memory.addr(), map);
        Ok(memory)
    }

    unsafe fn release(&self, memory: *mut u8, _bytes: usize) {
        memory::unregister(memory);
        self.maps().remove(&memory.addr());
    }

    unsafe fn stream(self: Arc<Self>) -> Result<Box<dyn Stream>> {
        Ok(Box::new(CpuStream::new(self)?))
    }
}

/// An event on the CPU: has it happened?
#[derive(Clone, Default)]
pub struct Signal(Arc<(Mutex<bool>, Condvar)>);

impl Signal {
    fn set(&self) {
        *self.0.0.lock().unwrap_or_else(|e| e.into_inner()) = true;
        self.0.1.notify_all();
    }

    pub(super) fn wait(&self) {
        let happened = self.0.0.lock().unwrap_or_else(|e| e.into_inner());
        drop(self.0.1.wait_while(happened, |happened| !*happened));
    }
}

/// What a stream's thread does next.
enum Command {
    /// A kernel, and the memory it uses.
    Call(Call, Vec<Arc<Allocation>>),
    Fail(Error),
    Upload(Arc<[u8]>, Buffer<u8>),
    Copy(Buffer<u8>, Buffer<u8>),
    Record(Signal),
    Wait(Event),
    Report(Sender<Result<(), Error>>),
}

struct CpuStream {
    device: Arc<CpuDevice>,
    /// `None` once dropped: that ends the thread.
    queue: Option<Sender<Command>>,
    thread: Option<JoinHandle<()>>,
}

impl CpuStream {
    fn new(device: Arc<CpuDevice>) -> Result<Self> {
        let (queue, commands) = channel();
        let worker = device.clone();
        let run = move || {
            let mut state = Ok(());
            for command in commands {
                execute(&worker.pool, command, &mut state);
            }
        };
        let thread = std::thread::Builder::new()
            .name("stream".into())
            .spawn(run)
            .context("starting a stream's thread")?;
        Ok(CpuStream {
            device,
            queue: Some(queue),
            thread: Some(thread),
        })
    }

    fn send(&self, command: Command) {
        if let Some(queue) = &self.queue {
            // The thread ends before the stream only by a panic; `synchronize` reports that.
            let _ = queue.send(command);
        }
    }
}

/// Events happen and reports are given whatever went wrong, so that nobody waits for ever.
fn execute(pool: &Pool, command: Command, state: &mut Result<(), Error>) {
    match command {
        Command::Record(signal) => signal.set(),
        Command::Wait(event) => event.synchronize(),
        Command::Report(to) => drop(to.send(state.clone())),
        _ if state.is_err() => {}
        Command::Fail(error) => *state = Err(error),
        Command::Call(call, _memory) => {
            // SAFETY: the kernel's contract holds, as the caller of `Stream::call` promised, and
            // its memory is still there.
            let done = unsafe { pool.run_call(&call) };
            *state = done.map_err(Error::Fault);
        }
        Command::Upload(from, to) => {
            // SAFETY: `to` is memory of this process, as long as `from`; nobody else uses it, as
            // was promised for the stream.
            unsafe {
                to.address()
                    .copy_from_nonoverlapping(from.as_ptr(), from.len())
            }
        }
        Command::Copy(from, to) => {
            // SAFETY: both are memory of this process and of the same length; nobody else writes
            // them, as was promised for the streams. Parts of a buffer may overlap.
            unsafe { to.address().copy_from(from.address(), from.len()) }
        }
    }
}

impl Stream for CpuStream {
    fn device(&self) -> &dyn Device {
        &*self.device
    }

    unsafe fn call(&self, call: Call, memory: Vec<Arc<Allocation>>) {
        self.send(Command::Call(call, memory));
    }

    fn fail(&self, error: Error) {
        self.send(Command::Fail(error));
    }

    unsafe fn upload_bytes(&self, from: Arc<[u8]>, to: Buffer<u8>) {
        self.send(Command::Upload(from, to));
    }

    unsafe fn copy_bytes(&self, from: Buffer<u8>, to: Buffer<u8>) {
        assert!(
            as_cuda(from.device()).is_none(),
            "a copy from a GPU to a virtual one"
        );
        self.send(Command::Copy(from, to));
    }

    unsafe fn download_bytes(&self, from: &Buffer<u8>, to: &mut [u8]) -> Result<()> {
        self.synchronize()?;
        // SAFETY: memory of this process of the same length, as the caller promises; nothing of
        // this stream is queued any more, and others do not write it, as was promised for them.
        unsafe {
            to.as_mut_ptr()
                .copy_from_nonoverlapping(from.address(), to.len())
        };
        Ok(())
    }

    fn record(&self) -> Event {
        let signal = Signal::default();
        self.send(Command::Record(signal.clone()));
        Event::Cpu(signal)
    }

    fn wait(&self, event: &Event) {
        self.send(Command::Wait(event.clone()));
    }

    fn synchronize(&self) -> Result<()> {
        let (to, report) = channel();
        self.send(Command::Report(to));
        let state = report.recv().context("a stream's thread has died")?;
        state.with_context(|| self.device.describe())
    }
}

impl Drop for CpuStream {
    fn drop(&mut self) {
        self.queue = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
