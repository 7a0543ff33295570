//! Atomics and asynchronous copies.

use cranelift_codegen::ir::InstBuilder;
use cranelift_codegen::ir::types::I64;
use ptx_reader::{Error, Operand};

use super::Translator;
use super::memory::{Space, ignore_hints};
use crate::opcode::{Opcode, Type};
use crate::runtime::atomic::Operation;
use crate::runtime::checks::Access;

impl<'a> Translator<'a, '_> {
    pub fn atomic(
        &mut self,
        opcode: &mut Opcode<'a>,
        to: Option<&Operand<'a>>,
        at: &Operand<'a>,
        rest: &[Operand<'a>],
    ) -> Result<(), Error> {
        let space = Space::take(opcode);
        ignore_hints(opcode);
        let name = opcode.one_of(&[
            "add", "and", "or", "xor", "exch", "cas", "min", "max", "inc", "dec",
        ]);
        let ty = opcode.ty()?;
        let operation = operation(name.unwrap_or_default(), ty)
            .ok_or_else(|| opcode.error("is not known here"))?;
        let wanted = if operation == Operation::CompareAndSwap {
            2
        } else {
            1
        };
        if rest.len() != wanted || ty.bits() > 64 {
            return Err(opcode.error("is not known here with these operands"));
        }
        let place = self.address(space, at)?;
        self.check(space, place, ty.bytes(), Access::Atomic);
        let mut values = [self.b.ins().iconst(I64, 0); 2];
        for (value, operand) in values.iter_mut().zip(rest) {
            let bits = self.get_bits(operand, ty.bits())?;
            *value = self.in_64_bits(bits);
        }
        let (code, bits) = (self.int(operation as u32), self.int(ty.bits()));
        let arguments = [self.thread, place.host, code, bits, values[0], values[1]];
        let old = self.call("update", &arguments);
        let Some(to) = to else {
            return Ok(());
        };
        let old = self.narrowed(old, ty.bits());
        self.put_raw(to, old, ty)
    }

    /// `cp.async` and its groups.
    pub fn copy(&mut self, opcode: &mut Opcode<'a>, operands: &[Operand<'a>]) -> Result<(), Error> {
        if opcode.take("commit_group") {
            self.call("commit", &[self.thread]);
            return Ok(());
        }
        if opcode.take("wait_all") {
            let (none, all) = (self.int(0), self.int(1));
            self.call_or_stop("wait", &[self.thread, none, all]);
            return Ok(());
        }
        if opcode.take("wait_group")
            && let [left] = operands
        {
            let left = self.get(left, Type::Unsigned(32))?;
            let all = self.int(0);
            self.call_or_stop("wait", &[self.thread, left, all]);
            return Ok(());
        }
        let (Some(_), [to, from, bytes, rest @ ..]) = (opcode.one_of(&["ca", "cg"]), operands)
        else {
            return Err(opcode.error("is not known here"));
        };
        if !(opcode.take("shared") || opcode.take("shared::cta")) || !opcode.take("global") {
            return Err(opcode.error("is not known here"));
        }
        ignore_hints(opcode);
        let Operand::Constant(ptx_reader::Constant::Integer(size @ (4 | 8 | 16))) = bytes else {
            return Err(opcode.error("copies 4, 8 or 16 bytes"));
        };
        let size = *size as u32;
        let to = self.address(Space::Shared, to)?;
        let from = self.address(Space::Global, from)?;
        self.check(Space::Shared, to, size, Access::Write);
        self.check(Space::Global, from, size, Access::Read);
        let bytes = self.int(size);
        let from_bytes = match rest {
            [] => bytes,
            [from_bytes] => self.get(from_bytes, Type::Unsigned(32))?,
            _ => return Err(opcode.error("is not known here with these operands")),
        };
        self.call(
            "copy",
            &[self.thread, to.host, from.host, bytes, from_bytes],
        );
        Ok(())
    }
}

fn operation(name: &str, ty: Type) -> Option<Operation> {
    let is_signed = ty.is_signed();
    Some(match (name, ty) {
        ("add", Type::F32) => Operation::AddF32,
        ("add", Type::F64) => Operation::AddF64,
        ("add", Type::F16x2) => Operation::AddF16x2,
        ("add", Type::Bf16x2) => Operation::AddBf16x2,
        ("add", Type::F16) => Operation::AddF16,
        ("add", Type::Bf16) => Operation::AddBf16,
        ("exch", _) => Operation::Exchange,
        ("cas", _) => Operation::CompareAndSwap,
        (_, _) if ty.is_float() || ty.is_half() => return None,
        ("add", _) => Operation::Add,
        ("and", _) => Operation::And,
        ("or", _) => Operation::Or,
        ("xor", _) => Operation::Xor,
        ("min", _) if is_signed => Operation::MinSigned,
        ("min", _) => Operation::MinUnsigned,
        ("max", _) if is_signed => Operation::MaxSigned,
        ("max", _) => Operation::MaxUnsigned,
        ("inc", _) => Operation::Increment,
        ("dec", _) => Operation::Decrement,
        _ => return None,
    })
}
