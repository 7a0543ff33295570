//! Safetensors files: named arrays of numbers with a few words of text.
//!
//! The same tensors and text always give the same bytes: the header is sorted by name, which the `safetensors` crate,
//! used here for reading, does not do when it writes.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail, ensure};
use console::escaped;
use memmap2::Mmap;
use safetensors::tensor::{Metadata, SafeTensors, TensorInfo};
use serde_json::json;

use crate::atomic;

pub use safetensors::Dtype;

/// Text beside the tensors.
pub type Text = BTreeMap<String, String>;

/// What a tensor is, without its numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Info {
    /// Its name.
    pub name: String,
    /// Its sides, the slowest first.
    pub shape: Vec<usize>,
    /// Its numbers' type.
    pub dtype: Dtype,
}

impl Info {
    /// A tensor of f32.
    pub fn f32(name: impl Into<String>, shape: impl Into<Vec<usize>>) -> Self {
        Self {
            name: name.into(),
            shape: shape.into(),
            dtype: Dtype::F32,
        }
    }

    /// A tensor of i64.
    pub fn i64(name: impl Into<String>, shape: impl Into<Vec<usize>>) -> Self {
        Self {
            name: name.into(),
            shape: shape.into(),
            dtype: Dtype::I64,
        }
    }

    /// How many numbers it has.
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn bytes(&self) -> usize {
        self.len() * self.dtype.bitsize() / 8
    }
}

/// Writes a file, whole or not at all. `fetch` is asked once for each tensor, in the order of the file, so that only
/// one needs to be in memory; its numbers come as bytes, little-endian (`bytemuck::cast_slice`).
pub fn write<'a>(
    path: &Path,
    text: &Text,
    tensors: &[Info],
    mut fetch: impl FnMut(&Info) -> Result<Cow<'a, [u8]>>,
) -> Result<()> {
    write_parts(path, text, tensors, |info, out| {
        Ok(out.write_all(&fetch(info)?)?)
    })
}

/// The same of tensors that are too large for memory: `fill` writes the bytes of each, in as many parts as it likes.
pub fn write_parts(
    path: &Path,
    text: &Text,
    tensors: &[Info],
    mut fill: impl FnMut(&Info, &mut dyn Write) -> Result<()>,
) -> Result<()> {
    let order = order(tensors);
    let header = header(text, &order)?;
    atomic::write(path, |out| {
        out.write_all(&(header.len() as u64).to_le_bytes())?;
        out.write_all(header.as_bytes())?;
        for info in order {
            let mut counted = Counted { out, bytes: 0 };
            fill(info, &mut counted).with_context(|| format!("tensor {}", info.name))?;
            ensure!(
                counted.bytes == info.bytes(),
                "tensor {}: {} bytes, not {}",
                info.name,
                counted.bytes,
                info.bytes()
            );
        }
        Ok(())
    })
}

/// Tensors in the order of a file.
pub fn order(tensors: &[Info]) -> Vec<&Info> {
    let mut order: Vec<&Info> = tensors.iter().collect();
    // Wider numbers first keeps all of them aligned.
    order.sort_by_key(|info| (std::cmp::Reverse(info.dtype.bitsize()), &info.name));
    order
}

/// Counts what is written.
struct Counted<'a> {
    out: &'a mut dyn Write,
    bytes: usize,
}

impl Write for Counted<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.out.write(bytes)?;
        self.bytes += written;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

fn header(text: &Text, order: &[&Info]) -> Result<String> {
    let mut entries = BTreeMap::new();
    if !text.is_empty() {
        entries.insert("__metadata__", json!(text));
    }
    let mut end = 0;
    for info in order {
        let begin = end;
        end += info.bytes();
        let entry =
            json!({ "dtype": info.dtype, "shape": info.shape, "data_offsets": [begin, end] });
        let twice = entries.insert(&info.name, entry).is_some();
        ensure!(!twice, "tensor {}: the name is used twice", info.name);
    }
    let mut header = serde_json::to_string(&entries)?;
    header.extend(std::iter::repeat_n(
        ' ',
        header.len().next_multiple_of(8) - header.len(),
    ));
    Ok(header)
}

/// Maps a file.
pub(super) fn map(path: &Path) -> Result<Mmap> {
    let file = fs::File::open(path)?;
    ensure!(file.metadata()?.is_file(), "not a file");
    // SAFETY: these files are replaced by renaming and never changed in place; who cuts one short while it is
    // being read stops the program, as with any mapped file.
    Ok(unsafe { Mmap::map(&file) }?)
}

/// A file open for reading.
pub struct File {
    path: PathBuf,
    map: Mmap,
    metadata: Metadata,
    data: usize,
}

impl File {
    /// Opens a file and checks that it is whole.
    pub fn open(path: &Path) -> Result<Self> {
        Self::map(path).with_context(|| escaped(path).to_string())
    }

    fn map(path: &Path) -> Result<Self> {
        let map = map(path)?;
        let whole = SafeTensors::read_metadata(&map);
        let (header, metadata) =
            whole.map_err(|error| anyhow!("not a whole safetensors file: {error}"))?;
        Ok(Self {
            path: path.to_path_buf(),
            map,
            metadata,
            data: header + size_of::<u64>(),
        })
    }

    /// The file's path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A word of its text.
    pub fn text(&self, key: &str) -> Result<&str> {
        self.optional_text(key)
            .with_context(|| format!("{}: it has no `{key}`", escaped(&self.path)))
    }

    /// A word of its text that may be missing.
    pub fn optional_text(&self, key: &str) -> Option<&str> {
        let text = self.metadata.metadata().as_ref()?;
        text.get(key).map(String::as_str)
    }

    /// All its tensors, by name.
    pub fn infos(&self) -> Vec<Info> {
        let infos: BTreeMap<_, _> = self.metadata.tensors().into_iter().collect();
        infos
            .into_iter()
            .map(|(name, i)| Info {
                name,
                shape: i.shape.clone(),
                dtype: i.dtype,
            })
            .collect()
    }

    /// Checks that it has exactly these tensors.
    pub fn check(&self, expected: &[Info]) -> Result<()> {
        for info in expected {
            self.find(info)?;
        }
        let known: BTreeSet<&str> = expected.iter().map(|info| info.name.as_str()).collect();
        match self
            .infos()
            .iter()
            .find(|info| !known.contains(info.name.as_str()))
        {
            Some(info) => bail!(
                "{}: tensor {}: the network has no such tensor",
                escaped(&self.path),
                info.name
            ),
            None => Ok(()),
        }
    }

    /// The numbers of a tensor of f32.
    pub fn f32(&self, expected: &Info) -> Result<Vec<f32>> {
        let numbers = self.bytes(expected)?.as_chunks().0;
        Ok(numbers
            .iter()
            .map(|&bytes| f32::from_le_bytes(bytes))
            .collect())
    }

    /// The numbers of a tensor of i64.
    pub fn i64(&self, expected: &Info) -> Result<Vec<i64>> {
        let numbers = self.bytes(expected)?.as_chunks().0;
        Ok(numbers
            .iter()
            .map(|&bytes| i64::from_le_bytes(bytes))
            .collect())
    }

    fn bytes(&self, expected: &Info) -> Result<&[u8]> {
        let (begin, end) = self.find(expected)?.data_offsets;
        Ok(&self.map[self.data + begin..self.data + end])
    }

    fn find(&self, expected: &Info) -> Result<&TensorInfo> {
        let Info { name, shape, dtype } = expected;
        let found = self.metadata.info(name);
        let found =
            found.with_context(|| format!("{}: tensor {name} is missing", escaped(&self.path)))?;
        ensure!(
            found.shape == *shape && found.dtype == *dtype,
            "{}: tensor {name}: expected {dtype:?} {shape:?}, found {:?} {:?}",
            escaped(&self.path),
            found.dtype,
            found.shape
        );
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text() -> Text {
        [("b", "2"), ("a", "1"), ("c", "line\n\"quoted\"")]
            .map(|(k, v)| (k.to_string(), v.to_string()))
            .into()
    }

    fn infos() -> [Info; 3] {
        [
            Info::f32("z", [2, 3]),
            Info::i64("m", [3]),
            Info::f32("a.weight", [1]),
        ]
    }

    fn fill(info: &Info) -> Result<Cow<'static, [u8]>> {
        let floats: Vec<f32> = (0..info.len())
            .map(|i| i as f32 + info.name.len() as f32 / 4.0)
            .collect();
        let integers: Vec<i64> = (0..info.len()).map(|i| i as i64 - 1).collect();
        let bytes: &[u8] = if info.dtype == Dtype::F32 {
            bytemuck::cast_slice(&floats)
        } else {
            bytemuck::cast_slice(&integers)
        };
        Ok(bytes.to_vec().into())
    }

    #[test]
    fn what_is_written_is_read_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.safetensors");
        write(&path, &text(), &infos(), fill).unwrap();
        let file = File::open(&path).unwrap();
        file.check(&infos()).unwrap();
        assert_eq!(
            file.f32(&infos()[0]).unwrap(),
            [0.25, 1.25, 2.25, 3.25, 4.25, 5.25]
        );
        assert_eq!(file.i64(&infos()[1]).unwrap(), [-1, 0, 1]);
        assert_eq!(file.f32(&infos()[2]).unwrap(), [2.0]);
        assert_eq!(file.text("c").unwrap(), "line\n\"quoted\"");
        assert!(file.text("d").is_err());
    }

    #[test]
    fn the_crates_own_reader_agrees() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.safetensors");
        write(&path, &text(), &infos(), fill).unwrap();
        let bytes = fs::read(&path).unwrap();
        let file = SafeTensors::deserialize(&bytes).unwrap();
        assert_eq!(
            (file.len(), file.tensor("z").unwrap().shape()),
            (3, &[2usize, 3][..])
        );
        assert_eq!(
            file.tensor("m").unwrap().data(),
            bytemuck::cast_slice::<i64, u8>(&[-1, 0, 1])
        );
        // Every number is aligned to its size.
        assert_eq!(u64::from_le_bytes(bytes[..8].try_into().unwrap()) % 8, 0);
    }

    #[test]
    fn the_order_given_does_not_change_the_bytes() {
        let dir = tempfile::tempdir().unwrap();
        let (a, b) = (dir.path().join("a"), dir.path().join("b"));
        write(&a, &text(), &infos(), fill).unwrap();
        let mut other = infos();
        other.reverse();
        write(&b, &text(), &other, fill).unwrap();
        assert_eq!(fs::read(a).unwrap(), fs::read(b).unwrap());
    }

    #[test]
    fn no_tensors_and_no_text_is_a_file_too() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("empty");
        write(&path, &Text::new(), &[], fill).unwrap();
        assert!(File::open(&path).unwrap().infos().is_empty());
    }

    #[test]
    fn a_tensor_of_the_wrong_length_or_name_writes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x");
        let short = write(&path, &text(), &infos(), |_| Ok(vec![0; 4].into()));
        assert!(
            format!("{:#}", short.unwrap_err())
                .ends_with("cannot write: tensor m: 4 bytes, not 24")
        );
        let twice = write(
            &path,
            &text(),
            &[Info::f32("a", [1]), Info::f32("a", [1])],
            fill,
        );
        assert!(twice.is_err());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn damage_names_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.safetensors");
        write(&path, &text(), &infos(), fill).unwrap();
        let whole = fs::read(&path).unwrap();
        for bytes in [
            &whole[..whole.len() - 1],
            &whole[..20],
            &[],
            &b"not a tensor file at all"[..],
        ] {
            fs::write(&path, bytes).unwrap();
            let error = format!("{:#}", File::open(&path).err().unwrap());
            assert!(
                error.contains("x.safetensors: not a whole safetensors file")
                    && !error.contains('\n'),
                "{error}"
            );
        }
        let error = format!("{:#}", File::open(dir.path()).err().unwrap());
        assert!(error.ends_with("not a file"), "{error}");
    }

    #[test]
    fn another_networks_tensors_are_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.safetensors");
        write(&path, &text(), &infos(), fill).unwrap();
        let file = File::open(&path).unwrap();
        let [z, m, a] = infos();
        for (expected, cause) in [
            (
                vec![z.clone(), m.clone()],
                "x.safetensors: tensor a.weight: the network has no such tensor",
            ),
            (
                vec![Info::f32("z", [3, 2])],
                "x.safetensors: tensor z: expected F32 [3, 2], found F32 [2, 3]",
            ),
            (
                vec![Info::i64("z", [2, 3])],
                "x.safetensors: tensor z: expected I64 [2, 3], found F32 [2, 3]",
            ),
            (
                vec![z, m, a, Info::f32("b", [1])],
                "x.safetensors: tensor b is missing",
            ),
        ] {
            let error = format!("{:#}", file.check(&expected).unwrap_err());
            assert!(error.ends_with(cause), "{error}");
        }
    }
}
