//! Text files as people's programs write them: with byte order marks, in UTF-16, with any ends of lines.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use crate::error::Error;

/// Lists longer than this are none: a device may go on for ever.
const MAX_BYTES: u64 = 1 << 32;

/// Reads all of a file, a pipe too.
pub(crate) fn bytes(path: &Path) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(Error::io(path, "read"))?;
    file.take(MAX_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(Error::io(path, "read"))?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(Error::input(path, "longer than 4 GiB, hence no list"));
    }
    Ok(bytes)
}

/// Reads a file as text.
pub(crate) fn read(path: &Path) -> Result<String, Error> {
    decode(bytes(path)?).map_err(|cause| Error::input(path, cause))
}

/// Bytes as text with `\n` at the ends of lines.
pub(crate) fn decode(bytes: Vec<u8>) -> Result<String, String> {
    let text = match bytes.as_slice() {
        [0xef, 0xbb, 0xbf, rest @ ..] => utf8(rest.to_vec())?,
        [0xff, 0xfe, 0, 0, ..] | [0, 0, 0xfe, 0xff, ..] => {
            return Err("UTF-32 text; save it as UTF-8".into());
        }
        [0xff, 0xfe, rest @ ..] => utf16(rest, u16::from_le_bytes)?,
        [0xfe, 0xff, rest @ ..] => utf16(rest, u16::from_be_bytes)?,
        // Without a mark, the zeros of Latin letters tell.
        [first, 0, ..] if *first != 0 => utf16(&bytes, u16::from_le_bytes)?,
        [0, second, ..] if *second != 0 => utf16(&bytes, u16::from_be_bytes)?,
        _ => utf8(bytes)?,
    };
    if text.contains('\0') {
        return Err("binary data or text of another encoding; save it as UTF-8".into());
    }
    // The ends of lines of old Macs.
    Ok(match text.contains('\n') {
        true => text,
        false => text.replace('\r', "\n"),
    })
}

fn utf8(bytes: Vec<u8>) -> Result<String, String> {
    String::from_utf8(bytes).map_err(|error| {
        let before = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = before.iter().filter(|&&byte| byte == b'\n').count() + 1;
        format!("line {line} is not UTF-8 text; convert it with iconv")
    })
}

fn utf16(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> Result<String, String> {
    let (pairs, rest) = bytes.as_chunks();
    let units: Vec<u16> = pairs.iter().map(|&pair| unit(pair)).collect();
    match String::from_utf16(&units) {
        Ok(text) if rest.is_empty() => Ok(text),
        _ => Err("neither UTF-8 nor whole UTF-16 text".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_the_encoding() {
        let text = "kätzchen\ndog\n";
        let units = || text.encode_utf16();
        let little: Vec<u8> = units().flat_map(u16::to_le_bytes).collect();
        let big: Vec<u8> = units().flat_map(u16::to_be_bytes).collect();
        for bytes in [
            text.as_bytes().to_vec(),
            [b"\xef\xbb\xbf", text.as_bytes()].concat(),
            [b"\xff\xfe", &little[..]].concat(),
            [b"\xfe\xff", &big[..]].concat(),
            little,
            big,
            text.replace('\n', "\r").into_bytes(),
        ] {
            assert_eq!(decode(bytes).as_deref(), Ok(text));
        }
        for (bytes, word) in [
            (&b"cat\nk\xe4tzchen\n"[..], "line 2 is not UTF-8"),
            (b"\xff\xfe\0\0c\0\0\0", "UTF-32"),
            (b"\xff\xfec\0a", "UTF-16"),
            (b"cat\0\n", "binary"),
        ] {
            let cause = decode(bytes.to_vec()).expect_err("is no text");
            assert!(cause.contains(word), "{cause}");
        }
    }
}
