//! `cvt`.

use cranelift_codegen::ir::condcodes::{FloatCC, IntCC};
use cranelift_codegen::ir::types::{F32, F64, I32, I64};
use cranelift_codegen::ir::{InstBuilder, Value};
use ptx_reader::{Error, Operand};

use super::Translator;
use super::operand::integer;
use crate::opcode::{Opcode, Type};
use crate::runtime::rounding::{self, Mode};

/// How a result is rounded.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Rounding {
    Nearest,
    To(Mode),
}

impl<'a> Translator<'a, '_> {
    pub fn convert(
        &mut self,
        opcode: &mut Opcode<'a>,
        operands: &[Operand<'a>],
    ) -> Result<bool, Error> {
        if opcode.name != "cvt" || opcode.take("pack") {
            return Ok(false);
        }
        let whole = match opcode.one_of(&["rni", "rzi", "rmi", "rpi"]) {
            None => None,
            Some("rni") => Some(Rounding::Nearest),
            Some("rzi") => Some(Rounding::To(Mode::Zero)),
            Some("rmi") => Some(Rounding::To(Mode::Down)),
            Some(_) => Some(Rounding::To(Mode::Up)),
        };
        let rounding = match opcode.one_of(&["rna", "rn", "rz", "rm", "rp"]) {
            None => None,
            Some("rna") => return self.tf32(opcode, operands),
            Some("rn") => Some(Rounding::Nearest),
            Some("rz") => Some(Rounding::To(Mode::Zero)),
            Some("rm") => Some(Rounding::To(Mode::Down)),
            Some(_) => Some(Rounding::To(Mode::Up)),
        };
        let (flushes, saturates) = (opcode.take("ftz"), opcode.take("sat"));
        let (to, from) = (opcode.ty()?, opcode.ty()?);
        let is_integer =
            |ty: Type| matches!(ty, Type::Signed(_) | Type::Unsigned(_) | Type::Bits(_));
        match (to, operands) {
            (Type::F16x2 | Type::Bf16x2, [d, a, b]) if from == Type::F32 => {
                self.pair_of(opcode, d, [a, b], to, rounding)?;
            }
            (_, [d, a]) if is_integer(to) && is_integer(from) => {
                let value = self.get(a, from)?;
                let value = self.between_integers(value, from, to, saturates);
                self.put(d, value, to)?;
            }
            (_, [d, a]) if is_integer(from) && (to.is_float() || to.is_half()) => {
                let value = self.get(a, from)?;
                let value = self.integer_to_float(opcode, value, from, to, rounding)?;
                let value = if saturates && to.is_float() {
                    self.saturate(value)
                } else {
                    value
                };
                self.put_number(d, value, to)?;
            }
            (_, [d, a]) if is_integer(to) && (from.is_float() || from.is_half()) => {
                let value = self.get_float(a, from)?;
                let value = if flushes { self.flush(value) } else { value };
                let whole = whole.ok_or_else(|| opcode.error("lacks a rounding mode"))?;
                let value = self.float_to_integer(value, from, to, whole);
                self.put(d, value, to)?;
            }
            (_, [d, a]) if !is_integer(to) && !is_integer(from) => {
                let value = self.get_float(a, from)?;
                let value = if flushes { self.flush(value) } else { value };
                let value = match whole {
                    Some(whole) => self.round(value, whole),
                    None => self.between_floats(opcode, value, to, rounding)?,
                };
                let value = if flushes && to.is_float() {
                    self.flush(value)
                } else {
                    value
                };
                let value = if saturates && to.is_float() {
                    self.saturate(value)
                } else {
                    value
                };
                self.put_number(d, value, to)?;
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Writes a number of 16 bits as they are, others as floating-point numbers.
    fn put_number(&mut self, to: &Operand<'a>, value: Value, ty: Type) -> Result<(), Error> {
        match ty.is_half() {
            true => self.put_raw(to, value, ty),
            false => self.put(to, value, ty),
        }
    }

    fn between_integers(&mut self, value: Value, from: Type, to: Type, saturates: bool) -> Value {
        let (narrow, wide) = (integer(to.bits()), to.bits() > from.bits());
        if !saturates {
            return match (wide, from.is_signed()) {
                _ if to.bits() == from.bits() => value,
                (true, true) => self.b.ins().sextend(narrow, value),
                (true, false) => self.b.ins().uextend(narrow, value),
                (false, _) => self.b.ins().ireduce(narrow, value),
            };
        }
        // In 128 bits every range can be compared.
        let all = integer(128);
        let value = match from.is_signed() {
            true => self.b.ins().sextend(all, value),
            false => self.b.ins().uextend(all, value),
        };
        let (low, high) = match to.is_signed() {
            true => (i64::MIN >> (64 - to.bits()), i64::MAX >> (64 - to.bits())),
            false => (0, (u64::MAX >> (64 - to.bits())) as i64),
        };
        let (low, high) = (
            self.b.ins().iconst(I64, low),
            self.b.ins().iconst(I64, high),
        );
        let low = self.b.ins().sextend(all, low);
        let high = match to.is_signed() {
            true => self.b.ins().sextend(all, high),
            false => self.b.ins().uextend(all, high),
        };
        let is_low = self.b.ins().icmp(IntCC::SignedLessThan, value, low);
        let value = self.b.ins().select(is_low, low, value);
        let is_high = self.b.ins().icmp(IntCC::SignedGreaterThan, value, high);
        let value = self.b.ins().select(is_high, high, value);
        self.b.ins().ireduce(narrow, value)
    }

    fn integer_to_float(
        &mut self,
        opcode: &Opcode,
        value: Value,
        from: Type,
        to: Type,
        rounding: Option<Rounding>,
    ) -> Result<Value, Error> {
        let rounding = rounding.ok_or_else(|| opcode.error("lacks a rounding mode"))?;
        let wide = match (from.bits(), from.is_signed()) {
            (64, _) => value,
            (_, true) => self.b.ins().sextend(I64, value),
            (_, false) => self.b.ins().uextend(I64, value),
        };
        if to.is_half() {
            // Of integers of up to 32 bits double precision loses nothing.
            if from.bits() > 32 {
                return Err(opcode.error("is not known here"));
            }
            let value = self.b.ins().fcvt_from_sint(F64, wide);
            return self.between_floats(opcode, value, to, Some(rounding));
        }
        let native = if to == Type::F32 { F32 } else { F64 };
        let Rounding::To(mode) = rounding else {
            return Ok(match from.is_signed() {
                true => self.b.ins().fcvt_from_sint(native, wide),
                false => self.b.ins().fcvt_from_uint(native, wide),
            });
        };
        self.needs_rounding(opcode)?;
        let helper = if to == Type::F32 {
            "integer_to_f32"
        } else {
            "integer_to_f64"
        };
        let (mode, signed) = (self.int(mode as u32), self.int(u32::from(from.is_signed())));
        Ok(self.call(helper, &[mode, signed, wide]))
    }

    fn needs_rounding(&self, opcode: &Opcode) -> Result<(), Error> {
        match rounding::is_supported() {
            true => Ok(()),
            false => Err(opcode.error("rounds as only x86-64 with FMA does")),
        }
    }

    /// To a whole number in the same format.
    fn round(&mut self, value: Value, rounding: Rounding) -> Value {
        match rounding {
            Rounding::Nearest => self.b.ins().nearest(value),
            Rounding::To(Mode::Zero) => self.b.ins().trunc(value),
            Rounding::To(Mode::Down) => self.b.ins().floor(value),
            Rounding::To(Mode::Up) => self.b.ins().ceil(value),
        }
    }

    /// Held within the range; a NaN is 0, or the highest bit where either side has 64 bits.
    fn float_to_integer(
        &mut self,
        value: Value,
        from: Type,
        to: Type,
        rounding: Rounding,
    ) -> Value {
        let is_nan = self.b.ins().fcmp(FloatCC::Unordered, value, value);
        let value = self.round(value, rounding);
        let wide = if to.bits() == 64 { I64 } else { I32 };
        let mut result = match to.is_signed() {
            true => self.b.ins().fcvt_to_sint_sat(wide, value),
            false => self.b.ins().fcvt_to_uint_sat(wide, value),
        };
        if to.bits() < 32 {
            result = match to.is_signed() {
                true => {
                    let (low, high) = (-1i64 << (to.bits() - 1), (1i64 << (to.bits() - 1)) - 1);
                    self.clamp(result, low, high)
                }
                false => {
                    let high = self.b.ins().iconst(I32, (1 << to.bits()) - 1);
                    self.b.ins().umin(result, high)
                }
            };
        }
        if from == Type::F64 || to.bits() == 64 {
            let nan = 1u64 << (to.bits() - 1);
            let nan = self.b.ins().iconst(
                wide,
                if to.bits() == 32 {
                    i64::from(nan as u32)
                } else {
                    nan as i64
                },
            );
            result = self.b.ins().select(is_nan, nan, result);
        }
        match to.bits() {
            32 | 64 => result,
            bits => self.b.ins().ireduce(integer(bits), result),
        }
    }

    fn between_floats(
        &mut self,
        opcode: &Opcode,
        value: Value,
        to: Type,
        rounding: Option<Rounding>,
    ) -> Result<Value, Error> {
        let from = self.b.func.dfg.value_type(value);
        match (from, to) {
            (_, Type::F16 | Type::Bf16) => {
                let rounding = rounding.ok_or_else(|| opcode.error("lacks a rounding mode"))?;
                let wide = if from == F32 {
                    self.b.ins().fpromote(F64, value)
                } else {
                    value
                };
                self.narrow_half(opcode, wide, to, rounding)
            }
            (F32, Type::F64) => Ok(self.b.ins().fpromote(F64, value)),
            (F64, Type::F32) => match rounding {
                Some(Rounding::Nearest) => Ok(self.b.ins().fdemote(F32, value)),
                Some(Rounding::To(mode)) => {
                    self.needs_rounding(opcode)?;
                    let mode = self.int(mode as u32);
                    Ok(self.call("rounded_narrow", &[mode, value]))
                }
                None => Err(opcode.error("lacks a rounding mode")),
            },
            (F32, Type::F32) | (F64, Type::F64) => Ok(value),
            _ => Err(opcode.error("is not known here")),
        }
    }

    fn narrow_half(
        &mut self,
        opcode: &Opcode,
        wide: Value,
        to: Type,
        rounding: Rounding,
    ) -> Result<Value, Error> {
        let mode = match rounding {
            Rounding::Nearest => 0,
            Rounding::To(Mode::Zero) => 1,
            Rounding::To(_) => return Err(opcode.error("is not known here")),
        };
        let mode = self.int(mode);
        let format = self.int(u32::from(matches!(to, Type::Bf16 | Type::Bf16x2)));
        let value = self.call("narrow_half", &[format, mode, wide]);
        Ok(self.b.ins().ireduce(integer(16), value))
    }

    /// Two numbers to a pair of 16 bits each: the first is the upper one.
    fn pair_of(
        &mut self,
        opcode: &Opcode,
        to: &Operand<'a>,
        from: [&Operand<'a>; 2],
        ty: Type,
        rounding: Option<Rounding>,
    ) -> Result<(), Error> {
        let rounding = rounding.ok_or_else(|| opcode.error("lacks a rounding mode"))?;
        let mut halves = Vec::new();
        for operand in from {
            let value = self.get(operand, Type::F32)?;
            let wide = self.b.ins().fpromote(F64, value);
            let half = self.narrow_half(opcode, wide, ty, rounding)?;
            halves.push(self.b.ins().uextend(I32, half));
        }
        let high = self.b.ins().ishl_imm_u(halves[0], 16);
        let value = self.b.ins().bor(high, halves[1]);
        self.put_raw(to, value, ty)
    }

    /// `cvt.rna.tf32.f32`: 13 bits less, halves away from zero.
    fn tf32(&mut self, opcode: &mut Opcode<'a>, operands: &[Operand<'a>]) -> Result<bool, Error> {
        let (to, from) = (opcode.ty()?, opcode.ty()?);
        let ([d, a], Type::Tf32, Type::F32) = (operands, to, from) else {
            return Ok(false);
        };
        let bits = self.get_bits(a, 32)?;
        let rounded = self.b.ins().iadd_imm_s(bits, 0x1000);
        let rounded = self.b.ins().band_imm_u(rounded, i64::from(!0x1fffu32));
        let value = self.as_float(bits, false);
        let infinity = self.b.ins().f32const(f32::INFINITY);
        let magnitude = self.b.ins().fabs(value);
        let is_finite = self.b.ins().fcmp(FloatCC::LessThan, magnitude, infinity);
        let nan = self.int(0x7fff_ffff);
        let is_nan = self.b.ins().fcmp(FloatCC::Unordered, value, value);
        let other = self.b.ins().select(is_nan, nan, bits);
        let value = self.b.ins().select(is_finite, rounded, other);
        self.put_raw(d, value, Type::Bits(32))?;
        Ok(true)
    }
}
