//! A function's body in Cranelift's language.
//!
//! | module | what |
//! |---|---|
//! | `registers` | what is declared, and in which kind of the processor's registers it lives |
//! | `operand` | how operands are read and written |
//! | `control` | branches, calls, returns |
//! | `memory` | loads, stores, addresses |
//! | `atomic` | atomics, asynchronous copies |
//! | `integer` | arithmetic on integers |
//! | `bits` | their bits |
//! | `predicate` | comparisons, and what predicates choose |
//! | `float` | floating point |
//! | `convert` | `cvt` |
//! | `warp` | barriers, and what the lanes of a warp do together |

mod atomic;
mod bits;
mod control;
mod convert;
mod float;
mod integer;
mod memory;
mod operand;
mod predicate;
mod registers;
mod warp;

use std::collections::HashMap;
use std::mem::offset_of;

use cranelift_codegen::ir::types::{I32, I64};
use cranelift_codegen::ir::{
    self, AbiParam, FuncRef, InstBuilder, MemFlagsData, Signature, StackSlotData, StackSlotKind,
    Value,
};
use cranelift_codegen::isa::CallConv;
use cranelift_frontend::{FunctionBuilder, FunctionBuilderContext, Variable};
use cranelift_jit::JITModule;
use cranelift_module::{FuncId, Module as _};
use ptx_reader::{Error, Function, Instruction, Statement};

use crate::Options;
use crate::layout::Layout;
use crate::opcode::Opcode;
use crate::runtime::HELPERS;
use crate::runtime::thread::{ENDED, Thread};
use registers::{Declared, Names, Scopes};

/// What the translation of every function needs.
pub struct Context<'a> {
    pub text: &'a str,
    pub layout: &'a Layout,
    pub options: &'a Options,
    pub functions: &'a [Function],
    /// Of every function with a body, by its name, and of every helper.
    pub ids: &'a HashMap<String, FuncId>,
    pub convention: CallConv,
}

/// A function's own variables: parameters, results, arrays.
#[derive(Clone, Copy)]
enum Own {
    /// Local memory, or where parameters and results lie.
    Memory(Value),
    /// At an offset in shared memory.
    Shared(u32),
}

/// Local memory that a thread of a GPU has.
const MOST_LOCAL: usize = 512 << 10;

/// What compiled functions take: the thread, then pointers to results and parameters.
pub fn signature(convention: CallConv, pointers: usize) -> Signature {
    let mut signature = Signature::new(convention);
    signature.params.resize(1 + pointers, AbiParam::new(I64));
    signature.returns.push(AbiParam::new(I32));
    signature
}

/// Pointers that a function takes behind its thread.
pub fn pointers(function: &Function) -> usize {
    match function.is_entry {
        true => 0,
        false => function.returns.len() + function.parameters.len(),
    }
}

/// Translates a function with a body. Also gives the lines of its basic blocks, in the order of their counters.
pub fn translate(
    context: &Context,
    jit: &mut JITModule,
    function: &Function,
    counters: *const u8,
) -> Result<(ir::Function, Vec<usize>), Error> {
    let statements = function.statements(context.text)?;
    let declared = Declared::find(&statements)?;
    let signature = signature(context.convention, pointers(function));
    let mut made = ir::Function::with_name_signature(ir::UserFuncName::default(), signature);
    let mut builder_context = FunctionBuilderContext::new();
    let mut builder = FunctionBuilder::new(&mut made, &mut builder_context);
    let entry = builder.create_block();
    let stop = builder.create_block();
    builder.append_block_params_for_function_params(entry);
    builder.append_block_param(stop, I32);
    builder.set_cold_block(stop);
    builder.switch_to_block(entry);
    let thread = builder.block_params(entry)[0];
    let mut translator = Translator {
        context,
        jit,
        function,
        thread,
        stop,
        carry: builder.declare_var(ir::types::I8),
        registers: declared.registers.declare(&mut builder),
        labels: declared.labels.map(|()| builder.create_block()),
        targets: declared.targets,
        own: Names::default(),
        scopes: Scopes::default(),
        helpers: HashMap::new(),
        called: HashMap::new(),
        is_open: true,
        is_begun: false,
        counters,
        lines: Vec::new(),
        line: function.line as u32,
        b: builder,
    };
    translator.parameters();
    translator.begin_block();
    for statement in &statements {
        translator.statement(statement)?;
    }
    translator.close();
    let lines = translator.lines;
    let mut builder = translator.b;
    builder.switch_to_block(stop);
    let status = builder.block_params(stop)[0];
    builder.ins().return_(&[status]);
    builder.seal_all_blocks();
    builder.finalize(jit_config(translator.jit));
    Ok((made, lines))
}

fn jit_config(jit: &JITModule) -> cranelift_codegen::isa::TargetFrontendConfig {
    jit.isa().frontend_config()
}

struct Translator<'a, 'b> {
    context: &'a Context<'a>,
    jit: &'b mut JITModule,
    function: &'a Function,
    b: FunctionBuilder<'b>,
    thread: Value,
    /// Where a fault leads: returns its parameter.
    stop: ir::Block,
    /// What `add.cc` and its kind leave behind.
    carry: Variable,
    registers: Names<registers::Register>,
    labels: Names<ir::Block>,
    targets: HashMap<&'a str, Vec<&'a str>>,
    own: Names<Own>,
    scopes: Scopes,
    helpers: HashMap<&'static str, FuncRef>,
    called: HashMap<String, FuncRef>,
    /// Whether the block at hand has no end as yet.
    is_open: bool,
    /// Whether it is noted that it runs.
    is_begun: bool,
    /// Where it is noted that a basic block ran, a byte each; null if nobody asks.
    counters: *const u8,
    lines: Vec<usize>,
    line: u32,
}

impl<'a> Translator<'a, '_> {
    /// The function's parameters and results.
    fn parameters(&mut self) {
        let function = self.function;
        if function.is_entry {
            let base = self.field(I64, offset_of!(Thread, parameters));
            for (parameter, offset) in crate::layout::parameters(function) {
                let address = self.b.ins().iadd_imm_s(base, i64::from(offset));
                self.own
                    .insert(&self.scopes, &parameter.name, Own::Memory(address));
            }
            return;
        }
        let given = self
            .b
            .block_params(self.b.current_block().expect("the first block"));
        let given = given[1..].to_vec();
        let variables = function.returns.iter().chain(&function.parameters);
        for (variable, address) in variables.zip(given) {
            self.own
                .insert(&self.scopes, &variable.name, Own::Memory(address));
        }
    }

    fn statement(&mut self, statement: &Statement<'a>) -> Result<(), Error> {
        match statement {
            Statement::Open => self.scopes.open(),
            Statement::Close => self.scopes.close(),
            Statement::Registers(_) | Statement::Targets(..) => {}
            Statement::Variable(variable) => self.variable(variable)?,
            Statement::Label(name) => {
                let block = *self
                    .labels
                    .find(&self.scopes, name)
                    .expect("collected before");
                if self.is_open {
                    self.b.ins().jump(block, &[]);
                }
                self.b.switch_to_block(block);
                // It begins with its first instruction, whose line is its own.
                (self.is_open, self.is_begun) = (true, false);
            }
            Statement::Instruction(instruction) => {
                self.line = instruction.line as u32;
                if !self.is_open {
                    self.open_block();
                } else if !self.is_begun {
                    self.begin_block();
                }
                self.guarded(instruction)?;
            }
        }
        Ok(())
    }

    /// An array of the function's own.
    fn variable(&mut self, variable: &ptx_reader::Variable) -> Result<(), Error> {
        let own = match variable.space.as_str() {
            "local" | "param" if variable.bytes <= MOST_LOCAL => {
                let shift = variable.alignment.max(8).ilog2() as u8;
                let bytes = variable.bytes.max(8) as u32;
                let slot = StackSlotData::new(StackSlotKind::ExplicitSlot, bytes, shift);
                let slot = self.b.create_sized_stack_slot(slot);
                if !self.is_open {
                    self.open_block();
                }
                let address = self.b.ins().stack_addr(I64, slot, 0);
                if self.context.options.memory.is_some() {
                    let bytes = self.b.ins().iconst(I32, i64::from(bytes));
                    self.call("local", &[self.thread, address, bytes]);
                }
                Own::Memory(address)
            }
            "shared" => {
                let key = (self.function.name.clone(), variable.name.clone());
                let offset = self.context.layout.own_shared.get(&key).copied();
                Own::Shared(offset.unwrap_or(0))
            }
            "local" | "param" => {
                let name = &variable.name;
                return Err(self.error(format!("{name} is larger than local memory")));
            }
            space => {
                return Err(self.error(format!(".{space} within a function is not known here")));
            }
        };
        self.own.insert(&self.scopes, &variable.name, own);
        Ok(())
    }

    /// An instruction, if its predicate holds.
    fn guarded(&mut self, instruction: &Instruction<'a>) -> Result<(), Error> {
        let mut opcode = Opcode::new(instruction);
        let Some(guard) = instruction.guard else {
            return self.instruction(&mut opcode, instruction);
        };
        let mut holds = self.predicate(guard.predicate)?;
        if guard.negated {
            holds = self
                .b
                .ins()
                .icmp_imm_u(ir::condcodes::IntCC::Equal, holds, 0);
        }
        if opcode.name == "bra" {
            return self.branch_if(holds, &mut opcode, instruction);
        }
        let (then, after) = (self.b.create_block(), self.b.create_block());
        self.b.ins().brif(holds, then, &[], after, &[]);
        self.b.switch_to_block(then);
        self.begin_block();
        self.instruction(&mut opcode, instruction)?;
        if self.is_open {
            self.b.ins().jump(after, &[]);
        }
        self.b.switch_to_block(after);
        self.is_open = true;
        Ok(())
    }

    fn instruction(
        &mut self,
        opcode: &mut Opcode<'a>,
        instruction: &Instruction<'a>,
    ) -> Result<(), Error> {
        let operands = &instruction.operands;
        let known = self.control(opcode, operands)?
            || self.memory(opcode, operands)?
            || self.convert(opcode, operands)?
            || self.warp(opcode, operands)?
            || self.float(opcode, operands)?
            || self.predicates(opcode, operands)?
            || self.bits(opcode, operands)?
            || self.integer(opcode, operands)?;
        match known {
            true => opcode.finish(),
            false => Err(opcode.error("is not known here")),
        }
    }

    fn error(&self, cause: impl Into<String>) -> Error {
        Error {
            line: self.line as usize,
            cause: cause.into(),
        }
    }

    /// A block for what nothing jumps to.
    fn open_block(&mut self) {
        let block = self.b.create_block();
        self.b.switch_to_block(block);
        self.is_open = true;
        self.begin_block();
    }

    /// Notes that a basic block runs, and that there is one less to go.
    fn begin_block(&mut self) {
        self.is_begun = true;
        if !self.counters.is_null() {
            let at = self.counters.addr() + self.lines.len();
            let at = self.b.ins().iconst(I64, at as i64);
            let one = self.b.ins().iconst(ir::types::I8, 1);
            self.b.ins().store(MemFlagsData::trusted(), one, at, 0);
        }
        self.lines.push(self.line as usize);
        if self.context.options.steps.is_some() {
            let steps = self.field(I64, offset_of!(Thread, steps));
            let steps = self.b.ins().iadd_imm_s(steps, -1);
            let at = offset_of!(Thread, steps) as i32;
            self.b
                .ins()
                .store(MemFlagsData::trusted(), steps, self.thread, at);
            let spent = ir::condcodes::IntCC::SignedLessThan;
            let spent = self.b.ins().icmp_imm_u(spent, steps, 0);
            let (over, on) = (self.b.create_block(), self.b.create_block());
            self.b.set_cold_block(over);
            self.b.ins().brif(spent, over, &[], on, &[]);
            self.b.switch_to_block(over);
            let line = self.line_value();
            let status = self.call("too_long", &[self.thread, line]);
            self.b.ins().jump(self.stop, &[status.into()]);
            self.b.switch_to_block(on);
        }
    }

    /// The end of the text is a return.
    fn close(&mut self) {
        if self.is_open {
            let status = self.b.ins().iconst(I32, i64::from(ENDED));
            self.b.ins().return_(&[status]);
            self.is_open = false;
        }
    }

    /// A field of the thread.
    fn field(&mut self, ty: ir::Type, offset: usize) -> Value {
        let flags = MemFlagsData::trusted();
        self.b.ins().load(ty, flags, self.thread, offset as i32)
    }

    fn line_value(&mut self) -> Value {
        self.b.ins().iconst(I32, i64::from(self.line))
    }

    fn int(&mut self, n: u32) -> Value {
        self.b.ins().iconst(I32, i64::from(n))
    }

    /// Calls a helper; what it gives, or its first argument if it gives nothing.
    fn call(&mut self, name: &'static str, arguments: &[Value]) -> Value {
        let function = *self.helpers.entry(name).or_insert_with(|| {
            let id = self.context.ids[name];
            self.jit.declare_func_in_func(id, self.b.func)
        });
        let call = self.b.ins().call(function, arguments);
        let result = self.b.inst_results(call).first().copied();
        result.unwrap_or(self.thread)
    }

    /// Calls a helper that gives a status, and ends the thread unless it is good.
    fn call_or_stop(&mut self, name: &'static str, arguments: &[Value]) {
        let status = self.call(name, arguments);
        self.stop_unless_ended(status);
    }

    fn stop_unless_ended(&mut self, status: Value) {
        let on = self.b.create_block();
        self.b
            .ins()
            .brif(status, self.stop, &[status.into()], on, &[]);
        self.b.switch_to_block(on);
    }

    /// Room for words that a helper reads or writes.
    fn room(&mut self, words: u32) -> Value {
        let slot = StackSlotData::new(StackSlotKind::ExplicitSlot, 4 * words, 3);
        let slot = self.b.create_sized_stack_slot(slot);
        self.b.ins().stack_addr(I64, slot, 0)
    }

    fn word_at(&mut self, room: Value, at: usize) -> Value {
        let flags = MemFlagsData::trusted();
        self.b.ins().load(I32, flags, room, 4 * at as i32)
    }
}

/// Declares the helpers to Cranelift.
pub fn declare_helpers(jit: &mut JITModule) -> HashMap<String, FuncId> {
    let mut ids = HashMap::new();
    for helper in HELPERS {
        let mut signature = Signature::new(jit.isa().default_call_conv());
        let parameters = helper.parameters.iter();
        signature
            .params
            .extend(parameters.map(|ty| AbiParam::new(*ty)));
        let result = helper.result.iter();
        signature
            .returns
            .extend(result.map(|ty| AbiParam::new(*ty)));
        let import = cranelift_module::Linkage::Import;
        let id = jit
            .declare_function(helper.name, import, &signature)
            .expect("helpers have names of their own");
        ids.insert(helper.name.to_owned(), id);
    }
    ids
}
