//! Bits of integers: shifted, taken out, put in, looked up.

use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::types::{I32, I64};
use cranelift_codegen::ir::{InstBuilder, Value};
use ptx_reader::{Constant, Error, Operand};

use super::Translator;
use super::operand::integer;
use crate::opcode::{Opcode, Type};

impl<'a> Translator<'a, '_> {
    pub fn bits(
        &mut self,
        opcode: &mut Opcode<'a>,
        operands: &[Operand<'a>],
    ) -> Result<bool, Error> {
        match (opcode.name, operands) {
            ("shl" | "shr", [to, a, by]) => self.shift(opcode, to, a, by)?,
            ("bfe", [to, a, at, len]) => self.extract(opcode, to, a, at, len)?,
            ("bfi", [to, a, b, at, len]) => self.insert(opcode, to, [a, b, at, len])?,
            ("lop3", [to, a, b, c, Operand::Constant(Constant::Integer(table))]) => {
                let ty = opcode.ty()?;
                let values = [self.get(a, ty)?, self.get(b, ty)?, self.get(c, ty)?];
                let value = self.lookup(values, *table as u32);
                self.put(to, value, ty)?;
            }
            ("shf", [to, a, b, by]) => self.funnel_shift(opcode, to, a, b, by)?,
            ("prmt", [to, a, b, c]) => self.permute(opcode, to, a, b, c)?,
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Shifts by the width and more leave nothing, or the sign.
    fn shift(
        &mut self,
        opcode: &mut Opcode<'a>,
        to: &Operand<'a>,
        a: &Operand<'a>,
        by: &Operand<'a>,
    ) -> Result<(), Error> {
        let ty = opcode.ty()?;
        let a = self.get(a, ty)?;
        if let Operand::Constant(Constant::Integer(n)) = by
            && *n < u64::from(ty.bits())
        {
            let n = *n as i64;
            let value = match (opcode.name, ty.is_signed()) {
                ("shl", _) => self.b.ins().ishl_imm_u(a, n),
                (_, true) => self.b.ins().sshr_imm_u(a, n),
                (_, false) => self.b.ins().ushr_imm_u(a, n),
            };
            return self.put(to, value, ty);
        }
        let by = self.get(by, Type::Unsigned(32))?;
        let width = i64::from(ty.bits());
        let value = match (opcode.name, ty.is_signed()) {
            ("shr", true) => {
                let most = self.int(ty.bits() - 1);
                let by = self.b.ins().umin(by, most);
                self.b.ins().sshr(a, by)
            }
            (name, _) => {
                let shifted = match name {
                    "shl" => self.b.ins().ishl(a, by),
                    _ => self.b.ins().ushr(a, by),
                };
                let within = self.b.ins().icmp_imm_u(IntCC::UnsignedLessThan, by, width);
                let zero = self.b.ins().iconst(integer(ty.bits()), 0);
                self.b.ins().select(within, shifted, zero)
            }
        };
        self.put(to, value, ty)
    }

    fn extract(
        &mut self,
        opcode: &mut Opcode<'a>,
        to: &Operand<'a>,
        a: &Operand<'a>,
        at: &Operand<'a>,
        len: &Operand<'a>,
    ) -> Result<(), Error> {
        let ty = opcode.ty()?;
        let a = self.get(a, ty)?;
        let constant = |operand: &Operand| match operand {
            Operand::Constant(Constant::Integer(n)) => Some(*n as u32 & 0xff),
            _ => None,
        };
        if let (Some(at), Some(len)) = (constant(at), constant(len))
            && !ty.is_signed()
            && at < ty.bits()
            && (1..ty.bits()).contains(&len)
        {
            let value = self.b.ins().ushr_imm_u(a, i64::from(at));
            let value = self.b.ins().band_imm_u(value, (1i64 << len) - 1);
            return self.put(to, value, ty);
        }
        let wide = self.in_64_bits(a);
        let (at, len) = (
            self.get(at, Type::Unsigned(32))?,
            self.get(len, Type::Unsigned(32))?,
        );
        let (bits, signed) = (self.int(ty.bits()), self.int(u32::from(ty.is_signed())));
        let value = self.call("extract", &[bits, signed, wide, at, len]);
        let value = self.narrowed(value, ty.bits());
        self.put(to, value, ty)
    }

    fn insert(
        &mut self,
        opcode: &mut Opcode<'a>,
        to: &Operand<'a>,
        [a, b, at, len]: [&Operand<'a>; 4],
    ) -> Result<(), Error> {
        let ty = opcode.ty()?;
        let (a, b) = (self.get(a, ty)?, self.get(b, ty)?);
        let (a, b) = (self.in_64_bits(a), self.in_64_bits(b));
        let (at, len) = (
            self.get(at, Type::Unsigned(32))?,
            self.get(len, Type::Unsigned(32))?,
        );
        let bits = self.int(ty.bits());
        let value = self.call("insert", &[bits, a, b, at, len]);
        let value = self.narrowed(value, ty.bits());
        self.put(to, value, ty)
    }

    /// `lop3`: bit `4a + 2b + c` of the table.
    fn lookup(&mut self, [a, b, c]: [Value; 3], table: u32) -> Value {
        let ty = self.b.func.dfg.value_type(a);
        let mut result = self.b.ins().iconst(ty, 0);
        for row in (0..8).filter(|row| table >> row & 1 == 1) {
            let mut term = None;
            for (value, bit) in [(a, 4), (b, 2), (c, 1)] {
                let value = match row & bit {
                    0 => self.b.ins().bnot(value),
                    _ => value,
                };
                term = Some(match term {
                    None => value,
                    Some(term) => self.b.ins().band(term, value),
                });
            }
            if let Some(term) = term {
                result = self.b.ins().bor(result, term);
            }
        }
        result
    }

    /// `shf`: 32 bits of the 64 that `b` and `a` make.
    fn funnel_shift(
        &mut self,
        opcode: &mut Opcode<'a>,
        to: &Operand<'a>,
        a: &Operand<'a>,
        b: &Operand<'a>,
        by: &Operand<'a>,
    ) -> Result<(), Error> {
        let left = match opcode.one_of(&["l", "r"]) {
            Some(direction) => direction == "l",
            None => return Err(opcode.error("lacks a direction")),
        };
        let wraps = match opcode.one_of(&["clamp", "wrap"]) {
            Some(mode) => mode == "wrap",
            None => return Err(opcode.error("lacks a mode")),
        };
        let ty = opcode.ty()?;
        let (a, b) = (self.get_bits(a, 32)?, self.get_bits(b, 32)?);
        let by = self.get(by, Type::Unsigned(32))?;
        let by = match wraps {
            true => self.b.ins().band_imm_u(by, 31),
            false => {
                let most = self.int(32);
                self.b.ins().umin(by, most)
            }
        };
        let (low, high) = (self.b.ins().uextend(I64, a), self.b.ins().uextend(I64, b));
        let high = self.b.ins().ishl_imm_u(high, 32);
        let whole = self.b.ins().bor(low, high);
        let value = match left {
            true => {
                let shifted = self.b.ins().ishl(whole, by);
                self.b.ins().ushr_imm_u(shifted, 32)
            }
            false => self.b.ins().ushr(whole, by),
        };
        let value = self.b.ins().ireduce(I32, value);
        self.put(to, value, ty)
    }

    fn permute(
        &mut self,
        opcode: &mut Opcode<'a>,
        to: &Operand<'a>,
        a: &Operand<'a>,
        b: &Operand<'a>,
        c: &Operand<'a>,
    ) -> Result<(), Error> {
        let ty = opcode.ty()?;
        let modes = ["f4e", "b4e", "rc8", "ecl", "ecr", "rc16"];
        let mode = opcode.place_in(&modes).map_or(0, |at| at + 1);
        let mode = self.int(mode);
        let (a, b, c) = (
            self.get_bits(a, 32)?,
            self.get_bits(b, 32)?,
            self.get_bits(c, 32)?,
        );
        let value = self.call("permute", &[mode, a, b, c]);
        self.put(to, value, ty)
    }
}
