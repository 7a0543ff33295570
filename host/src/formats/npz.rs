//! NumPy's `.npz`: a zip file with a `.npy` member for each array.
//!
//! A `.npy` is `\x93NUMPY`, a version, the length of a header, the header as a Python dictionary (`descr`, the numbers'
//! type; `fortran_order`; `shape`), padded with spaces, and the numbers. Float32 in the order of C is read and written,
//! nothing else: anything else would lose bits.

use std::io::{Cursor, Read, Seek, Write};
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use console::escaped;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

use super::tensors::Info;
use super::weights::{Tensors, numbers};
use crate::atomic;

const MAGIC: &[u8] = b"\x93NUMPY";

/// Longest header that is read. NumPy's own has some 100 bytes.
const HEADER_LIMIT: u32 = 1 << 16;

/// Reads the bytes of a file, compressed or not.
pub fn parse(bytes: &[u8]) -> Result<Tensors> {
    let mut archive = ZipArchive::new(Cursor::new(bytes)).context("not a whole npz file")?;
    let mut tensors = Tensors::new();
    for at in 0..archive.len() {
        let mut member = archive.by_index(at).context("not a whole npz file")?;
        let file = member.name().context("a name is no text")?.into_owned();
        let Some(name) = file.strip_suffix(".npy") else {
            bail!("`{}`: not an array", escaped(&file));
        };
        let name = name.to_owned();
        let array = array(&name, &mut member).with_context(|| format!("`{}`", escaped(&name)))?;
        tensors.insert(name, array);
    }
    Ok(tensors)
}

fn array(name: &str, from: &mut impl Read) -> Result<(Info, Vec<f32>)> {
    let header = header(from)?;
    let shape = shape(&header)?;
    let bytes = shape
        .iter()
        .try_fold(size_of::<f32>(), |n, side| n.checked_mul(*side));
    let bytes = bytes.with_context(|| format!("{shape:?} is too large"))?;
    let mut data = Vec::new();
    from.take(bytes as u64 + 1).read_to_end(&mut data)?;
    ensure!(
        data.len() == bytes,
        "{shape:?} is {bytes} bytes, but there are {}",
        if data.len() > bytes {
            "more".to_string()
        } else {
            data.len().to_string()
        }
    );
    Ok((Info::f32(name, shape), numbers(&data)))
}

/// The text that says what the numbers are.
fn header(from: &mut impl Read) -> Result<String> {
    let mut start = [0; 8];
    from.read_exact(&mut start).context("no npy header")?;
    ensure!(start.starts_with(MAGIC), "no npy header");
    let length = match start[6] {
        1 => {
            let mut length = [0; 2];
            from.read_exact(&mut length)?;
            u16::from_le_bytes(length).into()
        }
        2 | 3 => {
            let mut length = [0; 4];
            from.read_exact(&mut length)?;
            u32::from_le_bytes(length)
        }
        version => bail!("npy version {version} is not known"),
    };
    ensure!(length <= HEADER_LIMIT, "a header of {length} bytes");
    let mut text = vec![0; length as usize];
    from.read_exact(&mut text).context("the header is cut")?;
    String::from_utf8(text).context("the header is no text")
}

/// The shape, if the numbers are as they must be.
fn shape(header: &str) -> Result<Vec<usize>> {
    let after = |key: &str| {
        let (_, value) = header.split_once(&format!("'{key}':"))?;
        Some(value.trim_start())
    };
    let descr = after("descr").and_then(|text| text.strip_prefix('\'')?.split('\'').next());
    let descr = descr.context("the header has no `descr` of plain numbers")?;
    ensure!(
        descr == "<f4",
        "its numbers are {}, not float32 (<f4)",
        escaped(descr)
    );
    let fortran = after("fortran_order").context("the header has no `fortran_order`")?;
    let shape = after("shape").and_then(|text| text.strip_prefix('(')?.split(')').next());
    let sides = shape.context("the header has no `shape`")?.split(',');
    let sides = sides.map(str::trim).filter(|side| !side.is_empty());
    let sides: Vec<usize> = sides
        .map(str::parse)
        .collect::<Result<_, _>>()
        .context("the header's `shape`")?;
    ensure!(
        fortran.starts_with("False") || sides.len() < 2,
        "its numbers are in Fortran's order; numpy.ascontiguousarray puts them into C's"
    );
    Ok(sides)
}

/// Writes a file, whole or not at all; not compressed, as `numpy.savez` has it.
pub fn write(path: &Path, tensors: &Tensors) -> Result<()> {
    atomic::write(path, |out| {
        let mut archive = ZipWriter::new_stream(out);
        match write_members(&mut archive, tensors) {
            Ok(()) => archive.finish().map(drop)?,
            Err(error) => {
                // Dropped, it would try to end the archive and complain past all that writes to standard error.
                std::mem::forget(archive);
                return Err(error);
            }
        }
        Ok(())
    })
}

fn write_members<W: Write + Seek>(archive: &mut ZipWriter<W>, tensors: &Tensors) -> Result<()> {
    for (name, (info, numbers)) in tensors {
        let stored = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
        archive.start_file(format!("{name}.npy"), stored)?;
        archive.write_all(&npy_header(&info.shape))?;
        archive.write_all(bytemuck::cast_slice(numbers))?;
    }
    Ok(())
}

/// Version 1, so long that the numbers begin at a multiple of 64.
fn npy_header(shape: &[usize]) -> Vec<u8> {
    let sides: String = shape.iter().map(|side| format!("{side}, ")).collect();
    // A tuple of one has a comma, one of several need not.
    let sides = match shape.len() {
        1 => sides.trim_end(),
        _ => sides.trim_end_matches(", "),
    };
    let mut text = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({sides}), }}");
    let before = MAGIC.len() + 4;
    let end = (before + text.len() + 1).next_multiple_of(64) - before;
    text = format!("{text:<width$}\n", width = end - 1);
    let mut header = [MAGIC, &[1, 0]].concat();
    header.extend((text.len() as u16).to_le_bytes());
    header.extend(text.as_bytes());
    header
}
