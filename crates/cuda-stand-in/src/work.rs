//! Streams, events and launches.

use std::ffi::{c_int, c_uint, c_void};

use crate::state::*;

/// # Safety
/// As the driver's, here and below: pointers are valid for what is written or read.
#[unsafe(no_mangle)]
unsafe extern "C" fn cuStreamCreate(stream: *mut *mut c_void, flags: c_uint) -> Code {
    call("cuStreamCreate", |state, fields| {
        let (device, handle) = (current()?, state.handle());
        state.streams.insert(handle, device);
        note(fields, "stream", handle);
        note(fields, "non_blocking", flags & 1 == 1);
        // SAFETY: see above, here and below.
        unsafe { *stream = std::ptr::without_provenance_mut(handle as usize) };
        Ok(())
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuStreamCreateWithPriority(
    stream: *mut *mut c_void,
    flags: c_uint,
    _priority: c_int,
) -> Code {
    // SAFETY: the caller's promise, passed on.
    unsafe { cuStreamCreate(stream, flags) }
}

#[unsafe(no_mangle)]
extern "C" fn cuStreamDestroy_v2(stream: *mut c_void) -> Code {
    call("cuStreamDestroy_v2", |state, fields| {
        note(fields, "stream", stream.addr());
        let found = state.streams.remove(&(stream.addr() as u64));
        found.map(drop).ok_or(INVALID_HANDLE)
    })
}

#[unsafe(no_mangle)]
extern "C" fn cuStreamSynchronize(stream: *mut c_void) -> Code {
    call("cuStreamSynchronize", |state, fields| {
        note(fields, "stream", stream.addr());
        state.own_stream(stream.addr() as u64).map(drop)
    })
}

#[unsafe(no_mangle)]
extern "C" fn cuStreamWaitEvent(stream: *mut c_void, event: *mut c_void, _flags: c_uint) -> Code {
    call("cuStreamWaitEvent", |state, fields| {
        note(fields, "stream", stream.addr());
        note(fields, "event", event.addr());
        state.own_stream(stream.addr() as u64)?;
        let found = state.events.get(&(event.addr() as u64));
        found.map(|_| ()).ok_or(INVALID_HANDLE)
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuEventCreate(event: *mut *mut c_void, flags: c_uint) -> Code {
    call("cuEventCreate", |state, fields| {
        let (device, handle) = (current()?, state.handle());
        state.events.insert(handle, device);
        note(fields, "event", handle);
        note(fields, "timing", flags & 2 == 0);
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
        let device = state.own_stream(stream.addr() as u64)?;
        match state.events.get(&(event.addr() as u64)) {
            Some(&owner) if owner == device => Ok(()),
            _ => Err(INVALID_HANDLE),
        }
    })
}

#[unsafe(no_mangle)]
extern "C" fn cuEventSynchronize(event: *mut c_void) -> Code {
    call("cuEventSynchronize", |state, fields| {
        note(fields, "event", event.addr());
        let found = state.events.get(&(event.addr() as u64));
        found.map(|_| ()).ok_or(INVALID_HANDLE)
    })
}

const MAX_DYNAMIC_SHARED: c_uint = 8;
/// What a block of compute capability 9.0 may have.
const MOST_SHARED: u32 = 227 << 10;

#[unsafe(no_mangle)]
extern "C" fn cuFuncSetAttribute(function: *mut c_void, attribute: c_uint, value: c_int) -> Code {
    call("cuFuncSetAttribute", |state, fields| {
        note(fields, "attribute", attribute);
        note(fields, "value", value);
        let found = state
            .functions
            .get_mut(&(function.addr() as u64))
            .ok_or(INVALID_HANDLE)?;
        if attribute != MAX_DYNAMIC_SHARED || value as u32 > MOST_SHARED {
            return Err(INVALID_VALUE);
        }
        found.shared = value as u32;
        Ok(())
    })
}

/// Reads the arguments as the kernel would, and checks the launch against the device's limits.
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
        let found = state
            .functions
            .get(&(function.addr() as u64))
            .ok_or(INVALID_HANDLE)?;
        let parameters = found.entry.parameters.iter();
        let sizes: Vec<usize> = parameters.map(|parameter| parameter.bytes).collect();
        let (grid, block) = ([grid_x, grid_y, grid_z], [block_x, block_y, block_z]);
        note(fields, "kernel", format!("{:?}", found.entry.name));
        note(fields, "stream", stream.addr());
        note(fields, "grid", format!("{grid:?}"));
        note(fields, "block", format!("{block:?}"));
        note(fields, "shared", shared);
        let device = state.own_stream(stream.addr() as u64)?;
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
        let value = |(i, &size): (usize, &usize)| {
            // SAFETY: as many arguments were counted as the kernel has parameters, of these sizes.
            let bytes = unsafe { std::slice::from_raw_parts(*arguments.add(i), size) };
            let hex: String = bytes
                .iter()
                .rev()
                .map(|byte| format!("{byte:02x}"))
                .collect();
            format!("\"{hex}\"")
        };
        let values: Vec<String> = sizes.iter().enumerate().map(value).collect();
        note(fields, "values", format!("[{}]", values.join(",")));
        let threads = block.iter().product::<u32>();
        let most = found.entry.max_threads().unwrap_or(1024).min(1024);
        let positive = grid.iter().chain(&block).all(|&n| n > 0);
        let limits = grid[0] < 1 << 31 && grid[1] < 1 << 16 && grid[2] < 1 << 16 && block[2] <= 64;
        match positive
            && limits
            && threads <= most
            && shared <= found.shared
            && found.device == device
        {
            true => Ok(()),
            false => Err(INVALID_VALUE),
        }
    })
}
