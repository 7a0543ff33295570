//! What stands at module scope.

use crate::reader::Reader;
use crate::tokens::{Kind, Token};
use crate::{Constant, Directive, Error, Function, Module, Variable};

impl Module {
    /// Reads a text.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let mut reader = Reader::new(text);
        let mut module = Module {
            address_size: 32,
            ..Module::default()
        };
        let mut has_version = false;
        while let Some(token) = reader.next()? {
            let word = match token.kind {
                Kind::Directive => token.word,
                // `@@DWARF` lines, and a semicolon too many.
                _ if token.is_sign('@') => {
                    reader.tokens.skip_line();
                    continue;
                }
                _ if token.is_sign(';') => continue,
                _ => return Err(reader.unexpected(&token, "a directive")),
            };
            if !has_version && word != "version" {
                return Err(reader.error("the text does not begin with .version"));
            }
            match word {
                "version" => {
                    module.version = reader.version()?;
                    has_version = true;
                }
                "target" => module.target = reader.target()?,
                "address_size" => module.address_size = reader.number()?,
                "visible" | "extern" | "weak" | "common" => {}
                "entry" | "func" => module.functions.push(reader.function(&token)?),
                "global" | "const" | "shared" => module.variables.push(reader.variable(word)?),
                "file" | "loc" => reader.tokens.skip_line(),
                "section" => reader.section()?,
                "pragma" | "alias" => reader.skip_to(';')?,
                _ => return Err(reader.error(format!(".{word} is not known here"))),
            }
        }
        match has_version {
            true => Ok(module),
            false => Err(reader.error("the text does not begin with .version")),
        }
    }
}

impl<'a> Reader<'a> {
    fn version(&mut self) -> Result<(u32, u32), Error> {
        let word = self.of_kind(Kind::Number, "a version")?;
        let numbers = word
            .split_once('.')
            .and_then(|(major, minor)| Some((major.parse().ok()?, minor.parse().ok()?)));
        numbers.ok_or_else(|| self.error(format!("`{word}` is not a version")))
    }

    /// The first of a list.
    fn target(&mut self) -> Result<String, Error> {
        let target = self.of_kind(Kind::Name, "a target")?.to_owned();
        while self.take(',')? {
            self.of_kind(Kind::Name, "a target's option")?;
        }
        Ok(target)
    }

    /// Goes behind the brace that closes the one before; gives where it ends.
    fn skip_braces(&mut self) -> Result<usize, Error> {
        let mut depth = 1usize;
        loop {
            let token = self.some("`}`")?;
            depth += usize::from(token.is_sign('{'));
            depth -= usize::from(token.is_sign('}'));
            if depth == 0 {
                return Ok(token.at + 1);
            }
        }
    }

    fn section(&mut self) -> Result<(), Error> {
        self.skip_to('{')?;
        self.skip_braces()?;
        Ok(())
    }

    /// What comes after `.entry` or `.func`.
    fn function(&mut self, first: &Token<'a>) -> Result<Function, Error> {
        let is_entry = first.word == "entry";
        let returns = match !is_entry && self.take('(')? {
            true => self.parameters()?,
            false => Vec::new(),
        };
        let name = self.of_kind(Kind::Name, "a name")?.to_owned();
        let parameters = match self.take('(')? {
            true => self.parameters()?,
            false => Vec::new(),
        };
        let mut function = Function {
            name,
            is_entry,
            returns,
            parameters,
            directives: Vec::new(),
            body: None,
            line: first.line,
        };
        loop {
            let token = self.some("a body")?;
            if token.is_sign('{') {
                function.body = Some(token.at..self.skip_braces()?);
                return Ok(function);
            } else if token.is_sign(';') {
                return Ok(function);
            } else if token.is_directive("pragma") {
                self.skip_to(';')?;
            } else if token.kind == Kind::Directive {
                function.directives.push(self.directive(token.word)?);
            } else {
                return Err(self.unexpected(&token, "a directive or a body"));
            }
        }
    }

    fn directive(&mut self, name: &str) -> Result<Directive, Error> {
        let mut numbers = Vec::new();
        if self.peek()?.is_some_and(|token| token.kind == Kind::Number) {
            numbers.push(self.number()?);
            while self.take(',')? {
                numbers.push(self.number()?);
            }
        }
        Ok(Directive {
            name: name.to_owned(),
            numbers,
        })
    }

    /// Up to the parenthesis that closes them.
    fn parameters(&mut self) -> Result<Vec<Variable>, Error> {
        let mut parameters = Vec::new();
        if self.take(')')? {
            return Ok(parameters);
        }
        loop {
            let space = self.of_kind(Kind::Directive, "`.param`")?;
            parameters.push(self.declaration(space)?);
            if !self.take(',')? {
                self.expect(')')?;
                return Ok(parameters);
            }
        }
    }

    /// A variable with what it begins as.
    pub fn variable(&mut self, space: &str) -> Result<Variable, Error> {
        let mut variable = self.declaration(space)?;
        if self.take('=')? {
            variable.initial = self.initial()?;
        }
        self.expect(';')?;
        Ok(variable)
    }

    /// The constants up to the semicolon, whatever the braces around them.
    fn initial(&mut self) -> Result<Vec<Constant>, Error> {
        let mut constants = Vec::new();
        loop {
            let token = self.some("a constant")?;
            match token.kind {
                _ if token.is_sign(';') => {
                    self.put_back(token);
                    return Ok(constants);
                }
                _ if token.is_sign('{') || token.is_sign('}') || token.is_sign(',') => {}
                Kind::Name if token.word == "generic" => {
                    self.expect('(')?;
                    let name = self.of_kind(Kind::Name, "a name")?.to_owned();
                    self.expect(')')?;
                    constants.push(self.symbol(name)?);
                }
                Kind::Name => constants.push(self.symbol(token.word.to_owned())?),
                _ => constants.push(self.constant(token)?),
            }
        }
    }

    /// The address of a variable and what is added to it.
    fn symbol(&mut self, name: String) -> Result<Constant, Error> {
        let offset = self.offset()?;
        Ok(Constant::Address { name, offset })
    }

    /// `.align 4 .f32 name[16]`, after the state space.
    pub fn declaration(&mut self, space: &str) -> Result<Variable, Error> {
        let (mut alignment, mut element, mut lanes) = (None, None, 1);
        let (name, line) = loop {
            let token = self.some("a name")?;
            match (token.kind, token.word) {
                (Kind::Name, name) => break (name.to_owned(), token.line),
                (Kind::Directive, "align") => {
                    let bytes = self.number()? as usize;
                    if !bytes.is_power_of_two() {
                        return Err(self.error(format!("an alignment of {bytes}")));
                    }
                    // Of a pointer it is what it points to.
                    alignment = alignment.or(element.is_none().then_some(bytes));
                }
                (Kind::Directive, "v2") => lanes = 2,
                (Kind::Directive, "v4") => lanes = 4,
                (Kind::Directive, word) if size(word).is_some() => element = Some(word),
                (Kind::Directive, "ptr" | "global" | "const" | "shared" | "local" | "managed") => {}
                (Kind::Directive, "attribute") => self.skip_to(')')?,
                _ => return Err(self.unexpected(&token, "a name")),
            }
        };
        let element = element.ok_or_else(|| Error {
            line,
            cause: format!("{name} has no type"),
        })?;
        let own = size(element).unwrap_or(1) * lanes;
        let mut bytes = Some(own);
        while self.take('[')? {
            let count = match self.take(']')? {
                true => 0,
                false => {
                    let count = self.number()? as usize;
                    self.expect(']')?;
                    count
                }
            };
            bytes = bytes.and_then(|bytes| bytes.checked_mul(count));
        }
        Ok(Variable {
            space: space.to_owned(),
            element: element.to_owned(),
            bytes: bytes.ok_or_else(|| self.error(format!("{name} is too large")))?,
            alignment: alignment.unwrap_or(own),
            initial: Vec::new(),
            name,
        })
    }
}

/// Bytes of a fundamental type.
pub fn size(word: &str) -> Option<usize> {
    match word {
        "b8" | "u8" | "s8" | "e4m3" | "e5m2" => Some(1),
        "b16" | "u16" | "s16" | "f16" | "bf16" => Some(2),
        "b32" | "u32" | "s32" | "f32" | "f16x2" | "bf16x2" | "tf32" => Some(4),
        "b64" | "u64" | "s64" | "f64" => Some(8),
        "b128" => Some(16),
        // Opaque handles.
        "texref" | "samplerref" | "surfref" => Some(8),
        _ => None,
    }
}
