//! What all of a text's parts are read with: words, signs, numbers.

use crate::tokens::{Kind, Token, Tokens};
use crate::{Constant, Error};

pub struct Reader<'a> {
    pub tokens: Tokens<'a>,
    peeked: Option<Token<'a>>,
}

impl<'a> Reader<'a> {
    pub fn new(text: &'a str) -> Self {
        Reader {
            tokens: Tokens::new(text),
            peeked: None,
        }
    }

    /// From a byte of a text on.
    pub fn at(text: &'a str, at: usize) -> Self {
        Reader {
            tokens: Tokens::at(text, at),
            peeked: None,
        }
    }

    pub fn next(&mut self) -> Result<Option<Token<'a>>, Error> {
        match self.peeked.take() {
            Some(token) => Ok(Some(token)),
            None => self.tokens.next(),
        }
    }

    pub fn some(&mut self, wanted: &str) -> Result<Token<'a>, Error> {
        let token = self.next()?;
        token.ok_or_else(|| self.error(format!("the text ends where {wanted} is expected")))
    }

    pub fn error(&self, cause: impl Into<String>) -> Error {
        self.tokens.error(cause)
    }

    pub fn unexpected(&self, token: &Token, wanted: &str) -> Error {
        Error {
            line: token.line,
            cause: format!("`{}` where {wanted} is expected", token.word),
        }
    }

    /// Takes a sign if it comes next.
    pub fn take(&mut self, sign: char) -> Result<bool, Error> {
        let token = self.next()?;
        let found = token.is_some_and(|token| token.is_sign(sign));
        if !found {
            self.peeked = token;
        }
        Ok(found)
    }

    pub fn expect(&mut self, sign: char) -> Result<Token<'a>, Error> {
        let token = self.some(&format!("`{sign}`"))?;
        match token.is_sign(sign) {
            true => Ok(token),
            false => Err(self.unexpected(&token, &format!("`{sign}`"))),
        }
    }

    pub fn of_kind(&mut self, kind: Kind, wanted: &str) -> Result<&'a str, Error> {
        let token = self.some(wanted)?;
        match token.kind == kind {
            true => Ok(token.word),
            false => Err(self.unexpected(&token, wanted)),
        }
    }

    pub fn number(&mut self) -> Result<u32, Error> {
        let word = self.of_kind(Kind::Number, "a number")?;
        let number = match word.strip_prefix("0x") {
            Some(digits) => u32::from_str_radix(digits, 16),
            None => word.parse(),
        };
        number.map_err(|_| self.error(format!("`{word}` is not a number that can stand here")))
    }

    /// Goes behind a sign.
    pub fn skip_to(&mut self, sign: char) -> Result<(), Error> {
        while !self.some(&format!("`{sign}`"))?.is_sign(sign) {}
        Ok(())
    }

    /// Lets a word be read again.
    pub fn put_back(&mut self, token: Token<'a>) {
        self.peeked = Some(token);
    }

    pub fn peek(&mut self) -> Result<Option<Token<'a>>, Error> {
        self.peeked = self.next()?;
        Ok(self.peeked)
    }

    /// `+4`, `-4` or `+-4` behind an address; 0 where there is none.
    pub fn offset(&mut self) -> Result<i64, Error> {
        let plus = self.take('+')?;
        let minus = self.take('-')?;
        if !plus && !minus {
            return Ok(0);
        }
        let token = self.some("a number")?;
        match self.constant(token)? {
            Constant::Integer(n) if minus => Ok((n as i64).wrapping_neg()),
            Constant::Integer(n) => Ok(n as i64),
            _ => Err(self.unexpected(&token, "an integer")),
        }
    }

    /// A number, whose first word was read: a sign or digits.
    pub fn constant(&mut self, token: Token<'a>) -> Result<Constant, Error> {
        if token.is_sign('-') {
            let token = self.some("a number")?;
            let number = match token.kind {
                Kind::Number => self.constant(token)?,
                _ => return Err(self.unexpected(&token, "a number")),
            };
            return Ok(match number {
                Constant::Integer(n) => Constant::Integer(n.wrapping_neg()),
                Constant::F32(bits) => Constant::F32(bits ^ 1 << 31),
                Constant::F64(bits) => Constant::F64(bits ^ 1 << 63),
                address => address,
            });
        }
        let number = match token.kind {
            Kind::Number => Constant::read(token.word),
            _ => None,
        };
        number.ok_or_else(|| self.unexpected(&token, "a number"))
    }
}

impl Constant {
    /// A literal as PTX writes it: `12`, `0x1fU`, `017`, `0b11`, `1.5`, `0f3f800000`, `0d3ff0000000000000`.
    fn read(word: &str) -> Option<Self> {
        let digits = word.strip_suffix('U').unwrap_or(word);
        let integer = |digits: &str, radix| {
            let number = u64::from_str_radix(digits, radix).ok();
            number.map(Constant::Integer)
        };
        let after = |prefixes: [&str; 2]| prefixes.iter().find_map(|p| digits.strip_prefix(p));
        if let Some(bits) = after(["0f", "0F"]) {
            let bits = u32::from_str_radix(bits, 16).ok()?;
            return Some(Constant::F32(bits));
        }
        if let Some(bits) = after(["0d", "0D"]) {
            let bits = u64::from_str_radix(bits, 16).ok()?;
            return Some(Constant::F64(bits));
        }
        if let Some(digits) = after(["0x", "0X"]) {
            return integer(digits, 16);
        }
        if let Some(digits) = after(["0b", "0B"]) {
            return integer(digits, 2);
        }
        if digits.contains(['.', 'e', 'E']) {
            return Some(Constant::F64(digits.parse::<f64>().ok()?.to_bits()));
        }
        match digits.strip_prefix('0') {
            Some(octal) if !octal.is_empty() => integer(octal, 8),
            _ => integer(digits, 10),
        }
    }
}
