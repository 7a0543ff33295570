//! What a set is made of, as every shard of it carries along and as the index repeats.

use std::hash::Hasher;

use serde::{Deserialize, Serialize};
use twox_hash::XxHash3_64;

use super::format;
use crate::pixels::{Damaged, Resize};

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

/// A class by its name, which is what orders and matches, and what people call it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClassName {
    /// Name of the class folder or archive: in ImageNet the synset's id.
    pub name: String,
    /// Words for it, where the source has them.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub words: String,
}

impl From<&str> for ClassName {
    fn from(name: &str) -> Self {
        ClassName {
            name: name.into(),
            words: String::new(),
        }
    }
}

/// All that decides a set's bytes, but for the list of its images, which `set_id` stands for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Description {
    /// Program and version that packed the set.
    pub(crate) tool: String,
    pub(crate) split: Split,
    pub(crate) size: u32,
    pub(crate) resize: Resize,
    pub(crate) decoder: String,
    pub(crate) damaged: Damaged,
    pub(crate) max_decoded_bytes: u64,
    pub(crate) seed: u64,
    pub(crate) shard_images: u64,
    pub(crate) shard_count: u32,
    /// Share of each class that the source gave to the validation set.
    pub(crate) val_fraction: Option<f64>,
    #[serde(with = "hex")]
    pub(crate) set_id: u64,
    /// Images that were to be packed: what is packed and what is rejected.
    pub(crate) candidates: u64,
    /// Files of the source that are no images.
    pub(crate) skipped: u64,
    /// In label order.
    pub(crate) classes: Vec<ClassName>,
}

impl Description {
    /// Begins the hash of the whole plan, in the order that FORMAT.md gives.
    pub(crate) fn hash(&self, decoder: u32) -> XxHash3_64 {
        let mut hash = XxHash3_64::new();
        let words = [self.split.id(), self.size, self.resize.id(), decoder];
        let damaged = self.damaged as u64;
        for number in words.map(u64::from).into_iter().chain([
            damaged,
            self.max_decoded_bytes,
            self.seed,
            self.shard_images,
            self.classes.len() as u64,
            self.candidates,
            self.skipped,
        ]) {
            hash.write(&number.to_le_bytes());
        }
        for class in &self.classes {
            for text in [&class.name, &class.words] {
                hash.write(&(text.len() as u64).to_le_bytes());
                hash.write(text.as_bytes());
            }
        }
        hash
    }

    /// Names and numbers must be such as this program would write.
    pub(crate) fn check(&self) -> Result<(), String> {
        if !(1..=format::MAX_SIZE).contains(&self.size) {
            return Err(format!(
                "images of {0}x{0} pixels are not supported",
                self.size
            ));
        }
        let full = self.shard_images.checked_mul(u64::from(self.shard_count));
        let fits = full.is_some_and(|full| self.candidates <= full)
            && (1..=format::MAX_SHARD_IMAGES).contains(&self.shard_images)
            && self.candidates > (u64::from(self.shard_count) - 1) * self.shard_images;
        if !fits {
            return Err("the numbers of shards and images contradict each other".into());
        }
        Ok(())
    }

    /// How many candidates are the business of a shard.
    pub(crate) fn candidates_of(&self, shard: u32) -> u64 {
        let before = u64::from(shard) * self.shard_images;
        (self.candidates - before).min(self.shard_images)
    }
}

/// 64-bit hashes as 16 hexadecimal digits: JSON readers round large integers.
pub(crate) mod hex {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(crate) fn serialize<S: Serializer>(value: &u64, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&format!("{value:016x}"))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<u64, D::Error> {
        let digits = String::deserialize(from)?;
        u64::from_str_radix(&digits, 16).map_err(D::Error::custom)
    }
}
