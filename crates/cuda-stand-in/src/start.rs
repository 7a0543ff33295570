//! The driver, its devices, contexts and modules.

use std::ffi::{CStr, c_char, c_int, c_uint, c_void};

use ptx_reader::Module;

use crate::state::*;

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
        let answer = match attribute {
            75 => SETTINGS.capability.0,
            76 => SETTINGS.capability.1,
            _ => return Err(INVALID_VALUE),
        };
        // SAFETY: the caller gives room for the answer, as CUDA asks.
        unsafe { *value = answer };
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
            true => Ok(()),
            false => Err(PEER_ACCESS_ALREADY_ENABLED),
        }
    })
}

const ERROR_LOG: c_uint = 5;

/// Bytes that a log has at least.
const LEAST_LOG: usize = 256;

#[unsafe(no_mangle)]
unsafe extern "C" fn cuModuleLoadDataEx(
    module: *mut *mut c_void,
    image: *const c_char,
    count: c_uint,
    options: *const c_uint,
    values: *const *mut c_void,
) -> Code {
    call("cuModuleLoadDataEx", |state, fields| {
        let device = current()?;
        // SAFETY: the caller gives a text that ends with a zero.
        let text = unsafe { CStr::from_ptr(image) }
            .to_str()
            .map_err(|_| INVALID_VALUE)?;
        let say = |line: &str| {
            for i in 0..count as usize {
                // SAFETY: the caller gives `count` options and as many values.
                if unsafe { *options.add(i) } == ERROR_LOG {
                    // SAFETY: as for the options.
                    let log = unsafe { *values.add(i) }.cast::<u8>();
                    let length = line.len().min(LEAST_LOG - 1);
                    // SAFETY: the log that the host gives is no shorter.
                    unsafe { log.copy_from_nonoverlapping(line.as_ptr(), length) };
                    // SAFETY: the same.
                    unsafe { log.add(length).write(0) };
                }
            }
        };
        let ptx = Module::parse(text).map_err(|error| {
            say(&error.to_string());
            INVALID_PTX
        })?;
        // CUDA 12.4 knows PTX 8.4, and so on; good enough for tests.
        let newest = (SETTINGS.driver / 1000 - 4) * 10 + SETTINGS.driver % 1000 / 10;
        if (ptx.version.0 * 10 + ptx.version.1) as i32 > newest {
            say("ptxas fatal : Unsupported .version");
            return Err(UNSUPPORTED_PTX_VERSION);
        }
        let (major, minor) = SETTINGS.capability;
        if ptx.compute_capability().ok_or(INVALID_PTX)? as i32 > major * 10 + minor {
            return Err(NO_BINARY_FOR_GPU);
        }
        let handle = state.handle();
        note(fields, "module", handle);
        note(fields, "kernels", ptx.entries().count());
        state.modules.insert(handle, (device, ptx));
        // SAFETY: the caller gives room for the answer, as CUDA asks.
        unsafe { *module = std::ptr::without_provenance_mut(handle as usize) };
        Ok(())
    })
}

#[unsafe(no_mangle)]
extern "C" fn cuModuleUnload(module: *mut c_void) -> Code {
    call("cuModuleUnload", |state, _| {
        let module = module.addr() as u64;
        state
            .functions
            .retain(|_, function| function.module != module);
        state
            .modules
            .remove(&module)
            .map(drop)
            .ok_or(INVALID_HANDLE)
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuModuleGetFunction(
    function: *mut *mut c_void,
    module: *mut c_void,
    name: *const c_char,
) -> Code {
    call("cuModuleGetFunction", |state, fields| {
        let module = module.addr() as u64;
        // SAFETY: the caller gives a name that ends with a zero.
        let name = unsafe { CStr::from_ptr(name) }
            .to_string_lossy()
            .into_owned();
        note(fields, "kernel", format!("{name:?}"));
        let (device, ptx) = state.modules.get(&module).ok_or(INVALID_HANDLE)?;
        let entry = ptx.entry(&name).ok_or(NOT_FOUND)?;
        let found = Function {
            module,
            device: *device,
            entry: entry.clone(),
            shared: 48 << 10,
        };
        let handle = state.handle();
        state.functions.insert(handle, found);
        // SAFETY: the caller gives room for the answer, as CUDA asks.
        unsafe { *function = std::ptr::without_provenance_mut(handle as usize) };
        Ok(())
    })
}

/// Names and texts of the errors that tests look for.
const ERRORS: [(Code, &CStr, &CStr); 7] = [
    (1, c"CUDA_ERROR_INVALID_VALUE", c"invalid argument"),
    (2, c"CUDA_ERROR_OUT_OF_MEMORY", c"out of memory"),
    (101, c"CUDA_ERROR_INVALID_DEVICE", c"invalid device ordinal"),
    (
        222,
        c"CUDA_ERROR_UNSUPPORTED_PTX_VERSION",
        c"the provided PTX was compiled with an unsupported toolchain.",
    ),
    (
        700,
        c"CUDA_ERROR_ILLEGAL_ADDRESS",
        c"an illegal memory access was encountered",
    ),
    (
        719,
        c"CUDA_ERROR_LAUNCH_FAILED",
        c"unspecified launch failure",
    ),
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
