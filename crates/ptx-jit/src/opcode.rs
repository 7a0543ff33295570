//! Types and modifiers of instructions.

use ptx_reader::{Error, Instruction};

/// A type of an instruction's operands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    Pred,
    /// Bits of no particular meaning.
    Bits(u32),
    Unsigned(u32),
    Signed(u32),
    F16,
    F16x2,
    Bf16,
    Bf16x2,
    Tf32,
    F32,
    F64,
}

impl Type {
    pub fn read(word: &str) -> Option<Self> {
        let number = |digits: &str| match digits {
            "8" => Some(8),
            "16" => Some(16),
            "32" => Some(32),
            "64" => Some(64),
            _ => None,
        };
        Some(match word {
            "pred" => Type::Pred,
            "f16" => Type::F16,
            "f16x2" => Type::F16x2,
            "bf16" => Type::Bf16,
            "bf16x2" => Type::Bf16x2,
            "tf32" => Type::Tf32,
            "f32" => Type::F32,
            "f64" => Type::F64,
            "b128" => Type::Bits(128),
            _ => match word.split_at_checked(1)? {
                ("b", bits) => Type::Bits(number(bits)?),
                ("u", bits) => Type::Unsigned(number(bits)?),
                ("s", bits) => Type::Signed(number(bits)?),
                _ => return None,
            },
        })
    }

    pub fn bits(self) -> u32 {
        match self {
            Type::Pred => 8,
            Type::Bits(bits) | Type::Unsigned(bits) | Type::Signed(bits) => bits,
            Type::F16 | Type::Bf16 => 16,
            Type::F16x2 | Type::Bf16x2 | Type::Tf32 | Type::F32 => 32,
            Type::F64 => 64,
        }
    }

    pub fn bytes(self) -> u32 {
        self.bits() / 8
    }

    pub fn is_signed(self) -> bool {
        matches!(self, Type::Signed(_))
    }

    /// Whether its values live in floating-point registers.
    pub fn is_float(self) -> bool {
        matches!(self, Type::F32 | Type::F64)
    }

    /// Whether its values are 16-bit floating-point numbers, one or two.
    pub fn is_half(self) -> bool {
        matches!(self, Type::F16 | Type::F16x2 | Type::Bf16 | Type::Bf16x2)
    }
}

/// An instruction's name and modifiers, taken one by one: what is left over is not known here.
pub struct Opcode<'a> {
    whole: String,
    line: usize,
    pub name: &'a str,
    modifiers: Vec<&'a str>,
}

impl<'a> Opcode<'a> {
    pub fn new(instruction: &Instruction<'a>) -> Self {
        Opcode {
            whole: instruction.opcode.join("."),
            line: instruction.line,
            name: instruction.opcode[0],
            modifiers: instruction.opcode[1..].to_vec(),
        }
    }

    /// Takes a modifier if it is there.
    pub fn take(&mut self, modifier: &str) -> bool {
        let found = self.modifiers.iter().position(|one| *one == modifier);
        found.map(|at| self.modifiers.remove(at)).is_some()
    }

    /// Takes the first of these that is there.
    pub fn one_of(&mut self, modifiers: &[&'static str]) -> Option<&'static str> {
        modifiers.iter().copied().find(|one| self.take(one))
    }

    /// Takes the first of these that is there; its place among them.
    pub fn place_in(&mut self, modifiers: &[&'static str]) -> Option<u32> {
        let found = modifiers.iter().position(|one| self.take(one));
        found.map(|at| at as u32)
    }

    /// Takes whatever of these is there: what makes no difference here.
    pub fn ignore(&mut self, modifiers: &[&str]) {
        self.modifiers.retain(|one| !modifiers.contains(one));
    }

    /// Takes the modifiers that begin so, and gives what follows in the last.
    pub fn after(&mut self, prefix: &str) -> Option<&'a str> {
        let found = self
            .modifiers
            .iter()
            .rposition(|one| one.starts_with(prefix))?;
        Some(&self.modifiers.remove(found)[prefix.len()..])
    }

    /// Takes the next type.
    pub fn ty(&mut self) -> Result<Type, Error> {
        self.ty_if_any()
            .ok_or_else(|| self.error("lacks a type that is known here"))
    }

    pub fn ty_if_any(&mut self) -> Option<Type> {
        let found = self
            .modifiers
            .iter()
            .enumerate()
            .find_map(|(at, one)| Some((at, Type::read(one)?)));
        found.map(|(at, ty)| {
            self.modifiers.remove(at);
            ty
        })
    }

    /// The type, if it is one of floating point: taken only then.
    pub fn float_type(&mut self) -> Option<Type> {
        let found = self.modifiers.iter().find_map(|one| Type::read(one));
        found.filter(|ty| ty.is_float() || ty.is_half())?;
        self.ty_if_any()
    }

    /// Every modifier must have been taken.
    pub fn finish(&self) -> Result<(), Error> {
        match self.modifiers.first() {
            None => Ok(()),
            Some(one) => Err(self.error(format!("with .{one} is not known here"))),
        }
    }

    pub fn error(&self, cause: impl AsRef<str>) -> Error {
        Error {
            line: self.line,
            cause: format!("{} {}", self.whole, cause.as_ref()),
        }
    }
}
