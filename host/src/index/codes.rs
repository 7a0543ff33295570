//! Short binary codes of an index's rows, in a file beside it, and the rows nearest by them.
//!
//! | bytes | what |
//! |---|---|
//! | 0..8 | `ALEXCOD1` |
//! | 8..12 | u32: length of the description |
//! | 12..16 | u32: CRC-32C of all that follows |
//! | 16.. | the description ([`About`]), JSON |
//! | then | the encoder: its scale, its means, its weights \[feature\]\[bit\] and biases, f32 |
//! | then | codes, \[row\]\[bit / 64\] u64 |
//!
//! All little-endian, without gaps. The file is small beside the index, so it is read and checked whole.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use console::escaped;
use serde::{Deserialize, Serialize};

use super::Description;
use super::search::in_parts;
use crate::atomic;

const MAGIC: [u8; 8] = *b"ALEXCOD1";
const TEXT: usize = 16;

/// What makes codes of features: bit i of a code is whether bᵢ + Σ wⱼᵢ·(xⱼ − meanⱼ)·scale is above 0.
#[derive(Clone, Debug, PartialEq)]
pub struct Encoder {
    /// Bits of a code, a multiple of 64.
    pub bits: usize,
    /// Of each feature.
    pub mean: Vec<f32>,
    /// What all are multiplied by.
    pub scale: f32,
    /// `[feature][bit]`
    pub weights: Vec<f32>,
    /// `[bit]`
    pub biases: Vec<f32>,
}

/// What codes were made of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct About {
    index: Description,
    bits: usize,
    seed: u64,
}

/// The codes of all rows, and their encoder.
pub struct Codes {
    about: About,
    /// What made them.
    pub encoder: Encoder,
    /// `[row][word]`
    words: Vec<u64>,
}

/// A row and how many bits of its code differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Near {
    /// The bits.
    pub bits: u32,
    /// The image.
    pub row: usize,
}

/// Where an index's codes are.
pub fn beside(index: &Path) -> PathBuf {
    let mut name = OsString::from(index);
    name.push(".codes");
    name.into()
}

impl Codes {
    /// Codes of all rows of an index, `[row][word]`.
    ///
    /// # Panics
    /// They are not as many as its rows.
    pub fn new(index: &Description, encoder: Encoder, seed: u64, words: Vec<u64>) -> Self {
        assert_eq!(words.len(), index.rows * encoder.bits / 64);
        let about = About {
            index: index.clone(),
            bits: encoder.bits,
            seed,
        };
        Codes {
            about,
            encoder,
            words,
        }
    }

    /// Writes them beside their index.
    pub fn write(&self, index: &Path) -> Result<()> {
        let text = serde_json::to_vec(&self.about)?;
        let length = (text.len() as u32).to_le_bytes();
        let Encoder {
            mean,
            scale,
            weights,
            biases,
            ..
        } = &self.encoder;
        let mut rest = text;
        let numbers = [*scale]
            .into_iter()
            .chain([mean, weights, biases].into_iter().flatten().copied());
        rest.extend(numbers.flat_map(f32::to_le_bytes));
        rest.extend(self.words.iter().flat_map(|word| word.to_le_bytes()));
        let sum = crc32c::crc32c(&rest).to_le_bytes();
        atomic::write(&beside(index), |out| {
            for part in [&MAGIC[..], &length, &sum, &rest] {
                out.write_all(part)?;
            }
            Ok(())
        })
    }

    /// Reads those of an index.
    pub fn read(index: &Path, description: &Description) -> Result<Self> {
        let path = beside(index);
        let read = || -> Result<Self> {
            let bytes =
                std::fs::read(&path).context("cannot read; `host index --bits` makes it")?;
            let codes = Self::parse(&bytes)?;
            let same = codes.about.index == *description;
            ensure!(same, "they were made of another index");
            Ok(codes)
        };
        read().with_context(|| escaped(&path).to_string())
    }

    fn parse(bytes: &[u8]) -> Result<Self> {
        let head = bytes.first_chunk::<TEXT>();
        let head = head.filter(|head| head.starts_with(&MAGIC));
        let head = head.context("not an index's codes")?;
        let word =
            |at: usize| u32::from_le_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
        let rest = &bytes[TEXT..];
        let whole = crc32c::crc32c(rest) == word(12);
        ensure!(whole, "it does not match its checksum");
        let text = rest.split_at_checked(word(8) as usize);
        let (text, rest) = text.context("its description is cut")?;
        let about: About = serde_json::from_slice(text).context("its description")?;
        let (numbers, words) = about
            .parts(rest)
            .context("its description asks for other numbers than it has")?;
        let numbers: Vec<f32> = numbers
            .as_chunks()
            .0
            .iter()
            .map(|&n| f32::from_le_bytes(n))
            .collect();
        let words = words.as_chunks().0.iter().map(|&n| u64::from_le_bytes(n));
        let (mean, rest) = numbers[1..].split_at(about.index.width);
        let (weights, biases) = rest.split_at(about.index.width * about.bits);
        let encoder = Encoder {
            bits: about.bits,
            mean: mean.to_vec(),
            scale: numbers[0],
            weights: weights.to_vec(),
            biases: biases.to_vec(),
        };
        Ok(Codes {
            about,
            encoder,
            words: words.collect(),
        })
    }

    /// Words of a code.
    fn per_row(&self) -> usize {
        self.about.bits / 64
    }

    /// An image's.
    ///
    /// # Panics
    /// It has no such image.
    pub fn of(&self, row: usize) -> &[u64] {
        &self.words[row * self.per_row()..][..self.per_row()]
    }

    /// The `count` rows whose codes differ from a code in the fewest bits, of equals the first; `without` is left out.
    ///
    /// # Panics
    /// The code is not as long as theirs.
    pub fn nearest(&self, code: &[u64], count: usize, without: Option<usize>) -> Vec<Near> {
        assert_eq!(code.len(), self.per_row());
        let parts = in_parts(self.about.index.rows, |rows| {
            let words = &self.words[rows.start * code.len()..rows.end * code.len()];
            let mut bits = Vec::with_capacity(rows.len());
            differences(words, code, &mut bits);
            if let Some(own) = without.filter(|own| rows.contains(own)) {
                bits[own - rows.start] = u32::MAX;
            }
            let mut near = fewest(&bits, self.about.bits, count);
            near.iter_mut().for_each(|near| near.row += rows.start);
            near
        });
        let mut all = parts.concat();
        all.sort_unstable();
        all.truncate(count);
        all
    }
}

impl About {
    /// The bytes of the encoder's numbers and those of the codes; `None` if they are not what it says.
    fn parts<'a>(&self, rest: &'a [u8]) -> Option<(&'a [u8], &'a [u8])> {
        let good = self.bits > 0 && self.bits.is_multiple_of(64);
        let weights = self.index.width.checked_mul(self.bits)?;
        let numbers = weights
            .checked_add(self.index.width)?
            .checked_add(self.bits)?;
        let numbers = numbers.checked_add(1)?.checked_mul(4)?;
        let (numbers, words) = rest.split_at_checked(numbers)?;
        let bytes = self.index.rows.checked_mul(self.bits)? / 8;
        (good && words.len() == bytes).then_some((numbers, words))
    }
}

/// How many bits differ, of each row.
fn differences(words: &[u64], code: &[u64], bits: &mut Vec<u32>) {
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("popcnt") {
        // SAFETY: the processor can count bits, as was just asked.
        return unsafe { differences_popcnt(words, code, bits) };
    }
    differences_anywhere(words, code, bits)
}

/// # Safety
/// The processor has POPCNT.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "popcnt")]
unsafe fn differences_popcnt(words: &[u64], code: &[u64], bits: &mut Vec<u32>) {
    differences_anywhere(words, code, bits)
}

#[inline(always)]
fn differences_anywhere(words: &[u64], code: &[u64], bits: &mut Vec<u32>) {
    let differ = |row: &[u64]| {
        row.iter()
            .zip(code)
            .map(|(a, b)| (a ^ b).count_ones())
            .sum::<u32>()
    };
    bits.extend(words.chunks_exact(code.len()).map(differ));
}

/// The `count` rows with the fewest bits, of equals the first, in no order. Rows with more than `most` do not count.
fn fewest(bits: &[u32], most: usize, count: usize) -> Vec<Near> {
    let mut with = vec![0usize; most + 1];
    for &bits in bits {
        if let Some(with) = with.get_mut(bits as usize) {
            *with += 1;
        }
    }
    // Up to which number all are taken, and how many of those with one more.
    let (mut limit, mut left) = (0, count);
    while limit <= most && with[limit] <= left {
        left -= with[limit];
        limit += 1;
    }
    let mut near = Vec::with_capacity(count.min(bits.len()));
    for (row, &bits) in bits.iter().enumerate() {
        let taken = match (bits as usize).cmp(&limit) {
            std::cmp::Ordering::Less => true,
            std::cmp::Ordering::Equal if limit <= most && left > 0 => {
                left -= 1;
                true
            }
            _ => false,
        };
        if taken {
            near.push(Near { bits, row });
        }
    }
    near
}

#[cfg(test)]
mod tests {
    use super::super::tests::{description, features};
    use super::*;

    fn codes(rows: usize, bits: usize) -> Codes {
        let numbers = |count, seed| features(count, seed);
        let encoder = Encoder {
            bits,
            mean: numbers(3, 1),
            scale: 0.5,
            weights: numbers(3 * bits, 2),
            biases: numbers(bits, 3),
        };
        // Few bits set, so that many are equally far.
        let word = |i: usize| 1u64 << (i * 37 % 11) | 1 << (i * i % 64);
        let words = (0..rows * bits / 64).map(word).collect();
        Codes::new(&description(rows, 3, true), encoder, 5, words)
    }

    #[test]
    fn the_nearest_are_those_of_a_plain_search() {
        for (rows, bits) in [(1, 64), (1000, 64), (777, 192)] {
            let codes = codes(rows, bits);
            for (query, without) in [(0, None), (rows / 2, Some(rows / 2)), (rows - 1, Some(0))] {
                let code = codes.of(query);
                let differ = |row| {
                    let pairs = codes.of(row).iter().zip(code);
                    let bit = |(a, b): (&u64, &u64), i: u32| (a >> i) & 1 != (b >> i) & 1;
                    pairs
                        .flat_map(|pair| (0..64).map(move |i| bit(pair, i)))
                        .filter(|d| *d)
                        .count()
                };
                let mut all: Vec<(usize, usize)> = (0..rows)
                    .filter(|&row| Some(row) != without)
                    .map(|row| (differ(row), row))
                    .collect();
                all.sort_unstable();
                for count in [0, 1, 10, 500, 2000] {
                    let found = codes.nearest(code, count, without).into_iter();
                    let found: Vec<_> = found.map(|near| (near.bits as usize, near.row)).collect();
                    assert_eq!(found, all[..count.min(all.len())], "{rows} rows, {count}");
                }
            }
        }
    }

    #[test]
    fn what_is_written_is_read_and_damage_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let index = dir.path().join("i");
        let written = codes(9, 128);
        written.write(&index).unwrap();
        let made_of = &written.about.index;
        let read = Codes::read(&index, made_of).unwrap();
        assert!(read.about == written.about && read.encoder == written.encoder);
        assert!(read.words == written.words);

        let told = |result: Result<Codes>| format!("{:#}", result.err().unwrap());
        let error = told(Codes::read(&index, &description(9, 3, false)));
        assert!(
            error.contains("i.codes: they were made of another index"),
            "{error}"
        );
        let whole = std::fs::read(beside(&index)).unwrap();
        for (at, cause) in [
            (0, "not an index's codes"),
            (8, "description"),
            (14, "checksum"),
            (whole.len() - 1, "checksum"),
        ] {
            let mut bytes = whole.clone();
            bytes[at] ^= 1;
            std::fs::write(beside(&index), bytes).unwrap();
            let error = told(Codes::read(&index, made_of));
            assert!(error.contains(cause), "{at}: {error}");
        }
        std::fs::write(beside(&index), &whole[..10]).unwrap();
        assert!(told(Codes::read(&index, made_of)).contains("not an index's codes"));
        // Right checksums, wrong sizes.
        for (bits, rows) in [
            (0, 9),
            (100, 9),
            (128, 10),
            (64, usize::MAX),
            (usize::MAX - 63, 9),
        ] {
            let mut about = written.about.clone();
            (about.bits, about.index.rows) = (bits, rows);
            let text = serde_json::to_vec(&about).unwrap();
            let sum = crc32c::crc32c(&text).to_le_bytes();
            let bytes = [&MAGIC[..], &(text.len() as u32).to_le_bytes(), &sum, &text].concat();
            let error = format!("{:#}", Codes::parse(&bytes).err().unwrap());
            assert!(error.contains("asks for other numbers"), "{error}");
        }
    }
}
