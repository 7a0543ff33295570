//! TensorBoard's event files: records of a length, its checksum, a protobuf message and its checksum.
//!
//! Only the fields that are used are declared; the numbers are those of TensorFlow's `event.proto`, `summary.proto` and
//! `histogram.proto`.

use std::fs::File;
use std::io::{BufReader, ErrorKind, Read, Write};
use std::path::Path;

use anyhow::{Context, Result};
use console::escaped;
use prost::{Message, Oneof};

/// A message of an event file.
#[derive(Clone, PartialEq, Message)]
pub struct Event {
    /// Seconds since 1970.
    #[prost(double, tag = "1")]
    pub wall_time: f64,
    /// The step it belongs to.
    #[prost(int64, tag = "2")]
    pub step: i64,
    /// What it says.
    #[prost(oneof = "What", tags = "3, 5, 7")]
    pub what: Option<What>,
}

/// What an event says.
#[derive(Clone, PartialEq, Oneof)]
pub enum What {
    /// The first of a file.
    #[prost(string, tag = "3")]
    FileVersion(String),
    /// Something to show.
    #[prost(message, tag = "5")]
    Summary(Summary),
    /// A program begins or ends.
    #[prost(message, tag = "7")]
    Session(Session),
}

/// A session's begin, at which readers drop what they have of its step and later ones.
#[derive(Clone, PartialEq, Message)]
pub struct Session {
    /// [`Session::START`]
    #[prost(int32, tag = "1")]
    pub status: i32,
}

impl Session {
    /// It begins.
    pub const START: i32 = 1;
}

/// Values to show.
#[derive(Clone, PartialEq, Message)]
pub struct Summary {
    /// Each under its name.
    #[prost(message, repeated, tag = "1")]
    pub values: Vec<Value>,
}

/// A value to show.
#[derive(Clone, PartialEq, Message)]
pub struct Value {
    /// What it is called; what comes before a slash groups values.
    #[prost(string, tag = "1")]
    pub tag: String,
    /// What is shown.
    #[prost(oneof = "Shown", tags = "2, 4, 5")]
    pub shown: Option<Shown>,
}

/// What is shown.
#[derive(Clone, PartialEq, Oneof)]
pub enum Shown {
    /// A point of a curve.
    #[prost(float, tag = "2")]
    Scalar(f32),
    /// A picture.
    #[prost(message, tag = "4")]
    Image(Image),
    /// A distribution.
    #[prost(message, tag = "5")]
    Histogram(Histogram),
}

/// A picture.
#[derive(Clone, PartialEq, Message)]
pub struct Image {
    /// Rows.
    #[prost(int32, tag = "1")]
    pub height: i32,
    /// Columns.
    #[prost(int32, tag = "2")]
    pub width: i32,
    /// 3 for RGB.
    #[prost(int32, tag = "3")]
    pub colorspace: i32,
    /// The bytes of a PNG file.
    #[prost(bytes = "vec", tag = "4")]
    pub encoded: Vec<u8>,
}

/// A distribution: how many values lie between one limit and the next.
#[derive(Clone, PartialEq, Message)]
pub struct Histogram {
    /// The smallest value.
    #[prost(double, tag = "1")]
    pub min: f64,
    /// The largest.
    #[prost(double, tag = "2")]
    pub max: f64,
    /// How many there are.
    #[prost(double, tag = "3")]
    pub num: f64,
    /// Their sum.
    #[prost(double, tag = "4")]
    pub sum: f64,
    /// The sum of their squares.
    #[prost(double, tag = "5")]
    pub sum_squares: f64,
    /// The upper ends of the buckets.
    #[prost(double, repeated, tag = "6")]
    pub limits: Vec<f64>,
    /// What is in them.
    #[prost(double, repeated, tag = "7")]
    pub counts: Vec<f64>,
}

impl Histogram {
    /// In so many buckets of the same width; what is no number is left out.
    pub fn new(values: &[f32], buckets: usize) -> Self {
        let all = || {
            values
                .iter()
                .map(|&v| f64::from(v))
                .filter(|v| v.is_finite())
        };
        let (min, max) = (
            all().fold(f64::INFINITY, f64::min),
            all().fold(f64::NEG_INFINITY, f64::max),
        );
        if min > max {
            return Self::default();
        }
        let width = (max - min) / buckets as f64;
        let mut counts = vec![0.0; buckets];
        all().for_each(|v| counts[(((v - min) / width) as usize).min(buckets - 1)] += 1.0);
        Self {
            min,
            max,
            num: all().count() as f64,
            sum: all().sum(),
            sum_squares: all().map(|v| v * v).sum(),
            limits: (1..=buckets).map(|i| min + width * i as f64).collect(),
            counts,
        }
    }
}

/// Writes an event as a record.
pub fn write(out: &mut impl Write, event: &Event) -> std::io::Result<()> {
    let bytes = event.encode_to_vec();
    let length = (bytes.len() as u64).to_le_bytes();
    let mut record = Vec::with_capacity(bytes.len() + 16);
    record.extend(length);
    record.extend(masked(&length));
    record.extend(&bytes);
    record.extend(masked(&bytes));
    out.write_all(&record)
}

/// A record's checksum: turned and moved, so that data that contains checksums has another.
fn masked(bytes: &[u8]) -> [u8; 4] {
    let sum = crc32c::crc32c(bytes).rotate_right(15);
    sum.wrapping_add(0xa282_ead8).to_le_bytes()
}

/// How many bytes of a file its first records take that `belong`; a damaged one ends them, as a crash leaves one.
pub fn kept_bytes(path: &Path, mut belongs: impl FnMut(&Event) -> bool) -> Result<u64> {
    let name = || escaped(path).to_string();
    let mut reader = BufReader::new(File::open(path).with_context(name)?);
    let mut kept = 0;
    while let Some(record) = next(&mut reader).with_context(name)? {
        match Event::decode(&*record) {
            Ok(event) if belongs(&event) => kept += record.len() as u64 + 16,
            _ => break,
        }
    }
    Ok(kept)
}

/// The next record, if it is whole.
fn next(reader: &mut impl Read) -> std::io::Result<Option<Vec<u8>>> {
    let mut head = [0; 12];
    if !whole(reader.read_exact(&mut head))? || masked(&head[..8]) != head[8..] {
        return Ok(None);
    }
    let length = u64::from_le_bytes(head[..8].try_into().unwrap_or_default());
    let mut record = Vec::new();
    let got = reader.by_ref().take(length).read_to_end(&mut record)?;
    let mut sum = [0; 4];
    let is_whole = got as u64 == length && whole(reader.read_exact(&mut sum))?;
    Ok((is_whole && masked(&record) == sum).then_some(record))
}

/// Whether something was read, not just the end.
fn whole(read: std::io::Result<()>) -> std::io::Result<bool> {
    match read {
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(false),
        read => read.map(|()| true),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(step: i64) -> Event {
        let value = Value {
            tag: "loss/training".into(),
            shown: Some(Shown::Scalar(0.5)),
        };
        Event {
            wall_time: 1.5,
            step,
            what: Some(What::Summary(Summary {
                values: vec![value],
            })),
        }
    }

    /// Worked out by hand from the format's description.
    #[test]
    fn the_bytes_of_a_record() {
        let mut bytes = Vec::new();
        write(&mut bytes, &event(3)).unwrap();
        let message = [
            &[
                9, 0, 0, 0, 0, 0, 0, 0xf8, 0x3f, 16, 3, 42, 22, 10, 20, 10, 13,
            ][..],
            b"loss/training",
            &[21, 0, 0, 0, 0x3f],
        ];
        let message = message.concat();
        assert_eq!(bytes[..8], (message.len() as u64).to_le_bytes());
        assert_eq!(bytes[12..12 + message.len()], message);
        assert_eq!(bytes.len(), message.len() + 16);
    }

    /// The check value of CRC-32C is 0xe3069283; turned and moved by hand.
    #[test]
    fn the_checksum_is_masked() {
        assert_eq!(masked(b"123456789"), 0xc78a_b0e5_u32.to_le_bytes());
    }

    #[test]
    fn what_belongs_is_kept_up_to_the_first_damage() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("events");
        let mut bytes = Vec::new();
        (1..=5).for_each(|step| write(&mut bytes, &event(step)).unwrap());
        let record = bytes.len() / 5;
        let kept = |bytes: &[u8], last| {
            std::fs::write(&path, bytes).unwrap();
            kept_bytes(&path, |event| event.step <= last).unwrap() as usize / record
        };
        assert_eq!((kept(&bytes, 3), kept(&bytes, 9)), (3, 5));
        assert_eq!(kept(&bytes[..bytes.len() - 1], 9), 4);
        for at in [2 * record, 2 * record + 20, 3 * record - 1] {
            let mut damaged = bytes.clone();
            damaged[at] ^= 0x40;
            assert_eq!(kept(&damaged, 9), 2, "{at}");
        }
        // A length that no file has, with the right checksum.
        let huge = u64::MAX.to_le_bytes();
        assert_eq!(
            kept(&[&bytes[..record], &huge[..], &masked(&huge)].concat(), 9),
            1
        );
    }

    #[test]
    fn a_histogram_counts_every_number() {
        let histogram = Histogram::new(&[0.0, 1.0, 1.5, 4.0, f32::NAN], 4);
        assert_eq!(histogram.counts, [1.0, 2.0, 0.0, 1.0]);
        assert_eq!(histogram.limits, [1.0, 2.0, 3.0, 4.0]);
        assert_eq!(
            (histogram.num, histogram.sum, histogram.sum_squares),
            (4.0, 6.5, 19.25)
        );
        assert_eq!(
            Histogram::new(&[2.0, 2.0], 3).counts.iter().sum::<f64>(),
            2.0
        );
        assert_eq!(Histogram::new(&[], 3), Histogram::default());
    }
}
