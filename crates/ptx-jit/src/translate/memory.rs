//! Loads, stores, addresses.

use std::mem::offset_of;

use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::types::{I32, I64};
use cranelift_codegen::ir::{InstBuilder, MemFlagsData, Value};
use ptx_reader::{Error, Operand};

use super::Translator;
use super::operand::{integer, native};
use crate::opcode::{Opcode, Type};
use crate::runtime::checks::Access;
use crate::runtime::thread::Thread;

/// What says how values are cached, ordered and shared: all accesses are ordered here, and there is one memory.
const HINTS: &[&str] = &[
    "ca", "cg", "cs", "lu", "cv", "wb", "wt", "nc", "relaxed", "weak", "acquire", "release",
    "acq_rel", "sc", "cta", "cluster", "gpu", "sys", "mmio", "noftz",
];

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Space {
    Generic,
    Global,
    Shared,
    Local,
    Const,
    Param,
}

impl Space {
    pub fn take(opcode: &mut Opcode) -> Self {
        let spaces = [
            ("global", Space::Global),
            ("shared", Space::Shared),
            ("shared::cta", Space::Shared),
            ("local", Space::Local),
            ("const", Space::Const),
            ("param", Space::Param),
            ("param::entry", Space::Param),
            ("param::func", Space::Param),
        ];
        let found = spaces.into_iter().find(|(word, _)| opcode.take(word));
        found.map_or(Space::Generic, |(_, space)| space)
    }
}

pub fn ignore_hints(opcode: &mut Opcode) {
    opcode.ignore(HINTS);
    while opcode.after("L1::").is_some() || opcode.after("L2::").is_some() {}
}

impl<'a> Translator<'a, '_> {
    pub fn memory(
        &mut self,
        opcode: &mut Opcode<'a>,
        operands: &[Operand<'a>],
    ) -> Result<bool, Error> {
        match (opcode.name, operands) {
            ("ld" | "ldu", [to, from]) => self.load(opcode, to, from)?,
            ("st", [to, from]) => self.store(opcode, to, from)?,
            ("mov", [to, from]) => self.mov(opcode, to, from)?,
            ("cvta", [to, from]) => self.convert_address(opcode, to, from)?,
            ("isspacep", [to, from]) => self.is_in_space(opcode, to, from)?,
            ("atom", [to, at, rest @ ..]) => self.atomic(opcode, Some(to), at, rest)?,
            ("red", [at, rest @ ..]) => self.atomic(opcode, None, at, rest)?,
            ("cp", _) if opcode.take("async") => self.copy(opcode, operands)?,
            ("membar" | "fence", []) => {
                opcode.ignore(HINTS);
                opcode.ignore(&["gl", "proxy", "alias"]);
                self.b.ins().fence();
            }
            ("prefetch" | "prefetchu", [_]) => {
                opcode.ignore(&["global", "local", "L1", "L2"]);
                ignore_hints(opcode);
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Where an access goes, as an address of the host, or of shared memory also as its offset.
    pub fn address(&mut self, space: Space, operand: &Operand<'a>) -> Result<Place, Error> {
        let Operand::Address(base, offset) = operand else {
            return Err(self.error("an address without brackets"));
        };
        let (base, is_shared) = match &**base {
            Operand::Name(name) => match self.registers.find(&self.scopes, name) {
                Some(register) => {
                    let ty = Type::Unsigned(register.ty.bits());
                    let value = self.get(&Operand::Name(name), ty)?;
                    (self.widened(value)?, space == Space::Shared)
                }
                None => (self.variable_address(name)?, self.is_shared(name)),
            },
            constant => (
                self.get(constant, Type::Unsigned(64))?,
                space == Space::Shared,
            ),
        };
        let base = match *offset {
            0 => base,
            offset => self.b.ins().iadd_imm_s(base, offset),
        };
        if !is_shared {
            return Ok(Place {
                host: base,
                shared: None,
            });
        }
        // Offsets of shared memory have 32 bits; sums of them wrap.
        let low = self.b.ins().ireduce(I32, base);
        let low = self.b.ins().uextend(I64, low);
        let window = self.field(I64, offset_of!(Thread, shared));
        let host = self.b.ins().iadd(window, low);
        Ok(Place {
            host,
            shared: Some(low),
        })
    }

    /// The offset in shared memory that an address names.
    pub fn shared_offset(&mut self, operand: &Operand<'a>) -> Result<Value, Error> {
        let place = self.address(Space::Shared, operand)?;
        let offset = place
            .shared
            .ok_or_else(|| self.error("an address outside shared memory"))?;
        Ok(self.b.ins().ireduce(I32, offset))
    }

    /// An address in 64 bits.
    fn widened(&mut self, value: Value) -> Result<Value, Error> {
        match self.b.func.dfg.value_type(value) {
            I64 => Ok(value),
            I32 => Ok(self.b.ins().uextend(I64, value)),
            _ => Err(self.error("an address of neither 32 nor 64 bits")),
        }
    }

    /// The checks before an access and its count, if they are wanted.
    pub fn check(&mut self, space: Space, place: Place, bytes: u32, access: Access) {
        let options = self.context.options;
        let is_own = matches!(space, Space::Local | Space::Param);
        let is_checked = options.memory.is_some() || options.shared;
        if is_own || !(is_checked || options.traffic.is_some()) {
            return;
        }
        let in_shared = self.int(u32::from(place.shared.is_some()));
        let address = place.shared.unwrap_or(place.host);
        let (bytes, access) = (self.int(bytes), self.int(access as u32));
        let line = self.line_value();
        if is_checked {
            let arguments = [self.thread, address, bytes, access, in_shared, line];
            self.call_or_stop("access", &arguments);
        }
        if options.traffic.is_some() {
            self.call("request", &[self.thread, address, bytes, in_shared, line]);
        }
    }

    /// Elements of `.v2` and `.v4`.
    fn lanes<'s>(
        &self,
        opcode: &mut Opcode,
        operand: &'s Operand<'a>,
    ) -> Result<&'s [Operand<'a>], Error> {
        let count = match opcode.one_of(&["v2", "v4", "v8"]) {
            Some("v2") => 2,
            Some("v4") => 4,
            Some(_) => 8,
            None => return Ok(std::slice::from_ref(operand)),
        };
        match operand {
            Operand::Vector(lanes) if lanes.len() == count => Ok(lanes),
            _ => Err(opcode.error(format!("wants {count} registers"))),
        }
    }

    /// What a load and a store have in common: registers on one side, a checked place on the other.
    fn transfer<'s>(
        &mut self,
        opcode: &mut Opcode<'a>,
        registers: &'s Operand<'a>,
        address: &Operand<'a>,
        access: Access,
    ) -> Result<Transfer<'s, 'a>, Error> {
        let space = Space::take(opcode);
        let is_ordered = opcode.take("volatile");
        ignore_hints(opcode);
        let lanes = self.lanes(opcode, registers)?;
        let ty = opcode.ty()?;
        let place = self.address(space, address)?;
        self.check(space, place, ty.bytes() * lanes.len() as u32, access);
        Ok(Transfer {
            lanes,
            ty,
            place,
            is_ordered,
        })
    }

    fn load(
        &mut self,
        opcode: &mut Opcode<'a>,
        to: &Operand<'a>,
        from: &Operand<'a>,
    ) -> Result<(), Error> {
        let transfer = self.transfer(opcode, to, from, Access::Read)?;
        let Transfer {
            lanes,
            ty,
            place,
            is_ordered,
        } = transfer;
        let flags = MemFlagsData::new().with_notrap();
        for (i, lane) in lanes.iter().enumerate() {
            let native = self.load_type(lane, ty);
            let offset = (ty.bytes() * i as u32) as i32;
            let value = match is_ordered && native.is_int() && ty.bits() <= 64 {
                true => {
                    let at = self.b.ins().iadd_imm_s(place.host, i64::from(offset));
                    self.b
                        .ins()
                        .atomic_load(native, MemFlagsData::trusted(), at)
                }
                false => self.b.ins().load(native, flags, place.host, offset),
            };
            self.put_raw(lane, value, ty)?;
        }
        Ok(())
    }

    /// Loads go straight into the kind of register that the result lives in.
    fn load_type(&self, to: &Operand<'a>, ty: Type) -> cranelift_codegen::ir::Type {
        let register = match to {
            Operand::Name(name) => self.registers.find(&self.scopes, name),
            _ => None,
        };
        match register {
            Some(register) if register.ty.is_float() && register.ty.bits() == ty.bits() => {
                register.ty
            }
            _ => integer(ty.bits()),
        }
    }

    fn store(
        &mut self,
        opcode: &mut Opcode<'a>,
        to: &Operand<'a>,
        from: &Operand<'a>,
    ) -> Result<(), Error> {
        let transfer = self.transfer(opcode, from, to, Access::Write)?;
        let Transfer {
            lanes,
            ty,
            place,
            is_ordered,
        } = transfer;
        let flags = MemFlagsData::new().with_notrap();
        for (i, lane) in lanes.iter().enumerate() {
            let value = self.get_to_store(lane, ty)?;
            let offset = (ty.bytes() * i as u32) as i32;
            self.b.ins().store(flags, value, place.host, offset);
        }
        if is_ordered {
            self.b.ins().fence();
        }
        Ok(())
    }

    fn mov(
        &mut self,
        opcode: &mut Opcode<'a>,
        to: &Operand<'a>,
        from: &Operand<'a>,
    ) -> Result<(), Error> {
        let ty = opcode.ty()?;
        match (to, from) {
            (Operand::Vector(parts), _) => self.unpack(parts, from, ty),
            (_, Operand::Vector(parts)) => self.pack(to, parts, ty),
            (_, Operand::Sum(name, offset)) => {
                let address = self.variable_address(name)?;
                let address = self.b.ins().iadd_imm_s(address, *offset);
                self.put_address(to, address, ty)
            }
            (_, Operand::Name(name)) if self.is_variable(name) => {
                let address = self.variable_address(name)?;
                self.put_address(to, address, ty)
            }
            _ => {
                let value = self.get_as_it_lives(to, from, ty)?;
                self.put_raw(to, value, ty)
            }
        }
    }

    fn is_variable(&self, name: &str) -> bool {
        self.registers.find(&self.scopes, name).is_none()
            && !name.starts_with('%')
            && name != "WARP_SZ"
    }

    /// The address of shared memory fits 32 bits.
    fn put_address(&mut self, to: &Operand<'a>, address: Value, ty: Type) -> Result<(), Error> {
        let address = match ty.bits() {
            64 => address,
            32 => self.b.ins().ireduce(I32, address),
            _ => return Err(self.error("an address of neither 32 nor 64 bits")),
        };
        self.put_raw(to, address, ty)
    }

    /// A value to move: without a detour through the other kind of register where both sides are of one kind.
    pub fn get_as_it_lives(
        &mut self,
        to: &Operand<'a>,
        from: &Operand<'a>,
        ty: Type,
    ) -> Result<Value, Error> {
        let as_float = self.load_type(to, ty);
        if ty != Type::Pred && as_float.is_float() {
            let float = if ty.bits() == 32 {
                Type::F32
            } else {
                Type::F64
            };
            return self.get(from, float);
        }
        if native(ty).is_float() {
            return self.get(from, Type::Bits(ty.bits()));
        }
        self.get(from, ty)
    }

    fn pack(&mut self, to: &Operand<'a>, parts: &[Operand<'a>], ty: Type) -> Result<(), Error> {
        let (whole, bits) = (integer(ty.bits()), ty.bits() / parts.len().max(1) as u32);
        let mut value = None;
        for (i, part) in parts.iter().enumerate() {
            let part = self.get_bits(part, bits)?;
            let part = self.b.ins().uextend(whole, part);
            let part = self.b.ins().ishl_imm_u(part, i64::from(bits) * i as i64);
            value = Some(match value {
                None => part,
                Some(value) => self.b.ins().bor(value, part),
            });
        }
        let value = value.ok_or_else(|| self.error("nothing to pack"))?;
        self.put_raw(to, value, ty)
    }

    fn unpack(&mut self, parts: &[Operand<'a>], from: &Operand<'a>, ty: Type) -> Result<(), Error> {
        let bits = ty.bits() / parts.len().max(1) as u32;
        let whole = self.get_bits(from, ty.bits())?;
        for (i, part) in parts.iter().enumerate() {
            let value = self.b.ins().ushr_imm_u(whole, i64::from(bits) * i as i64);
            let value = self.b.ins().ireduce(integer(bits), value);
            self.put_raw(part, value, Type::Bits(bits))?;
        }
        Ok(())
    }

    /// Generic addresses are those of the host; those of shared memory are offsets.
    fn convert_address(
        &mut self,
        opcode: &mut Opcode<'a>,
        to: &Operand<'a>,
        from: &Operand<'a>,
    ) -> Result<(), Error> {
        let from_generic = opcode.take("to");
        let space = Space::take(opcode);
        let ty = opcode.ty()?;
        let (value, is_shared) = match from {
            Operand::Name(name) if self.is_variable(name) => {
                (self.variable_address(name)?, self.is_shared(name))
            }
            Operand::Sum(name, offset) => {
                let address = self.variable_address(name)?;
                (
                    self.b.ins().iadd_imm_s(address, *offset),
                    self.is_shared(name),
                )
            }
            _ => {
                let value = self.get(from, Type::Unsigned(ty.bits()))?;
                (self.widened(value)?, space == Space::Shared)
            }
        };
        let value = match is_shared {
            false => value,
            true => {
                let window = self.field(I64, offset_of!(Thread, shared));
                match from_generic {
                    true => self.b.ins().isub(value, window),
                    false => self.b.ins().iadd(value, window),
                }
            }
        };
        self.put_address(to, value, ty)
    }

    fn is_in_space(
        &mut self,
        opcode: &mut Opcode<'a>,
        to: &Operand<'a>,
        from: &Operand<'a>,
    ) -> Result<(), Error> {
        let space = Space::take(opcode);
        let address = self.get(from, Type::Unsigned(64))?;
        let window = self.field(I64, offset_of!(Thread, shared));
        let size = self.field(I32, offset_of!(Thread, total_shared));
        let size = self.b.ins().uextend(I64, size);
        let offset = self.b.ins().isub(address, window);
        let in_shared = self.b.ins().icmp(IntCC::UnsignedLessThan, offset, size);
        let result = match space {
            Space::Shared => in_shared,
            Space::Global => self.b.ins().bxor_imm_u(in_shared, 1),
            _ => return Err(opcode.error("asks for a space that is not known here")),
        };
        self.put(to, result, Type::Pred)
    }
}

/// A load or store: its registers, their type, where it goes, and whether it is volatile.
struct Transfer<'s, 'a> {
    lanes: &'s [Operand<'a>],
    ty: Type,
    place: Place,
    is_ordered: bool,
}

/// Where an access goes.
#[derive(Clone, Copy)]
pub struct Place {
    pub host: Value,
    /// The offset, if it is in shared memory.
    pub shared: Option<Value>,
}
