//! Names from outside, made fit to be shown.

use std::ffi::OsStr;
use std::fmt::{self, Display, Formatter, Write};
use std::os::unix::ffi::OsStrExt;

/// Shows a path or another name from outside such that it can neither steer a terminal nor look like a line of its own:
/// line ends as `\n`, other control characters and those that turn the direction of writing as `\u{1b}`, bytes that are
/// not UTF-8 as `\xff`. What needs no escaping stays, so that escaping twice is escaping once.
pub fn escaped<T: AsRef<OsStr> + ?Sized>(name: &T) -> Escaped<'_> {
    Escaped(name.as_ref())
}

/// See [`escaped`].
#[derive(Clone, Copy, Debug)]
pub struct Escaped<'a>(&'a OsStr);

impl Display for Escaped<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for chunk in self.0.as_bytes().utf8_chunks() {
            for c in chunk.valid().chars() {
                match c {
                    '\n' | '\r' | '\t' => write!(f, "{}", c.escape_default())?,
                    c if is_harmful(c) => write!(f, "{}", c.escape_unicode())?,
                    c => f.write_char(c)?,
                }
            }
            for byte in chunk.invalid() {
                write!(f, "\\x{byte:02x}")?;
            }
        }
        Ok(())
    }
}

/// Whether a character does something to a terminal or the order of the characters around it.
pub(crate) fn is_harmful(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

/// A name as a value for JSON or TOML, which escape by themselves: as it is, or [`escaped`] if it is not UTF-8.
pub fn json_name<T: AsRef<OsStr> + ?Sized>(name: &T) -> String {
    match name.as_ref().to_str() {
        Some(name) => name.to_owned(),
        None => escaped(name).to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(bytes: &[u8]) -> String {
        escaped(OsStr::from_bytes(bytes)).to_string()
    }

    #[test]
    fn ordinary_names_stay() {
        for name in ["", "a b/c.jpg", "naïve ← 猫.png", "cafe\u{301}", "a\\b'\"c"] {
            assert_eq!(shown(name.as_bytes()), name);
        }
    }

    #[test]
    fn what_would_harm_is_escaped() {
        for (name, expected) in [
            (&b"a\nwarning: b\r"[..], "a\\nwarning: b\\r"),
            (b"\x1b[2J\x07\x7f", "\\u{1b}[2J\\u{7}\\u{7f}"),
            (b"\xc2\x9b31m", "\\u{9b}31m"),
            (b"a\xffb\xe2\x82", "a\\xffb\\xe2\\x82"),
            (
                "a\u{202e}gpj.b\u{2028}".as_bytes(),
                "a\\u{202e}gpj.b\\u{2028}",
            ),
        ] {
            assert_eq!(shown(name), expected);
            assert_eq!(escaped(expected).to_string(), expected, "escaped twice");
        }
    }

    #[test]
    fn values_keep_what_the_format_escapes() {
        assert_eq!(json_name("a\nb"), "a\nb");
        assert_eq!(json_name(OsStr::from_bytes(b"a\xff\n")), "a\\xff\\n");
    }
}
