//! The kernels on one GPU: a module, and its functions looked up once.

use std::cell::RefCell;
use std::collections::HashMap;
use std::ffi::{CStr, CString, c_void};
use std::sync::Mutex;

use alexnet::Ptx;
use anyhow::{Context, Result, bail, ensure};
use cust::module::Module;
use cust::sys::{self, CUfunction, CUfunction_attribute, CUjit_option};
use simt_executor::Call;

use super::driver::{Gpu, check, checked, version};

/// Dynamic shared memory that a block may have without asking.
const SHARED: u32 = 48 << 10;

/// The loaded PTX.
pub(super) struct Kernels {
    pub ptx: &'static Ptx,
    module: Module,
    functions: Mutex<HashMap<&'static str, Function>>,
}

/// A kernel's handle, and the dynamic shared memory it may have.
#[derive(Clone, Copy)]
pub(super) struct Function {
    pub raw: CUfunction,
    shared: u32,
}

// SAFETY: a handle of the driver, which any thread may use.
unsafe impl Send for Function {}

impl Kernels {
    /// Loads the best PTX for a GPU into the current context.
    pub fn load(gpu: &Gpu) -> Result<Kernels> {
        let (major, minor) = gpu.capability;
        let Some(ptx) = alexnet::ptx_for(major, minor) else {
            bail!("{}", no_ptx(gpu));
        };
        let module = checked(Module::from_ptx(ptx.source, &[])).with_context(|| {
            let driver = version().unwrap_or_else(|error| format!("{error:#}"));
            let log = why_not(ptx).map_or(String::new(), |log| format!("; it says: {log}"));
            format!(
                "the driver, {driver}, cannot load the kernels, PTX {} for {}{log}",
                ptx_version(ptx),
                ptx.target
            )
        })?;
        Ok(Kernels {
            ptx,
            module,
            functions: Mutex::default(),
        })
    }

    /// The function for a call, with as much shared memory as it wants.
    pub fn function(&self, call: &Call) -> Result<CUfunction> {
        let mut functions = self.functions.lock().unwrap_or_else(|e| e.into_inner());
        let function = match functions.get_mut(call.name) {
            Some(function) => function,
            None => functions.entry(call.name).or_insert(self.look_up(call)?),
        };
        if call.launch.shared > function.shared {
            let attribute = CUfunction_attribute::CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES;
            // SAFETY: the module that the function belongs to is loaded.
            check(unsafe {
                sys::cuFuncSetAttribute(function.raw, attribute, call.launch.shared as i32)
            })
            .with_context(|| format!("{} bytes of shared memory", call.launch.shared))?;
            function.shared = call.launch.shared;
        }
        Ok(function.raw)
    }

    fn look_up(&self, call: &Call) -> Result<Function> {
        let expected = parameters(self.ptx.source, call.name);
        ensure!(
            expected.as_deref() == Some(call.sizes),
            "its arguments have {:?} bytes, its parameters in PTX {expected:?}",
            call.sizes
        );
        let function = checked(self.module.get_function(call.name))?;
        Ok(Function {
            raw: function.to_raw(),
            shared: SHARED,
        })
    }
}

/// Why no PTX of this build suits a GPU.
pub fn no_ptx(gpu: &Gpu) -> String {
    if let Some(why) = alexnet::PTX_MISSING {
        return format!("this build has no PTX: {why}");
    }
    let targets: Vec<_> = alexnet::PTX.iter().map(|ptx| ptx.target).collect();
    format!(
        "compute capability {}.{} cannot run this build's kernels, which are for {}; \
         ALEXNET_PTX_TARGETS names others when it is built",
        gpu.capability.0,
        gpu.capability.1,
        targets.join(", ")
    )
}

/// The version in a PTX text's `.version` line.
fn ptx_version(ptx: &Ptx) -> &str {
    let mut lines = ptx.source.lines();
    lines
        .find_map(|line| line.strip_prefix(".version "))
        .map_or("of unknown version", str::trim)
}

/// The sizes of a kernel's parameters, from its PTX.
fn parameters(ptx: &str, kernel: &str) -> Option<Vec<usize>> {
    let (_, entry) = ptx.split_once(&format!(".entry {kernel}("))?;
    let (list, _) = entry.split_once(')')?;
    let parameters = list.split(',').map(str::trim).filter(|one| !one.is_empty());
    parameters.map(size).collect()
}

/// `.param .u64 .ptr .align 1 name` has 8 bytes, `.param .align 4 .b8 name[100]` 100.
fn size(parameter: &str) -> Option<usize> {
    let words = parameter.split_whitespace();
    let kind = words
        .filter_map(|word| word.strip_prefix(['.']))
        .find(|word| {
            word[1..].parse::<usize>().is_ok() && word.starts_with(['u', 's', 'b', 'f'])
        })?;
    let bits: usize = kind[1..].parse().ok()?;
    let count = match parameter.split_once('[') {
        Some((_, count)) => count.strip_suffix(']')?.parse().ok()?,
        None => 1,
    };
    Some(bits / 8 * count)
}

/// What the driver's compiler has to say about a PTX text that it does not take.
fn why_not(ptx: &Ptx) -> Option<String> {
    const LENGTH: usize = 4096;
    let source = CString::new(ptx.source).ok()?;
    let mut log = vec![0u8; LENGTH];
    let mut options = [
        CUjit_option::CU_JIT_ERROR_LOG_BUFFER,
        CUjit_option::CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES,
    ];
    // A size is passed in place of a pointer.
    let mut values = [
        log.as_mut_ptr().cast(),
        std::ptr::without_provenance_mut::<c_void>(LENGTH - 1),
    ];
    let mut module = std::ptr::null_mut();
    let image = source.as_ptr().cast();
    // SAFETY: the image ends with a zero, the log has the length that is passed.
    unsafe {
        let (options, values) = (options.as_mut_ptr(), values.as_mut_ptr());
        if check(sys::cuModuleLoadDataEx(
            &mut module,
            image,
            2,
            options,
            values,
        ))
        .is_ok()
        {
            let _ = check(sys::cuModuleUnload(module));
        }
    }
    let text = CStr::from_bytes_until_nul(&log).ok()?.to_string_lossy();
    let line = text.lines().find(|line| !line.trim().is_empty())?;
    Some(line.trim().to_owned())
}

thread_local! {
    static POINTERS: RefCell<Vec<*mut c_void>> = const { RefCell::new(Vec::new()) };
}

/// Gives `launch` the addresses of a call's arguments. A null ends them, by which a recording driver can count; the
/// real one reads as many as the kernel has parameters.
pub(super) fn with_pointers<T>(call: &Call, launch: impl FnOnce(*mut *mut c_void) -> T) -> T {
    POINTERS.with_borrow_mut(|pointers| {
        pointers.clear();
        pointers.extend(
            call.pointers()
                .iter()
                .map(|p| p.cast_mut().cast::<c_void>()),
        );
        pointers.push(std::ptr::null_mut());
        launch(pointers.as_mut_ptr())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_read_from_ptx() {
        let ptx = "\
.visible .entry one(
\t.param .u32 one_param_0,
\t.param .f32 one_param_1,
\t.param .align 4 .b8 one_param_2[100],
\t.param .u64 .ptr .align 1 one_param_3
)
.maxntid 256
{
}
.visible .entry none(

)
{
}
";
        assert_eq!(parameters(ptx, "one"), Some(vec![4, 4, 100, 8]));
        assert_eq!(parameters(ptx, "none"), Some(vec![]));
        assert_eq!(parameters(ptx, "two"), None);
    }
}
