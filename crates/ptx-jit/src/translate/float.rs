//! Floating point.

use cranelift_codegen::ir::condcodes::FloatCC;
use cranelift_codegen::ir::types::{F32, F64};
use cranelift_codegen::ir::{InstBuilder, MemFlagsData, Value};
use ptx_reader::{Error, Operand};

use super::Translator;
use super::operand::integer;
use crate::opcode::{Opcode, Type};
use crate::runtime::half;
use crate::runtime::rounding::{self, Mode, Operation};

/// Instructions that exist for floating-point types, and how many operands they read.
const NAMES: [(&str, usize); 18] = [
    ("add", 2),
    ("sub", 2),
    ("mul", 2),
    ("fma", 3),
    ("mad", 3),
    ("div", 2),
    ("rcp", 1),
    ("sqrt", 1),
    ("rsqrt", 1),
    ("min", 2),
    ("max", 2),
    ("neg", 1),
    ("abs", 1),
    ("copysign", 2),
    ("ex2", 1),
    ("lg2", 1),
    ("sin", 1),
    ("cos", 1),
];

/// What is asked of a result.
struct Manner {
    /// `None` to nearest.
    mode: Option<Mode>,
    flushes: bool,
    saturates: bool,
}

impl<'a> Translator<'a, '_> {
    pub fn float(
        &mut self,
        opcode: &mut Opcode<'a>,
        operands: &[Operand<'a>],
    ) -> Result<bool, Error> {
        let known = NAMES.iter().chain(&[("tanh", 1)]);
        let Some((_, reads)) = known.into_iter().find(|(name, _)| *name == opcode.name) else {
            return Ok(false);
        };
        let ty = match opcode.float_type() {
            Some(ty) if operands.len() == 1 + reads => ty,
            _ => return Ok(false),
        };
        let (to, from) = (&operands[0], &operands[1..]);
        if ty.is_half() {
            self.half(opcode, ty, to, from)?;
            return Ok(true);
        }
        if opcode.name == "copysign" {
            self.copy_sign(ty, to, from)?;
            return Ok(true);
        }
        let mut values = Vec::new();
        for operand in from {
            values.push(self.get(operand, ty)?);
        }
        let flushes = opcode.take("ftz");
        if flushes {
            values = values.into_iter().map(|value| self.flush(value)).collect();
        }
        if opcode.take("approx") || opcode.take("full") {
            self.approximate(opcode, ty, to, &values)?;
            return Ok(true);
        }
        let manner = Manner {
            mode: self.rounding(opcode)?,
            flushes,
            saturates: opcode.take("sat"),
        };
        let value = self.arithmetic(opcode, &manner, &values)?;
        let value = if manner.flushes {
            self.flush(value)
        } else {
            value
        };
        let value = if manner.saturates {
            self.saturate(value)
        } else {
            value
        };
        self.put(to, value, ty)?;
        Ok(true)
    }

    /// The rounding mode. Sums and products without one may be fused by a GPU's compiler.
    fn rounding(&mut self, opcode: &mut Opcode) -> Result<Option<Mode>, Error> {
        let mode = match opcode.one_of(&["rn", "rz", "rm", "rp"]) {
            Some("rz") => Mode::Zero,
            Some("rm") => Mode::Down,
            Some("rp") => Mode::Up,
            Some(_) => return Ok(None),
            None => {
                let may_be_fused = matches!(opcode.name, "add" | "sub" | "mul");
                if may_be_fused && self.context.options.refuse_fusable {
                    return Err(
                        opcode.error("without .rn may be fused with another by the GPU's compiler")
                    );
                }
                if matches!(opcode.name, "fma" | "mad" | "div" | "rcp" | "sqrt") {
                    return Err(opcode.error("lacks a rounding mode"));
                }
                return Ok(None);
            }
        };
        match rounding::is_supported() {
            true => Ok(Some(mode)),
            false => Err(opcode.error("rounds as only x86-64 with FMA does")),
        }
    }

    fn arithmetic(
        &mut self,
        opcode: &mut Opcode,
        manner: &Manner,
        values: &[Value],
    ) -> Result<Value, Error> {
        if let Some(mode) = manner.mode {
            return self.rounded(opcode, mode, values);
        }
        let quiet = opcode.take("NaN");
        Ok(match (opcode.name, values) {
            ("add", &[a, b]) => self.b.ins().fadd(a, b),
            ("sub", &[a, b]) => self.b.ins().fsub(a, b),
            ("mul", &[a, b]) => self.b.ins().fmul(a, b),
            ("div", &[a, b]) => self.b.ins().fdiv(a, b),
            ("fma" | "mad", &[a, b, c]) => self.b.ins().fma(a, b, c),
            ("sqrt", &[a]) => self.b.ins().sqrt(a),
            ("rcp", &[a]) => {
                let one = self.float_constant(a, 1.0);
                self.b.ins().fdiv(one, a)
            }
            ("neg", &[a]) => self.b.ins().fneg(a),
            ("abs", &[a]) => self.b.ins().fabs(a),
            ("min", &[a, b]) => {
                let value = self.b.ins().fmin(a, b);
                if quiet {
                    value
                } else {
                    self.other_than_nan(value, a, b)
                }
            }
            ("max", &[a, b]) => {
                let value = self.b.ins().fmax(a, b);
                if quiet {
                    value
                } else {
                    self.other_than_nan(value, a, b)
                }
            }
            _ => return Err(opcode.error("is not known here")),
        })
    }

    /// Of a minimum or maximum with a NaN the other operand.
    fn other_than_nan(&mut self, value: Value, a: Value, b: Value) -> Value {
        let a_is_nan = self.b.ins().fcmp(FloatCC::Unordered, a, a);
        let b_is_nan = self.b.ins().fcmp(FloatCC::Unordered, b, b);
        let value = self.b.ins().select(b_is_nan, a, value);
        self.b.ins().select(a_is_nan, b, value)
    }

    fn rounded(
        &mut self,
        opcode: &mut Opcode,
        mode: Mode,
        values: &[Value],
    ) -> Result<Value, Error> {
        let one = self.float_constant(values[0], 1.0);
        let (operation, [a, b, c]) = match (opcode.name, values) {
            ("add", &[a, b]) => (Operation::Add, [a, b, b]),
            ("sub", &[a, b]) => (Operation::Sub, [a, b, b]),
            ("mul", &[a, b]) => (Operation::Mul, [a, b, b]),
            ("div", &[a, b]) => (Operation::Div, [a, b, b]),
            ("rcp", &[a]) => (Operation::Div, [one, a, a]),
            ("sqrt", &[a]) => (Operation::Sqrt, [a, a, a]),
            ("fma" | "mad", &[a, b, c]) => (Operation::Fma, [a, b, c]),
            _ => return Err(opcode.error("is not known here")),
        };
        let helper = match self.b.func.dfg.value_type(a) {
            F32 => "rounded_f32",
            _ => "rounded_f64",
        };
        let (operation, mode) = (self.int(operation as u32), self.int(mode as u32));
        Ok(self.call(helper, &[operation, mode, a, b, c]))
    }

    fn approximate(
        &mut self,
        opcode: &mut Opcode<'a>,
        ty: Type,
        to: &Operand<'a>,
        values: &[Value],
    ) -> Result<(), Error> {
        if !self.context.options.approximate {
            return Err(opcode.error("has bits of the GPU's own: only on request"));
        }
        opcode.ignore(&["ftz"]);
        let functions = ["ex2", "lg2", "sin", "cos", "tanh", "rsqrt", "sqrt", "rcp"];
        let value = match (opcode.name, values) {
            ("div", &[a, b]) => self.b.ins().fdiv(a, b),
            (name, &[a]) if ty == Type::F32 => {
                let function = functions.iter().position(|one| *one == name);
                let function = function.ok_or_else(|| opcode.error("is not known here"))?;
                let function = self.int(function as u32);
                self.call("approximate", &[function, a])
            }
            _ => return Err(opcode.error("is not known here")),
        };
        self.put(to, value, ty)
    }

    /// The second operand's magnitude with the first one's sign, bit by bit.
    fn copy_sign(&mut self, ty: Type, to: &Operand<'a>, from: &[Operand<'a>]) -> Result<(), Error> {
        let bits = ty.bits();
        let (sign, magnitude) = (
            self.get_bits(&from[0], bits)?,
            self.get_bits(&from[1], bits)?,
        );
        let mask = self
            .b
            .ins()
            .iconst(integer(bits), i64::MIN >> (64 - bits) & mask(bits));
        let sign = self.b.ins().band(sign, mask);
        let magnitude = self.b.ins().band_not(magnitude, mask);
        let value = self.b.ins().bor(sign, magnitude);
        self.put_raw(to, value, Type::Bits(bits))
    }

    fn float_constant(&mut self, like: Value, x: f64) -> Value {
        match self.b.func.dfg.value_type(like) {
            F32 => self.b.ins().f32const(x as f32),
            _ => self.b.ins().f64const(x),
        }
    }

    /// Subnormal numbers as zeros of their sign.
    pub fn flush(&mut self, value: Value) -> Value {
        let least = match self.b.func.dfg.value_type(value) {
            F32 => self.b.ins().f32const(f32::MIN_POSITIVE),
            _ => self.b.ins().f64const(f64::MIN_POSITIVE),
        };
        let magnitude = self.b.ins().fabs(value);
        let is_small = self.b.ins().fcmp(FloatCC::LessThan, magnitude, least);
        let zero = self.float_constant(value, 0.0);
        let zero = self.b.ins().fcopysign(zero, value);
        self.b.ins().select(is_small, zero, value)
    }

    /// Between 0 and 1; a NaN is 0.
    pub fn saturate(&mut self, value: Value) -> Value {
        let (zero, one) = (
            self.float_constant(value, 0.0),
            self.float_constant(value, 1.0),
        );
        let is_positive = self.b.ins().fcmp(FloatCC::GreaterThan, value, zero);
        let value = self.b.ins().select(is_positive, value, zero);
        let is_large = self.b.ins().fcmp(FloatCC::GreaterThan, value, one);
        self.b.ins().select(is_large, one, value)
    }

    /// A number of whatever format as one that can be compared.
    pub fn get_float(&mut self, operand: &Operand<'a>, ty: Type) -> Result<Value, Error> {
        match ty {
            Type::F16 | Type::Bf16 => {
                let bits = self.get_bits(operand, 16)?;
                let bits = self.b.ins().uextend(integer(32), bits);
                let format = self.int(u32::from(ty == Type::Bf16));
                Ok(self.call("widen_half", &[format, bits]))
            }
            Type::F16x2 | Type::Bf16x2 => Err(self.error("pairs cannot be compared here")),
            _ => self.get(operand, ty),
        }
    }

    /// Arithmetic on numbers of 16 bits.
    fn half(
        &mut self,
        opcode: &mut Opcode<'a>,
        ty: Type,
        to: &Operand<'a>,
        from: &[Operand<'a>],
    ) -> Result<(), Error> {
        opcode.ignore(&["rn"]);
        let quiet = opcode.take("NaN");
        let operation = match opcode.name {
            "add" => half::Operation::Add,
            "sub" => half::Operation::Sub,
            "mul" => half::Operation::Mul,
            "fma" => half::Operation::Fma,
            "min" if quiet => half::Operation::MinNan,
            "max" if quiet => half::Operation::MaxNan,
            "min" => half::Operation::Min,
            "max" => half::Operation::Max,
            "neg" => half::Operation::Neg,
            "abs" => half::Operation::Abs,
            _ => return Err(opcode.error("is not known here")),
        };
        let mut values = [self.int(0); 3];
        for (value, operand) in values.iter_mut().zip(from) {
            let bits = self.get_bits(operand, ty.bits())?;
            *value = match ty.bits() {
                32 => bits,
                _ => self.b.ins().uextend(integer(32), bits),
            };
        }
        let format = self.int(u32::from(matches!(ty, Type::Bf16 | Type::Bf16x2)));
        let (operation, pairs) = (
            self.int(operation as u32),
            self.int(u32::from(ty.bits() == 32)),
        );
        let [a, b, c] = values;
        let value = self.call("half", &[format, operation, pairs, a, b, c]);
        let value = match ty.bits() {
            32 => value,
            _ => self.b.ins().ireduce(integer(16), value),
        };
        self.put_raw(to, value, ty)
    }

    /// Bits of an integer as a floating-point number.
    pub fn as_float(&mut self, value: Value, double: bool) -> Value {
        let ty = if double { F64 } else { F32 };
        self.b.ins().bitcast(ty, MemFlagsData::new(), value)
    }
}

fn mask(bits: u32) -> i64 {
    match bits {
        64 => -1,
        _ => (1 << bits) - 1,
    }
}
