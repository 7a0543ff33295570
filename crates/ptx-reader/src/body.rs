//! What stands between a function's braces.

use crate::reader::Reader;
use crate::tokens::{Kind, Token};
use crate::{Constant, Error, Function, Variable};

/// A part of a function's body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Statement<'a> {
    /// `name:`.
    Label(&'a str),
    /// `{`: what is declared from here on is known up to the brace that closes it.
    Open,
    /// `}`.
    Close,
    /// `.reg .b32 %r<10>;`.
    Registers(Registers<'a>),
    /// `.local .align 8 .b8 depot[64];`, `.shared` and `.param` likewise.
    Variable(Variable),
    /// `name: .branchtargets a, b;`.
    Targets(&'a str, Vec<&'a str>),
    /// What is done.
    Instruction(Instruction<'a>),
}

/// Registers of one declaration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registers<'a> {
    /// Their type without the dot.
    pub element: &'a str,
    /// Their names; `%r` and 10 are `%r0` to `%r9`.
    pub names: Vec<(&'a str, Option<u32>)>,
}

/// An instruction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instruction<'a> {
    /// The line it stands on, counted from 1.
    pub line: usize,
    /// The predicate without which nothing is done.
    pub guard: Option<Guard<'a>>,
    /// `ld`, `global`, `v4`, `f32` of `ld.global.v4.f32`.
    pub opcode: Vec<&'a str>,
    /// What it works on, in its order.
    pub operands: Vec<Operand<'a>>,
}

/// `@%p1`, or `@!%p1`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Guard<'a> {
    /// A register of type `pred`.
    pub predicate: &'a str,
    /// Whether it counts the other way round.
    pub negated: bool,
}

/// What an instruction works on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operand<'a> {
    /// A register (`%tid.x` too), a variable, a label or a function.
    Name(&'a str),
    /// `!%p1`.
    Not(&'a str),
    /// A number.
    Constant(Constant),
    /// `variable+4` outside brackets.
    Sum(&'a str, i64),
    /// `[%rd1+4]`; the base may be a constant.
    Address(Box<Operand<'a>>, i64),
    /// `{a, b}`.
    Vector(Vec<Operand<'a>>),
    /// `%p1|%p2`.
    Pair(Box<Operand<'a>>, Box<Operand<'a>>),
    /// `(a, b)` of a call.
    List(Vec<Operand<'a>>),
}

impl Function {
    /// Reads the body; `text` is what the module was parsed from. Nothing of a mere declaration.
    pub fn statements<'a>(&self, text: &'a str) -> Result<Vec<Statement<'a>>, Error> {
        let Some(body) = &self.body else {
            return Ok(Vec::new());
        };
        let mut reader = Reader::at(text, body.start);
        reader.expect('{')?;
        let (mut statements, mut depth) = (Vec::new(), 1);
        loop {
            let token = reader.some("`}`")?;
            if token.is_sign('{') {
                depth += 1;
                statements.push(Statement::Open);
            } else if token.is_sign('}') {
                depth -= 1;
                if depth == 0 {
                    return Ok(statements);
                }
                statements.push(Statement::Close);
            } else {
                reader.statement(token, &mut statements)?;
            }
        }
    }
}

impl<'a> Reader<'a> {
    fn statement(
        &mut self,
        token: Token<'a>,
        statements: &mut Vec<Statement<'a>>,
    ) -> Result<(), Error> {
        match (token.kind, token.word) {
            (Kind::Directive, "reg") => {
                statements.push(Statement::Registers(self.registers()?));
            }
            (Kind::Directive, space @ ("local" | "shared" | "param" | "global" | "const")) => {
                statements.push(Statement::Variable(self.variable(space)?));
            }
            (Kind::Directive, "loc" | "file") => self.tokens.skip_line(),
            (Kind::Directive, "pragma") => self.skip_to(';')?,
            (Kind::Name, name) => match self.take(':')? {
                true => statements.push(self.label(name)?),
                false => statements.push(Statement::Instruction(self.instruction(None, token)?)),
            },
            _ if token.is_sign('@') => {
                let negated = self.take('!')?;
                let predicate = self.of_kind(Kind::Name, "a predicate")?;
                let guard = Guard { predicate, negated };
                let mnemonic = self.some("an instruction")?;
                let instruction = self.instruction(Some(guard), mnemonic)?;
                statements.push(Statement::Instruction(instruction));
            }
            _ if token.is_sign(';') => {}
            _ => return Err(self.unexpected(&token, "a statement")),
        }
        Ok(())
    }

    /// What follows `name:`.
    fn label(&mut self, name: &'a str) -> Result<Statement<'a>, Error> {
        match self.peek()? {
            Some(token) if token.is_directive("branchtargets") => self.next()?,
            // What a call by address gives and takes: the call says it itself.
            Some(token)
                if token.is_directive("callprototype") || token.is_directive("calltargets") =>
            {
                self.skip_to(';')?;
                return Ok(Statement::Label(name));
            }
            _ => return Ok(Statement::Label(name)),
        };
        let mut targets = vec![self.of_kind(Kind::Name, "a label")?];
        while self.take(',')? {
            targets.push(self.of_kind(Kind::Name, "a label")?);
        }
        self.expect(';')?;
        Ok(Statement::Targets(name, targets))
    }

    /// What follows `.reg`.
    fn registers(&mut self) -> Result<Registers<'a>, Error> {
        let element = self.of_kind(Kind::Directive, "a type")?;
        let mut names = Vec::new();
        loop {
            let name = self.of_kind(Kind::Name, "a register")?;
            let count = match self.take('<')? {
                true => {
                    let count = self.number()?;
                    self.expect('>')?;
                    Some(count)
                }
                false => None,
            };
            names.push((name, count));
            if !self.take(',')? {
                self.expect(';')?;
                return Ok(Registers { element, names });
            }
        }
    }

    fn instruction(
        &mut self,
        guard: Option<Guard<'a>>,
        mnemonic: Token<'a>,
    ) -> Result<Instruction<'a>, Error> {
        if mnemonic.kind != Kind::Name {
            return Err(self.unexpected(&mnemonic, "an instruction"));
        }
        let mut opcode = vec![mnemonic.word];
        while let Some(token) = self.peek()?
            && token.kind == Kind::Directive
        {
            self.next()?;
            opcode.push(self.modifier(token)?);
        }
        let mut operands = Vec::new();
        while !self.take(';')? {
            if !operands.is_empty() {
                self.expect(',')?;
            }
            operands.push(self.operand()?);
        }
        Ok(Instruction {
            line: mnemonic.line,
            guard,
            opcode,
            operands,
        })
    }

    /// `L2::128B` is one.
    fn modifier(&mut self, first: Token<'a>) -> Result<&'a str, Error> {
        let mut end = first.at + 1 + first.word.len();
        while self.take(':')? {
            self.expect(':')?;
            let word = self.some("a name")?;
            if word.kind != Kind::Name && word.kind != Kind::Number {
                return Err(self.unexpected(&word, "a name"));
            }
            end = word.at + word.word.len();
        }
        Ok(self.tokens.between(first.at + 1, end))
    }

    fn operand(&mut self) -> Result<Operand<'a>, Error> {
        let token = self.some("an operand")?;
        if token.is_sign('{') {
            return Ok(Operand::Vector(self.operands('}')?));
        }
        if token.is_sign('(') {
            return Ok(Operand::List(self.operands(')')?));
        }
        if token.is_sign('[') {
            return self.address();
        }
        if token.is_sign('!') {
            return Ok(Operand::Not(self.of_kind(Kind::Name, "a predicate")?));
        }
        if token.kind != Kind::Name {
            return Ok(Operand::Constant(self.constant(token)?));
        }
        let name = self.name(token)?;
        if self.take('|')? {
            let second = self.some("a register")?;
            let second = Operand::Name(self.name(second)?);
            return Ok(Operand::Pair(
                Box::new(Operand::Name(name)),
                Box::new(second),
            ));
        }
        Ok(match self.offset()? {
            0 => Operand::Name(name),
            offset => Operand::Sum(name, offset),
        })
    }

    /// Operands up to a sign.
    fn operands(&mut self, end: char) -> Result<Vec<Operand<'a>>, Error> {
        let mut operands = Vec::new();
        while !self.take(end)? {
            if !operands.is_empty() {
                self.expect(',')?;
            }
            let next = self.peek()?;
            if next.is_some_and(|token| token.is_sign('{') || token.is_sign('(')) {
                return Err(self.error("a list within a list"));
            }
            operands.push(self.operand()?);
        }
        Ok(operands)
    }

    /// What follows `[`.
    fn address(&mut self) -> Result<Operand<'a>, Error> {
        let token = self.some("an address")?;
        let base = match token.kind {
            Kind::Name => Operand::Name(self.name(token)?),
            _ => Operand::Constant(self.constant(token)?),
        };
        let offset = self.offset()?;
        self.expect(']')?;
        Ok(Operand::Address(Box::new(base), offset))
    }

    /// A name with its component, as `%tid.x` and `%v.y` have one.
    fn name(&mut self, token: Token<'a>) -> Result<&'a str, Error> {
        if token.kind != Kind::Name {
            return Err(self.unexpected(&token, "a name"));
        }
        let mut end = token.at + token.word.len();
        if let Some(next) = self.peek()?
            && next.kind == Kind::Directive
            && next.at == end
        {
            self.next()?;
            end = next.at + 1 + next.word.len();
        }
        Ok(self.tokens.between(token.at, end))
    }
}
