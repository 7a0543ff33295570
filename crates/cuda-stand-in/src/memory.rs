//! Memory and copies. A copy is carried out when it is queued.

use std::ffi::{c_uchar, c_uint, c_void};

use crate::state::*;

/// # Safety
/// As the driver's, here and below: pointers are valid for what is written or read.
#[unsafe(no_mangle)]
unsafe extern "C" fn cuMemAlloc_v2(address: *mut u64, bytes: usize) -> Code {
    call("cuMemAlloc_v2", |state, fields| {
        let device = current()?;
        note(fields, "bytes", bytes);
        if bytes == 0 {
            return Err(INVALID_VALUE);
        }
        if state.used(device) + bytes > SETTINGS.memory {
            return Err(OUT_OF_MEMORY);
        }
        let made = state.allocate(Some(device), bytes);
        note(fields, "address", made);
        // SAFETY: see above, here and below.
        unsafe { *address = made };
        Ok(())
    })
}

#[unsafe(no_mangle)]
extern "C" fn cuMemFree_v2(address: u64) -> Code {
    call("cuMemFree_v2", |state, fields| {
        note(fields, "address", address);
        match state.blocks.get(&address) {
            Some(block) if block.device.is_some() => {
                state.blocks.remove(&address);
                Ok(())
            }
            _ => Err(INVALID_VALUE),
        }
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuMemHostAlloc(memory: *mut *mut c_void, bytes: usize, flags: c_uint) -> Code {
    call("cuMemHostAlloc", |state, fields| {
        current()?;
        note(fields, "bytes", bytes);
        note(fields, "portable", flags & 1 == 1);
        let made = state.allocate(None, bytes);
        note(fields, "address", made);
        // SAFETY: the caller gives room for the answer, as CUDA asks.
        unsafe { *memory = std::ptr::with_exposed_provenance_mut(made as usize) };
        Ok(())
    })
}

#[unsafe(no_mangle)]
extern "C" fn cuMemFreeHost(memory: *mut c_void) -> Code {
    call("cuMemFreeHost", |state, fields| {
        let address = memory.addr() as u64;
        note(fields, "address", address);
        match state.blocks.get(&address) {
            Some(block) if block.device.is_none() => {
                state.blocks.remove(&address);
                Ok(())
            }
            _ => Err(INVALID_VALUE),
        }
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuMemGetInfo_v2(free: *mut usize, total: *mut usize) -> Code {
    call("cuMemGetInfo_v2", |state, _| {
        let used = state.used(current()?);
        // SAFETY: the caller gives room for the answer, as CUDA asks.
        unsafe {
            *free = SETTINGS.memory - used;
            *total = SETTINGS.memory;
        }
        Ok(())
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuMemsetD8Async(
    to: u64,
    value: c_uchar,
    bytes: usize,
    stream: *mut c_void,
) -> Code {
    call("cuMemsetD8Async", |state, fields| {
        let stream = stream.addr() as u64;
        note(fields, "stream", stream);
        note(fields, "to", to);
        note(fields, "bytes", bytes);
        let device = state.own_stream(stream)?;
        state.owned(device, to, bytes)?;
        // SAFETY: the range was found to be owned: memory that this library allocated.
        unsafe { pointer(to).write_bytes(value, bytes) };
        Ok(())
    })
}

fn pointer(address: u64) -> *mut u8 {
    std::ptr::with_exposed_provenance_mut(address as usize)
}

/// Notes and carries out a copy of a stream.
fn copy(fields: &mut Fields, stream: *mut c_void, bytes: usize, from: *const u8, to: *mut u8) {
    note(fields, "stream", stream.addr());
    note(fields, "from", from.addr());
    note(fields, "to", to.addr());
    note(fields, "bytes", bytes);
    // SAFETY: checked as far as it is memory of ours, promised by the caller for the rest.
    unsafe { to.copy_from(from, bytes) };
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuMemsetD8_v2(to: u64, value: c_uchar, bytes: usize) -> Code {
    call("cuMemsetD8_v2", |state, fields| {
        note(fields, "to", to);
        note(fields, "bytes", bytes);
        state.owned(current()?, to, bytes)?;
        // SAFETY: the range was found to be owned: memory that this library allocated.
        unsafe { pointer(to).write_bytes(value, bytes) };
        Ok(())
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuMemcpyHtoD_v2(to: u64, from: *const u8, bytes: usize) -> Code {
    call("cuMemcpyHtoD_v2", |state, fields| {
        state.owned(current()?, to, bytes)?;
        copy(fields, std::ptr::null_mut(), bytes, from, pointer(to));
        Ok(())
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuMemcpyDtoH_v2(to: *mut u8, from: u64, bytes: usize) -> Code {
    call("cuMemcpyDtoH_v2", |state, fields| {
        state.owned(current()?, from, bytes)?;
        copy(fields, std::ptr::null_mut(), bytes, pointer(from), to);
        Ok(())
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuMemcpyHtoDAsync_v2(
    to: u64,
    from: *const u8,
    bytes: usize,
    stream: *mut c_void,
) -> Code {
    call("cuMemcpyHtoDAsync_v2", |state, fields| {
        let device = state.own_stream(stream.addr() as u64)?;
        state.owned(device, to, bytes)?;
        note(
            fields,
            "pinned",
            state.owner(from.addr() as u64, bytes) == Ok(None),
        );
        copy(fields, stream, bytes, from, pointer(to));
        Ok(())
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuMemcpyDtoHAsync_v2(
    to: *mut u8,
    from: u64,
    bytes: usize,
    stream: *mut c_void,
) -> Code {
    call("cuMemcpyDtoHAsync_v2", |state, fields| {
        let device = state.own_stream(stream.addr() as u64)?;
        state.owned(device, from, bytes)?;
        note(
            fields,
            "pinned",
            state.owner(to.addr() as u64, bytes) == Ok(None),
        );
        copy(fields, stream, bytes, pointer(from), to);
        Ok(())
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuMemcpyDtoDAsync_v2(
    to: u64,
    from: u64,
    bytes: usize,
    stream: *mut c_void,
) -> Code {
    call("cuMemcpyDtoDAsync_v2", |state, fields| {
        let device = state.own_stream(stream.addr() as u64)?;
        state.owned(device, from, bytes)?;
        state.owned(device, to, bytes)?;
        copy(fields, stream, bytes, pointer(from), pointer(to));
        Ok(())
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuMemcpyPeerAsync(
    to: u64,
    to_context: *mut c_void,
    from: u64,
    from_context: *mut c_void,
    bytes: usize,
    stream: *mut c_void,
) -> Code {
    call("cuMemcpyPeerAsync", |state, fields| {
        let device = state.own_stream(stream.addr() as u64)?;
        let [target, source] =
            [to_context, from_context].map(|context| context.addr().wrapping_sub(1));
        state.owned(target, to, bytes)?;
        state.owned(source, from, bytes)?;
        if target != device || !state.peers.contains(&(device, source)) {
            return Err(INVALID_CONTEXT);
        }
        note(fields, "source", source);
        copy(fields, stream, bytes, pointer(from), pointer(to));
        Ok(())
    })
}
