//! Kernels, carried out.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock, Mutex, RwLock};

use ptx_jit::traffic::Place;
use ptx_jit::{Fault, Kernel, Launch, Module, Options, Pool, Program, Traffic};

use crate::queue::Task;
use crate::settings::SETTINGS;
use crate::state::Code;

/// Allocated ranges by where they begin: where they end, and whose they are; nobody's is the host's.
type Ranges = BTreeMap<usize, (usize, Option<usize>)>;

static ALLOCATED: LazyLock<RwLock<Ranges>> = LazyLock::new(RwLock::default);

/// The cores of each device.
static POOLS: LazyLock<Mutex<BTreeMap<usize, Arc<Pool>>>> = LazyLock::new(Mutex::default);

/// Pairs of devices of which the first may use the memory of the second.
static PEERS: LazyLock<RwLock<Vec<(usize, usize)>>> = LazyLock::new(RwLock::default);

pub fn allocated(address: u64, bytes: usize, device: Option<usize>) {
    let begin = address as usize;
    let mut all = ALLOCATED.write().unwrap_or_else(|e| e.into_inner());
    all.insert(begin, (begin + bytes, device));
}

pub fn freed(address: u64) {
    let mut all = ALLOCATED.write().unwrap_or_else(|e| e.into_inner());
    all.remove(&(address as usize));
}

/// A device may use the memory of another from now on.
pub fn reaches(device: usize, peer: usize) {
    let mut peers = PEERS.write().unwrap_or_else(|e| e.into_inner());
    peers.push((device, peer));
}

/// Whether a kernel of a device may use these bytes.
fn may_use(device: usize, address: usize, bytes: usize) -> bool {
    let all = ALLOCATED.read().unwrap_or_else(|e| e.into_inner());
    let Some((_, &(end, owner))) = all.range(..=address).next_back() else {
        return false;
    };
    let peers = PEERS.read().unwrap_or_else(|e| e.into_inner());
    let reaches = |owner| owner == device || peers.contains(&(device, owner));
    address + bytes <= end && owner.is_none_or(reaches)
}

/// Compiles a text for a device.
pub fn load(text: &str, device: usize) -> Result<Module, ptx_jit::Error> {
    let memory = move |address, bytes| may_use(device, address, bytes);
    let options = Options {
        approximate: SETTINGS.approximate,
        refuse_fusable: SETTINGS.refuse_fusable,
        memory: SETTINGS.check_memory.then(|| Arc::new(memory) as _),
        shared: SETTINGS.check_shared,
        steps: SETTINGS.steps,
        coverage: false,
        traffic: SETTINGS.traffic.map(Traffic::of_one_block_in),
    };
    Ok(Program::load(text, &options)?.instance())
}

fn pool(device: usize) -> Result<Arc<Pool>, String> {
    let mut pools = POOLS.lock().unwrap_or_else(|e| e.into_inner());
    if let Some(pool) = pools.get(&device) {
        return Ok(pool.clone());
    }
    let cores = std::thread::available_parallelism().map_or(1, |n| n.get());
    let pool = Arc::new(Pool::new(cores).map_err(|error| error.to_string())?);
    pools.insert(device, pool.clone());
    Ok(pool)
}

/// A launch as a task of its stream. A fault is written down and loses the device.
pub fn task(kernel: Kernel, device: usize, launch: Launch, arguments: Vec<Vec<u8>>) -> Task {
    Box::new(move || {
        let pool = pool(device).map_err(|cause| {
            note(&format!("threads for GPU {device}: {cause}"), None);
            crate::state::OUT_OF_MEMORY
        })?;
        let arguments: Vec<&[u8]> = arguments.iter().map(Vec::as_slice).collect();
        // SAFETY: the program that launches a kernel promises the driver what the kernel asks for.
        unsafe { kernel.run(&pool, launch, &arguments) }.map_err(|fault| {
            note(&fault.to_string(), Some(&fault));
            fault.code as Code
        })?;
        log_requests(&kernel);
        Ok(())
    })
}

/// Writes down what a launch asked of memory, if that is counted.
fn log_requests(kernel: &Kernel) {
    let requests = kernel.requests();
    if requests.is_empty() {
        return;
    }
    let each: Vec<String> = requests
        .iter()
        .map(|(at, requests)| {
            let (place, unit) = match at.place {
                Place::Shared => ("shared", "wavefronts"),
                Place::Global => ("global", "sectors"),
            };
            format!(
                "{{\"line\":{},\"place\":\"{place}\",\"requests\":{},\"{unit}\":{},\"least\":{}}}",
                at.line, requests.count, requests.units, requests.least
            )
        })
        .collect();
    SETTINGS.log(&format!(
        "{{\"call\":\"traffic\",\"kernel\":{:?},\"instructions\":[{}]}}",
        kernel.function().name,
        each.join(",")
    ));
}

/// Writes a fault to the log and to standard error.
fn note(text: &str, fault: Option<&Fault>) {
    use std::io::Write;
    // If nobody reads it, the error that the program gets remains.
    let _ = writeln!(std::io::stderr(), "cuda-stand-in: {text}");
    let (code, line) = fault.map_or((0, 0), |fault| (fault.code, fault.line));
    SETTINGS.log(&format!(
        "{{\"call\":\"fault\",\"result\":{code},\"line\":{line},\"cause\":{text:?}}}"
    ));
}
