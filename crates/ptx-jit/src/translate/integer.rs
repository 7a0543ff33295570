//! Arithmetic on integers.

use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::types::{I32, I64};
use cranelift_codegen::ir::{InstBuilder, Value};
use ptx_reader::{Error, Operand};

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
            ("add" | "sub" | "addc" | "subc", [to, a, b]) => self.sum(opcode, to, a, b)?,
            ("mul" | "mul24", [to, a, b]) => self.multiply(opcode, to, a, b, None)?,
            ("mad" | "mad24" | "madc", [to, a, b, c]) => {
                self.multiply(opcode, to, a, b, Some(c))?
            }
            ("and" | "or" | "xor" | "min" | "max" | "div" | "rem", [to, a, b]) => {
                self.binary(opcode, to, a, b)?;
            }
            ("not" | "cnot" | "neg" | "abs" | "popc" | "clz" | "brev" | "bfind", [to, a]) => {
                self.unary(opcode, to, a)?;
            }
            ("sad", [to, a, b, c]) => self.difference(opcode, to, a, b, c)?,
            ("dp4a", [to, a, b, c]) => self.dot(opcode, to, a, b, c)?,
            ("nop", []) => {}
            _ => return Ok(false),
        }
        Ok(true)
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
        let (a, b) = (self.in_64_bits(a), self.in_64_bits(b));
        let (bits, signed) = (self.int(ty.bits()), self.int(u32::from(ty.is_signed())));
        let remainder = self.int(u32::from(remainder));
        let value = self.call("divide", &[bits, signed, remainder, a, b]);
        let value = self.narrowed(value, ty.bits());
        self.put(to, value, ty)
    }

    /// Zero-extended to 64 bits.
    pub fn in_64_bits(&mut self, value: Value) -> Value {
        match self.b.func.dfg.value_type(value) {
            I64 => value,
            _ => self.b.ins().uextend(I64, value),
        }
    }

    /// The low bits of 64.
    pub fn narrowed(&mut self, value: Value, bits: u32) -> Value {
        match bits {
            64 => value,
            _ => self.b.ins().ireduce(integer(bits), value),
        }
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
                let wide = self.in_64_bits(a);
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
}
