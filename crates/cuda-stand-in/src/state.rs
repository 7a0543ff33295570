//! What the stand-in knows: its devices and all that lives on them; and how a call goes.

use std::cell::Cell;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard};

use crate::execute;
use crate::ptx::Entry;
use crate::queue::{self, Id, Signal, Task};
use crate::settings::SETTINGS;

/// A CUDA error code.
pub type Code = u32;

pub const INVALID_VALUE: Code = 1;
pub const OUT_OF_MEMORY: Code = 2;
pub const NOT_INITIALIZED: Code = 3;
pub const INVALID_DEVICE: Code = 101;
pub const INVALID_IMAGE: Code = 200;
pub const INVALID_CONTEXT: Code = 201;
pub const NO_BINARY_FOR_GPU: Code = 209;
pub const INVALID_PTX: Code = 218;
pub const UNSUPPORTED_PTX_VERSION: Code = 222;
pub const FILE_NOT_FOUND: Code = 301;
pub const INVALID_HANDLE: Code = 400;
pub const NOT_FOUND: Code = 500;
pub const NOT_READY: Code = 600;
pub const PEER_ACCESS_ALREADY_ENABLED: Code = 704;
pub const LAUNCH_FAILED: Code = 719;
/// From here on an error stays.
const LASTING: Code = 700;

/// Memory in use: its length, its device (none for the host's), and the memory itself.
pub struct Block {
    pub device: Option<usize>,
    pub bytes: usize,
    _memory: Vec<u128>,
}

/// A stream that was created; the default ones have none of these.
pub struct Stream {
    pub device: usize,
    pub flags: u32,
    pub priority: i32,
}

/// An event, and what it was recorded as last.
pub struct Event {
    pub device: usize,
    pub timing: bool,
    pub last: Option<Arc<Signal>>,
}

/// What lives on a device, by handle; the value is the device or has it.
#[derive(Default)]
pub struct State {
    pub initialised: bool,
    pub retained: BTreeMap<usize, u32>,
    pub blocks: BTreeMap<u64, Block>,
    pub streams: BTreeMap<u64, Stream>,
    pub events: BTreeMap<u64, Event>,
    pub modules: BTreeMap<u64, Loaded>,
    pub functions: BTreeMap<u64, Function>,
    /// Pairs whose first may use the memory of the second.
    pub peers: HashSet<(usize, usize)>,
    /// The streams that wait for their device's default stream and the other way round, each with the last work of the
    /// default stream that it waits for.
    blocking: BTreeMap<Id, Option<Arc<Signal>>>,
    /// The last work of the default stream of each device.
    default: BTreeMap<usize, Arc<Signal>>,
    calls: HashMap<&'static str, u64>,
    launches: HashMap<String, u64>,
    /// Lost devices, and their errors.
    lasting: HashMap<Option<usize>, Code>,
    last_handle: u64,
}

/// A loaded module.
pub struct Loaded {
    pub device: usize,
    pub entries: Vec<Entry>,
    /// Compiled, unless kernels are to do nothing.
    pub code: Option<ptx_jit::Module>,
    /// Variables that the program has asked for: memory of the device.
    pub variables: Vec<u64>,
}

#[derive(Clone)]
pub struct Function {
    pub module: u64,
    pub device: usize,
    pub entry: Entry,
    pub shared: u32,
    /// Bytes that the kernel's own variables take.
    pub static_shared: u32,
    /// The kernel, once it was launched.
    pub kernel: Option<ptx_jit::Kernel>,
}

thread_local! {
    /// The device whose context is current.
    pub static CURRENT: Cell<Option<usize>> = const { Cell::new(None) };
    /// Its own default stream.
    static OWN_STREAM: u64 = {
        static THREADS: AtomicU64 = AtomicU64::new(0);
        THREADS.fetch_add(1, Ordering::Relaxed) << 4 | PER_THREAD
    };
}

/// What stands for the default stream of a context, and for that of the calling thread.
const LEGACY: u64 = 1;
const PER_THREAD: u64 = 2;

/// `CU_STREAM_NON_BLOCKING`: does not wait for the default stream.
pub const NON_BLOCKING: u32 = 1;

static STATE: LazyLock<Mutex<State>> = LazyLock::new(Mutex::default);

fn lock() -> MutexGuard<'static, State> {
    STATE.lock().unwrap_or_else(|e| e.into_inner())
}

/// The fields of a call in the log, `"name":value,…`.
pub type Fields = String;

type Then = Box<dyn FnOnce(&mut State)>;

/// What is left of a call when the state is free for others: what it waits for, and what it does then.
#[derive(Default)]
pub struct Rest {
    wait: Vec<Arc<Signal>>,
    then: Option<Then>,
    /// Whether it only asks, and will ask again.
    asks: bool,
}

impl From<()> for Rest {
    fn from(_: ()) -> Self {
        Rest::default()
    }
}

impl Rest {
    pub fn wait(signals: Vec<Arc<Signal>>) -> Self {
        Rest {
            wait: signals,
            ..Rest::default()
        }
    }

    pub fn then(self, act: impl FnOnce(&mut State) + 'static) -> Self {
        Rest {
            then: Some(Box::new(act)),
            ..self
        }
    }
}

/// Carries a call out, unless it is to fail, and writes it down.
pub fn call<R: Into<Rest>>(
    function: &'static str,
    act: impl FnOnce(&mut State, &mut Fields) -> Result<R, Code>,
) -> Code {
    let mut state = lock();
    let mut fields = Fields::new();
    let refused = state.refuses(function);
    // What is given back is given back, whatever the call then says.
    let frees = ["Free", "Destroy", "Release", "Unload"];
    let result = match refused {
        Some(code) if frees.iter().any(|word| function.contains(word)) => {
            let rest = act(&mut state, &mut fields);
            rest.map(|rest| (rest.into(), code))
        }
        Some(code) => Err(code),
        None => act(&mut state, &mut fields).map(|rest| (rest.into(), 0)),
    };
    let code = match result {
        Ok((rest, code)) => {
            // What happens in a device reaches the program when it waits for it.
            let waits = !rest.wait.is_empty() || rest.asks;
            state = finish(state, rest);
            let lost = if waits { state.take_fault() } else { None };
            if code == 0 { lost.unwrap_or(0) } else { code }
        }
        Err(code) => code,
    };
    let device = CURRENT.get().map_or(-1, |device| device as i64);
    SETTINGS.log(&format!(
        "{{\"call\":\"{function}\",\"result\":{code},\"current\":{device}{fields}}}"
    ));
    drop(state);
    queue::turn(code == NOT_READY);
    code
}

/// Waits, while others may call, and does what was to be done then.
fn finish(mut state: MutexGuard<'static, State>, rest: Rest) -> MutexGuard<'static, State> {
    if rest.wait.iter().any(|signal| !signal.reached()) {
        drop(state);
        rest.wait.iter().for_each(|signal| queue::wait(signal));
        state = lock();
    }
    if let Some(then) = rest.then {
        then(&mut state);
    }
    state
}

/// Adds a field to a line of the log.
pub fn note(fields: &mut Fields, name: &str, value: impl std::fmt::Display) {
    *fields += &format!(",\"{name}\":{value}");
}

/// The device whose context is current on this thread.
pub fn current() -> Result<usize, Code> {
    CURRENT.get().ok_or(INVALID_CONTEXT)
}

/// Forgets memory, as a task.
pub fn forget(address: u64) -> Result<(), Code> {
    lock().release(address);
    Ok(())
}

/// A question that the program may ask until the answer is yes.
pub fn answer(ready: bool) -> Result<Rest, Code> {
    let rest = Rest {
        asks: true,
        ..Rest::default()
    };
    if ready { Ok(rest) } else { Err(NOT_READY) }
}

impl State {
    /// Counts a call; the code that it fails with, if it does.
    fn refuses(&mut self, function: &'static str) -> Option<Code> {
        let count = self.calls.entry(function).or_default();
        *count += 1;
        let planned = SETTINGS.fail.as_ref();
        let planned = planned.and_then(|fail| fail.of(function, *count));
        let device = CURRENT.get();
        if let Some(code) = planned.filter(|&code| code >= LASTING && code != 999) {
            self.lasting.insert(device, code);
        }
        let lasting = self.lasting.get(&device).copied();
        let always = ["cuInit", "cuDriverGetVersion"].contains(&function);
        let early = (!self.initialised && !always).then_some(NOT_INITIALIZED);
        planned
            .or(lasting.filter(|_| function != "cuCtxSetCurrent"))
            .or(early)
    }

    /// Why the current device is lost, which it says from now on.
    fn take_fault(&mut self) -> Option<Code> {
        let device = CURRENT.get()?;
        let code = queue::lost(device)?;
        Some(*self.lasting.entry(Some(device)).or_insert(code))
    }

    /// Counts a launch; what its kernel fails with when it runs, if it does.
    pub fn fault(&mut self, kernel: &str) -> Option<Code> {
        let count = self.launches.entry(kernel.to_owned()).or_default();
        *count += 1;
        SETTINGS.fault.as_ref()?.of(kernel, *count)
    }

    /// A handle that was never used before.
    pub fn handle(&mut self) -> u64 {
        self.last_handle += 1;
        self.last_handle << 4
    }

    /// Takes memory; `device` is `None` for the host's.
    pub fn allocate(&mut self, device: Option<usize>, bytes: usize) -> u64 {
        // Room to begin at a multiple of 256, as the driver's memory does.
        let memory = vec![u128::MAX; bytes.div_ceil(16) + 16];
        let address = (memory.as_ptr().expose_provenance() as u64).next_multiple_of(256);
        let block = Block {
            device,
            bytes,
            _memory: memory,
        };
        self.blocks.insert(address, block);
        execute::allocated(address, bytes, device);
        address
    }

    /// Makes a module's variable known as memory of its device.
    pub fn lend(&mut self, address: u64, bytes: usize, device: usize) {
        let block = Block {
            device: Some(device),
            bytes,
            _memory: Vec::new(),
        };
        self.blocks.insert(address, block);
    }

    /// Gives memory back.
    pub fn release(&mut self, address: u64) {
        execute::freed(address);
        self.blocks.remove(&address);
    }

    /// Bytes that a device has given out.
    pub fn used(&self, device: usize) -> usize {
        let own = self
            .blocks
            .values()
            .filter(|block| block.device == Some(device));
        own.map(|block| block.bytes).sum()
    }

    /// The device of a range of memory, `None` for pinned memory; an error where it is not wholly in one block.
    pub fn owner(&self, address: u64, bytes: usize) -> Result<Option<usize>, Code> {
        let (begin, block) = self
            .blocks
            .range(..=address)
            .next_back()
            .ok_or(INVALID_VALUE)?;
        let inside = (address - begin).saturating_add(bytes as u64) <= block.bytes as u64;
        inside.then_some(block.device).ok_or(INVALID_VALUE)
    }

    /// That a range is memory of this device.
    pub fn owned(&self, device: usize, address: u64, bytes: usize) -> Result<(), Code> {
        match self.owner(address, bytes)? {
            Some(owner) if owner == device => Ok(()),
            _ => Err(INVALID_VALUE),
        }
    }

    /// A stream, which must be of the current context; the default ones always are.
    pub fn stream(&mut self, handle: u64) -> Result<Id, Code> {
        let device = current()?;
        match (handle, self.streams.get(&handle)) {
            (0 | LEGACY, _) => Ok((device, 0)),
            (PER_THREAD, _) => {
                let id = (device, OWN_STREAM.with(|own| *own));
                self.blocking.entry(id).or_default();
                Ok(id)
            }
            (_, Some(stream)) if stream.device == device => Ok((device, handle)),
            (_, Some(_)) => Err(INVALID_CONTEXT),
            (_, None) => Err(INVALID_HANDLE),
        }
    }

    pub fn add_stream(&mut self, stream: Stream) -> u64 {
        let handle = self.handle();
        if stream.flags & NON_BLOCKING == 0 {
            self.blocking.insert((stream.device, handle), None);
        }
        self.streams.insert(handle, stream);
        handle
    }

    pub fn remove_stream(&mut self, handle: u64) -> Result<(), Code> {
        let stream = self.streams.remove(&handle).ok_or(INVALID_HANDLE)?;
        self.blocking.remove(&(stream.device, handle));
        queue::end((stream.device, handle));
        Ok(())
    }

    /// Queues a task.
    pub fn task(&mut self, id: Id, task: Task) {
        self.order(id);
        queue::task(id, task);
        self.passed(id);
    }

    /// The end of what a stream has queued.
    pub fn record(&mut self, id: Id) -> Arc<Signal> {
        self.order(id);
        let signal = queue::record(id);
        self.passed(id);
        signal
    }

    /// Lets a stream wait for a signal.
    pub fn hold(&mut self, id: Id, signal: &Arc<Signal>) {
        self.order(id);
        queue::hold(id, signal);
        self.passed(id);
    }

    /// The default stream waits for what blocking streams have queued before, they for what it has.
    fn order(&mut self, id: Id) {
        let (device, stream) = id;
        if stream == 0 {
            for other in self.blocking.keys().filter(|other| other.0 == device) {
                queue::hold(id, &queue::record(*other));
            }
        } else if let Some(seen) = self.blocking.get_mut(&id)
            && let Some(last) = self.default.get(&device)
            && !seen.as_ref().is_some_and(|seen| Arc::ptr_eq(seen, last))
        {
            queue::hold(id, last);
            *seen = Some(last.clone());
        }
    }

    fn passed(&mut self, id: Id) {
        let (device, stream) = id;
        if stream == 0 && self.blocking.keys().any(|other| other.0 == device) {
            self.default.insert(device, queue::record(id));
        }
    }

    /// What lives on a device, as the log has it.
    pub fn living(&self, device: usize) -> String {
        let blocks = |owner| {
            self.blocks
                .values()
                .filter(move |block| block.device == owner)
        };
        let (memory, pinned) = (blocks(Some(device)).count(), blocks(None).count());
        let streams = self.streams.values().filter(|it| it.device == device);
        let events = self.events.values().filter(|it| it.device == device);
        let modules = self.modules.values().filter(|it| it.device == device);
        format!(
            "{{\"memory\":{memory},\"pinned\":{pinned},\"streams\":{},\"events\":{},\"modules\":{}}}",
            streams.count(),
            events.count(),
            modules.count()
        )
    }
}
