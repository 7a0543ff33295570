//! `build`: from a folder of images to a set of shards.

use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::description::Damaged;
use crate::error::Error;
use crate::format::{MAX_SHARD_IMAGES, MAX_SIZE};
use crate::index::{Counts, Split};
use crate::pack::DEFAULT_MAX_DECODED_BYTES;
use crate::plan;
use crate::report::BadImage;
use crate::resize::Resize;
use crate::run::{Part, Run};
use crate::source;

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

    fn check(&self) -> Result<(), Error> {
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

/// What happens while packing, for whoever shows it.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// A set is begun.
    Begin {
        /// Its split.
        split: Split,
        /// Images to pack.
        images: usize,
        /// Its classes.
        classes: usize,
    },
    /// This many images are in shards that an earlier run has finished.
    Found(usize),
    /// This many more images were dealt with.
    Advance(usize),
    /// An image could not be packed cleanly.
    Bad(&'a BadImage),
    /// Something else the user may want to know.
    Warning(&'a str),
}

/// Receives the events, in order.
pub type Observer<'a> = &'a (dyn Fn(Event<'_>) + Sync);

/// A finished set, or a part of one.
#[derive(Clone, Debug, Serialize)]
pub struct Built {
    /// Where it is.
    pub folder: PathBuf,
    /// What the source was recognised as.
    pub source: &'static str,
    /// Which part of the data it is.
    pub split: Split,
    /// What became of the files of the source.
    pub counts: Counts,
    /// Number of classes.
    pub classes: usize,
    /// Number of shards, of the part if it is one.
    pub shards: usize,
    /// Which part of the set, if not all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub part: Option<Part>,
    /// The report of bad images, if there were any.
    pub report: Option<PathBuf>,
}

/// Packs a source; one set, or two with `val_fraction`.
///
/// The same source and options give the same bytes, whatever `jobs` is, in however many parts, and
/// however often the work is interrupted: what an earlier run has finished is taken over.
pub fn build(options: &BuildOptions, observer: Observer) -> Result<Vec<Built>, Error> {
    options.check()?;
    let labels = options
        .labels
        .as_deref()
        .map(source::read_labels)
        .transpose()?;
    let source = source::open(
        &options.source,
        options.split,
        labels,
        options.truth.as_deref(),
    )?;
    for warning in &source.warnings {
        observer(Event::Warning(warning));
    }
    let plans = plan::plans(options, &source)?;
    let pool = threads(options.jobs, &options.out)?;
    let pack = |plan: &plan::Plan| {
        let folder = match options.val_fraction {
            None => options.out.clone(),
            Some(_) => options.out.join(plan.description.split.name()),
        };
        pool.install(|| Run::new(plan, &folder, options, observer).pack())
    };
    plans.iter().map(pack).collect()
}

/// So many threads, or as many as there are cores.
pub(crate) fn threads(jobs: usize, folder: &Path) -> Result<rayon::ThreadPool, Error> {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(jobs).build();
    pool.map_err(|e| Error::input(folder, format!("cannot start threads: {e}")))
}
