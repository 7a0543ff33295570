//! Branches, calls and returns.

use cranelift_codegen::ir::types::{I32, I64};
use cranelift_codegen::ir::{Block, FuncRef, InstBuilder, JumpTableData, Value};
use cranelift_module::Module as _;
use ptx_reader::{Error, Instruction, Operand};

use super::{Own, Translator, signature};
use crate::opcode::{Opcode, Type};
use crate::runtime::thread::{ENDED, EXIT};

impl<'a> Translator<'a, '_> {
    pub fn control(
        &mut self,
        opcode: &mut Opcode<'a>,
        operands: &[Operand<'a>],
    ) -> Result<bool, Error> {
        match (opcode.name, operands) {
            ("bra", [Operand::Name(label)]) => {
                opcode.ignore(&["uni"]);
                let block = self.label(label)?;
                self.b.ins().jump(block, &[]);
                self.is_open = false;
            }
            ("brx", [index, Operand::Name(targets)]) => {
                opcode.ignore(&["idx", "uni"]);
                self.branch_by_index(index, targets)?;
            }
            ("ret", []) => {
                opcode.ignore(&["uni"]);
                self.leave(ENDED);
            }
            ("exit", []) => self.leave(if self.function.is_entry { ENDED } else { EXIT }),
            ("trap", []) => {
                let line = self.line_value();
                self.call_or_stop("trap", &[self.thread, line]);
            }
            ("call", _) => {
                opcode.ignore(&["uni"]);
                self.call_function(opcode, operands)?;
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn leave(&mut self, status: u32) {
        let status = self.b.ins().iconst(I32, i64::from(status));
        self.b.ins().return_(&[status]);
        self.is_open = false;
    }

    fn label(&self, name: &'a str) -> Result<Block, Error> {
        let block = self.labels.find(&self.scopes, name).copied();
        block.ok_or_else(|| self.error(format!("there is no label `{name}`")))
    }

    /// `@%p bra label;`
    pub fn branch_if(
        &mut self,
        holds: Value,
        opcode: &mut Opcode<'a>,
        instruction: &Instruction<'a>,
    ) -> Result<(), Error> {
        opcode.ignore(&["uni"]);
        opcode.finish()?;
        let [Operand::Name(label)] = instruction.operands[..] else {
            return Err(opcode.error("wants a label"));
        };
        let (there, on) = (self.label(label)?, self.b.create_block());
        self.b.ins().brif(holds, there, &[], on, &[]);
        self.b.switch_to_block(on);
        self.begin_block();
        Ok(())
    }

    fn branch_by_index(&mut self, index: &Operand<'a>, targets: &'a str) -> Result<(), Error> {
        let index = self.get(index, Type::Unsigned(32))?;
        let labels = self.targets.get(targets).cloned();
        let labels = labels.ok_or_else(|| self.error(format!("there is no list `{targets}`")))?;
        let mut blocks = Vec::new();
        for label in labels {
            let block = self.label(label)?;
            blocks.push(self.b.func.dfg.block_call(block, &[]));
        }
        // Beyond the list nothing is defined: a fault.
        let beyond = self.b.create_block();
        let default = self.b.func.dfg.block_call(beyond, &[]);
        let table = self
            .b
            .create_jump_table(JumpTableData::new(default, &blocks));
        self.b.ins().br_table(index, table);
        self.b.switch_to_block(beyond);
        let line = self.line_value();
        let status = self.call("trap", &[self.thread, line]);
        self.b.ins().jump(self.stop, &[status.into()]);
        self.is_open = false;
        Ok(())
    }

    pub fn function_reference(&mut self, name: &str) -> Result<FuncRef, Error> {
        if let Some(found) = self.called.get(name) {
            return Ok(*found);
        }
        let function = self
            .context
            .functions
            .iter()
            .find(|one| one.name == name && one.body.is_some());
        let id = function.and_then(|one| self.context.ids.get(&crate::program::symbol(one)));
        let id = *id.ok_or_else(|| self.error(format!("the function `{name}` has no body")))?;
        let reference = self.jit.declare_func_in_func(id, self.b.func);
        self.called.insert(name.to_owned(), reference);
        Ok(reference)
    }

    /// `call (results), function, (arguments);`, the function a name or a register with a prototype behind.
    fn call_function(&mut self, opcode: &Opcode, operands: &[Operand<'a>]) -> Result<(), Error> {
        let (results, rest) = match operands {
            [Operand::List(results), rest @ ..] => (&results[..], rest),
            rest => (&[][..], rest),
        };
        let (Some(Operand::Name(callee)), rest) = (rest.first(), rest.get(1..).unwrap_or_default())
        else {
            return Err(opcode.error("wants a function"));
        };
        let arguments = match rest.first() {
            Some(Operand::List(arguments)) => &arguments[..],
            _ => &[],
        };
        let mut values = vec![self.thread];
        for operand in results.iter().chain(arguments) {
            let Operand::Name(name) = operand else {
                return Err(opcode.error("passes something other than .param variables"));
            };
            match self.own.find(&self.scopes, name) {
                Some(Own::Memory(address)) => values.push(*address),
                _ => return Err(opcode.error("passes something other than .param variables")),
            }
        }
        let call = match self.registers.find(&self.scopes, callee).copied() {
            Some(register) if register.ty == I64 => {
                let signature = signature(self.context.convention, values.len() - 1);
                let signature = self.b.import_signature(signature);
                let callee = self.b.use_var(register.variable);
                self.b.ins().call_indirect(signature, callee, &values)
            }
            Some(_) => return Err(opcode.error("wants an address of 64 bits")),
            None => {
                let wanted = self
                    .context
                    .functions
                    .iter()
                    .find(|one| one.name == *callee);
                if wanted.is_some_and(|one| super::pointers(one) + 1 != values.len()) {
                    return Err(
                        opcode.error(format!("gives `{callee}` another number of parameters"))
                    );
                }
                let function = self.function_reference(callee)?;
                self.b.ins().call(function, &values)
            }
        };
        let status = self.b.inst_results(call)[0];
        self.stop_unless_ended(status);
        Ok(())
    }
}
