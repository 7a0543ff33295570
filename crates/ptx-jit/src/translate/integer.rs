//! Integers and predicates.

use cranelift_codegen::ir::condcodes::{FloatCC, IntCC};
use cranelift_codegen::ir::types::{F32, I32, I64};
use cranelift_codegen::ir::{InstBuilder, Value};
use ptx_reader::{Constant, Error, Operand};

use super::Translator;
use super::operand::integer;
use crate::opcode::{Opcode, Type};

impl<'a> Translator<'a, '_> {
    pub fn integer(
        &mut self,
        opcode: &mut Opcode<'a>,
        operands: &[Operand<'a>],
    ) -> Result<bool, Error> {
        match (opcode.name, operands) {
            ("setp", [to, a, b, rest @ ..]) => self.set_predicate(opcode, to, a, b, rest)?,
            ("set", [to, a, b]) => self.set(opcode, to, a, b)?,
            ("selp", [to, a, b, p]) => self.select(opcode, to, a, b, p)?,
            ("slct", [to, a, b, c]) => self.select_by_sign(opcode, to, a, b, c)?,
            ("add" | "sub" | "addc" | "subc", [to, a, b]) => self.sum(opcode, to, a, b)?,
            ("mul" | "mul24", [to, a, b]) => self.multiply(opcode, to, a, b, None)?,
            ("mad" | "mad24" | "madc", [to, a, b, c]) => {
                self.multiply(opcode, to, a, b, Some(c))?
            }
            ("and" | "or" | "xor" | "min" | "max" | "div" | "rem", [to, a, b]) => {
                self.binary(opcode, to, a, b)?;
            }
            ("shl" | "shr", [to, a, by]) => self.shift(opcode, to, a, by)?,
            ("not" | "cnot" | "neg" | "abs" | "popc" | "clz" | "brev" | "bfind", [to, a]) => {
                self.unary(opcode, to, a)?;
            }
            ("bfe", [to, a, at, len]) => self.extract(opcode, to, a, at, len)?,
            ("bfi", [to, a, b, at, len]) => self.insert(opcode, to, [a, b, at, len])?,
            ("sad", [to, a, b, c]) => self.difference(opcode, to, a, b, c)?,
            ("lop3", [to, a, b, c, Operand::Constant(Constant::Integer(table))]) => {
                let ty = opcode.ty()?;
                let values = [self.get(a, ty)?, self.get(b, ty)?, self.get(c, ty)?];
                let value = self.lookup(values, *table as u32);
                self.put(to, value, ty)?;
            }
            ("shf", [to, a, b, by]) => self.funnel_shift(opcode, to, a, b, by)?,
            ("prmt", [to, a, b, c]) => self.permute(opcode, to, a, b, c)?,
            ("dp4a", [to, a, b, c]) => self.dot(opcode, to, a, b, c)?,
            ("testp", [to, a]) => self.test(opcode, to, a)?,
            ("nop", []) => {}
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// A comparison, as a predicate.
    fn compare(
        &mut self,
        opcode: &Opcode,
        how: &str,
        ty: Type,
        a: &Operand<'a>,
        b: &Operand<'a>,
    ) -> Result<Value, Error> {
        if ty.is_float() || ty.is_half() {
            let how = float_condition(how).ok_or_else(|| opcode.error("is not known here"))?;
            let (a, b) = (self.get_float(a, ty)?, self.get_float(b, ty)?);
            return Ok(self.b.ins().fcmp(how, a, b));
        }
        let how =
            condition(how, ty.is_signed()).ok_or_else(|| opcode.error("is not known here"))?;
        let (a, b) = (self.get(a, ty)?, self.get(b, ty)?);
        Ok(self.b.ins().icmp(how, a, b))
    }

    fn condition_word(&self, opcode: &mut Opcode) -> Result<&'static str, Error> {
        let words = [
            "eq", "ne", "lt", "le", "gt", "ge", "lo", "ls", "hi", "hs", "equ", "neu", "ltu", "leu",
            "gtu", "geu", "num", "nan",
        ];
        opcode
            .one_of(&words)
            .ok_or_else(|| opcode.error("lacks a comparison"))
    }

    /// `setp`: both the result and its opposite, each combined with a third predicate if there is one.
    fn set_predicate(
        &mut self,
        opcode: &mut Opcode<'a>,
        to: &Operand<'a>,
        a: &Operand<'a>,
        b: &Operand<'a>,
        rest: &[Operand<'a>],
    ) -> Result<(), Error> {
        let how = self.condition_word(opcode)?;
        let combine = opcode.one_of(&["and", "or", "xor"]);
        let flushes = opcode.take("ftz");
        let ty = opcode.ty()?;
        let holds = match flushes {
            false => self.compare(opcode, how, ty, a, b)?,
            true => {
                let how = float_condition(how).ok_or_else(|| opcode.error("is not known here"))?;
                let (a, b) = (self.get(a, ty)?, self.get(b, ty)?);
                let (a, b) = (self.flush(a), self.flush(b));
                self.b.ins().fcmp(how, a, b)
            }
        };
        let opposite = self.b.ins().bxor_imm_u(holds, 1);
        let mut results = [holds, opposite];
        if let Some(combine) = combine {
            let [with] = rest else {
                return Err(opcode.error("lacks a predicate"));
            };
            let with = self.get(with, Type::Pred)?;
            for result in &mut results {
                *result = match combine {
                    "and" => self.b.ins().band(*result, with),
                    "or" => self.b.ins().bor(*result, with),
                    _ => self.b.ins().bxor(*result, with),
                };
            }
        } else if !rest.is_empty() {
            return Err(opcode.error("has an operand too many"));
        }
        match to {
            Operand::Pair(first, second) => {
                self.put(first, results[0], Type::Pred)?;
                self.put(second, results[1], Type::Pred)
            }
            to => self.put(to, results[0], Type::Pred),
        }
    }

    fn set(
        &mut self,
        opcode: &mut Opcode<'a>,
        to: &Operand<'a>,
        a: &Operand<'a>,
        b: &Operand<'a>,
    ) -> Result<(), Error> {
        let how = self.condition_word(opcode)?;
        let (to_type, ty) = (opcode.ty()?, opcode.ty()?);
        let holds = self.compare(opcode, how, ty, a, b)?;
        match to_type {
            Type::F32 => {
                let (one, zero) = (self.b.ins().f32const(1.0), self.b.ins().f32const(0.0));
                let value = self.b.ins().select(holds, one, zero);
                self.put(to, value, to_type)
            }
            _ if to_type.bits() == 32 => {
                let wide = self.b.ins().uextend(I32, holds);
                let value = self.b.ins().ineg(wide);
                self.put(to, value, to_type)
            }
            _ => Err(opcode.error("is not known here")),
        }
    }

    fn select(
        &mut self,
        opcode: &mut Opcode<'a>,
        to: &Operand<'a>,
        a: &Operand<'a>,
        b: &Operand<'a>,
        p: &Operand<'a>,
    ) -> Result<(), Error> {
        let ty = opcode.ty()?;
        let p = self.get(p, Type::Pred)?;
        let a = self.get_as_it_lives(to, a, ty)?;
        let b = self.get_as_it_lives(to, b, ty)?;
        let value = self.b.ins().select(p, a, b);
        self.put_raw(to, value, ty)
    }

    /// `slct`: `a` where `c` is not negative.
    fn select_by_sign(
        &mut self,
        opcode: &mut Opcode<'a>,
        to: &Operand<'a>,
        a: &Operand<'a>,
        b: &Operand<'a>,
        c: &Operand<'a>,
    ) -> Result<(), Error> {
        let (ty, by) = (opcode.ty()?, opcode.ty()?);
        let holds = match by {
            Type::Signed(32) => {
                let c = self.get(c, by)?;
                self.b
                    .ins()
                    .icmp_imm_u(IntCC::SignedGreaterThanOrEqual, c, 0)
            }
            Type::F32 => {
                let (c, zero) = (self.get(c, by)?, self.b.ins().f32const(0.0));
                self.b.ins().fcmp(FloatCC::GreaterThanOrEqual, c, zero)
            }
            _ => return Err(opcode.error("is not known here")),
        };
        let a = self.get_as_it_lives(to, a, ty)?;
        let b = self.get_as_it_lives(to, b, ty)?;
        let value = self.b.ins().select(holds, a, b);
        self.put_raw(to, value, ty)
    }

    /// Sums and differences, with the carry or borrow of one before and for one behind.
    fn sum(
        &mut self,
        opcode: &mut Opcode<'a>,
        to: &Operand<'a>,
        a: &Operand<'a>,
        b: &Operand<'a>,
    ) -> Result<(), Error> {
        let (takes, gives) = (opcode.name.ends_with('c'), opcode.take("cc"));
        let subtracts = opcode.name.starts_with("sub");
        let saturates = opcode.take("sat");
        let ty = opcode.ty()?;
        let (a, b) = (self.get(a, ty)?, self.get(b, ty)?);
        if saturates {
            if ty != Type::Signed(32) {
                return Err(opcode.error("is not known here"));
            }
            let (a, b) = (self.b.ins().sextend(I64, a), self.b.ins().sextend(I64, b));
            let value = match subtracts {
                true => self.b.ins().isub(a, b),
                false => self.b.ins().iadd(a, b),
            };
            let value = self.clamp(value, i64::from(i32::MIN), i64::from(i32::MAX));
            let value = self.b.ins().ireduce(I32, value);
            return self.put(to, value, ty);
        }
        let value = self.add_with_carry(a, b, subtracts, takes, gives);
        self.put(to, value, ty)
    }

    fn add_with_carry(
        &mut self,
        a: Value,
        b: Value,
        subtracts: bool,
        takes: bool,
        gives: bool,
    ) -> Value {
        let mut value = match subtracts {
            true => self.b.ins().isub(a, b),
            false => self.b.ins().iadd(a, b),
        };
        let mut carry = match subtracts {
            true => self.b.ins().icmp(IntCC::UnsignedLessThan, a, b),
            false => self.b.ins().icmp(IntCC::UnsignedLessThan, value, a),
        };
        if takes {
            let ty = self.b.func.dfg.value_type(value);
            let before = self.b.use_var(self.carry);
            let one = self.b.ins().uextend(ty, before);
            let first = value;
            value = match subtracts {
                true => self.b.ins().isub(first, one),
                false => self.b.ins().iadd(first, one),
            };
            let again = match subtracts {
                true => self.b.ins().icmp(IntCC::UnsignedLessThan, first, one),
                false => self.b.ins().icmp(IntCC::UnsignedLessThan, value, first),
            };
            carry = self.b.ins().bor(carry, again);
        }
        if gives {
            self.b.def_var(self.carry, carry);
        }
        value
    }

    /// Holds a signed value between two others.
    pub fn clamp(&mut self, value: Value, low: i64, high: i64) -> Value {
        let ty = self.b.func.dfg.value_type(value);
        let (low, high) = (self.b.ins().iconst(ty, low), self.b.ins().iconst(ty, high));
        let value = self.b.ins().smax(value, low);
        self.b.ins().smin(value, high)
    }

    /// `mul` and `mad`: the low half of the product, the high one, or the whole.
    fn multiply(
        &mut self,
        opcode: &mut Opcode<'a>,
        to: &Operand<'a>,
        a: &Operand<'a>,
        b: &Operand<'a>,
        c: Option<&Operand<'a>>,
    ) -> Result<(), Error> {
        let of_24_bits = opcode.name.ends_with("24");
        let (takes, gives) = (opcode.name == "madc", opcode.take("cc"));
        let part = opcode.one_of(&["lo", "hi", "wide"]);
        let ty = opcode.ty()?;
        if ty.is_float() || ty.is_half() || part.is_none() {
            return Err(opcode.error("is not known here"));
        }
        let (mut a, mut b) = (self.get(a, ty)?, self.get(b, ty)?);
        let mut part = part.unwrap_or_default();
        if of_24_bits {
            [a, b] = [a, b].map(|value| {
                let high = self.b.ins().ishl_imm_u(value, 8);
                match ty.is_signed() {
                    true => self.b.ins().sshr_imm_u(high, 8),
                    false => self.b.ins().ushr_imm_u(high, 8),
                }
            });
            if part == "hi" {
                part = "hi24";
            }
        }
        let (product, result) = self.product(a, b, ty, part);
        let value = match c {
            None => product,
            Some(c) => {
                let c = self.get(c, result)?;
                self.add_with_carry(product, c, false, takes, gives)
            }
        };
        self.put(to, value, result)
    }

    fn product(&mut self, a: Value, b: Value, ty: Type, part: &str) -> (Value, Type) {
        if part == "lo" {
            return (self.b.ins().imul(a, b), ty);
        }
        if part == "hi" && ty.bits() == 64 {
            let value = match ty.is_signed() {
                true => self.b.ins().smulhi(a, b),
                false => self.b.ins().umulhi(a, b),
            };
            return (value, ty);
        }
        let wide = integer(2 * ty.bits());
        let [a, b] = [a, b].map(|value| match ty.is_signed() {
            true => self.b.ins().sextend(wide, value),
            false => self.b.ins().uextend(wide, value),
        });
        let whole = self.b.ins().imul(a, b);
        if part == "wide" {
            let ty = match ty.is_signed() {
                true => Type::Signed(2 * ty.bits()),
                false => Type::Unsigned(2 * ty.bits()),
            };
            return (whole, ty);
        }
        let shift = if part == "hi24" { 16 } else { ty.bits() };
        let high = self.b.ins().ushr_imm_u(whole, i64::from(shift));
        (self.b.ins().ireduce(integer(ty.bits()), high), ty)
    }

    fn binary(
        &mut self,
        opcode: &mut Opcode<'a>,
        to: &Operand<'a>,
        a: &Operand<'a>,
        b: &Operand<'a>,
    ) -> Result<(), Error> {
        let ty = opcode.ty()?;
        if matches!(opcode.name, "div" | "rem") {
            return self.divide(opcode.name == "rem", to, a, b, ty);
        }
        let (a, b) = (self.get(a, ty)?, self.get(b, ty)?);
        let value = match (opcode.name, ty.is_signed()) {
            ("and", _) => self.b.ins().band(a, b),
            ("or", _) => self.b.ins().bor(a, b),
            ("xor", _) => self.b.ins().bxor(a, b),
            ("min", true) => self.b.ins().smin(a, b),
            ("min", false) => self.b.ins().umin(a, b),
            ("max", true) => self.b.ins().smax(a, b),
            _ => self.b.ins().umax(a, b),
        };
        self.put(to, value, ty)
    }

    fn divide(
        &mut self,
        remainder: bool,
        to: &Operand<'a>,
        a: &Operand<'a>,
        b: &Operand<'a>,
        ty: Type,
    ) -> Result<(), Error> {
        let (a, b) = (self.get(a, ty)?, self.get(b, ty)?);
        let [a, b] = [a, b].map(|value| match ty.bits() {
            64 => value,
            _ => self.b.ins().uextend(I64, value),
        });
        let (bits, signed) = (self.int(ty.bits()), self.int(u32::from(ty.is_signed())));
        let remainder = self.int(u32::from(remainder));
        let value = self.call("divide", &[bits, signed, remainder, a, b]);
        let value = self.narrowed(value, ty.bits());
        self.put(to, value, ty)
    }

    /// The low bits of 64.
    fn narrowed(&mut self, value: Value, bits: u32) -> Value {
        match bits {
            64 => value,
            _ => self.b.ins().ireduce(integer(bits), value),
        }
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

    fn unary(
        &mut self,
        opcode: &mut Opcode<'a>,
        to: &Operand<'a>,
        a: &Operand<'a>,
    ) -> Result<(), Error> {
        let shift_amount = opcode.take("shiftamt");
        let ty = opcode.ty()?;
        let bits = ty.bits();
        let a = self.get(a, ty)?;
        if ty == Type::Pred {
            let value = self.b.ins().bxor_imm_u(a, 1);
            return self.put(to, value, ty);
        }
        let value = match opcode.name {
            "not" => self.b.ins().bnot(a),
            "neg" => self.b.ins().ineg(a),
            "abs" => self.b.ins().iabs(a),
            "brev" => self.b.ins().bitrev(a),
            "cnot" => {
                let is_zero = self.b.ins().icmp_imm_u(IntCC::Equal, a, 0);
                self.b.ins().uextend(integer(bits), is_zero)
            }
            "bfind" => {
                let wide = match bits {
                    64 => a,
                    _ => self.b.ins().uextend(I64, a),
                };
                let (width, signed) = (self.int(bits), self.int(u32::from(ty.is_signed())));
                let shift_amount = self.int(u32::from(shift_amount));
                let value = self.call("find", &[width, signed, shift_amount, wide]);
                return self.put(to, value, Type::Unsigned(32));
            }
            name => {
                let count = match name {
                    "popc" => self.b.ins().popcnt(a),
                    _ => self.b.ins().clz(a),
                };
                let count = match bits {
                    32 => count,
                    _ => self.b.ins().ireduce(I32, count),
                };
                return self.put(to, count, Type::Unsigned(32));
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
        let wide = match ty.bits() {
            64 => a,
            _ => self.b.ins().uextend(I64, a),
        };
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
        let [a, b] = [a, b].map(|value| match ty.bits() {
            64 => value,
            _ => self.b.ins().uextend(I64, value),
        });
        let (at, len) = (
            self.get(at, Type::Unsigned(32))?,
            self.get(len, Type::Unsigned(32))?,
        );
        let bits = self.int(ty.bits());
        let value = self.call("insert", &[bits, a, b, at, len]);
        let value = self.narrowed(value, ty.bits());
        self.put(to, value, ty)
    }

    /// `sad`: |a − b| + c.
    fn difference(
        &mut self,
        opcode: &mut Opcode<'a>,
        to: &Operand<'a>,
        a: &Operand<'a>,
        b: &Operand<'a>,
        c: &Operand<'a>,
    ) -> Result<(), Error> {
        let ty = opcode.ty()?;
        let (a, b, c) = (self.get(a, ty)?, self.get(b, ty)?, self.get(c, ty)?);
        let less = match ty.is_signed() {
            true => IntCC::SignedLessThan,
            false => IntCC::UnsignedLessThan,
        };
        let less = self.b.ins().icmp(less, a, b);
        let (there, back) = (self.b.ins().isub(a, b), self.b.ins().isub(b, a));
        let difference = self.b.ins().select(less, back, there);
        let value = self.b.ins().iadd(difference, c);
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
        let mode = opcode.one_of(&modes);
        let mode = mode.map_or(0, |mode| {
            modes
                .iter()
                .position(|one| *one == mode)
                .map_or(0, |at| at as u32 + 1)
        });
        let mode = self.int(mode);
        let (a, b, c) = (
            self.get_bits(a, 32)?,
            self.get_bits(b, 32)?,
            self.get_bits(c, 32)?,
        );
        let value = self.call("permute", &[mode, a, b, c]);
        self.put(to, value, ty)
    }

    fn dot(
        &mut self,
        opcode: &mut Opcode<'a>,
        to: &Operand<'a>,
        a: &Operand<'a>,
        b: &Operand<'a>,
        c: &Operand<'a>,
    ) -> Result<(), Error> {
        let (a_type, b_type) = (opcode.ty()?, opcode.ty()?);
        let signed = [a_type, b_type].map(|ty| self.int(u32::from(ty.is_signed())));
        let (a, b, c) = (
            self.get_bits(a, 32)?,
            self.get_bits(b, 32)?,
            self.get_bits(c, 32)?,
        );
        let value = self.call("dot", &[signed[0], signed[1], a, b, c]);
        self.put(to, value, Type::Bits(32))
    }

    /// `testp`: what kind of number.
    fn test(
        &mut self,
        opcode: &mut Opcode<'a>,
        to: &Operand<'a>,
        a: &Operand<'a>,
    ) -> Result<(), Error> {
        let what = opcode.one_of(&[
            "finite",
            "infinite",
            "number",
            "notanumber",
            "normal",
            "subnormal",
        ]);
        let ty = opcode.ty()?;
        let a = self.get(a, ty)?;
        let magnitude = self.b.ins().fabs(a);
        let (infinity, least) = match self.b.func.dfg.value_type(a) {
            F32 => (
                self.b.ins().f32const(f32::INFINITY),
                self.b.ins().f32const(f32::MIN_POSITIVE),
            ),
            _ => (
                self.b.ins().f64const(f64::INFINITY),
                self.b.ins().f64const(f64::MIN_POSITIVE),
            ),
        };
        let mut compare = |how, x, y| self.b.ins().fcmp(how, x, y);
        let value = match what {
            Some("finite") => compare(FloatCC::LessThan, magnitude, infinity),
            Some("infinite") => compare(FloatCC::Equal, magnitude, infinity),
            Some("number") => compare(FloatCC::Ordered, a, a),
            Some("notanumber") => compare(FloatCC::Unordered, a, a),
            Some("normal") => {
                let (least, most) = (
                    compare(FloatCC::GreaterThanOrEqual, magnitude, least),
                    compare(FloatCC::LessThan, magnitude, infinity),
                );
                self.b.ins().band(least, most)
            }
            Some(_) => {
                let zero = match self.b.func.dfg.value_type(a) {
                    F32 => self.b.ins().f32const(0.0),
                    _ => self.b.ins().f64const(0.0),
                };
                let below = self.b.ins().fcmp(FloatCC::LessThan, magnitude, least);
                let above = self.b.ins().fcmp(FloatCC::GreaterThan, magnitude, zero);
                self.b.ins().band(below, above)
            }
            None => return Err(opcode.error("is not known here")),
        };
        self.put(to, value, Type::Pred)
    }

    /// A predicate of 0 or 1 in 32 bits.
    pub fn flag(&mut self, operand: &Operand<'a>) -> Result<Value, Error> {
        let value = self.get(operand, Type::Pred)?;
        Ok(self.b.ins().uextend(I32, value))
    }

    /// A predicate from a number that is zero or not.
    pub fn as_predicate(&mut self, value: Value) -> Value {
        self.b.ins().icmp_imm_u(IntCC::NotEqual, value, 0)
    }
}

fn condition(word: &str, signed: bool) -> Option<IntCC> {
    Some(match (word, signed) {
        ("eq", _) => IntCC::Equal,
        ("ne", _) => IntCC::NotEqual,
        ("lt", true) => IntCC::SignedLessThan,
        ("le", true) => IntCC::SignedLessThanOrEqual,
        ("gt", true) => IntCC::SignedGreaterThan,
        ("ge", true) => IntCC::SignedGreaterThanOrEqual,
        ("lt" | "lo", false) => IntCC::UnsignedLessThan,
        ("le" | "ls", false) => IntCC::UnsignedLessThanOrEqual,
        ("gt" | "hi", false) => IntCC::UnsignedGreaterThan,
        ("ge" | "hs", false) => IntCC::UnsignedGreaterThanOrEqual,
        _ => return None,
    })
}

fn float_condition(word: &str) -> Option<FloatCC> {
    Some(match word {
        "eq" => FloatCC::Equal,
        "ne" => FloatCC::OrderedNotEqual,
        "lt" => FloatCC::LessThan,
        "le" => FloatCC::LessThanOrEqual,
        "gt" => FloatCC::GreaterThan,
        "ge" => FloatCC::GreaterThanOrEqual,
        "equ" => FloatCC::UnorderedOrEqual,
        "neu" => FloatCC::NotEqual,
        "ltu" => FloatCC::UnorderedOrLessThan,
        "leu" => FloatCC::UnorderedOrLessThanOrEqual,
        "gtu" => FloatCC::UnorderedOrGreaterThan,
        "geu" => FloatCC::UnorderedOrGreaterThanOrEqual,
        "num" => FloatCC::Ordered,
        "nan" => FloatCC::Unordered,
        _ => return None,
    })
}
