//! What stands at module scope.

use crate::tokens::{Kind, Token, Tokens};
use crate::{Directive, Error, Function, Module, Variable};

impl Module {
    /// Reads a text.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let mut reader = Reader {
            tokens: Tokens::new(text),
            peeked: None,
        };
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

struct Reader<'a> {
    tokens: Tokens<'a>,
    peeked: Option<Token<'a>>,
}

impl<'a> Reader<'a> {
    fn next(&mut self) -> Result<Option<Token<'a>>, Error> {
        match self.peeked.take() {
            Some(token) => Ok(Some(token)),
            None => self.tokens.next(),
        }
    }

    fn some(&mut self, wanted: &str) -> Result<Token<'a>, Error> {
        let token = self.next()?;
        token.ok_or_else(|| self.error(format!("the text ends where {wanted} is expected")))
    }

    fn error(&self, cause: impl Into<String>) -> Error {
        self.tokens.error(cause)
    }

    fn unexpected(&self, token: &Token, wanted: &str) -> Error {
        Error {
            line: token.line,
            cause: format!("`{}` where {wanted} is expected", token.word),
        }
    }

    /// Takes a sign if it comes next.
    fn take(&mut self, sign: char) -> Result<bool, Error> {
        let token = self.next()?;
        let found = token.is_some_and(|token| token.is_sign(sign));
        if !found {
            self.peeked = token;
        }
        Ok(found)
    }

    fn expect(&mut self, sign: char) -> Result<Token<'a>, Error> {
        let token = self.some(&format!("`{sign}`"))?;
        match token.is_sign(sign) {
            true => Ok(token),
            false => Err(self.unexpected(&token, &format!("`{sign}`"))),
        }
    }

    fn of_kind(&mut self, kind: Kind, wanted: &str) -> Result<&'a str, Error> {
        let token = self.some(wanted)?;
        match token.kind == kind {
            true => Ok(token.word),
            false => Err(self.unexpected(&token, wanted)),
        }
    }

    fn number(&mut self) -> Result<u32, Error> {
        let word = self.of_kind(Kind::Number, "a number")?;
        let number = match word.strip_prefix("0x") {
            Some(digits) => u32::from_str_radix(digits, 16),
            None => word.parse(),
        };
        number.map_err(|_| self.error(format!("`{word}` is not a number that can stand here")))
    }

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

    /// Goes behind a sign.
    fn skip_to(&mut self, sign: char) -> Result<(), Error> {
        while !self.some(&format!("`{sign}`"))?.is_sign(sign) {}
        Ok(())
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
        if !is_entry && self.take('(')? {
            self.parameters()?; // what it returns
        }
        let name = self.of_kind(Kind::Name, "a name")?.to_owned();
        let parameters = match self.take('(')? {
            true => self.parameters()?,
            false => Vec::new(),
        };
        let mut function = Function {
            name,
            is_entry,
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
        let next = self.next()?;
        self.peeked = next;
        if next.is_some_and(|token| token.kind == Kind::Number) {
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
    fn variable(&mut self, space: &str) -> Result<Variable, Error> {
        let variable = self.declaration(space)?;
        self.skip_to(';')?;
        Ok(variable)
    }

    /// `.align 4 .f32 name[16]`, after the state space.
    fn declaration(&mut self, space: &str) -> Result<Variable, Error> {
        let (mut alignment, mut element, mut lanes) = (None, None, 1);
        let (name, line) = loop {
            let token = self.some("a name")?;
            match (token.kind, token.word) {
                (Kind::Name, name) => break (name.to_owned(), token.line),
                (Kind::Directive, "align") => {
                    let bytes = self.number()? as usize;
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
            name,
        })
    }
}

/// Bytes of a fundamental type.
fn size(word: &str) -> Option<usize> {
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
