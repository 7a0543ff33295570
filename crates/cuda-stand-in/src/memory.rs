//! Memory and copies.
//!
//! A copy from or to pinned memory happens when its stream gets there. What is not pinned is read before the call
//! returns and written before it returns, as the driver does. Copies without a stream are those of the default stream,
//! waited for where the host's memory is concerned.

use std::ffi::{c_uchar, c_uint, c_ushort, c_void};

use crate::queue::{self, Id, Task};
use crate::settings::SETTINGS;
use crate::state::*;

/// # Safety
/// As the driver's, here and below: pointers are valid for what is written or read.
#[unsafe(no_mangle)]
unsafe extern "C" fn cuMemAlloc_v2(address: *mut u64, bytes: usize) -> Code {
    call("cuMemAlloc_v2", |state, fields| {
        let made = allocate(state, fields, bytes)?;
        // SAFETY: see above, here and below.
        unsafe { *address = made };
        Ok(())
    })
}

/// Takes memory of the current device.
fn allocate(state: &mut State, fields: &mut Fields, bytes: usize) -> Result<u64, Code> {
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
    Ok(made)
}

/// It is there at once, whatever the stream has to do before.
#[unsafe(no_mangle)]
unsafe extern "C" fn cuMemAllocAsync(address: *mut u64, bytes: usize, stream: *mut c_void) -> Code {
    call("cuMemAllocAsync", |state, fields| {
        stream_of(state, fields, stream)?;
        let made = allocate(state, fields, bytes)?;
        // SAFETY: the caller gives room for the answer, as CUDA asks.
        unsafe { *address = made };
        Ok(())
    })
}

/// Gives memory back once all that was queued is done, as the driver waits before it frees.
fn free(state: &mut State, fields: &mut Fields, address: u64, device: bool) -> Result<Rest, Code> {
    note(fields, "address", address);
    match state.blocks.get(&address) {
        Some(block) if block.device.is_some() == device => {
            let forget = move |state: &mut State| state.release(address);
            Ok(Rest::wait(queue::ends(None)).then(forget))
        }
        _ => Err(INVALID_VALUE),
    }
}

#[unsafe(no_mangle)]
extern "C" fn cuMemFree_v2(address: u64) -> Code {
    call("cuMemFree_v2", |state, fields| {
        free(state, fields, address, true)
    })
}

/// Memory goes when the stream gets there.
#[unsafe(no_mangle)]
extern "C" fn cuMemFreeAsync(address: u64, stream: *mut c_void) -> Code {
    call("cuMemFreeAsync", |state, fields| {
        let id = stream_of(state, fields, stream)?;
        note(fields, "address", address);
        state.owner(address, 0)?.ok_or(INVALID_VALUE)?;
        state.task(id, Box::new(move || forget(address)));
        Ok(())
    })
}

/// Takes pinned memory.
unsafe fn pin(
    state: &mut State,
    fields: &mut Fields,
    memory: *mut *mut c_void,
    bytes: usize,
) -> Result<(), Code> {
    current()?;
    let made = state.allocate(None, bytes);
    note(fields, "bytes", bytes);
    note(fields, "address", made);
    // SAFETY: the caller gives room for the answer, as CUDA asks.
    unsafe { *memory = std::ptr::with_exposed_provenance_mut(made as usize) };
    Ok(())
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuMemHostAlloc(memory: *mut *mut c_void, bytes: usize, flags: c_uint) -> Code {
    call("cuMemHostAlloc", |state, fields| {
        note(fields, "portable", flags & 1 == 1);
        // SAFETY: the caller's promise, passed on.
        unsafe { pin(state, fields, memory, bytes) }
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuMemAllocHost_v2(memory: *mut *mut c_void, bytes: usize) -> Code {
    call("cuMemAllocHost_v2", |state, fields| {
        // SAFETY: the caller's promise, passed on.
        unsafe { pin(state, fields, memory, bytes) }
    })
}

#[unsafe(no_mangle)]
extern "C" fn cuMemFreeHost(memory: *mut c_void) -> Code {
    call("cuMemFreeHost", |state, fields| {
        free(state, fields, memory.addr() as u64, false)
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

/// A stream, written down.
fn stream_of(state: &mut State, fields: &mut Fields, stream: *mut c_void) -> Result<Id, Code> {
    note(fields, "stream", stream.addr());
    state.stream(stream.addr() as u64)
}

fn pointer(address: u64) -> *mut u8 {
    std::ptr::with_exposed_provenance_mut(address as usize)
}

/// Where a copy goes, and how much.
#[derive(Clone, Copy)]
struct Copy {
    from: u64,
    to: u64,
    bytes: usize,
}

impl Copy {
    fn note(&self, fields: &mut Fields) {
        note(fields, "from", self.from);
        note(fields, "to", self.to);
        note(fields, "bytes", self.bytes);
    }

    /// The copy as a task.
    fn task(self) -> Task {
        Box::new(move || {
            // SAFETY: checked as far as it is memory of ours, which is kept while work is queued, promised by the caller
            // for the rest.
            unsafe { pointer(self.to).copy_from(pointer(self.from), self.bytes) };
            Ok(())
        })
    }

    /// The same from a copy that is made now.
    fn staged(self) -> Task {
        // SAFETY: the caller gives as many bytes.
        let bytes = unsafe { std::slice::from_raw_parts(pointer(self.from), self.bytes) }.to_vec();
        Box::new(move || {
            // SAFETY: as above.
            unsafe { pointer(self.to).copy_from(bytes.as_ptr(), bytes.len()) };
            Ok(())
        })
    }
}

/// The end of a stream's work, to wait for.
fn end(state: &mut State, id: Id) -> Rest {
    Rest::wait(vec![state.record(id)])
}

/// From the host to a device. Memory that is not pinned may change as soon as the call returns.
fn upload(
    state: &mut State,
    fields: &mut Fields,
    stream: *mut c_void,
    copy: Copy,
) -> Result<Id, Code> {
    let id = stream_of(state, fields, stream)?;
    state.owned(id.0, copy.to, copy.bytes)?;
    let pinned = state.owner(copy.from, copy.bytes) == Ok(None);
    note(fields, "pinned", pinned);
    copy.note(fields);
    if copy.bytes > 0 {
        let task = if pinned { copy.task() } else { copy.staged() };
        state.task(id, task);
    }
    Ok(id)
}

/// From a device to the host. Memory that is not pinned is written before the call returns.
fn download(
    state: &mut State,
    fields: &mut Fields,
    stream: *mut c_void,
    copy: Copy,
) -> Result<Rest, Code> {
    let id = stream_of(state, fields, stream)?;
    state.owned(id.0, copy.from, copy.bytes)?;
    let pinned = state.owner(copy.to, copy.bytes) == Ok(None);
    note(fields, "pinned", pinned);
    copy.note(fields);
    state.task(id, copy.task());
    let waits = !pinned || stream.is_null();
    Ok(if waits {
        end(state, id)
    } else {
        Rest::default()
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuMemcpyHtoD_v2(to: u64, from: *const u8, bytes: usize) -> Code {
    call("cuMemcpyHtoD_v2", |state, fields| {
        let from = from.expose_provenance() as u64;
        let id = upload(
            state,
            fields,
            std::ptr::null_mut(),
            Copy { from, to, bytes },
        )?;
        Ok(end(state, id))
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuMemcpyDtoH_v2(to: *mut u8, from: u64, bytes: usize) -> Code {
    call("cuMemcpyDtoH_v2", |state, fields| {
        let to = to.expose_provenance() as u64;
        let id = download(
            state,
            fields,
            std::ptr::null_mut(),
            Copy { from, to, bytes },
        )?;
        Ok(id)
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
        let from = from.expose_provenance() as u64;
        upload(state, fields, stream, Copy { from, to, bytes }).map(drop)
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
        let to = to.expose_provenance() as u64;
        download(state, fields, stream, Copy { from, to, bytes })
    })
}

/// Within a device, which the host does not wait for.
fn within(
    state: &mut State,
    fields: &mut Fields,
    stream: *mut c_void,
    copy: Copy,
) -> Result<(), Code> {
    let id = stream_of(state, fields, stream)?;
    state.owned(id.0, copy.from, copy.bytes)?;
    state.owned(id.0, copy.to, copy.bytes)?;
    copy.note(fields);
    state.task(id, copy.task());
    Ok(())
}

#[unsafe(no_mangle)]
extern "C" fn cuMemcpyDtoD_v2(to: u64, from: u64, bytes: usize) -> Code {
    call("cuMemcpyDtoD_v2", |state, fields| {
        within(
            state,
            fields,
            std::ptr::null_mut(),
            Copy { from, to, bytes },
        )
    })
}

#[unsafe(no_mangle)]
extern "C" fn cuMemcpyDtoDAsync_v2(to: u64, from: u64, bytes: usize, stream: *mut c_void) -> Code {
    call("cuMemcpyDtoDAsync_v2", |state, fields| {
        within(state, fields, stream, Copy { from, to, bytes })
    })
}

#[unsafe(no_mangle)]
extern "C" fn cuMemcpyPeerAsync(
    to: u64,
    to_context: *mut c_void,
    from: u64,
    from_context: *mut c_void,
    bytes: usize,
    stream: *mut c_void,
) -> Code {
    call("cuMemcpyPeerAsync", |state, fields| {
        let id = stream_of(state, fields, stream)?;
        let [target, source] =
            [to_context, from_context].map(|context| context.addr().wrapping_sub(1));
        state.owned(target, to, bytes)?;
        state.owned(source, from, bytes)?;
        if target != id.0 || !state.peers.contains(&(id.0, source)) {
            return Err(INVALID_CONTEXT);
        }
        let copy = Copy { from, to, bytes };
        note(fields, "source", source);
        copy.note(fields);
        state.task(id, copy.task());
        Ok(())
    })
}

/// Fills memory with a value of one, two or four bytes, which the host does not wait for.
fn fill<const N: usize>(
    state: &mut State,
    fields: &mut Fields,
    stream: *mut c_void,
    (to, value, count): (u64, [u8; N], usize),
) -> Result<(), Code> {
    let id = stream_of(state, fields, stream)?;
    let bytes = count.saturating_mul(N);
    note(fields, "to", to);
    note(fields, "bytes", bytes);
    state.owned(id.0, to, bytes)?;
    if !to.is_multiple_of(N as u64) {
        return Err(INVALID_VALUE);
    }
    let set = move || {
        // SAFETY: the range was found to be owned: memory that this library allocated, and keeps while work is queued.
        let memory = unsafe { std::slice::from_raw_parts_mut(pointer(to), bytes) };
        memory.as_chunks_mut().0.fill(value);
        Ok(())
    };
    state.task(id, Box::new(set));
    Ok(())
}

/// The functions that fill memory, by the type of their value, without a stream and with one.
macro_rules! fills {
    ($($value:ty: $now:ident, $queued:ident;)*) => {$(
        #[unsafe(no_mangle)]
        extern "C" fn $now(to: u64, value: $value, count: usize) -> Code {
            call(stringify!($now), |state, fields| {
                fill(state, fields, std::ptr::null_mut(), (to, value.to_ne_bytes(), count))
            })
        }

        #[unsafe(no_mangle)]
        extern "C" fn $queued(to: u64, value: $value, count: usize, stream: *mut c_void) -> Code {
            call(stringify!($queued), |state, fields| {
                fill(state, fields, stream, (to, value.to_ne_bytes(), count))
            })
        }
    )*};
}

fills! {
    c_uchar: cuMemsetD8_v2, cuMemsetD8Async;
    c_ushort: cuMemsetD16_v2, cuMemsetD16Async;
    c_uint: cuMemsetD32_v2, cuMemsetD32Async;
}
