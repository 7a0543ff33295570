//! `build`: from a folder of images to a set of shards.

use std::path::Path;

use crate::error::Error;
use crate::events::{Event, Observer};
use crate::options::BuildOptions;
use crate::plan;
use crate::run::{Built, Run};
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
