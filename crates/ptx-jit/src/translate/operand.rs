//! How operands are read and written.

use std::mem::offset_of;

use cranelift_codegen::ir::condcodes::FloatCC;
use cranelift_codegen::ir::types::{F32, F64, I8, I16, I32, I64, I128};
use cranelift_codegen::ir::{self, InstBuilder, MemFlagsData, Value};
use ptx_reader::{Constant, Error, Operand};

use super::registers::Register;
use super::{Own, Translator};
use crate::opcode::Type;
use crate::runtime::thread::Thread;

/// The processor's type for one of PTX.
pub fn native(ty: Type) -> ir::Type {
    match ty {
        Type::F32 => F32,
        Type::F64 => F64,
        _ => integer(ty.bits()),
    }
}

pub fn integer(bits: u32) -> ir::Type {
    match bits {
        8 => I8,
        16 => I16,
        32 => I32,
        64 => I64,
        _ => I128,
    }
}

impl<'a> Translator<'a, '_> {
    pub fn predicate(&mut self, name: &'a str) -> Result<Value, Error> {
        let register = self.register(name)?;
        match register.ty {
            I8 => Ok(self.b.use_var(register.variable)),
            _ => Err(self.error(format!("`{name}` is no predicate"))),
        }
    }

    pub fn register(&self, name: &'a str) -> Result<Register, Error> {
        let found = self.registers.find(&self.scopes, name).copied();
        found.ok_or_else(|| self.error(format!("`{name}` is not declared")))
    }

    /// An operand as a value of the processor's type for `ty`; a wider register gives its low bits.
    pub fn get(&mut self, operand: &Operand<'a>, ty: Type) -> Result<Value, Error> {
        let value = match operand {
            Operand::Constant(constant) => return self.constant(constant, ty),
            Operand::Not(name) if ty == Type::Pred => {
                let value = self.predicate(name)?;
                return Ok(self.b.ins().bxor_imm_u(value, 1));
            }
            Operand::Name(name) => match self.registers.find(&self.scopes, name).copied() {
                Some(register) => {
                    let value = self.b.use_var(register.variable);
                    if register.ty == native(ty) {
                        return Ok(value);
                    }
                    match register.is_arithmetic && register.ty.is_float() {
                        true => self.gpus_nan(value),
                        false => value,
                    }
                }
                None => self.special(name)?,
            },
            _ => return Err(self.error("an operand that cannot stand here")),
        };
        self.fit(value, native(ty))
    }

    /// The same number of bits in another kind of register, or the low ones of a wider register.
    fn fit(&mut self, value: Value, to: ir::Type) -> Result<Value, Error> {
        let from = self.b.func.dfg.value_type(value);
        if from == to {
            return Ok(value);
        }
        let flags = MemFlagsData::new();
        let value = match from.is_float() {
            true => self.b.ins().bitcast(integer(from.bits()), flags, value),
            false => value,
        };
        let value = match from.bits().cmp(&to.bits()) {
            std::cmp::Ordering::Less => {
                return Err(self.error(format!(
                    "a register of {} bits where {} are wanted",
                    from.bits(),
                    to.bits()
                )));
            }
            std::cmp::Ordering::Equal => value,
            std::cmp::Ordering::Greater => self.b.ins().ireduce(integer(to.bits()), value),
        };
        Ok(match to.is_float() {
            true => self.b.ins().bitcast(to, flags, value),
            false => value,
        })
    }

    /// An operand's bits as an integer.
    pub fn get_bits(&mut self, operand: &Operand<'a>, bits: u32) -> Result<Value, Error> {
        self.get(operand, Type::Bits(bits))
    }

    /// The bits of a floating-point value with the NaN that a GPU makes.
    pub fn gpus_nan(&mut self, value: Value) -> Value {
        let ty = self.b.func.dfg.value_type(value);
        let is_nan = self.b.ins().fcmp(FloatCC::Unordered, value, value);
        let nan = match ty {
            F32 => self.b.ins().f32const(f32::from_bits(0x7fff_ffff)),
            _ => self.b.ins().f64const(f64::from_bits(0x7fff_ffff_ffff_ffff)),
        };
        self.b.ins().select(is_nan, nan, value)
    }

    /// What is written to memory or exchanged: bits, or a floating-point value with the right NaN.
    pub fn get_to_store(&mut self, operand: &Operand<'a>, ty: Type) -> Result<Value, Error> {
        if let Operand::Name(name) = operand
            && let Some(register) = self.registers.find(&self.scopes, name).copied()
            && register.ty.is_float()
            && register.ty.bits() == ty.bits()
        {
            let value = self.b.use_var(register.variable);
            return Ok(match register.is_arithmetic {
                true => self.gpus_nan(value),
                false => value,
            });
        }
        self.get(operand, Type::Bits(ty.bits()))
    }

    fn constant(&mut self, constant: &Constant, ty: Type) -> Result<Value, Error> {
        let value = match (constant, ty) {
            (Constant::F32(bits), Type::F64) => f64::from(f32::from_bits(*bits)).to_bits(),
            (Constant::F64(bits), Type::F32) => u64::from((f64::from_bits(*bits) as f32).to_bits()),
            (Constant::Integer(n), _) => *n,
            (Constant::F32(bits), _) => u64::from(*bits),
            (Constant::F64(bits), _) => *bits,
            (Constant::Address { .. }, _) => return Err(self.error("an address cannot stand here")),
        };
        Ok(match native(ty) {
            F32 => self.b.ins().f32const(f32::from_bits(value as u32)),
            F64 => self.b.ins().f64const(f64::from_bits(value)),
            I128 => {
                let low = self.b.ins().iconst(I64, value as i64);
                self.b.ins().uextend(I128, low)
            }
            I8 => {
                let value = match ty {
                    Type::Pred => i64::from(value != 0),
                    _ => i64::from(value as u8),
                };
                self.b.ins().iconst(I8, value)
            }
            I16 => self.b.ins().iconst(I16, i64::from(value as u16)),
            I32 => self.b.ins().iconst(I32, i64::from(value as u32)),
            _ => self.b.ins().iconst(I64, value as i64),
        })
    }

    /// Writes an integer or a floating-point value; a wider register takes it extended, as `ty` says.
    pub fn put(&mut self, operand: &Operand<'a>, value: Value, ty: Type) -> Result<(), Error> {
        let name = match operand {
            Operand::Name("_") => return Ok(()),
            Operand::Name(name) => name,
            _ => return Err(self.error("a result that is no register")),
        };
        let register = self.register(name)?;
        let from = self.b.func.dfg.value_type(value);
        let mut value = value;
        if from.is_float() && !register.is_arithmetic {
            // Not what was loaded or moved: those come as they are, by way of `put_raw`.
            value = self.gpus_nan(value);
        }
        self.write(register, value, ty)
    }

    /// The same for bits that must stay as they are.
    pub fn put_raw(&mut self, operand: &Operand<'a>, value: Value, ty: Type) -> Result<(), Error> {
        match operand {
            Operand::Name("_") => Ok(()),
            Operand::Name(name) => {
                let register = self.register(name)?;
                self.write(register, value, ty)
            }
            _ => Err(self.error("a result that is no register")),
        }
    }

    fn write(&mut self, register: Register, value: Value, ty: Type) -> Result<(), Error> {
        let from = self.b.func.dfg.value_type(value);
        if from == register.ty {
            self.b.def_var(register.variable, value);
            return Ok(());
        }
        let flags = MemFlagsData::new();
        let mut bits = match from.is_float() {
            true => self.b.ins().bitcast(integer(from.bits()), flags, value),
            false => value,
        };
        let wide = integer(register.ty.bits());
        if from.bits() < wide.bits() {
            bits = match ty.is_signed() {
                true => self.b.ins().sextend(wide, bits),
                false => self.b.ins().uextend(wide, bits),
            };
        } else if from.bits() > wide.bits() {
            return Err(self.error(format!(
                "a register of {} bits for a result of {}",
                wide.bits(),
                from.bits()
            )));
        }
        let value = match register.ty.is_float() {
            true => self.b.ins().bitcast(register.ty, flags, bits),
            false => bits,
        };
        self.b.def_var(register.variable, value);
        Ok(())
    }

    /// A register that the hardware sets.
    pub fn special(&mut self, name: &'a str) -> Result<Value, Error> {
        let vector = |base: usize, component: &str| match component {
            "x" => Some(base),
            "y" => Some(base + 4),
            "z" => Some(base + 8),
            _ => None,
        };
        let (root, component) = name.split_once('.').unwrap_or((name, ""));
        let offset = match root {
            "%tid" => vector(offset_of!(Thread, thread), component),
            "%ntid" => vector(offset_of!(Thread, block_dim), component),
            "%ctaid" => vector(offset_of!(Thread, block), component),
            "%nctaid" => vector(offset_of!(Thread, grid_dim), component),
            "%laneid" => Some(offset_of!(Thread, lane)),
            "%warpid" => Some(offset_of!(Thread, warp)),
            "%dynamic_smem_size" => Some(offset_of!(Thread, dynamic_shared)),
            "%total_smem_size" => Some(offset_of!(Thread, total_shared)),
            _ => None,
        };
        if let Some(offset) = offset {
            return Ok(self.field(I32, offset));
        }
        Ok(match root {
            "WARP_SZ" | "%warpsize" => self.int(32),
            "%smid" | "%gridid" => self.int(0),
            "%nsmid" => self.int(1),
            "%nwarpid" => self.int(32),
            "%clock64" | "%globaltimer" => self.call("clock", &[]),
            "%clock" | "%clock_hi" | "%globaltimer_lo" | "%globaltimer_hi" => {
                let time = self.call("clock", &[]);
                let shift = if root.ends_with("hi") { 32 } else { 0 };
                let time = self.b.ins().ushr_imm_u(time, shift);
                self.b.ins().ireduce(I32, time)
            }
            _ if root.starts_with("%lanemask_") => self.lane_mask(root)?,
            _ => return Err(self.error(format!("`{name}` is not declared"))),
        })
    }

    /// Bits of the lanes before, at or behind the thread's own.
    fn lane_mask(&mut self, name: &str) -> Result<Value, Error> {
        let lane = self.field(I32, offset_of!(Thread, lane));
        let one = self.int(1);
        let own = self.b.ins().ishl(one, lane);
        let below = self.b.ins().iadd_imm_s(own, -1);
        Ok(match &name["%lanemask_".len()..] {
            "eq" => own,
            "lt" => below,
            "le" => self.b.ins().bor(below, own),
            "ge" => self.b.ins().bnot(below),
            "gt" => {
                let upto = self.b.ins().bor(below, own);
                self.b.ins().bnot(upto)
            }
            _ => return Err(self.error(format!("`{name}` is not declared"))),
        })
    }

    /// The address of a variable as its own state space has it: of shared memory an offset, else where it lies.
    pub fn variable_address(&mut self, name: &'a str) -> Result<Value, Error> {
        if let Some(own) = self.own.find(&self.scopes, name).copied() {
            return Ok(match own {
                Own::Memory(address) => address,
                Own::Shared(offset) => self.b.ins().iconst(I64, i64::from(offset)),
            });
        }
        let layout = self.context.layout;
        if let Some(offset) = layout.shared.get(name) {
            let offset = offset.unwrap_or(layout.static_shared);
            return Ok(self.b.ins().iconst(I64, i64::from(offset)));
        }
        if let Some((offset, _)) = layout.variables.get(name) {
            let base = self.field(I64, offset_of!(Thread, variables));
            return Ok(self.b.ins().iadd_imm_s(base, *offset as i64));
        }
        if self
            .context
            .functions
            .iter()
            .any(|f| f.name == name && f.body.is_some())
        {
            let function = self.function_reference(name)?;
            return Ok(self.b.ins().func_addr(I64, function));
        }
        Err(self.error(format!("`{name}` is not declared")))
    }

    /// Whether a name is that of a variable in shared memory.
    pub fn is_shared(&self, name: &str) -> bool {
        match self.own.find(&self.scopes, name) {
            Some(own) => matches!(own, Own::Shared(_)),
            None => self.context.layout.shared.contains_key(name),
        }
    }
}
