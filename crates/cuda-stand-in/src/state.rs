//! What the stand-in knows: its settings, its devices and all that lives on them; and its log.

use std::cell::Cell;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs::File;
use std::io::Write;
use std::str::FromStr;
use std::sync::{LazyLock, Mutex};

use ptx_reader::{Function as Entry, Module};

/// A CUDA error code.
pub type Code = u32;

pub const INVALID_VALUE: Code = 1;
pub const OUT_OF_MEMORY: Code = 2;
pub const NOT_INITIALIZED: Code = 3;
pub const INVALID_DEVICE: Code = 101;
pub const INVALID_CONTEXT: Code = 201;
pub const NO_BINARY_FOR_GPU: Code = 209;
pub const INVALID_PTX: Code = 218;
pub const UNSUPPORTED_PTX_VERSION: Code = 222;
pub const INVALID_HANDLE: Code = 400;
pub const NOT_FOUND: Code = 500;
pub const PEER_ACCESS_ALREADY_ENABLED: Code = 704;
/// From here on an error stays.
const LASTING: Code = 700;

/// What the environment variable `CUDA_STAND_IN` says.
pub struct Settings {
    pub devices: usize,
    pub capability: (i32, i32),
    pub driver: i32,
    pub memory: usize,
    pub peers: bool,
    /// Whether a null pointer stands behind a launch's last argument, which the driver does not ask for.
    pub terminated: bool,
    fail: Option<(String, u64, Code)>,
    log: Option<File>,
}

/// Memory in use: its length, its device (none for the host's), and the memory itself.
pub struct Block {
    pub device: Option<usize>,
    pub bytes: usize,
    _memory: Vec<u128>,
}

/// What lives on a device, by handle; the value is the device.
#[derive(Default)]
pub struct State {
    pub initialised: bool,
    pub retained: BTreeMap<usize, u32>,
    pub blocks: BTreeMap<u64, Block>,
    pub streams: BTreeMap<u64, usize>,
    pub events: BTreeMap<u64, usize>,
    pub modules: BTreeMap<u64, (usize, Module)>,
    pub functions: BTreeMap<u64, Function>,
    /// Pairs whose first may use the memory of the second.
    pub peers: HashSet<(usize, usize)>,
    calls: HashMap<&'static str, u64>,
    /// The lost device, and its error.
    lasting: Option<(Option<usize>, Code)>,
    last_handle: u64,
}

#[derive(Clone)]
pub struct Function {
    pub module: u64,
    pub device: usize,
    pub entry: Entry,
    pub shared: u32,
}

thread_local! {
    /// The device whose context is current.
    pub static CURRENT: Cell<Option<usize>> = const { Cell::new(None) };
}

pub static SETTINGS: LazyLock<Settings> = LazyLock::new(Settings::read);
static STATE: LazyLock<Mutex<State>> = LazyLock::new(Mutex::default);

/// A number among the settings.
fn number<T: FromStr>(text: &str, what: &str) -> T {
    text.parse()
        .unwrap_or_else(|_| panic!("CUDA_STAND_IN: {what}: {text}"))
}

impl Settings {
    fn read() -> Self {
        let text = std::env::var("CUDA_STAND_IN").unwrap_or_default();
        let pairs = text
            .split_whitespace()
            .filter_map(|pair| pair.split_once('='));
        let mut settings = Settings {
            devices: 1,
            capability: (9, 0),
            driver: 13000,
            memory: 1 << 34,
            peers: true,
            terminated: true,
            fail: None,
            log: None,
        };
        for (key, value) in pairs {
            match key {
                "devices" => settings.devices = number(value, key),
                "driver" => settings.driver = number(value, key),
                "memory" => settings.memory = number(value, key),
                "peers" => settings.peers = value != "no",
                "terminated" => settings.terminated = value != "no",
                "capability" => {
                    let (major, minor) = value.split_once('.').unwrap_or((value, "0"));
                    settings.capability = (number(major, key), number(minor, key));
                }
                "fail" => {
                    let words: Vec<_> = value.split(':').collect();
                    let [function, nth, code] = words[..] else {
                        panic!("CUDA_STAND_IN: fail={value}");
                    };
                    let what = (function.to_owned(), number(nth, key), number(code, key));
                    settings.fail = Some(what);
                }
                "log" => {
                    let file = File::create(value);
                    settings.log = Some(file.unwrap_or_else(|e| panic!("{value}: {e}")));
                }
                _ => panic!("CUDA_STAND_IN: there is no {key}"),
            }
        }
        settings
    }
}

/// The fields of a call in the log, `"name":value,…`.
pub type Fields = String;

/// Carries a call out, unless it is to fail, and writes it down.
pub fn call(
    function: &'static str,
    act: impl FnOnce(&mut State, &mut Fields) -> Result<(), Code>,
) -> Code {
    let mut state = STATE.lock().unwrap_or_else(|e| e.into_inner());
    let count = state.calls.entry(function).or_default();
    *count += 1;
    let mut fields = Fields::new();
    let planned = match &SETTINGS.fail {
        Some((name, nth, code)) if name == function && nth == count => Some(*code),
        _ => None,
    };
    if let Some(code) = planned.filter(|&code| code >= LASTING && code != 999) {
        state.lasting = Some((CURRENT.get(), code));
    }
    let lasting = match state.lasting {
        Some((device, code)) if device == CURRENT.get() && function != "cuCtxSetCurrent" => {
            Some(code)
        }
        _ => None,
    };
    // What is given back is given back, whatever the call then says.
    let frees = ["Free", "Destroy", "Release", "Unload"];
    let result = match planned.or(lasting) {
        Some(code) if frees.iter().any(|word| function.contains(word)) => {
            act(&mut state, &mut fields).and(Err(code))
        }
        Some(code) => Err(code),
        None if !state.initialised && function != "cuInit" && function != "cuDriverGetVersion" => {
            Err(NOT_INITIALIZED)
        }
        None => act(&mut state, &mut fields),
    };
    let code = result.err().unwrap_or(0);
    if let Some(mut log) = SETTINGS.log.as_ref() {
        let device = CURRENT.get().map_or(-1, |device| device as i64);
        let line =
            format!("{{\"call\":\"{function}\",\"result\":{code},\"current\":{device}{fields}}}\n");
        if let Err(error) = log.write_all(line.as_bytes()) {
            panic!("CUDA_STAND_IN: the log: {error}");
        }
    }
    code
}

/// Adds a field to a line of the log.
pub fn note(fields: &mut Fields, name: &str, value: impl std::fmt::Display) {
    *fields += &format!(",\"{name}\":{value}");
}

/// The device whose context is current on this thread.
pub fn current() -> Result<usize, Code> {
    CURRENT.get().ok_or(INVALID_CONTEXT)
}

impl State {
    /// A handle that was never used before.
    pub fn handle(&mut self) -> u64 {
        self.last_handle += 1;
        self.last_handle << 4
    }

    /// Takes memory; `device` is `None` for the host's.
    pub fn allocate(&mut self, device: Option<usize>, bytes: usize) -> u64 {
        // Room to begin at a multiple of 256, as the driver's memory does.
        let memory = vec![u128::MAX; bytes.div_ceil(16) + 16];
        let address = (memory.as_ptr() as u64).next_multiple_of(256);
        let block = Block {
            device,
            bytes,
            _memory: memory,
        };
        self.blocks.insert(address, block);
        address
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
        let inside = address - begin + bytes as u64 <= block.bytes as u64;
        inside.then_some(block.device).ok_or(INVALID_VALUE)
    }

    /// That a range is memory of this device.
    pub fn owned(&self, device: usize, address: u64, bytes: usize) -> Result<(), Code> {
        match self.owner(address, bytes)? {
            Some(owner) if owner == device => Ok(()),
            _ => Err(INVALID_VALUE),
        }
    }

    /// That a stream is one of the current context's; the default stream always is.
    pub fn own_stream(&self, stream: u64) -> Result<usize, Code> {
        let device = current()?;
        match self.streams.get(&stream) {
            Some(&owner) if owner == device => Ok(device),
            Some(_) => Err(INVALID_CONTEXT),
            None if stream == 0 => Ok(device),
            None => Err(INVALID_HANDLE),
        }
    }

    /// What lives on a device, as the log has it.
    pub fn living(&self, device: usize) -> String {
        let on =
            |handles: &BTreeMap<u64, usize>| handles.values().filter(|&&d| d == device).count();
        let blocks = self.blocks.values();
        let memory = blocks
            .clone()
            .filter(|block| block.device == Some(device))
            .count();
        let pinned = blocks.filter(|block| block.device.is_none()).count();
        let modules = self
            .modules
            .values()
            .filter(|(owner, _)| *owner == device)
            .count();
        format!(
            "{{\"memory\":{memory},\"pinned\":{pinned},\"streams\":{},\"events\":{},\"modules\":{modules}}}",
            on(&self.streams),
            on(&self.events)
        )
    }
}
