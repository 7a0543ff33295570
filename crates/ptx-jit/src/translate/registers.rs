//! Registers: what is declared, and where the processor keeps it.
//!
//! PTX's registers of 32 and 64 bits may hold integers as well as floating-point numbers; the processor has registers of
//! its own for either, and moves between them cost. What a register is used for most decides.
//!
//! GPUs have one NaN that arithmetic makes, 0x7fffffff, and this processor others. Where a register holds results of
//! arithmetic alone, a NaN is made the GPU's when its bits are looked at; else when it is written.

use std::collections::HashMap;

use cranelift_codegen::ir;
use cranelift_codegen::ir::types::{F32, F64, I8, I16, I32, I64, I128};
use cranelift_frontend::{FunctionBuilder, Variable};
use ptx_reader::{Constant, Error, Instruction, Operand, Statement};

use crate::opcode::Type;

/// Which names are known where: scopes within scopes.
#[derive(Clone)]
pub struct Scopes {
    open: Vec<u32>,
    opened: u32,
}

impl Default for Scopes {
    fn default() -> Self {
        Scopes {
            open: vec![0],
            opened: 0,
        }
    }
}

impl Scopes {
    pub fn open(&mut self) {
        self.opened += 1;
        self.open.push(self.opened);
    }

    pub fn close(&mut self) {
        self.open.pop();
    }
}

/// Things by the scope and the name under which they are declared.
pub struct Names<T>(HashMap<u32, HashMap<String, T>>);

impl<T> Default for Names<T> {
    fn default() -> Self {
        Names(HashMap::new())
    }
}

impl<T> Names<T> {
    pub fn insert(&mut self, scopes: &Scopes, name: impl AsRef<str>, thing: T) {
        let scope = scopes.open.last().copied().unwrap_or(0);
        self.0
            .entry(scope)
            .or_default()
            .insert(name.as_ref().to_owned(), thing);
    }

    pub fn find(&self, scopes: &Scopes, name: &str) -> Option<&T> {
        let mut innermost_first = scopes.open.iter().rev();
        innermost_first.find_map(|scope| self.0.get(scope)?.get(name))
    }

    fn find_mut(&mut self, scopes: &Scopes, name: &str) -> Option<&mut T> {
        let mut scope = scopes.open.iter().rev();
        let scope = scope.find(|scope| {
            let names = self.0.get(scope);
            names.is_some_and(|names| names.contains_key(name))
        })?;
        self.0.get_mut(scope)?.get_mut(name)
    }

    /// The same names for other things.
    pub fn map<U>(self, mut f: impl FnMut(T) -> U) -> Names<U> {
        let scopes = self.0.into_iter();
        Names(
            scopes
                .map(|(scope, names)| {
                    let names = names.into_iter();
                    (scope, names.map(|(name, it)| (name, f(it))).collect())
                })
                .collect(),
        )
    }
}

/// A register.
#[derive(Clone, Copy)]
pub struct Register {
    pub variable: Variable,
    pub ty: ir::Type,
    /// Whether it holds results of arithmetic alone.
    pub is_arithmetic: bool,
}

/// A register as it is declared, and what it is used for.
pub struct Use {
    ty: Type,
    float: i32,
    /// Something other than arithmetic writes it.
    is_raw: bool,
}

impl Use {
    fn kind(&self) -> ir::Type {
        match self.ty {
            Type::Pred => I8,
            Type::F32 => F32,
            Type::F64 => F64,
            _ => match (self.ty.bits(), self.float > 0) {
                (32, true) => F32,
                (64, true) => F64,
                (8, _) => I8,
                (16, _) => I16,
                (32, _) => I32,
                (64, _) => I64,
                _ => I128,
            },
        }
    }
}

impl Names<Use> {
    pub fn declare(self, builder: &mut FunctionBuilder) -> Names<Register> {
        self.map(|used| Register {
            variable: builder.declare_var(used.kind()),
            ty: used.kind(),
            is_arithmetic: !used.is_raw,
        })
    }
}

/// What a body declares.
#[derive(Default)]
pub struct Declared<'a> {
    pub registers: Names<Use>,
    pub labels: Names<()>,
    pub targets: HashMap<&'a str, Vec<&'a str>>,
    /// How many registers that is.
    count: u64,
}

/// No compiler declares more registers in a body.
const MOST: u64 = 1 << 20;

impl<'a> Declared<'a> {
    pub fn find(statements: &[Statement<'a>]) -> Result<Self, Error> {
        let mut declared = Declared::default();
        let mut scopes = Scopes::default();
        for statement in statements {
            match statement {
                Statement::Open => scopes.open(),
                Statement::Close => scopes.close(),
                Statement::Registers(registers) => declared.add(&scopes, registers)?,
                Statement::Label(name) => declared.labels.insert(&scopes, name, ()),
                Statement::Targets(name, labels) => {
                    declared.targets.insert(name, labels.clone());
                }
                _ => {}
            }
        }
        declared.see_uses(statements);
        declared.see_writes(statements);
        Ok(declared)
    }

    fn add(&mut self, scopes: &Scopes, registers: &ptx_reader::Registers<'a>) -> Result<(), Error> {
        let ty = Type::read(registers.element).ok_or_else(|| Error {
            line: 0,
            cause: format!(
                "registers of type .{} are not known here",
                registers.element
            ),
        })?;
        let more = registers.names.iter().map(|(_, count)| count.unwrap_or(1));
        self.count += more.map(u64::from).sum::<u64>();
        if self.count > MOST {
            return Err(Error {
                line: 0,
                cause: format!("{} registers are declared", self.count),
            });
        }
        for &(name, count) in &registers.names {
            let mut insert = |name: String| {
                let (float, is_raw) = (0, false);
                self.registers
                    .insert(scopes, name, Use { ty, float, is_raw });
            };
            match count {
                None => insert(name.to_owned()),
                Some(count) => (0..count).for_each(|i| insert(format!("{name}{i}"))),
            }
        }
        Ok(())
    }

    /// Counts where registers are used as floating-point numbers and where as integers.
    fn see_uses(&mut self, statements: &[Statement<'a>]) {
        each(statements, |scopes, instruction| {
            let types: Vec<_> = instruction
                .opcode
                .iter()
                .filter_map(|word| Type::read(word))
                .collect();
            let vote = |ty: Type| match ty {
                Type::F32 | Type::F64 => 1,
                Type::Bits(_) | Type::Pred => 0,
                _ => -1,
            };
            let is_moved = matches!(instruction.opcode[0], "mov" | "selp" | "copysign");
            if is_moved || types.is_empty() {
                return;
            }
            for (i, name) in names(&instruction.operands).enumerate() {
                // Of `cvt.f32.s32` and the like the result has the first type.
                let ty = if i == 0 {
                    types[0]
                } else {
                    types[types.len() - 1]
                };
                if let Some(used) = self.registers.find_mut(scopes, name)
                    && used.ty.bits() == ty.bits()
                {
                    used.float += vote(ty);
                }
            }
        });
    }

    /// Finds what is written by something other than arithmetic, also by way of moves.
    fn see_writes(&mut self, statements: &[Statement<'a>]) {
        let mut changed = true;
        while std::mem::take(&mut changed) {
            each(statements, |scopes, instruction| {
                let raw = match instruction.opcode[0] {
                    "add" | "sub" | "mul" | "fma" | "mad" | "div" | "rcp" | "sqrt" | "min"
                    | "max" | "neg" | "abs" | "cvt" | "ex2" | "lg2" | "sin" | "cos" | "tanh"
                    | "rsqrt" => false,
                    "mov" | "selp" => sources(instruction).any(|source| match source {
                        Operand::Name(name) => self
                            .registers
                            .find(scopes, name)
                            .is_none_or(|used| used.is_raw || used.ty == Type::Pred),
                        Operand::Constant(Constant::F32(bits)) => f32::from_bits(*bits).is_nan(),
                        Operand::Constant(Constant::F64(bits)) => f64::from_bits(*bits).is_nan(),
                        Operand::Constant(Constant::Integer(0)) => false,
                        _ => true,
                    }),
                    _ => true,
                };
                if !raw {
                    return;
                }
                let written = names(&instruction.operands[..instruction.operands.len().min(1)]);
                for name in written {
                    if let Some(used) = self.registers.find_mut(scopes, name)
                        && !used.is_raw
                    {
                        used.is_raw = true;
                        changed = true;
                    }
                }
            });
        }
    }
}

/// What `mov` and `selp` take their value from.
fn sources<'s, 'a>(instruction: &'s Instruction<'a>) -> impl Iterator<Item = &'s Operand<'a>> {
    let sources = if instruction.opcode[0] == "mov" { 1 } else { 2 };
    instruction.operands.iter().skip(1).take(sources)
}

/// Every instruction, with the scopes it stands in.
fn each<'a>(statements: &[Statement<'a>], mut f: impl FnMut(&Scopes, &Instruction<'a>)) {
    let mut scopes = Scopes::default();
    for statement in statements {
        match statement {
            Statement::Open => scopes.open(),
            Statement::Close => scopes.close(),
            Statement::Instruction(instruction) => f(&scopes, instruction),
            _ => {}
        }
    }
}

/// Names among operands, those of vectors too; not those of addresses.
fn names<'s, 'a>(operands: &'s [Operand<'a>]) -> impl Iterator<Item = &'a str> + use<'s, 'a> {
    operands.iter().flat_map(|operand| {
        let one = std::slice::from_ref(operand);
        match operand {
            Operand::Vector(list) | Operand::List(list) => &list[..],
            _ => one,
        }
        .iter()
        .filter_map(|operand| match operand {
            Operand::Name(name) | Operand::Not(name) => Some(*name),
            _ => None,
        })
    })
}
