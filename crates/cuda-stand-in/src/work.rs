//! Streams, events and launches.

use std::ffi::{c_int, c_uint, c_void};
use std::sync::Arc;

use crate::execute;
use crate::queue;
use crate::settings::SETTINGS;
use crate::state::*;

/// # Safety
/// As the driver's, here and below: pointers are valid for what is written or read.
#[unsafe(no_mangle)]
unsafe extern "C" fn cuStreamCreate(stream: *mut *mut c_void, flags: c_uint) -> Code {
    // SAFETY: the caller's promise, passed on.
    unsafe { create_stream("cuStreamCreate", stream, flags, 0) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuStreamCreateWithPriority(
    stream: *mut *mut c_void,
    flags: c_uint,
    priority: c_int,
) -> Code {
    // SAFETY: the caller's promise, passed on.
    unsafe { create_stream("cuStreamCreateWithPriority", stream, flags, priority) }
}

unsafe fn create_stream(
    function: &'static str,
    made: *mut *mut c_void,
    flags: c_uint,
    priority: c_int,
) -> Code {
    call(function, |state, fields| {
        let stream = Stream {
            device: current()?,
            flags,
            priority,
        };
        let handle = state.add_stream(stream);
        note(fields, "stream", handle);
        note(fields, "non_blocking", flags & NON_BLOCKING != 0);
        // SAFETY: see above, here and below.
        unsafe { *made = std::ptr::without_provenance_mut(handle as usize) };
        Ok(())
    })
}

/// What is queued is still done.
#[unsafe(no_mangle)]
extern "C" fn cuStreamDestroy_v2(stream: *mut c_void) -> Code {
    call("cuStreamDestroy_v2", |state, fields| {
        note(fields, "stream", stream.addr());
        state.remove_stream(stream.addr() as u64)
    })
}

/// Asks a stream, of those that were created, something that its program told it.
unsafe fn ask<T>(
    function: &'static str,
    stream: *mut c_void,
    answer: *mut T,
    of: impl FnOnce(&Stream) -> T,
) -> Code {
    call(function, |state, _| {
        let found = state.streams.get(&(stream.addr() as u64));
        // SAFETY: the caller gives room for the answer, as CUDA asks.
        unsafe { *answer = of(found.ok_or(INVALID_HANDLE)?) };
        Ok(())
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuStreamGetFlags(stream: *mut c_void, flags: *mut c_uint) -> Code {
    // SAFETY: the caller's promise, passed on.
    unsafe { ask("cuStreamGetFlags", stream, flags, |stream| stream.flags) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuStreamGetPriority(stream: *mut c_void, priority: *mut c_int) -> Code {
    // SAFETY: the caller's promise, passed on.
    unsafe {
        ask("cuStreamGetPriority", stream, priority, |stream| {
            stream.priority
        })
    }
}

#[unsafe(no_mangle)]
extern "C" fn cuStreamSynchronize(stream: *mut c_void) -> Code {
    call("cuStreamSynchronize", |state, fields| {
        note(fields, "stream", stream.addr());
        let id = state.stream(stream.addr() as u64)?;
        Ok(Rest::wait(vec![state.record(id)]))
    })
}

#[unsafe(no_mangle)]
extern "C" fn cuStreamQuery(stream: *mut c_void) -> Code {
    call("cuStreamQuery", |state, fields| {
        note(fields, "stream", stream.addr());
        let id = state.stream(stream.addr() as u64)?;
        answer(queue::is_idle(id))
    })
}

#[unsafe(no_mangle)]
extern "C" fn cuStreamWaitEvent(stream: *mut c_void, event: *mut c_void, _flags: c_uint) -> Code {
    call("cuStreamWaitEvent", |state, fields| {
        note(fields, "stream", stream.addr());
        note(fields, "event", event.addr());
        let id = state.stream(stream.addr() as u64)?;
        if let Some(signal) = recorded(state, event)? {
            state.hold(id, &signal);
        }
        Ok(())
    })
}

/// What an event was recorded as last, if it ever was.
fn recorded(state: &State, event: *mut c_void) -> Result<Option<Arc<queue::Signal>>, Code> {
    let found = state.events.get(&(event.addr() as u64));
    Ok(found.ok_or(INVALID_HANDLE)?.last.clone())
}

/// `CU_EVENT_DISABLE_TIMING`
const DISABLE_TIMING: c_uint = 2;

#[unsafe(no_mangle)]
unsafe extern "C" fn cuEventCreate(event: *mut *mut c_void, flags: c_uint) -> Code {
    call("cuEventCreate", |state, fields| {
        let made = Event {
            device: current()?,
            timing: flags & DISABLE_TIMING == 0,
            last: None,
        };
        let handle = state.handle();
        note(fields, "event", handle);
        note(fields, "timing", made.timing);
        state.events.insert(handle, made);
        // SAFETY: the caller gives room for the answer, as CUDA asks.
        unsafe { *event = std::ptr::without_provenance_mut(handle as usize) };
        Ok(())
    })
}

#[unsafe(no_mangle)]
extern "C" fn cuEventDestroy_v2(event: *mut c_void) -> Code {
    call("cuEventDestroy_v2", |state, _| {
        let found = state.events.remove(&(event.addr() as u64));
        found.map(drop).ok_or(INVALID_HANDLE)
    })
}

#[unsafe(no_mangle)]
extern "C" fn cuEventRecord(event: *mut c_void, stream: *mut c_void) -> Code {
    call("cuEventRecord", |state, fields| {
        note(fields, "event", event.addr());
        note(fields, "stream", stream.addr());
        let id = state.stream(stream.addr() as u64)?;
        let event = event.addr() as u64;
        if state
            .events
            .get(&event)
            .is_none_or(|event| event.device != id.0)
        {
            return Err(INVALID_HANDLE);
        }
        let signal = state.record(id);
        if let Some(event) = state.events.get_mut(&event) {
            event.last = Some(signal);
        }
        Ok(())
    })
}

/// An event that was never recorded has nothing to wait for.
#[unsafe(no_mangle)]
extern "C" fn cuEventSynchronize(event: *mut c_void) -> Code {
    call("cuEventSynchronize", |state, fields| {
        note(fields, "event", event.addr());
        let signal = recorded(state, event)?;
        Ok(Rest::wait(signal.into_iter().collect()))
    })
}

#[unsafe(no_mangle)]
extern "C" fn cuEventQuery(event: *mut c_void) -> Code {
    call("cuEventQuery", |state, fields| {
        note(fields, "event", event.addr());
        answer(recorded(state, event)?.is_none_or(|signal| signal.reached()))
    })
}

/// Milliseconds between two events.
unsafe fn elapsed(
    function: &'static str,
    milliseconds: *mut f32,
    begin: *mut c_void,
    end: *mut c_void,
) -> Code {
    call(function, |state, _| {
        let signal = |event: *mut c_void| {
            let found = state.events.get(&(event.addr() as u64));
            found.filter(|event| event.timing)?.last.clone()
        };
        let begin = signal(begin).ok_or(INVALID_HANDLE)?;
        let end = signal(end).ok_or(INVALID_HANDLE)?;
        let Some(time) = end.since(&begin) else {
            return answer(false);
        };
        // SAFETY: the caller gives room for the answer, as CUDA asks.
        unsafe { *milliseconds = 1e3 * time.as_secs_f32() };
        answer(true)
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuEventElapsedTime(
    milliseconds: *mut f32,
    begin: *mut c_void,
    end: *mut c_void,
) -> Code {
    // SAFETY: the caller's promise, passed on.
    unsafe { elapsed("cuEventElapsedTime", milliseconds, begin, end) }
}

/// The same, under the name that CUDA 12.8 gave it.
#[unsafe(no_mangle)]
unsafe extern "C" fn cuEventElapsedTime_v2(
    milliseconds: *mut f32,
    begin: *mut c_void,
    end: *mut c_void,
) -> Code {
    // SAFETY: the caller's promise, passed on.
    unsafe { elapsed("cuEventElapsedTime_v2", milliseconds, begin, end) }
}

/// A function of the program in the middle of a stream's work; it may not call the driver.
#[unsafe(no_mangle)]
unsafe extern "C" fn cuLaunchHostFunc(
    stream: *mut c_void,
    function: extern "C" fn(*mut c_void),
    data: *mut c_void,
) -> Code {
    call("cuLaunchHostFunc", |state, fields| {
        note(fields, "stream", stream.addr());
        let id = state.stream(stream.addr() as u64)?;
        let data = data.expose_provenance();
        let task = move || {
            function(std::ptr::with_exposed_provenance_mut(data));
            Ok(())
        };
        state.task(id, Box::new(task));
        Ok(())
    })
}

const MAX_THREADS: c_uint = 0;
const SHARED: c_uint = 1;
const MAX_DYNAMIC_SHARED: c_uint = 8;
/// What a block of compute capability 9.0 may have.
pub const MOST_SHARED: u32 = 227 << 10;

fn function_of(state: &mut State, function: *mut c_void) -> Result<&mut Function, Code> {
    let found = state.functions.get_mut(&(function.addr() as u64));
    found.ok_or(INVALID_HANDLE)
}

#[unsafe(no_mangle)]
extern "C" fn cuFuncSetAttribute(function: *mut c_void, attribute: c_uint, value: c_int) -> Code {
    call("cuFuncSetAttribute", |state, fields| {
        note(fields, "attribute", attribute);
        note(fields, "value", value);
        let found = function_of(state, function)?;
        if attribute != MAX_DYNAMIC_SHARED || value as u32 > MOST_SHARED {
            return Err(INVALID_VALUE);
        }
        found.shared = value as u32;
        Ok(())
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuFuncGetAttribute(
    value: *mut c_int,
    attribute: c_uint,
    function: *mut c_void,
) -> Code {
    call("cuFuncGetAttribute", |state, _| {
        let found = function_of(state, function)?;
        let answer = match attribute {
            MAX_THREADS => found.entry.most_threads(),
            SHARED => found.static_shared,
            // Of registers only the GPU's compiler knows.
            2..MAX_DYNAMIC_SHARED => 0,
            MAX_DYNAMIC_SHARED => found.shared,
            _ => return Err(INVALID_VALUE),
        };
        // SAFETY: the caller gives room for the answer, as CUDA asks.
        unsafe { *value = answer as c_int };
        Ok(())
    })
}

/// A launch as it was asked for.
struct Launch {
    grid: [u32; 3],
    block: [u32; 3],
    shared: u32,
}

impl Launch {
    /// Whether the device's limits and the kernel's hold.
    fn fits(&self, function: &Function) -> bool {
        let (grid, block) = (self.grid, self.block);
        let threads = block.iter().map(|&n| u64::from(n)).product::<u64>();
        let most = function.entry.most_threads();
        let sizes = grid.iter().chain(&block).all(|&n| n > 0);
        let limits = grid[0] < 1 << 31 && grid[1] < 1 << 16 && grid[2] < 1 << 16 && block[2] <= 64;
        sizes && limits && threads <= u64::from(most) && self.shared <= function.shared
    }
}

/// A function's kernel, compiled when it is first launched; none if kernels do nothing.
fn kernel_of(state: &mut State, function: *mut c_void) -> Result<Option<ptx_jit::Kernel>, Code> {
    let found = function_of(state, function)?;
    if found.kernel.is_none() {
        let (module, name) = (found.module, found.entry.name.clone());
        let code = state.modules.get(&module).and_then(|it| it.code.as_ref());
        let kernel = code.and_then(|code| code.kernel(&name));
        function_of(state, function)?.kernel = kernel;
    }
    Ok(function_of(state, function)?.kernel.clone())
}

/// The bytes of each argument of a launch.
///
/// # Safety
/// There are as many as the kernel has parameters, of these sizes.
unsafe fn bytes(arguments: *const *const u8, sizes: &[usize]) -> Vec<Vec<u8>> {
    let bytes = |(i, &size): (usize, &usize)| {
        // SAFETY: the caller's promise.
        unsafe { std::slice::from_raw_parts(*arguments.add(i), size) }.to_vec()
    };
    sizes.iter().enumerate().map(bytes).collect()
}

/// The arguments of a launch, as hexadecimal numbers.
///
/// # Safety
/// There are as many as the kernel has parameters, of these sizes.
unsafe fn values(arguments: *const *const u8, sizes: &[usize]) -> String {
    let value = |(i, &size): (usize, &usize)| {
        // SAFETY: the caller's promise.
        let bytes = unsafe { std::slice::from_raw_parts(*arguments.add(i), size) };
        let digits = bytes.iter().rev().map(|byte| format!("{byte:02x}"));
        format!("\"{}\"", digits.collect::<String>())
    };
    let values: Vec<String> = sizes.iter().enumerate().map(value).collect();
    format!("[{}]", values.join(","))
}

/// Reads the arguments, and checks the launch against the device's limits. The kernel runs in its stream's turn.
#[unsafe(no_mangle)]
unsafe extern "C" fn cuLaunchKernel(
    function: *mut c_void,
    grid_x: c_uint,
    grid_y: c_uint,
    grid_z: c_uint,
    block_x: c_uint,
    block_y: c_uint,
    block_z: c_uint,
    shared: c_uint,
    stream: *mut c_void,
    arguments: *const *const u8,
    extra: *const *mut c_void,
) -> Code {
    call("cuLaunchKernel", |state, fields| {
        let found = function_of(state, function)?.clone();
        let launch = Launch {
            grid: [grid_x, grid_y, grid_z],
            block: [block_x, block_y, block_z],
            shared,
        };
        note(fields, "kernel", format!("{:?}", found.entry.name));
        note(fields, "stream", stream.addr());
        note(fields, "grid", format!("{:?}", launch.grid));
        note(fields, "block", format!("{:?}", launch.block));
        note(fields, "shared", shared);
        let id = state.stream(stream.addr() as u64)?;
        let sizes = &found.entry.sizes;
        let given = match SETTINGS.terminated {
            true => (0..)
                // SAFETY: the caller ends its arguments with a null where the settings say so.
                .take_while(|&i| !unsafe { *arguments.add(i) }.is_null())
                .count(),
            false => sizes.len(),
        };
        note(fields, "arguments", given);
        note(fields, "parameters", format!("{sizes:?}"));
        if given != sizes.len() || !extra.is_null() {
            return Err(INVALID_VALUE);
        }
        // SAFETY: as many arguments were counted, or promised, as the kernel has parameters.
        note(fields, "values", unsafe { values(arguments, sizes) });
        if !launch.fits(&found) || found.device != id.0 {
            return Err(INVALID_VALUE);
        }
        let task = match (state.fault(&found.entry.name), kernel_of(state, function)?) {
            (Some(code), _) => Box::new(move || Err(code)),
            (None, None) => Box::new(|| Ok(())) as queue::Task,
            (None, Some(kernel)) => {
                let launch = ptx_jit::Launch {
                    grid: launch.grid,
                    block: launch.block,
                    shared,
                };
                // SAFETY: as many arguments were counted, or promised, as the kernel has parameters.
                let arguments = unsafe { bytes(arguments, sizes) };
                execute::task(kernel, id.0, launch, arguments)
            }
        };
        state.task(id, task);
        Ok(())
    })
}
