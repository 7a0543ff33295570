//! `build`: from a folder of images to a set of shards.

use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::error::Error;
use crate::format::{MAX_SHARD_IMAGES, MAX_SIZE};
use crate::index::{Counts, INDEX_FILE, Split};
use crate::pack::DEFAULT_MAX_PIXELS;
use crate::plan::{self, Plan};
use crate::report::BadImage;
use crate::resize::Resize;
use crate::run::Run;
use crate::source;

/// What to pack, and how.
#[derive(Clone, Debug)]
pub struct BuildOptions {
    /// The folder of class folders.
    pub source: PathBuf,
    /// The folder of the finished set; made if there is none.
    pub out: PathBuf,
    /// Which part of the data this is. Ignored where `val_fraction` makes two sets.
    pub split: Split,
    /// A class list, one name a line; without one, the class folders in byte order.
    pub labels: Option<PathBuf>,
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
    /// How many bad images a set may have before packing fails.
    pub max_bad: usize,
    /// Makes two sets, `out/train` and `out/val`, with this share of each class in `val`.
    pub val_fraction: Option<f64>,
    /// Images of more pixels than this are rejected, unread.
    pub max_pixels: u64,
}

impl BuildOptions {
    /// The defaults of the command line.
    pub fn new(source: impl Into<PathBuf>, out: impl Into<PathBuf>) -> Self {
        BuildOptions {
            source: source.into(),
            out: out.into(),
            split: Split::Train,
            labels: None,
            size: 256,
            resize: Resize::Bilinear,
            shard_images: 4096,
            jobs: 0,
            seed: 0,
            max_bad: 100,
            val_fraction: None,
            max_pixels: DEFAULT_MAX_PIXELS,
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
    /// This many more images were dealt with.
    Advance(usize),
    /// An image could not be packed.
    Bad(&'a BadImage),
    /// Something else the user may want to know.
    Warning(&'a str),
}

/// Receives the events, in order.
pub type Observer<'a> = &'a (dyn Fn(Event<'_>) + Sync);

/// A finished set.
#[derive(Clone, Debug, Serialize)]
pub struct Built {
    /// Where it is.
    pub folder: PathBuf,
    /// Which part of the data it is.
    pub split: Split,
    /// What became of the files of the source.
    pub counts: Counts,
    /// Number of classes.
    pub classes: usize,
    /// Number of shards.
    pub shards: usize,
    /// The report of bad images, if there were any.
    pub report: Option<PathBuf>,
}

/// Packs a source folder; one set, or two with `val_fraction`.
///
/// The same source and options give the same bytes, whatever `jobs` is.
pub fn build(options: &BuildOptions, observer: Observer) -> Result<Vec<Built>, Error> {
    options.check()?;
    let sets = match options.val_fraction {
        None => vec![(options.split, options.out.clone())],
        Some(_) => [Split::Train, Split::Val]
            .map(|s| (s, options.out.join(s.name())))
            .to_vec(),
    };
    for (_, folder) in &sets {
        refuse_finished(folder)?;
    }
    let labels = options
        .labels
        .as_deref()
        .map(source::read_labels)
        .transpose()?;
    let scan = source::scan(&options.source, labels)?;
    for class in &scan.empty_classes {
        observer(Event::Warning(&format!(
            "the class {class:?} has no images here"
        )));
    }
    let parts = match options.val_fraction {
        None => vec![scan.candidates],
        Some(fraction) => {
            let (train, val) = plan::hold_out(scan.candidates, fraction, options.seed);
            vec![train, val]
        }
    };
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(options.jobs)
        .build();
    let pool =
        pool.map_err(|e| Error::input(&options.out, format!("cannot start threads: {e}")))?;

    // What the scan itself found bad or skipped is told once, with the first set.
    let (mut bad, mut skipped) = (scan.bad, scan.skipped);
    let mut built = Vec::new();
    for ((split, folder), mut candidates) in sets.into_iter().zip(parts) {
        if candidates.is_empty() {
            return Err(Error::input(
                &options.source,
                format!("no images left for {}", split.name()),
            ));
        }
        plan::shuffle(&mut candidates, options.seed);
        let plan = Plan {
            split,
            size: options.size,
            resize: options.resize,
            seed: options.seed,
            shard_images: options.shard_images,
            max_pixels: options.max_pixels,
            classes: &scan.classes,
            candidates: &candidates,
        };
        let bad = std::mem::take(&mut bad);
        let skipped = std::mem::take(&mut skipped);
        let run = Run {
            plan,
            folder: &folder,
            options,
            observer,
            bad,
            skipped,
        };
        built.push(pool.install(|| run.pack())?);
    }
    Ok(built)
}

fn refuse_finished(folder: &Path) -> Result<(), Error> {
    if folder.join(INDEX_FILE).exists() {
        return Err(Error::input(
            folder,
            "already holds a finished set; choose another folder",
        ));
    }
    Ok(())
}
