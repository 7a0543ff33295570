//! Comparisons, and what predicates choose.

use cranelift_codegen::ir::condcodes::{FloatCC, IntCC};
use cranelift_codegen::ir::types::{F32, I32};
use cranelift_codegen::ir::{InstBuilder, Value};
use ptx_reader::{Error, Operand};

use super::Translator;
use crate::opcode::{Opcode, Type};

impl<'a> Translator<'a, '_> {
    pub fn predicates(
        &mut self,
        opcode: &mut Opcode<'a>,
        operands: &[Operand<'a>],
    ) -> Result<bool, Error> {
        match (opcode.name, operands) {
            ("setp", [to, a, b, rest @ ..]) => self.set_predicate(opcode, to, a, b, rest)?,
            ("set", [to, a, b]) => self.set(opcode, to, a, b)?,
            ("selp", [to, a, b, p]) => self.select(opcode, to, a, b, p)?,
            ("slct", [to, a, b, c]) => self.select_by_sign(opcode, to, a, b, c)?,
            ("testp", [to, a]) => self.test(opcode, to, a)?,
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// A comparison, as a predicate; it may take subnormal numbers as zeros.
    fn compare(
        &mut self,
        opcode: &Opcode,
        how: &str,
        ty: Type,
        flushes: bool,
        a: &Operand<'a>,
        b: &Operand<'a>,
    ) -> Result<Value, Error> {
        if ty.is_float() || ty.is_half() {
            let how = float_condition(how).ok_or_else(|| opcode.error("is not known here"))?;
            let (mut a, mut b) = (self.get_float(a, ty)?, self.get_float(b, ty)?);
            if flushes {
                (a, b) = (self.flush(a), self.flush(b));
            }
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
        if flushes && ty != Type::F32 {
            return Err(opcode.error("flushes what has no subnormal numbers to flush"));
        }
        let holds = self.compare(opcode, how, ty, flushes, a, b)?;
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
        let holds = self.compare(opcode, how, ty, false, a, b)?;
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
