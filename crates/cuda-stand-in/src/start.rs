//! The driver, its devices and contexts; errors in words.

use std::ffi::{CStr, c_char, c_int, c_uint, c_void};

use crate::execute;
use crate::occupancy::MULTIPROCESSORS;
use crate::queue;
use crate::settings::SETTINGS;
use crate::state::*;
use crate::work::MOST_SHARED;

#[unsafe(no_mangle)]
extern "C" fn cuInit(_flags: c_uint) -> Code {
    call("cuInit", |state, _| {
        state.initialised = true;
        Ok(())
    })
}

/// # Safety
/// As the driver's, here and below: pointers are valid for what is written or read.
#[unsafe(no_mangle)]
unsafe extern "C" fn cuDriverGetVersion(version: *mut c_int) -> Code {
    call("cuDriverGetVersion", |_, _| {
        // SAFETY: see above, here and below.
        unsafe { *version = SETTINGS.driver };
        Ok(())
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuDeviceGetCount(count: *mut c_int) -> Code {
    call("cuDeviceGetCount", |_, _| {
        // SAFETY: the caller gives room for the answer, as CUDA asks.
        unsafe { *count = SETTINGS.devices as c_int };
        Ok(())
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuDeviceGet(device: *mut c_int, ordinal: c_int) -> Code {
    call("cuDeviceGet", |_, _| {
        // SAFETY: the caller gives room for the answer, as CUDA asks.
        unsafe { *device = known(ordinal)? as c_int };
        Ok(())
    })
}

fn known(device: c_int) -> Result<usize, Code> {
    let device = device as usize;
    (device < SETTINGS.devices)
        .then_some(device)
        .ok_or(INVALID_DEVICE)
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuDeviceGetName(name: *mut c_char, len: c_int, device: c_int) -> Code {
    call("cuDeviceGetName", |_, _| {
        known(device)?;
        let text = b"Stand-in GPU\0";
        let len = text.len().min(len as usize);
        // SAFETY: the caller gives `len` bytes, of which no more are written.
        unsafe {
            name.cast::<u8>()
                .copy_from_nonoverlapping(text.as_ptr(), len)
        };
        Ok(())
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuDeviceGetAttribute(
    value: *mut c_int,
    attribute: c_uint,
    device: c_int,
) -> Code {
    call("cuDeviceGetAttribute", |_, _| {
        known(device)?;
        let answer = device_attribute(attribute).ok_or(INVALID_VALUE)?;
        // SAFETY: the caller gives room for the answer, as CUDA asks.
        unsafe { *value = answer };
        Ok(())
    })
}

/// What a GPU of compute capability 9.0 has, of what programs ask for.
fn device_attribute(attribute: c_uint) -> Option<c_int> {
    Some(match attribute {
        // Threads of a block, blocks of a grid.
        1..=3 => 1024,
        4 => 64,
        5 => c_int::MAX,
        6 | 7 => 65535,
        // Shared memory of a block, constant memory, threads of a warp, registers of a block.
        8 => 48 << 10,
        9 => 64 << 10,
        10 => 32,
        12 | 82 => 64 << 10,
        // Multiprocessors, and what each has at most of threads, shared memory, blocks.
        16 => MULTIPROCESSORS as c_int,
        39 => 2048,
        81 => 228 << 10,
        106 => 32,
        97 => MOST_SHARED as c_int,
        // Copies beside kernels, kernels beside each other, one address space with the host, streams with priorities.
        15 | 31 | 41 | 78 => 1,
        40 => 2,
        75 => SETTINGS.capability.0,
        76 => SETTINGS.capability.1,
        // Memory in the order of streams.
        115 => 1,
        // Not integrated, no time limit, nothing managed, no cooperative launches.
        17 | 18 | 83 | 89 | 95 => 0,
        _ => return None,
    })
}

/// Its number, for want of anything better.
#[unsafe(no_mangle)]
unsafe extern "C" fn cuDeviceGetUuid_v2(uuid: *mut [u8; 16], device: c_int) -> Code {
    call("cuDeviceGetUuid_v2", |_, _| {
        let number = known(device)? as u128;
        // SAFETY: the caller gives room for the answer, as CUDA asks.
        unsafe { *uuid = number.to_be_bytes() };
        Ok(())
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuDeviceTotalMem_v2(bytes: *mut usize, device: c_int) -> Code {
    call("cuDeviceTotalMem_v2", |_, _| {
        known(device)?;
        // SAFETY: the caller gives room for the answer, as CUDA asks.
        unsafe { *bytes = SETTINGS.memory };
        Ok(())
    })
}

/// A context is its device's number, and never null.
fn context(device: usize) -> *mut c_void {
    std::ptr::without_provenance_mut(device + 1)
}

fn device_of(state: &State, context: *mut c_void) -> Result<usize, Code> {
    let device = context.addr().checked_sub(1).ok_or(INVALID_CONTEXT)?;
    state
        .retained
        .contains_key(&device)
        .then_some(device)
        .ok_or(INVALID_CONTEXT)
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuDevicePrimaryCtxRetain(made: *mut *mut c_void, device: c_int) -> Code {
    call("cuDevicePrimaryCtxRetain", |state, fields| {
        let device = known(device)?;
        *state.retained.entry(device).or_default() += 1;
        note(fields, "device", device);
        // SAFETY: the caller gives room for the answer, as CUDA asks.
        unsafe { *made = context(device) };
        Ok(())
    })
}

#[unsafe(no_mangle)]
extern "C" fn cuDevicePrimaryCtxRelease_v2(device: c_int) -> Code {
    call("cuDevicePrimaryCtxRelease_v2", |state, fields| {
        let device = known(device)?;
        let count = state.retained.get_mut(&device).ok_or(INVALID_CONTEXT)?;
        *count -= 1;
        if *count == 0 {
            state.retained.remove(&device);
        }
        note(fields, "device", device);
        note(fields, "living", state.living(device));
        Ok(())
    })
}

#[unsafe(no_mangle)]
extern "C" fn cuCtxSetCurrent(context: *mut c_void) -> Code {
    call("cuCtxSetCurrent", |state, _| {
        CURRENT.set(Some(device_of(state, context)?));
        Ok(())
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuCtxGetCurrent(current: *mut *mut c_void) -> Code {
    call("cuCtxGetCurrent", |_, _| {
        let found = CURRENT.get().map_or(std::ptr::null_mut(), context);
        // SAFETY: the caller gives room for the answer, as CUDA asks.
        unsafe { *current = found };
        Ok(())
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuCtxGetDevice(device: *mut c_int) -> Code {
    call("cuCtxGetDevice", |_, _| {
        // SAFETY: the caller gives room for the answer, as CUDA asks.
        unsafe { *device = current()? as c_int };
        Ok(())
    })
}

#[unsafe(no_mangle)]
extern "C" fn cuCtxSynchronize() -> Code {
    call("cuCtxSynchronize", |_, _| {
        Ok(Rest::wait(queue::ends(Some(current()?))))
    })
}

/// The lowest priority of a stream, and the highest, which is the lower number.
#[unsafe(no_mangle)]
unsafe extern "C" fn cuCtxGetStreamPriorityRange(least: *mut c_int, greatest: *mut c_int) -> Code {
    call("cuCtxGetStreamPriorityRange", |_, _| {
        current()?;
        // SAFETY: the caller gives room for the answers, as CUDA asks.
        unsafe { (*least, *greatest) = (0, -5) };
        Ok(())
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuDeviceCanAccessPeer(can: *mut c_int, device: c_int, peer: c_int) -> Code {
    call("cuDeviceCanAccessPeer", |_, _| {
        let (device, peer) = (known(device)?, known(peer)?);
        // SAFETY: the caller gives room for the answer, as CUDA asks.
        unsafe { *can = c_int::from(SETTINGS.peers && device != peer) };
        Ok(())
    })
}

#[unsafe(no_mangle)]
extern "C" fn cuCtxEnablePeerAccess(context: *mut c_void, flags: c_uint) -> Code {
    call("cuCtxEnablePeerAccess", |state, fields| {
        let (device, peer) = (current()?, device_of(state, context)?);
        note(fields, "peer", peer);
        if flags != 0 || device == peer || !SETTINGS.peers {
            return Err(INVALID_VALUE);
        }
        match state.peers.insert((device, peer)) {
            true => {
                execute::reaches(device, peer);
                Ok(())
            }
            false => Err(PEER_ACCESS_ALREADY_ENABLED),
        }
    })
}

/// Names and texts of the errors that tests look for.
const ERRORS: [(Code, &CStr, &CStr); 21] = [
    (1, c"CUDA_ERROR_INVALID_VALUE", c"invalid argument"),
    (2, c"CUDA_ERROR_OUT_OF_MEMORY", c"out of memory"),
    (3, c"CUDA_ERROR_NOT_INITIALIZED", c"initialization error"),
    (101, c"CUDA_ERROR_INVALID_DEVICE", c"invalid device ordinal"),
    (
        200,
        c"CUDA_ERROR_INVALID_IMAGE",
        c"device kernel image is invalid",
    ),
    (
        201,
        c"CUDA_ERROR_INVALID_CONTEXT",
        c"invalid device context",
    ),
    (
        209,
        c"CUDA_ERROR_NO_BINARY_FOR_GPU",
        c"no kernel image is available for execution on the device",
    ),
    (
        218,
        c"CUDA_ERROR_INVALID_PTX",
        c"a PTX JIT compilation failed",
    ),
    (
        222,
        c"CUDA_ERROR_UNSUPPORTED_PTX_VERSION",
        c"the provided PTX was compiled with an unsupported toolchain.",
    ),
    (301, c"CUDA_ERROR_FILE_NOT_FOUND", c"file not found"),
    (
        400,
        c"CUDA_ERROR_INVALID_HANDLE",
        c"invalid resource handle",
    ),
    (500, c"CUDA_ERROR_NOT_FOUND", c"named symbol not found"),
    (600, c"CUDA_ERROR_NOT_READY", c"device not ready"),
    (
        700,
        c"CUDA_ERROR_ILLEGAL_ADDRESS",
        c"an illegal memory access was encountered",
    ),
    (
        701,
        c"CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES",
        c"too many resources requested for launch",
    ),
    (
        704,
        c"CUDA_ERROR_PEER_ACCESS_ALREADY_ENABLED",
        c"peer access is already enabled",
    ),
    (
        715,
        c"CUDA_ERROR_ILLEGAL_INSTRUCTION",
        c"an illegal instruction was encountered",
    ),
    (716, c"CUDA_ERROR_MISALIGNED_ADDRESS", c"misaligned address"),
    (
        719,
        c"CUDA_ERROR_LAUNCH_FAILED",
        c"unspecified launch failure",
    ),
    (801, c"CUDA_ERROR_NOT_SUPPORTED", c"operation not supported"),
    (999, c"CUDA_ERROR_UNKNOWN", c"unknown error"),
];

/// Works always, and is not written down.
unsafe fn text(
    code: Code,
    text: *mut *const c_char,
    of: fn(&(Code, &'static CStr, &'static CStr)) -> &'static CStr,
) -> Code {
    let found = ERRORS.iter().find(|error| error.0 == code);
    // SAFETY: the caller gives room for the answer, as CUDA asks.
    unsafe { *text = found.map_or(std::ptr::null(), |error| of(error).as_ptr()) };
    if found.is_some() { 0 } else { INVALID_VALUE }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuGetErrorName(code: Code, name: *mut *const c_char) -> Code {
    // SAFETY: the caller's promise, passed on.
    unsafe { text(code, name, |error| error.1) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuGetErrorString(code: Code, string: *mut *const c_char) -> Code {
    // SAFETY: the caller's promise, passed on.
    unsafe { text(code, string, |error| error.2) }
}
