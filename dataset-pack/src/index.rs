//! `index.json`: what a set is made of. Written last, so a set that has one is whole.

use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::atomic;
use crate::error::Error;
use crate::format;
use crate::resize::Resize;
use crate::statistics::Moments;

/// Name of the index in a set's folder.
pub(crate) const INDEX_FILE: &str = "index.json";
/// Name of the mean image in a training set's folder.
pub(crate) const MEAN_FILE: &str = "mean.f32";
const FORMAT: u32 = 1;

/// Which part of the data a set is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Split {
    /// Images to learn from; such a set has a mean image and a covariance.
    #[default]
    Train,
    /// Images to choose hyper-parameters by.
    Val,
    /// Images to report results on.
    Test,
}

impl Split {
    /// The number that stands for the split in a shard's header.
    pub(crate) fn id(self) -> u32 {
        self as u32
    }

    /// The split's name, as on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Split::Train => "train",
            Split::Val => "val",
            Split::Test => "test",
        }
    }
}

/// One class of a set. Its label is its place in the list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Class {
    /// Name of the class folder.
    pub name: String,
    /// How many images of it the set holds.
    pub images: u64,
}

/// One shard, as the index knows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ShardEntry {
    pub(crate) file: String,
    pub(crate) images: u64,
    pub(crate) bytes: u64,
    #[serde(with = "hex")]
    pub(crate) checksum: u64,
}

/// What became of the files of the source.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Images in the set.
    pub packed: u64,
    /// Images that could not be packed; `report.jsonl` names them.
    pub rejected: u64,
    /// Files of the source that are no images.
    pub skipped: u64,
}

/// Sums over a training set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Statistics {
    #[serde(flatten)]
    pub(crate) moments: Moments,
    #[serde(with = "hex")]
    pub(crate) mean_checksum: u64,
}

/// The set, as its index describes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Index {
    pub(crate) tool: String,
    pub(crate) split: Split,
    pub(crate) size: u32,
    pub(crate) resize: Resize,
    pub(crate) decoder: String,
    pub(crate) seed: u64,
    #[serde(with = "hex")]
    pub(crate) set_id: u64,
    pub(crate) counts: Counts,
    pub(crate) classes: Vec<Class>,
    pub(crate) shards: Vec<ShardEntry>,
    /// Only for the split `train`.
    pub(crate) statistics: Option<Statistics>,
}

#[derive(Serialize, Deserialize)]
struct Envelope<'a> {
    format: u32,
    /// Of the bytes of `set`, as they stand in the file.
    #[serde(with = "hex")]
    checksum: u64,
    #[serde(borrow)]
    set: &'a RawValue,
}

impl Index {
    /// Writes the index, which finishes the set.
    pub(crate) fn write(&self, folder: &Path) -> Result<(), Error> {
        let path = folder.join(INDEX_FILE);
        let json = |e: serde_json::Error| Error::io(&path, "write")(e.into());
        let set = serde_json::value::to_raw_value(self).map_err(json)?;
        let checksum = format::checksum(set.get().as_bytes());
        let envelope = Envelope {
            format: FORMAT,
            checksum,
            set: &set,
        };
        let mut text = serde_json::to_vec(&envelope).map_err(json)?;
        text.push(b'\n');
        atomic::write(&path, &text)
    }

    /// Reads and checks the index of a set.
    pub(crate) fn read(folder: &Path) -> Result<Index, Error> {
        let path = folder.join(INDEX_FILE);
        let text = std::fs::read_to_string(&path).map_err(|cause| not_a_set(folder, cause))?;
        let bad = |e: serde_json::Error| Error::damaged(&path, format!("not a valid index: {e}"));
        let envelope: Envelope = serde_json::from_str(&text).map_err(bad)?;
        if envelope.format != FORMAT {
            let found = envelope.format;
            let cause = format!("format version {found}; this program reads version {FORMAT}");
            return Err(Error::damaged(&path, cause));
        }
        if format::checksum(envelope.set.get().as_bytes()) != envelope.checksum {
            return Err(Error::damaged(
                &path,
                "the index does not match its checksum",
            ));
        }
        let index: Index = serde_json::from_str(envelope.set.get()).map_err(bad)?;
        index
            .check()
            .map_err(|cause| Error::damaged(&path, cause))?;
        Ok(index)
    }

    /// Names that the index gives must stay in the set's folder, and its counts must add up.
    fn check(&self) -> Result<(), String> {
        if !(1..=format::MAX_SIZE).contains(&self.size) {
            return Err(format!(
                "images of {0}x{0} pixels are not supported",
                self.size
            ));
        }
        if let Some(shard) = self.shards.iter().find(|s| !is_plain_name(&s.file)) {
            return Err(format!("{:?} is no name for a shard", shard.file));
        }
        let in_shards: u64 = self.shards.iter().map(|s| s.images).sum();
        let in_classes: u64 = self.classes.iter().map(|c| c.images).sum();
        if in_shards != self.counts.packed || in_classes != self.counts.packed {
            let packed = self.counts.packed;
            let cause = format!("{packed} images packed, {in_shards} in shards");
            return Err(format!(
                "the counts differ: {cause}, {in_classes} in classes"
            ));
        }
        Ok(())
    }
}

fn not_a_set(folder: &Path, cause: std::io::Error) -> Error {
    use std::io::ErrorKind::{NotADirectory, NotFound};
    let why = match cause.kind() {
        NotFound if !folder.exists() => "no such folder".into(),
        NotFound if has_shards(folder) => "unfinished (shards, but no index.json)".into(),
        NotFound => "it has no index.json".into(),
        NotADirectory => "not a folder".into(),
        _ => format!("cannot read index.json: {cause}"),
    };
    Error::NotASet {
        path: folder.to_path_buf(),
        cause: why,
    }
}

fn has_shards(folder: &Path) -> bool {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .into_iter()
        .any(|e| e.file_name().to_string_lossy().starts_with("shard-"))
}

/// Whether `name` is a file name and nothing else.
pub(crate) fn is_plain_name(name: &str) -> bool {
    let mut parts = Path::new(name).components();
    let first = matches!(parts.next(), Some(std::path::Component::Normal(part)) if part == name);
    first && parts.next().is_none()
}

/// 64-bit hashes as 16 hexadecimal digits: JSON readers round large integers.
mod hex {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(value: &u64, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&format!("{value:016x}"))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<u64, D::Error> {
        let digits = String::deserialize(from)?;
        u64::from_str_radix(&digits, 16).map_err(D::Error::custom)
    }
}
