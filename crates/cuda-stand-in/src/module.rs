//! Modules and their functions.

use std::ffi::{CStr, OsStr, c_char, c_uint, c_void};
use std::os::unix::ffi::OsStrExt;

use ptx_reader::Module;

use crate::execute;
use crate::ptx::Entry;
use crate::settings::SETTINGS;
use crate::state::*;

/// `CU_JIT_ERROR_LOG_BUFFER` and its length.
const ERROR_LOG: c_uint = 5;
const ERROR_LOG_LEN: c_uint = 6;

/// Where the driver's compiler says what it has against a PTX text.
struct Log {
    text: *mut u8,
    len: usize,
}

impl Log {
    const NONE: Log = Log {
        text: std::ptr::null_mut(),
        len: 0,
    };

    /// The log among the options of a call.
    ///
    /// # Safety
    /// There are `count` options and as many values.
    unsafe fn find(count: c_uint, options: *const c_uint, values: *const *mut c_void) -> Log {
        let mut log = Log::NONE;
        for i in 0..count as usize {
            // SAFETY: the caller's promise.
            let (option, value) = unsafe { (*options.add(i), *values.add(i)) };
            match option {
                ERROR_LOG => log.text = value.cast(),
                // A length stands in place of a pointer.
                ERROR_LOG_LEN => log.len = value.addr(),
                _ => {}
            }
        }
        log
    }

    /// Writes as much of a line as there is room for.
    fn say(&self, line: &str) {
        if self.text.is_null() || self.len == 0 {
            return;
        }
        let len = line.len().min(self.len - 1);
        // SAFETY: the program gives a log of the length that it names.
        unsafe {
            self.text.copy_from_nonoverlapping(line.as_ptr(), len);
            *self.text.add(len) = 0;
        }
    }
}

/// # Safety
/// As the driver's, here and below: pointers are valid for what is written or read.
#[unsafe(no_mangle)]
unsafe extern "C" fn cuModuleLoadDataEx(
    module: *mut *mut c_void,
    image: *const c_char,
    count: c_uint,
    options: *const c_uint,
    values: *const *mut c_void,
) -> Code {
    call("cuModuleLoadDataEx", |state, fields| {
        // SAFETY: see above, here and below.
        let log = unsafe { Log::find(count, options, values) };
        // SAFETY: the caller gives a text that ends with a zero.
        let handle = load(
            state,
            fields,
            unsafe { CStr::from_ptr(image) }.to_bytes(),
            &log,
        )?;
        // SAFETY: the caller gives room for the answer, as CUDA asks.
        unsafe { *module = std::ptr::without_provenance_mut(handle as usize) };
        Ok(())
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuModuleLoadData(module: *mut *mut c_void, image: *const c_char) -> Code {
    call("cuModuleLoadData", |state, fields| {
        // SAFETY: the caller gives a text that ends with a zero.
        let image = unsafe { CStr::from_ptr(image) };
        let handle = load(state, fields, image.to_bytes(), &Log::NONE)?;
        // SAFETY: the caller gives room for the answer, as CUDA asks.
        unsafe { *module = std::ptr::without_provenance_mut(handle as usize) };
        Ok(())
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuModuleLoad(module: *mut *mut c_void, file: *const c_char) -> Code {
    call("cuModuleLoad", |state, fields| {
        // SAFETY: the caller gives a name that ends with a zero.
        let file = unsafe { CStr::from_ptr(file) };
        let image = std::fs::read(OsStr::from_bytes(file.to_bytes()));
        let handle = load(
            state,
            fields,
            &image.map_err(|_| FILE_NOT_FOUND)?,
            &Log::NONE,
        )?;
        // SAFETY: the caller gives room for the answer, as CUDA asks.
        unsafe { *module = std::ptr::without_provenance_mut(handle as usize) };
        Ok(())
    })
}

/// Loads a PTX text into the current context. Machine code is for GPUs.
fn load(state: &mut State, fields: &mut Fields, image: &[u8], log: &Log) -> Result<u64, Code> {
    let device = current()?;
    let text = std::str::from_utf8(image).map_err(|_| INVALID_IMAGE)?;
    let ptx = Module::parse(text).map_err(|error| {
        log.say(&error.to_string());
        match text.contains(".version") {
            true => INVALID_PTX,
            false => INVALID_IMAGE,
        }
    })?;
    // CUDA 12.4 knows PTX 8.4, and so on; good enough for tests.
    let newest = (SETTINGS.driver / 1000 - 4) * 10 + SETTINGS.driver % 1000 / 10;
    if (ptx.version.0 * 10 + ptx.version.1) as i32 > newest {
        log.say("ptxas fatal : Unsupported .version");
        return Err(UNSUPPORTED_PTX_VERSION);
    }
    let (major, minor) = SETTINGS.capability;
    if ptx.compute_capability().ok_or(INVALID_PTX)? as i32 > major * 10 + minor {
        return Err(NO_BINARY_FOR_GPU);
    }
    let handle = state.handle();
    let entries: Vec<Entry> = ptx.entries().map(Entry::from).collect();
    note(fields, "module", handle);
    note(fields, "kernels", entries.len());
    let code = match SETTINGS.execute {
        true => Some(execute::load(text, device).map_err(|error| {
            log.say(&error.to_string());
            INVALID_PTX
        })?),
        false => None,
    };
    let module = Loaded {
        device,
        entries,
        code,
        variables: Vec::new(),
    };
    state.modules.insert(handle, module);
    Ok(handle)
}

#[unsafe(no_mangle)]
extern "C" fn cuModuleUnload(module: *mut c_void) -> Code {
    call("cuModuleUnload", |state, _| {
        let module = module.addr() as u64;
        state
            .functions
            .retain(|_, function| function.module != module);
        let loaded = state.modules.remove(&module).ok_or(INVALID_HANDLE)?;
        for variable in loaded.variables {
            state.blocks.remove(&variable);
        }
        Ok(())
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
        let loaded = state.modules.get(&module).ok_or(INVALID_HANDLE)?;
        let entry = loaded
            .entries
            .iter()
            .find(|entry| entry.name == name)
            .ok_or(NOT_FOUND)?;
        let found = Function {
            module,
            device: loaded.device,
            entry: entry.clone(),
            shared: 48 << 10,
            static_shared: loaded
                .code
                .as_ref()
                .map_or(0, |code| code.program().static_shared()),
            kernel: None,
        };
        let handle = state.handle();
        state.functions.insert(handle, found);
        // SAFETY: the caller gives room for the answer, as CUDA asks.
        unsafe { *function = std::ptr::without_provenance_mut(handle as usize) };
        Ok(())
    })
}

/// Of a module whose kernels do nothing there are no variables either.
#[unsafe(no_mangle)]
unsafe extern "C" fn cuModuleGetGlobal_v2(
    address: *mut u64,
    bytes: *mut usize,
    module: *mut c_void,
    name: *const c_char,
) -> Code {
    call("cuModuleGetGlobal_v2", |state, fields| {
        // SAFETY: the caller gives a name that ends with a zero.
        let name = unsafe { CStr::from_ptr(name) }.to_string_lossy();
        note(fields, "variable", format!("{name:?}"));
        let loaded = state.modules.get_mut(&(module.addr() as u64));
        let loaded = loaded.ok_or(INVALID_HANDLE)?;
        let found = loaded.code.as_ref().and_then(|code| code.global(&name));
        let (place, size) = found.ok_or(NOT_FOUND)?;
        let (place, device) = (place.expose_provenance() as u64, loaded.device);
        loaded.variables.push(place);
        state.lend(place, size, device);
        // SAFETY: the caller gives room for the answers that it wants, as CUDA asks.
        unsafe {
            if !address.is_null() {
                *address = place;
            }
            if !bytes.is_null() {
                *bytes = size;
            }
        }
        Ok(())
    })
}
