//! The features of a set's images in one mapped file, and the images nearest to a row of features.
//!
//! | bytes | what |
//! |---|---|
//! | 0..8 | `ALEXIDX2` |
//! | 8..16 | u64: rows that are written |
//! | 16..20 | u32: length of the description |
//! | 20..24 | u32: its CRC-32C |
//! | 32.. | the description ([`Description`]), JSON |
//! | 4096.. | codes, \[row\]\[feature\] i8 |
//! | then | a note for each row, 24 bytes: what its codes stand for, and checksums |
//! | then | features, \[row\]\[feature\] f32 or f16 |
//!
//! All little-endian; each part begins at a multiple of 64. A code c stands for the number scale·c. Of each row the
//! codes and the features have a checksum, which whoever reads them checks: a search takes in all codes, and of the
//! features those of the rows that it compares.

mod codes;
mod search;
mod write;

use std::fs::File;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use bytemuck::{Pod, Zeroable};
use console::escaped;
use half::f16;
use half::slice::{HalfBitsSliceExt, HalfFloatSliceExt};
use memmap2::Mmap;
use serde::{Deserialize, Serialize};

pub use codes::{Codes, Encoder, Near, beside};
pub use search::Found;
pub use write::Writer;

const MAGIC: [u8; 8] = *b"ALEXIDX2";
/// Of an earlier version, whose rows have no checksums.
const OLD_MAGIC: [u8; 8] = *b"ALEXIDX1";
const HEAD: usize = 4096;
const TEXT: usize = 32;

/// What an index holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Description {
    /// The checkpoint's file, as it was named.
    pub checkpoint: String,
    /// XXH3 of that file.
    pub checkpoint_hash: String,
    /// The set's folder; a name that is not UTF-8 is not kept faithfully.
    pub data: String,
    /// What the set holds.
    pub set: String,
    /// The layer.
    pub layer: String,
    /// Images.
    pub rows: usize,
    /// Features of each.
    pub width: usize,
    /// Whether the features are float16.
    pub half: bool,
}

/// What is known of a row's codes.
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[repr(C)]
struct Note {
    /// What a code of 1 stands for.
    scale: f32,
    /// At least the distance from the features to what the codes stand for.
    error: f32,
    /// The sum of the codes' squares.
    squares: u64,
    /// CRC-32C of the codes and of what stands above.
    codes: u32,
    /// CRC-32C of the features.
    features: u32,
}

impl Note {
    /// What [`Note::codes`] must be.
    fn sum(&self, codes: &[i8]) -> u32 {
        let above = &bytemuck::bytes_of(self)[..16];
        crc32c::crc32c_append(crc32c::crc32c(bytemuck::cast_slice(codes)), above)
    }
}

/// Where the parts of a file lie.
#[derive(Clone, Copy, Debug)]
struct Layout {
    notes: usize,
    features: usize,
    end: usize,
}

impl Description {
    /// `None`: more than a file can hold.
    fn layout(&self) -> Option<Layout> {
        let numbers = self.rows.checked_mul(self.width)?;
        let aligned = |at: usize| at.checked_next_multiple_of(64);
        let notes = aligned(HEAD.checked_add(numbers)?)?;
        let features = notes.checked_add(self.rows.checked_mul(size_of::<Note>())?)?;
        let features = aligned(features)?;
        let end = features.checked_add(numbers.checked_mul(self.bytes())?)?;
        i64::try_from(end).ok()?;
        Some(Layout {
            notes,
            features,
            end,
        })
    }

    /// Bytes of a number.
    fn bytes(&self) -> usize {
        if self.half { 2 } else { 4 }
    }

    /// The first bytes of a file, of which no row is written.
    fn head(&self) -> Result<Vec<u8>> {
        let text = serde_json::to_vec(self)?;
        ensure!(
            text.len() <= HEAD - TEXT,
            "names too long for its description"
        );
        let mut head = [&MAGIC[..], &[0; 8], &(text.len() as u32).to_le_bytes()].concat();
        head.extend(crc32c::crc32c(&text).to_le_bytes());
        head.resize(TEXT, 0);
        head.extend(text);
        head.resize(HEAD, 0);
        Ok(head)
    }

    /// The description and the rows that are written.
    fn read(head: &[u8]) -> Result<(Self, usize)> {
        ensure!(
            !head.starts_with(&OLD_MAGIC),
            "it is of an earlier version; `host index` makes it anew"
        );
        let whole = head.len() >= HEAD && head.starts_with(&MAGIC);
        ensure!(whole, "not an index of features");
        let word =
            |at: usize| u32::from_le_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
        let text = head.get(TEXT..TEXT.saturating_add(word(16) as usize));
        let text =
            text.filter(|text| text.len() <= HEAD - TEXT && crc32c::crc32c(text) == word(20));
        let text = text.context("its description does not match its checksum")?;
        let description = serde_json::from_slice(text).context("its description")?;
        let done = u64::from(word(8)) | u64::from(word(12)) << 32;
        Ok((description, done as usize))
    }
}

/// An index open for searching.
pub struct Index {
    path: PathBuf,
    map: Mmap,
    /// What it holds.
    pub description: Description,
    layout: Layout,
}

impl Index {
    /// Opens a file and checks that it is whole.
    pub fn open(path: &Path) -> Result<Self> {
        Self::map(path).with_context(|| escaped(path).to_string())
    }

    fn map(path: &Path) -> Result<Self> {
        let file = File::open(path).context("cannot open")?;
        ensure!(file.metadata()?.is_file(), "not a file");
        // SAFETY: these files get their name when they are whole and are never changed in place; who cuts one short
        // while it is being read stops the program, as with any mapped file.
        let map = unsafe { Mmap::map(&file) }.context("cannot read")?;
        let (description, done) = Description::read(&map)?;
        let layout = description
            .layout()
            .context("its description asks for too much")?;
        ensure!(done == description.rows, "it is not finished");
        ensure!(
            layout.end == map.len(),
            "{} bytes where its description wants {}",
            map.len(),
            layout.end
        );
        Ok(Index {
            path: path.to_path_buf(),
            map,
            description,
            layout,
        })
    }

    /// The features of an image.
    ///
    /// # Panics
    /// It has no such image.
    pub fn features(&self, row: usize) -> Result<Vec<f32>> {
        let bytes = self.description.width * self.description.bytes();
        let begin = self.layout.features + row * bytes;
        let bytes = &self.map[begin..begin + bytes];
        self.check(
            crc32c::crc32c(bytes),
            self.note(row).features,
            "features",
            row,
        )?;
        if !self.description.half {
            let numbers = bytes.as_chunks().0.iter();
            return Ok(numbers.map(|&bytes| f32::from_le_bytes(bytes)).collect());
        }
        let bits: Vec<u16> = bytes
            .as_chunks()
            .0
            .iter()
            .map(|&bytes| u16::from_le_bytes(bytes))
            .collect();
        let halves: &[f16] = bits.reinterpret_cast();
        let mut numbers = vec![0.0; halves.len()];
        halves.convert_to_f32_slice(&mut numbers);
        Ok(numbers)
    }

    fn check(&self, found: u32, noted: u32, what: &str, row: usize) -> Result<()> {
        ensure!(
            found == noted,
            "{}: the {what} of image {row} do not match their checksum",
            escaped(&self.path)
        );
        Ok(())
    }

    /// A row's codes and what is known of them.
    fn codes(&self, row: usize) -> Result<(&[i8], Note)> {
        let (width, note) = (self.description.width, self.note(row));
        let codes = bytemuck::cast_slice(&self.map[HEAD + row * width..][..width]);
        self.check(note.sum(codes), note.codes, "codes", row)?;
        Ok((codes, note))
    }

    fn note(&self, row: usize) -> Note {
        let begin = self.layout.notes + row * size_of::<Note>();
        bytemuck::pod_read_unaligned(&self.map[begin..begin + size_of::<Note>()])
    }
}

#[cfg(test)]
mod tests;
