//! A text that was loaded: its kernels, compiled when they are first launched.

use std::collections::HashMap;
use std::mem::size_of;
use std::sync::{Arc, Mutex, MutexGuard};

use cranelift_codegen::ir;
use cranelift_codegen::settings::{self, Configurable};
use cranelift_jit::{JITBuilder, JITModule};
use cranelift_module::{FuncId, Linkage, Module as _};
use ptx_reader::{Error, Function};
use simt_executor::Pool;

use crate::layout::{Layout, parameters};
use crate::runtime::HELPERS;
use crate::runtime::thread::{self, Code};
use crate::traffic::{Instruction, Requests};
use crate::translate::{Context, declare_helpers, pointers, signature, translate};
use crate::{Fault, INVALID_VALUE, LAUNCH_FAILED, Launch, Options};

/// A PTX text whose every instruction is known. Cheap to clone.
#[derive(Clone)]
pub struct Program(Arc<Inner>);

struct Inner {
    module: ptx_reader::Module,
    layout: Layout,
    options: Options,
    ids: HashMap<String, FuncId>,
    /// Of each function with a body: the lines of its basic blocks, and whether they ran.
    blocks: HashMap<String, Blocks>,
    jit: Mutex<Jit>,
}

struct Blocks {
    lines: Vec<usize>,
    /// Written by compiled code, one byte a block.
    ran: Box<[std::cell::UnsafeCell<u8>]>,
}

// SAFETY: the bytes are only ever set to one, and read when a launch is over.
unsafe impl Sync for Blocks {}
// SAFETY: the same.
unsafe impl Send for Blocks {}

struct Jit {
    /// `None` when its memory was given back.
    module: Option<JITModule>,
    /// What is translated and not compiled.
    pending: HashMap<String, ir::Function>,
}

// SAFETY: used by one thread at a time, under a lock; the code it made is not changed any more.
unsafe impl Send for Jit {}

impl Drop for Jit {
    fn drop(&mut self) {
        if let Some(module) = self.module.take() {
            // SAFETY: whoever runs compiled code holds the program, and with it this.
            unsafe { module.free_memory() };
        }
    }
}

/// A function's name for Cranelift: apart from those of helpers.
pub fn symbol(function: &Function) -> String {
    let kind = if function.is_entry {
        "kernel"
    } else {
        "function"
    };
    format!("{kind} {}", function.name)
}

fn processor() -> JITModule {
    let mut flags = settings::builder();
    for (name, value) in [
        ("use_colocated_libcalls", "false"),
        ("is_pic", "false"),
        ("opt_level", "speed"),
        ("enable_probestack", "true"),
        ("probestack_strategy", "inline"),
        (
            "enable_verifier",
            if cfg!(debug_assertions) {
                "true"
            } else {
                "false"
            },
        ),
    ] {
        flags.set(name, value).expect("a flag that Cranelift has");
    }
    let target = cranelift_native::builder().expect("Cranelift knows this processor");
    let target = target
        .finish(settings::Flags::new(flags))
        .expect("flags that go together");
    let mut builder = JITBuilder::with_isa(target, cranelift_module::default_libcall_names());
    builder.symbols(HELPERS.iter().map(|helper| (helper.name, helper.address)));
    JITModule::new(builder)
}

impl Program {
    /// Reads and translates a text. An unknown instruction is an error that names its line.
    pub fn load(text: &str, options: &Options) -> Result<Self, Error> {
        let module = ptx_reader::Module::parse(text)?;
        let layout = Layout::of(&module, text)?;
        let mut jit = processor();
        let mut ids = declare_helpers(&mut jit);
        let convention = jit.isa().default_call_conv();
        let with_body = |function: &&Function| function.body.is_some();
        for function in module.functions.iter().filter(with_body) {
            let signature = signature(convention, pointers(function));
            let id = jit.declare_function(&symbol(function), Linkage::Local, &signature);
            let id = id.map_err(|_| Error {
                line: function.line,
                cause: format!("`{}` is there twice", function.name),
            })?;
            ids.insert(symbol(function), id);
        }
        let context = Context {
            text,
            layout: &layout,
            options,
            functions: &module.functions,
            ids: &ids,
            convention,
        };
        let (mut pending, mut blocks) = (HashMap::new(), HashMap::new());
        for function in module.functions.iter().filter(with_body) {
            let most = match options.coverage {
                // A statement begins at most two blocks.
                true => {
                    4 + 2 * text[function.body.clone().unwrap_or_default()]
                        .matches([';', ':'])
                        .count()
                }
                false => 0,
            };
            let ran: Box<[std::cell::UnsafeCell<u8>]> = (0..most).map(|_| 0.into()).collect();
            let counters = match options.coverage {
                true => ran.as_ptr().cast(),
                false => std::ptr::null(),
            };
            let (made, lines) = translate(&context, &mut jit, function, counters)?;
            pending.insert(symbol(function), made);
            blocks.insert(symbol(function), Blocks { lines, ran });
        }
        let jit = Jit {
            module: Some(jit),
            pending,
        };
        Ok(Program(Arc::new(Inner {
            module,
            layout,
            options: options.clone(),
            ids,
            blocks,
            jit: Mutex::new(jit),
        })))
    }

    /// What the text declares.
    pub fn module(&self) -> &ptx_reader::Module {
        &self.0.module
    }

    /// Bytes of shared memory that the text's own variables take.
    pub fn static_shared(&self) -> u32 {
        self.0.layout.static_shared
    }

    /// The module with variables of its own, as a context of the driver has one.
    pub fn instance(&self) -> Module {
        let bytes = self.0.layout.bytes;
        let mut memory: Vec<u128> = vec![0; bytes.div_ceil(size_of::<u128>()).max(1)];
        let base: *mut u8 = memory.as_mut_ptr().cast();
        for (at, value, bytes) in &self.0.layout.initial {
            // SAFETY: the layout has these bytes, of a value of at most eight.
            unsafe {
                base.add(*at)
                    .copy_from(value.to_le_bytes().as_ptr(), *bytes)
            };
        }
        let variables = Arc::new(Variables {
            base,
            bytes,
            _memory: memory,
        });
        let module = Module {
            program: self.clone(),
            variables,
        };
        for (at, name, offset) in &self.0.layout.addresses {
            let address = match module.global(name) {
                Some((address, _)) => address.expose_provenance(),
                None => self.function_address(name).unwrap_or(0),
            };
            let address = (address as u64).wrapping_add(*offset as u64);
            // SAFETY: the layout has eight bytes for each address.
            unsafe { base.add(*at).cast::<u64>().write_unaligned(address) };
        }
        module
    }

    fn function_address(&self, name: &str) -> Option<usize> {
        let functions = &self.0.module.functions;
        let function = functions
            .iter()
            .find(|one| one.name == name && one.body.is_some())?;
        Some(self.code(function) as usize)
    }

    fn jit(&self) -> MutexGuard<'_, Jit> {
        self.0.jit.lock().unwrap_or_else(|e| e.into_inner())
    }

    /// The code of a function with a body, compiled with all that it may call.
    fn code(&self, function: &Function) -> Code {
        let name = symbol(function);
        let mut jit = self.jit();
        let jit = &mut *jit;
        let module = jit
            .module
            .as_mut()
            .expect("not given back before the program");
        let wanted: Vec<String> = jit
            .pending
            .keys()
            .filter(|pending| **pending == name || pending.starts_with("function "))
            .cloned()
            .collect();
        for pending in &wanted {
            let Some(body) = jit.pending.remove(pending) else {
                continue;
            };
            let mut context = module.make_context();
            context.func = body;
            if let Err(error) = module.define_function(self.0.ids[pending], &mut context) {
                // What was translated is right, or this crate is wrong.
                panic!("{pending}: {error:?}");
            }
        }
        if !wanted.is_empty() {
            module.finalize_definitions().expect("memory for code");
        }
        let code = module.get_finalized_function(self.0.ids[&name]);
        // SAFETY: what `translate` makes has this signature, for a kernel just so.
        unsafe { std::mem::transmute::<*const u8, Code>(code) }
    }
}

/// Memory of a module's variables.
struct Variables {
    base: *mut u8,
    bytes: usize,
    _memory: Vec<u128>,
}

// SAFETY: a kernel's contract says who may touch what; here is only the address.
unsafe impl Send for Variables {}
// SAFETY: the same.
unsafe impl Sync for Variables {}

/// A loaded module. Cheap to clone; its clones have the same variables.
#[derive(Clone)]
pub struct Module {
    program: Program,
    variables: Arc<Variables>,
}

impl Module {
    /// What it is an instance of.
    pub fn program(&self) -> &Program {
        &self.program
    }

    /// A variable's address and size.
    pub fn global(&self, name: &str) -> Option<(*mut u8, usize)> {
        let (offset, bytes) = *self.program.0.layout.variables.get(name)?;
        // SAFETY: the layout has the variable within these bytes.
        Some((unsafe { self.variables.base.add(offset) }, bytes))
    }

    /// A kernel, compiled.
    pub fn kernel(&self, name: &str) -> Option<Kernel> {
        let module = &self.program.0.module;
        let at = module
            .functions
            .iter()
            .position(|one| one.is_entry && one.name == name && one.body.is_some())?;
        Some(Kernel {
            code: self.program.code(&module.functions[at]),
            module: self.clone(),
            at,
        })
    }
}

/// A kernel that can be launched. Cheap to clone.
#[derive(Clone)]
pub struct Kernel {
    code: Code,
    module: Module,
    at: usize,
}

impl Kernel {
    /// What the text says about it.
    pub fn function(&self) -> &Function {
        &self.module.program.0.module.functions[self.at]
    }

    /// Runs it over a grid with the bytes of each argument, and returns when it is done.
    ///
    /// # Safety
    /// The kernel's own contract: its pointers are valid for what it does with them, and it is given what its launch
    /// needs.
    pub unsafe fn run(
        &self,
        pool: &Pool,
        launch: Launch,
        arguments: &[&[u8]],
    ) -> Result<(), Fault> {
        let function = self.function();
        let fault = |code, cause: String| Fault {
            code,
            kernel: function.name.clone(),
            block: [0; 3],
            thread: [0; 3],
            line: 0,
            cause,
        };
        let wanted = function.parameters.len();
        if arguments.len() != wanted {
            let cause = format!("{} arguments for {wanted} parameters", arguments.len());
            return Err(fault(INVALID_VALUE, cause));
        }
        let end = parameters(function)
            .map(|(one, at)| at as usize + one.bytes)
            .max();
        let mut bytes = vec![0u8; end.unwrap_or(0)];
        for ((parameter, at), argument) in parameters(function).zip(arguments) {
            if parameter.bytes != argument.len() {
                let cause = format!(
                    "{} bytes for {}, which has {}",
                    argument.len(),
                    parameter.name,
                    parameter.bytes
                );
                return Err(fault(INVALID_VALUE, cause));
            }
            bytes[at as usize..at as usize + argument.len()].copy_from_slice(argument);
        }
        let inner = &self.module.program.0;
        let own = thread::Launch {
            kernel: function.name.clone(),
            code: self.code,
            parameters: bytes
                .chunks(16)
                .map(|chunk| {
                    let mut whole = [0; 16];
                    whole[..chunk.len()].copy_from_slice(chunk);
                    u128::from_ne_bytes(whole)
                })
                .collect(),
            parameter_bytes: bytes.len(),
            variables: self.module.variables.base,
            variable_bytes: self.module.variables.bytes,
            static_shared: inner.layout.static_shared,
            dynamic_shared: launch.shared,
            block_dim: launch.block,
            grid_dim: launch.grid,
            options: inner.options.clone(),
            fault: Mutex::new(None),
        };
        let whole = Launch {
            shared: inner.layout.static_shared + launch.shared,
            ..launch
        };
        // SAFETY: the entry takes the launch behind the pointer, which outlives the run; the rest is the caller's promise.
        let done =
            unsafe { pool.run_entry(&function.name, thread::run, whole, (&raw const own).cast()) };
        let Err(failed) = done else {
            return Ok(());
        };
        let noted = own.fault.into_inner().unwrap_or_else(|e| e.into_inner());
        Err(noted.unwrap_or_else(|| fault(LAUNCH_FAILED, failed.cause)))
    }

    /// What its instructions have asked of memory since this was last called. Nothing without [`Options::traffic`].
    pub fn requests(&self) -> Vec<(Instruction, Requests)> {
        let traffic = self.module.program.0.options.traffic.as_ref();
        traffic.map_or(Vec::new(), |traffic| traffic.take(&self.function().name))
    }

    /// Lines of the PTX text on which basic blocks begin, and whether these have run in any launch so far. Known only
    /// with [`Options::coverage`].
    pub fn coverage(&self) -> Vec<(usize, bool)> {
        let blocks = &self.module.program.0.blocks[&symbol(self.function())];
        let ran = blocks.ran.iter().map(|ran| {
            // SAFETY: a byte; no launch of this kernel need be over to read it.
            unsafe { ran.get().read_volatile() != 0 }
        });
        blocks.lines.iter().copied().zip(ran).collect()
    }
}
