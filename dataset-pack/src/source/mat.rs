//! The least of MATLAB's file format 5 that a devkit's `meta.mat` needs: a structure array with
//! texts and numbers, compressed or not.

use std::io::Read;
use std::path::Path;

use flate2::read::ZlibDecoder;

use crate::error::Error;
use crate::shard::ClassName;

/// The longest file, and content of a compressed element, that is read.
const MAX_BYTES: u64 = 1 << 26;
/// Arrays within arrays deeper than this are none of a devkit's.
const MAX_DEPTH: usize = 8;

/// The classes of a devkit.
#[derive(Debug)]
pub(crate) struct Synsets {
    /// The leaves, in byte order of their synset ids: the order of the training archive.
    pub(crate) classes: Vec<ClassName>,
    /// For each of them, the number that the ground truth has for it.
    pub(crate) ids: Vec<u32>,
}

/// Whether these are the first bytes of a MATLAB file of version 5.
pub(crate) fn is_mat(bytes: &[u8]) -> bool {
    bytes.starts_with(b"MATLAB 5.0 MAT-file") && bytes.get(126..128) == Some(b"IM")
}

/// Reads a devkit's `meta.mat`.
pub(crate) fn read_synsets(path: &Path) -> Result<Synsets, Error> {
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).map_err(Error::io(path, "read"))?;
    file.take(MAX_BYTES)
        .read_to_end(&mut bytes)
        .map_err(Error::io(path, "read"))?;
    parse_synsets(&bytes).map_err(|cause| Error::input(path, cause))
}

/// Finds the synsets in the bytes of a `meta.mat`.
pub(crate) fn parse_synsets(bytes: &[u8]) -> Result<Synsets, String> {
    if !is_mat(bytes) {
        return Err("not a MATLAB file of version 5".into());
    }
    let mut elements = Elements(&bytes[128..]);
    while let Some((kind, body)) = elements.next()? {
        let unpacked;
        let array = if kind == COMPRESSED {
            unpacked = inflate(body)?;
            match Elements(&unpacked).next()? {
                Some((ARRAY, body)) => body,
                _ => continue,
            }
        } else if kind == ARRAY {
            body
        } else {
            continue;
        };
        if let Value::Structures { fields, values } = array_value(array, 0)? {
            return synsets(&fields, &values);
        }
    }
    Err("there is no structure array in it".into())
}

fn inflate(body: &[u8]) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let read = ZlibDecoder::new(body)
        .take(MAX_BYTES)
        .read_to_end(&mut bytes);
    read.map_err(|e| format!("cannot decompress: {e}"))?;
    Ok(bytes)
}

/// Picks the leaves out of the structures.
fn synsets(fields: &[String], values: &[Value]) -> Result<Synsets, String> {
    let field = |wanted: &str| {
        let found = fields.iter().position(|name| name.ends_with(wanted));
        found.ok_or_else(|| format!("the structures have no field {wanted}"))
    };
    let (id, wnid, words) = (field("_ID")?, field("WNID")?, field("words")?);
    let children = field("num_children")?;
    let mut leaves = Vec::new();
    for (number, synset) in values.chunks_exact(fields.len()).enumerate() {
        let bad = |what: &str| format!("structure {number}: {what} is not what a synset has");
        let children = synset[children]
            .number()
            .ok_or_else(|| bad("num_children"))?;
        if children != 0.0 {
            continue;
        }
        let id = synset[id]
            .number()
            .filter(|id| id.fract() == 0.0 && *id >= 1.0 && *id < 1e6);
        let id = id.ok_or_else(|| bad("the ID"))? as u32;
        let name = synset[wnid].text().ok_or_else(|| bad("WNID"))?.to_string();
        let words = synset[words]
            .text()
            .ok_or_else(|| bad("words"))?
            .to_string();
        leaves.push((ClassName { name, words }, id));
    }
    leaves.sort_by(|(a, _), (b, _)| a.name.cmp(&b.name));
    if let Some(two) = leaves.windows(2).find(|two| two[0].0.name == two[1].0.name) {
        return Err(format!("{} is there twice", two[0].0.name));
    }
    let (classes, ids) = leaves.into_iter().unzip();
    Ok(Synsets { classes, ids })
}

const UTF8: u32 = 16;
const ARRAY: u32 = 14;
const COMPRESSED: u32 = 15;
const STRUCTURE: u8 = 2;
const TEXT: u8 = 4;

/// An array, as far as it matters here.
enum Value {
    Text(String),
    /// The first number of an array.
    Number(f64),
    Structures {
        fields: Vec<String>,
        /// Structure after structure, a value for each field.
        values: Vec<Value>,
    },
    Other,
}

impl Value {
    fn number(&self) -> Option<f64> {
        match self {
            Value::Number(number) => Some(*number),
            _ => None,
        }
    }

    fn text(&self) -> Option<&str> {
        match self {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }
}

/// Data elements one after the other, each with its type.
struct Elements<'a>(&'a [u8]);

impl<'a> Elements<'a> {
    fn next(&mut self) -> Result<Option<(u32, &'a [u8])>, String> {
        let word = |at: usize| self.0.get(at..at + 4).and_then(|b| b.try_into().ok());
        let word = |at| word(at).map(u32::from_le_bytes);
        let Some(tag) = word(0) else {
            return Ok(None);
        };
        // Up to four bytes lie within the tag itself.
        let (kind, start, length, whole) = if tag >> 16 != 0 {
            (tag & 0xffff, 4, (tag >> 16) as usize, 8)
        } else {
            let length = word(4).ok_or("cut short")? as usize;
            let padded = if tag == COMPRESSED {
                length
            } else {
                length.next_multiple_of(8)
            };
            (tag, 8, length, 8 + padded)
        };
        if start == 4 && length > 4 {
            return Err("a short element is too long".into());
        }
        let body = self.0.get(start..start + length).ok_or("cut short")?;
        self.0 = self.0.get(whole..).unwrap_or_default();
        Ok(Some((kind, body)))
    }

    fn need(&mut self) -> Result<(u32, &'a [u8]), String> {
        self.next()?.ok_or_else(|| "cut short".into())
    }
}

/// Reads what is in an array's element.
fn array_value(body: &[u8], depth: usize) -> Result<Value, String> {
    if depth > MAX_DEPTH {
        return Err("arrays within arrays without end".into());
    }
    let mut parts = Elements(body);
    // An empty array may have nothing at all.
    let Some((_, flags)) = parts.next()? else {
        return Ok(Value::Other);
    };
    let class = *flags.first().ok_or("an array without a class")?;
    let (_, dimensions) = parts.need()?;
    let _name = parts.need()?;
    match class {
        STRUCTURE => structures(dimensions, parts, depth),
        TEXT => Ok(parts
            .next()?
            .map_or(Value::Other, |(kind, data)| text(kind, data))),
        6..=15 => Ok(parts
            .next()?
            .and_then(|(kind, data)| first(kind, data))
            .map_or(Value::Other, Value::Number)),
        _ => Ok(Value::Other),
    }
}

fn structures(dimensions: &[u8], mut parts: Elements, depth: usize) -> Result<Value, String> {
    let sides = dimensions
        .as_chunks::<4>()
        .0
        .iter()
        .map(|b| u64::from(u32::from_le_bytes(*b)));
    let count = sides.fold(1u64, u64::saturating_mul);
    let (_, length) = parts.need()?;
    let length = first(5, length).ok_or("no length of field names")? as usize;
    let (_, names) = parts.need()?;
    if length == 0 || count.saturating_mul((names.len() / length) as u64) > MAX_BYTES / 8 {
        return Err("the structures' sizes cannot be".into());
    }
    let name = |bytes: &[u8]| {
        let end = bytes.iter().position(|&b| b == 0).unwrap_or(bytes.len());
        String::from_utf8_lossy(&bytes[..end]).into_owned()
    };
    let fields: Vec<String> = names.chunks_exact(length).map(name).collect();
    let mut values = Vec::new();
    for _ in 0..count * fields.len() as u64 {
        let (kind, body) = parts.need()?;
        values.push(if kind == ARRAY {
            array_value(body, depth + 1)?
        } else {
            Value::Other
        });
    }
    Ok(Value::Structures { fields, values })
}

/// Characters come as bytes or as 16-bit units.
fn text(kind: u32, data: &[u8]) -> Value {
    Value::Text(match kind {
        4 | 17 => {
            let units = data
                .as_chunks::<2>()
                .0
                .iter()
                .map(|b| u16::from_le_bytes(*b));
            char::decode_utf16(units)
                .map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER))
                .collect()
        }
        UTF8 => String::from_utf8_lossy(data).into_owned(),
        _ => data.iter().map(|&b| char::from(b)).collect(),
    })
}

/// The first number of an array, whatever it is stored as.
fn first(kind: u32, data: &[u8]) -> Option<f64> {
    Some(match kind {
        1 => f64::from(i8::from_le_bytes(*data.first_chunk()?)),
        2 => f64::from(u8::from_le_bytes(*data.first_chunk()?)),
        3 => f64::from(i16::from_le_bytes(*data.first_chunk()?)),
        4 => f64::from(u16::from_le_bytes(*data.first_chunk()?)),
        5 => f64::from(i32::from_le_bytes(*data.first_chunk()?)),
        6 => f64::from(u32::from_le_bytes(*data.first_chunk()?)),
        7 => f64::from(f32::from_le_bytes(*data.first_chunk()?)),
        9 => f64::from_le_bytes(*data.first_chunk()?),
        12 => i64::from_le_bytes(*data.first_chunk()?) as f64,
        13 => u64::from_le_bytes(*data.first_chunk()?) as f64,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SCIPY: [&[u8]; 2] = [
        include_bytes!("../../tests/reference/meta.mat"),
        include_bytes!("../../tests/reference/meta-compressed.mat"),
    ];

    #[test]
    fn what_scipy_wrote() {
        for bytes in SCIPY {
            let synsets = parse_synsets(bytes).expect("parses");
            let class = |class: &ClassName| (class.name.clone(), class.words.clone());
            let classes: Vec<_> = synsets.classes.iter().map(class).collect();
            let expected = [
                ("n01440764", "tench, Tinca tinca"),
                ("n02100735", "English setter"),
                ("n02119789", "kit fox, Vulpes macrotis"),
                ("n03950228", "pitcher, ewer"),
            ];
            assert_eq!(
                classes,
                expected.map(|(name, words)| (name.into(), words.into()))
            );
            assert_eq!(synsets.ids, [3, 2, 1, 4]);
        }
    }

    proptest! {
        #[test]
        fn nothing_makes_it_panic(
            compressed: bool, cut in 0usize..4000, changes in prop::collection::vec((128usize..4000, any::<u8>()), 0..8),
        ) {
            let mut bytes = SCIPY[usize::from(compressed)].to_vec();
            for (at, value) in changes {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte = value;
                }
            }
            bytes.truncate(cut.max(200));
            let _ = parse_synsets(&bytes);
        }
    }
}
