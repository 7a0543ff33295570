#![doc = include_str!("../README.md")]

mod body;
mod module;
mod reader;
mod tokens;

use std::fmt;
use std::ops::Range;

pub use body::{Guard, Instruction, Operand, Registers, Statement};

/// Why a text is no PTX, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// The line, counted from 1.
    pub line: usize,
    /// What is wrong there.
    pub cause: String,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PTX, line {}: {}", self.line, self.cause)
    }
}

impl std::error::Error for Error {}

/// A PTX text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Module {
    /// `(7, 8)` of `.version 7.8`.
    pub version: (u32, u32),
    /// `sm_80` of `.target sm_80, debug`.
    pub target: String,
    /// Bits of an address: of `.address_size`, or 32.
    pub address_size: u32,
    /// Variables at module scope.
    pub variables: Vec<Variable>,
    /// Kernels and functions, in their order; declarations without a body too.
    pub functions: Vec<Function>,
}

impl Module {
    /// All kernels.
    pub fn entries(&self) -> impl Iterator<Item = &Function> {
        self.functions.iter().filter(|function| function.is_entry)
    }

    /// A kernel.
    pub fn entry(&self, name: &str) -> Option<&Function> {
        self.entries().find(|entry| entry.name == name)
    }

    /// `80` of the target `sm_80`, `90` of `sm_90a`.
    pub fn compute_capability(&self) -> Option<u32> {
        let digits = self.target.strip_prefix("sm_")?;
        let end = digits.find(|c: char| !c.is_ascii_digit());
        digits[..end.unwrap_or(digits.len())].parse().ok()
    }
}

/// A kernel or a function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Function {
    /// Its name.
    pub name: String,
    /// Whether it is a kernel, `.entry`, and no `.func`.
    pub is_entry: bool,
    /// What a function gives back.
    pub returns: Vec<Variable>,
    /// What it is called with.
    pub parameters: Vec<Variable>,
    /// `.maxntid 256, 1, 1` and the like, between its parameters and its body.
    pub directives: Vec<Directive>,
    /// The bytes of its body in the text, braces included; `None` of a mere declaration.
    pub body: Option<Range<usize>>,
    /// The line it begins on, counted from 1.
    pub line: usize,
}

impl Function {
    /// The numbers of a directive, if it is there.
    pub fn directive(&self, name: &str) -> Option<&[u32]> {
        let found = self.directives.iter().find(|one| one.name == name)?;
        Some(&found.numbers)
    }

    /// The most threads of a block, if it is limited: by `.maxntid` or exactly by `.reqntid`.
    pub fn max_threads(&self) -> Option<u32> {
        let numbers = self.directive("reqntid").or(self.directive("maxntid"))?;
        Some(
            numbers
                .iter()
                .fold(1, |product, &n| product.saturating_mul(n)),
        )
    }
}

/// What a performance-tuning directive says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Directive {
    /// Its name without the dot.
    pub name: String,
    /// Its numbers.
    pub numbers: Vec<u32>,
}

/// A variable or a parameter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Variable {
    /// Its name.
    pub name: String,
    /// `global`, `const`, `shared` or `param`.
    pub space: String,
    /// The type of its elements without the dot, such as `f32`.
    pub element: String,
    /// How many bytes it takes; 0 for an array of unknown length.
    pub bytes: usize,
    /// Its alignment in bytes: as it is given, or that of its elements.
    pub alignment: usize,
    /// What its first elements begin as; the others are zero.
    pub initial: Vec<Constant>,
}

/// A number, or an address known when the text is loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Constant {
    /// An integer, the negative ones in two's complement.
    Integer(u64),
    /// The bits of a single-precision number.
    F32(u32),
    /// The bits of a double-precision number.
    F64(u64),
    /// A variable's address and what is added to it.
    Address {
        /// The variable.
        name: String,
        /// Bytes.
        offset: i64,
    },
}
