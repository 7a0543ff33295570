//! `index.json`: what a set is made of. Written last, so a set that has one is whole.

use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::error::Error;
use crate::pixels::statistics::Moments;
use crate::shard::{ClassName, Description, format, hex};
use crate::sys::atomic;

/// Name of the index in a set's folder.
pub(crate) const INDEX_FILE: &str = "index.json";
/// Name of the mean image in a training set's folder.
pub(crate) const MEAN_FILE: &str = "mean.f32";
const FORMAT: u32 = 1;

/// One class of a set. Its label is its place in the list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Class {
    /// Name of the class folder or archive: in ImageNet the synset's id.
    pub name: String,
    /// Words for it, where the source has them; else empty.
    pub words: String,
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
    /// Of those, damaged ones that were kept; `report.jsonl` names them.
    pub kept: u64,
    /// Images that could not be packed; `report.jsonl` names them.
    pub rejected: u64,
    /// Files of the source that are no images.
    pub skipped: u64,
}

/// Sums over a training set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Statistics {
    /// How many images they cover: all of the set, kept damaged ones included.
    pub(crate) images: u64,
    #[serde(flatten)]
    pub(crate) moments: Moments,
    #[serde(with = "hex")]
    pub(crate) mean_checksum: u64,
}

/// The set, as its index describes it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Index {
    pub(crate) description: Description,
    pub(crate) counts: Counts,
    /// In label order: how many images each class has.
    pub(crate) class_images: Vec<u64>,
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
        Index::parse(&path, &text)
    }

    /// Checks an index's text.
    pub(crate) fn parse(path: &Path, text: &str) -> Result<Index, Error> {
        let bad = |e: serde_json::Error| Error::damaged(path, format!("not a valid index: {e}"));
        let envelope: Envelope = serde_json::from_str(text).map_err(bad)?;
        if envelope.format != FORMAT {
            let found = envelope.format;
            let cause = format!("format version {found}; this program reads version {FORMAT}");
            return Err(Error::damaged(path, cause));
        }
        if format::checksum(envelope.set.get().as_bytes()) != envelope.checksum {
            return Err(Error::damaged(
                path,
                "the index does not match its checksum",
            ));
        }
        let index: Index = serde_json::from_str(envelope.set.get()).map_err(bad)?;
        index.check().map_err(|cause| Error::damaged(path, cause))?;
        Ok(index)
    }

    /// Names that the index gives must stay in the set's folder, and its counts must add up.
    fn check(&self) -> Result<(), String> {
        self.description.check()?;
        if let Some(shard) = self.shards.iter().find(|s| !is_plain_name(&s.file)) {
            return Err(format!("{:?} is no name for a shard", shard.file));
        }
        let (shards, classes) = (self.shards.len(), self.class_images.len());
        let expected = self.description.shard_count as usize;
        if shards != expected || classes != self.description.classes.len() {
            let cause = format!("{shards} shards of {expected}");
            return Err(format!("{cause}, numbers of images for {classes} classes"));
        }
        let sum = |numbers: &mut dyn Iterator<Item = u64>| {
            numbers.fold(0u64, |sum, number| sum.saturating_add(number))
        };
        let in_shards = sum(&mut self.shards.iter().map(|s| s.images));
        let in_classes = sum(&mut self.class_images.iter().copied());
        let Counts {
            packed,
            rejected,
            kept,
            ..
        } = self.counts;
        let candidates = self.description.candidates;
        let add_up = packed.checked_add(rejected) == Some(candidates) && kept <= packed;
        if in_shards != packed || in_classes != packed || !add_up {
            let cause = format!("{packed} images packed, {in_shards} in shards");
            let cause = format!("{cause}, {in_classes} in classes, {rejected} rejected");
            return Err(format!("the counts differ: {cause} of {candidates}"));
        }
        Ok(())
    }

    /// The classes with their numbers of images.
    pub(crate) fn classes(&self) -> Vec<Class> {
        let classes = self.description.classes.iter().zip(&self.class_images);
        let class = |(class, &images): (&ClassName, &u64)| {
            let ClassName { name, words } = class.clone();
            Class {
                name,
                words,
                images,
            }
        };
        classes.map(class).collect()
    }
}

fn not_a_set(folder: &Path, cause: std::io::Error) -> Error {
    use std::io::ErrorKind::{NotADirectory, NotFound};
    let why = match cause.kind() {
        NotFound if !folder.exists() => "no such folder".into(),
        NotFound if has_shards(folder) => {
            "unfinished (shards, but no index.json); build, merge or rebuild-index finishes it"
                .into()
        }
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
