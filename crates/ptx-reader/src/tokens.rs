//! The words of a text.

use crate::Error;

/// What a word is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `.entry`: a dot and a name. The word is without the dot.
    Directive,
    /// A name or a register.
    Name,
    /// A number, of whatever kind.
    Number,
    /// Text in quotation marks.
    Text,
    /// One other character.
    Sign,
}

/// A word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Token<'a> {
    pub kind: Kind,
    pub word: &'a str,
    /// Its first byte in the text.
    pub at: usize,
    pub line: usize,
}

impl Token<'_> {
    pub fn is_sign(&self, sign: char) -> bool {
        self.kind == Kind::Sign && self.word.starts_with(sign)
    }

    pub fn is_directive(&self, name: &str) -> bool {
        self.kind == Kind::Directive && self.word == name
    }
}

/// A text, word by word.
#[derive(Clone)]
pub struct Tokens<'a> {
    text: &'a str,
    at: usize,
    pub line: usize,
}

impl<'a> Tokens<'a> {
    pub fn new(text: &'a str) -> Self {
        Self {
            text,
            at: 0,
            line: 1,
        }
    }

    /// From a byte of the text on.
    pub fn at(text: &'a str, at: usize) -> Self {
        let line = 1 + text[..at].matches('\n').count();
        Self { text, at, line }
    }

    /// The text between two bytes.
    pub fn between(&self, begin: usize, end: usize) -> &'a str {
        &self.text[begin..end]
    }

    pub fn error(&self, cause: impl Into<String>) -> Error {
        Error {
            line: self.line,
            cause: cause.into(),
        }
    }

    /// The next word; `None` at the end.
    pub fn next(&mut self) -> Result<Option<Token<'a>>, Error> {
        self.skip_blanks()?;
        let rest = self.rest();
        let Some(first) = rest.chars().next() else {
            return Ok(None);
        };
        let after_dot = rest[first.len_utf8()..].chars().next();
        let (kind, begin, length) = match first {
            '"' => {
                let end = rest[1..]
                    .find('"')
                    .ok_or_else(|| self.error("a text without an end"))?;
                (Kind::Text, 0, end + 2)
            }
            '.' if after_dot.is_some_and(is_in_name) => {
                (Kind::Directive, 1, 1 + length(&rest[1..]))
            }
            c if c.is_ascii_digit() => {
                let end = rest.find(|c: char| !(is_in_name(c) || c == '.'));
                (Kind::Number, 0, end.unwrap_or(rest.len()))
            }
            c if is_in_name(c) || c == '%' => {
                let percent = usize::from(c == '%');
                (Kind::Name, 0, percent + length(&rest[percent..]))
            }
            c => (Kind::Sign, 0, c.len_utf8()),
        };
        let token = Token {
            kind,
            word: &rest[begin..length],
            at: self.at,
            line: self.line,
        };
        self.advance(length);
        Ok(Some(token))
    }

    /// Goes to the end of the line.
    pub fn skip_line(&mut self) {
        let rest = self.rest();
        self.advance(rest.find('\n').unwrap_or(rest.len()));
    }

    fn skip_blanks(&mut self) -> Result<(), Error> {
        loop {
            let rest = self.rest();
            if rest.starts_with("//") {
                self.skip_line();
            } else if rest.starts_with("/*") {
                let end = rest
                    .find("*/")
                    .ok_or_else(|| self.error("a comment without an end"))?;
                self.advance(end + 2);
            } else {
                match rest.len() - rest.trim_start().len() {
                    0 => return Ok(()),
                    blanks => self.advance(blanks),
                }
            }
        }
    }

    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn advance(&mut self, bytes: usize) {
        let passed = &self.rest()[..bytes];
        self.line += passed.matches('\n').count();
        self.at += bytes;
    }
}

fn is_in_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || c == '$'
}

fn length(text: &str) -> usize {
    text.find(|c| !is_in_name(c)).unwrap_or(text.len())
}
