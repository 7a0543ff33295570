//! `build`: from a folder of images to a set of shards.

mod events;
mod image;
mod options;
mod packer;
mod plan;
mod repair;
mod run;

use std::path::{Path, PathBuf};

pub use self::events::{Event, Observer};
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) use self::image::Packer;
pub use self::image::load_image;
pub use self::options::{BuildOptions, Part};
pub use self::repair::{RepairOptions, repair};
pub use self::run::Built;
use self::run::Run;
use crate::error::Error;
use crate::source;

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
    check_out(options)?;
    let source = source::open(source::Request {
        path: &options.source,
        split: options.split,
        labels,
        truth: options.truth.as_deref(),
        out: Some(&options.out),
    })?;
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

/// What is written must not become a part of the source. A set within it is passed over; but parts
/// of a set would see each other.
fn check_out(options: &BuildOptions) -> Result<(), Error> {
    let (source, out) = (resolved(&options.source), resolved(&options.out));
    let cause = if out == source {
        "this is the source; choose a folder of its own for --out"
    } else if out.starts_with(source) && options.part != Part::WHOLE {
        "this is within the source, where other parts would be found as well; choose another --out"
    } else {
        return Ok(());
    };
    Err(Error::input(&options.out, cause))
}

/// A path without links, as far as it exists.
fn resolved(path: &Path) -> PathBuf {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf());
    let existing = absolute
        .ancestors()
        .find_map(|a| Some((a, a.canonicalize().ok()?)));
    match existing {
        Some((ancestor, canonical)) => {
            canonical.join(absolute.strip_prefix(ancestor).unwrap_or(Path::new("")))
        }
        None => absolute,
    }
}

/// So many threads, or as many as there are cores.
fn threads(jobs: usize, folder: &Path) -> Result<rayon::ThreadPool, Error> {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(jobs).build();
    pool.map_err(|e| Error::input(folder, format!("cannot start threads: {e}")))
}
