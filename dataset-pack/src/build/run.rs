//! The packing of one set, from where an earlier run left it.

use std::fs;
use std::path::{Path, PathBuf};

use console::json_name;
use serde::{Serialize, Serializer};

use super::events::{Event, Observer};
use super::options::{BuildOptions, Part};
use super::packer::ShardPacker;
use super::plan::Plan;
use crate::error::Error;
use crate::set::finish::{finish, read_part};
use crate::set::folder::{remove_drafts, shard_files};
use crate::set::index::{Counts, INDEX_FILE, Index};
use crate::shard::report::{self, BadImage, REPORT_FILE};
use crate::shard::{ClassName, Shard, Split};
use crate::sys::FolderLock;

/// A finished set, or a part of one.
#[derive(Clone, Debug, Serialize)]
pub struct Built {
    /// Where it is.
    #[serde(serialize_with = "name")]
    pub folder: PathBuf,
    /// What the source was recognised as.
    pub source: &'static str,
    /// Which part of the data it is.
    pub split: Split,
    /// What became of the files of the source.
    pub counts: Counts,
    /// Number of classes.
    pub classes: usize,
    /// The class with label 0.
    pub first_class: String,
    /// The class with the highest label.
    pub last_class: String,
    /// Number of shards, of the part if it is one.
    pub shards: usize,
    /// Which part of the set, if not all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub part: Option<Part>,
    /// The report of bad images, if there were any.
    #[serde(serialize_with = "optional_name")]
    pub report: Option<PathBuf>,
}

fn name<S: Serializer>(path: &Path, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(&json_name(path))
}

fn optional_name<S: Serializer>(path: &Option<PathBuf>, to: S) -> Result<S::Ok, S::Error> {
    path.as_deref().map(json_name).serialize(to)
}

/// The packing of one set.
pub(crate) struct Run<'a> {
    plan: &'a Plan<'a>,
    folder: &'a Path,
    options: &'a BuildOptions,
    observer: Observer<'a>,
    /// The lines of the report, and how many there are.
    lines: Vec<u8>,
    bad: usize,
}

impl<'a> Run<'a> {
    pub(crate) fn new(
        plan: &'a Plan<'a>,
        folder: &'a Path,
        options: &'a BuildOptions,
        observer: Observer<'a>,
    ) -> Self {
        let (lines, bad) = (Vec::new(), 0);
        Run {
            plan,
            folder,
            options,
            observer,
            lines,
            bad,
        }
    }

    pub(crate) fn pack(mut self) -> Result<Built, Error> {
        fs::create_dir_all(self.folder).map_err(Error::io(self.folder, "make the folder"))?;
        let _lock = FolderLock::take(self.folder)?;
        let set = &self.plan.description;
        if self.folder.join(INDEX_FILE).exists() {
            return self.finished();
        }
        remove_drafts(self.folder)?;
        let (split, images, classes) = (set.split, set.candidates as usize, set.classes.len());
        (self.observer)(Event::Begin {
            split,
            images,
            classes,
        });
        let packed = self.resume().and_then(|left| self.pack_shards(&left));
        // Also where packing failed, since the report says why; but its own error comes second.
        let reported = report::write(self.folder, &self.lines);
        packed?;
        reported?;
        if self.options.part == Part::WHOLE {
            let index = finish(self.folder, set)?;
            self.warn_of_lost_classes(&index);
            return Ok(self.built(index.counts));
        }
        let mut counts = Counts {
            skipped: set.skipped,
            ..Counts::default()
        };
        for number in self.own() {
            let part = read_part(self.folder, set, number)?.counts();
            counts.packed += part.packed;
            counts.kept += part.kept;
            counts.rejected += part.rejected;
        }
        Ok(self.built(counts))
    }

    /// Classes with images of which none could be packed.
    fn warn_of_lost_classes(&self, index: &Index) {
        let mut lost: Vec<bool> = index.class_images.iter().map(|&n| n == 0).collect();
        if !lost.contains(&true) {
            return;
        }
        let set = &self.plan.description;
        let mut had = vec![false; lost.len()];
        for number in (0..set.shard_count).flat_map(|shard| self.plan.shard(shard)) {
            let label = self.plan.source.items.get(*number as usize).label;
            if let Some(had) = had.get_mut(label as usize) {
                *had = true;
            }
        }
        lost.iter_mut()
            .zip(had)
            .for_each(|(lost, had)| *lost &= had);
        let mut names = set.classes.iter().zip(&lost).filter(|(_, lost)| **lost);
        if let Some((class, _)) = names.next() {
            let (count, name) = (names.count() + 1, &class.name);
            let warning = format!("{count} classes have no image that could be packed: {name:?}");
            let more = if count > 1 { ", …" } else { "" };
            (self.observer)(Event::Warning(&format!("{warning}{more}")));
        }
    }

    /// A finished set of the same plan is what was asked for; any other stays as it is.
    fn finished(&self) -> Result<Built, Error> {
        let index = Index::read(self.folder)?;
        if index.description != self.plan.description {
            let cause = "already holds a finished set of other images or options";
            return Err(Error::input(
                self.folder,
                format!("{cause}; choose another folder"),
            ));
        }
        (self.observer)(Event::Warning("the set is finished already"));
        Ok(self.built(index.counts))
    }

    /// The shards that are this run's part.
    fn own(&self) -> impl Iterator<Item = u32> + use<> {
        let Part { index, count } = self.options.part;
        (index..self.plan.description.shard_count).step_by(count as usize)
    }

    /// Finds out which shards are there already, and returns those to be packed.
    fn resume(&mut self) -> Result<Vec<u32>, Error> {
        let set = &self.plan.description;
        for (_, path) in shard_files(self.folder)? {
            let foreign = Shard::open(&path).is_ok_and(|s| s.header.set_id != set.set_id);
            if foreign {
                let cause =
                    "a shard of other images or options; choose another folder or remove it";
                return Err(Error::input(&path, cause));
            }
        }
        let mut left = Vec::new();
        for number in self.own() {
            match read_part(self.folder, set, number) {
                Ok(part) => {
                    let counts = part.counts();
                    self.lines.extend(part.report);
                    self.bad += (counts.rejected + counts.kept) as usize;
                    (self.observer)(Event::Found(set.candidates_of(number) as usize));
                }
                Err(Error::Io { cause, .. }) if cause.kind() == std::io::ErrorKind::NotFound => {
                    left.push(number);
                }
                Err(error) => {
                    (self.observer)(Event::Warning(&format!("{error}; packing it again")));
                    left.push(number);
                }
            }
        }
        Ok(left)
    }

    /// Packs shards. While one is brought to the disk, the next is begun.
    fn pack_shards(&mut self, numbers: &[u32]) -> Result<(), Error> {
        let packer = ShardPacker::new(self.plan, self.folder, self.observer)?;
        // Those of an earlier run count as well.
        self.limit_bad(None)?;
        std::thread::scope(|scope| {
            let mut finishing = None;
            for &number in numbers {
                let written = packer.pack(number, &mut |bad| self.note(bad))?;
                join(finishing.take())?;
                finishing = Some(scope.spawn(move || written.finish()));
            }
            join(finishing)
        })
    }

    fn note(&mut self, bad: &BadImage) -> Result<(), Error> {
        (self.observer)(Event::Bad(bad));
        self.lines.extend(
            bad.line()
                .map_err(|e| Error::io(self.folder, "write")(e.into()))?,
        );
        self.bad += 1;
        self.limit_bad(Some(bad))
    }

    fn limit_bad(&self, last: Option<&BadImage>) -> Result<(), Error> {
        if self.bad <= self.options.max_bad {
            return Ok(());
        }
        Err(Error::TooManyBad {
            report: self.folder.join(REPORT_FILE),
            bad: self.bad,
            limit: self.options.max_bad,
            last: last.map_or("of an earlier run".into(), |b| {
                format!("{}: {}", b.source, b.reason)
            }),
        })
    }

    fn built(&self, counts: Counts) -> Built {
        let set = &self.plan.description;
        let report = self.folder.join(REPORT_FILE);
        let class = |class: Option<&ClassName>| class.map_or(String::new(), |c| c.name.clone());
        Built {
            folder: self.folder.to_path_buf(),
            source: self.plan.source.kind,
            split: set.split,
            counts,
            classes: set.classes.len(),
            first_class: class(set.classes.first()),
            last_class: class(set.classes.last()),
            shards: self.own().count(),
            part: (self.options.part != Part::WHOLE).then_some(self.options.part),
            report: (counts.rejected + counts.kept > 0).then_some(report),
        }
    }
}

fn join(
    finishing: Option<std::thread::ScopedJoinHandle<'_, Result<(), Error>>>,
) -> Result<(), Error> {
    match finishing.map(|thread| thread.join()) {
        None => Ok(()),
        Some(Ok(result)) => result,
        Some(Err(panic)) => std::panic::resume_unwind(panic),
    }
}
