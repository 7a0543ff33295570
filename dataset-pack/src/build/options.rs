//! What the user asks for.

use std::path::PathBuf;

use serde::Serialize;

use crate::error::Error;
use crate::pixels::{DEFAULT_MAX_DECODED_BYTES, Damaged, Resize};
use crate::shard::{MAX_SHARD_IMAGES, MAX_SIZE, Split};

/// What to pack, and how.
#[derive(Clone, Debug)]
pub struct BuildOptions {
    /// What holds the images: a folder, a tar archive, a list.
    pub source: PathBuf,
    /// The folder of the finished set; made if there is none.
    pub out: PathBuf,
    /// Which part of the data this is. Ignored where `val_fraction` makes two sets.
    pub split: Split,
    /// A class list, a devkit's `meta.mat` or a packed set to take the classes from; without one,
    /// the classes that are found, in byte order.
    pub labels: Option<PathBuf>,
    /// The ground truth of images in no class folders, or a devkit's folder.
    pub truth: Option<PathBuf>,
    /// Width and height of the packed images.
    pub size: u32,
    /// How they are brought to that size.
    pub resize: Resize,
    /// Images in a shard, before bad ones are left out.
    pub shard_images: usize,
    /// Threads; zero for as many as there are cores.
    pub jobs: usize,
    /// Key of the order in which images are packed, and of what is held out.
    pub seed: u64,
    /// What is done with images of which only a part can be decoded.
    pub damaged: Damaged,
    /// How many images may be rejected, or kept although damaged, before packing fails.
    pub max_bad: usize,
    /// Which of the shards are packed.
    pub part: Part,
    /// Makes two sets, `out/train` and `out/val`, with this share of each class in `val`.
    pub val_fraction: Option<f64>,
    /// Images that take more bytes than this once decoded are rejected.
    pub max_decoded_bytes: u64,
}

impl BuildOptions {
    /// The defaults of the command line.
    pub fn new(source: impl Into<PathBuf>, out: impl Into<PathBuf>) -> Self {
        BuildOptions {
            source: source.into(),
            out: out.into(),
            split: Split::Train,
            labels: None,
            truth: None,
            size: 256,
            resize: Resize::Bilinear,
            shard_images: 4096,
            jobs: 0,
            seed: 0,
            damaged: Damaged::Reject,
            max_bad: 100,
            part: Part::WHOLE,
            val_fraction: None,
            max_decoded_bytes: DEFAULT_MAX_DECODED_BYTES,
        }
    }

    pub(crate) fn check(&self) -> Result<(), Error> {
        let cause = if self.size == 0 || self.size > MAX_SIZE {
            format!("the size {} is not within 1 to {MAX_SIZE}", self.size)
        } else if self.shard_images == 0 || self.shard_images as u64 > MAX_SHARD_IMAGES {
            format!(
                "{} images in a shard are not within 1 to {MAX_SHARD_IMAGES}",
                self.shard_images
            )
        } else if self.val_fraction.is_some_and(|f| !(f > 0.0 && f < 1.0)) {
            "the share held out for validation is not between 0 and 1".into()
        } else if self.part.index >= self.part.count {
            "there is no such part".into()
        } else {
            return Ok(());
        };
        Err(Error::input(&self.out, cause))
    }
}

/// Which of the shards a run packs: those whose number leaves `index` when divided by `count`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Part {
    /// Less than `count`.
    pub index: u32,
    /// Number of parts.
    pub count: u32,
}

impl Part {
    /// All shards.
    pub const WHOLE: Part = Part { index: 0, count: 1 };
}
