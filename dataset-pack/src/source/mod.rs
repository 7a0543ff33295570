//! What there is to pack, recognised by looking at it: class folders, archives of them, flat
//! images with a ground truth, lists, WebDatasets, the files of CIFAR and MNIST.

mod archive;
mod beside;
mod cifar;
mod classes;
mod compressed;
mod gzip;
mod idx;
mod items;
mod layout;
mod list;
mod litter;
mod mat;
mod smells;
mod store;
mod table;
mod text;
mod tree;
mod truth;

use std::fs::{Metadata, OpenOptions};
use std::io::ErrorKind;
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

pub(crate) use classes::read_labels;
pub(crate) use items::{Item, Items, NO_LABEL, Place};
pub(crate) use store::{Content, Store};
pub use truth::devkit_numbers;

use crate::error::Error;
use crate::shard::{ClassName, Split};

/// What was found in a source.
#[derive(Debug)]
pub(crate) struct Source {
    /// What it was recognised as.
    pub(crate) kind: &'static str,
    /// In label order.
    pub(crate) classes: Vec<ClassName>,
    pub(crate) items: Items,
    /// Reads the images.
    pub(crate) store: Store,
    /// Number of files that are no images.
    pub(crate) skipped: u64,
    /// What the user may want to know, one line each.
    pub(crate) warnings: Vec<String>,
}

/// What is to be looked through, and what is known of it.
pub(crate) struct Request<'a> {
    pub(crate) path: &'a Path,
    pub(crate) split: Split,
    /// The classes and their order.
    pub(crate) labels: Option<Vec<ClassName>>,
    /// The labels of images that lie in no class folders.
    pub(crate) truth: Option<&'a Path>,
    /// Where the set goes, which is no part of the source.
    pub(crate) out: Option<&'a Path>,
}

/// Looks through a source.
pub(crate) fn open(request: Request) -> Result<Source, Error> {
    let order_is_given = request.labels.is_some();
    let path = request.path;
    let mut source = recognised(request)?;
    if source.items.iter().all(|item| item.label == NO_LABEL) {
        let item = source.items.get(0);
        let why = match item.place {
            Place::Nowhere(reason) => source.items.why(reason),
            _ => "no label",
        };
        let (count, first) = (source.items.len(), item.source());
        let cause = format!("none of {count} images can be packed; the first is {first}: {why}");
        return Err(Error::input(path, cause));
    }
    source.warnings.extend(smells::of(&source, order_is_given));
    Ok(source)
}

fn recognised(request: Request) -> Result<Source, Error> {
    let Request { path, split, .. } = request;
    let meta = match std::fs::metadata(path) {
        Err(cause) if cause.kind() == ErrorKind::NotADirectory => {
            let Some((archive, within)) = in_archive(path)? else {
                return Err(Error::io(path, "open the source")(cause));
            };
            let tree = tree::of_archive(&archive, Some(within))?;
            return labelled(tree, request);
        }
        meta => meta.map_err(Error::io(path, "open the source"))?,
    };
    if meta.is_dir() {
        if let Some(files) = cifar::find(path, split)? {
            return cifar::open(path, files, request.labels);
        }
        if let Some(pair) = idx::find(path, split)? {
            return idx::open(pair, request.labels);
        }
        let tree = tree::walk(path, request.out)?;
        return labelled(tree, request);
    }
    refuse_streams(path, &meta)?;
    let start = gzip::start_of_content(path)?;
    if idx::starts_like_idx(&start) {
        return idx::open(idx::pair(path)?, request.labels);
    }
    if let Some(files) = cifar::find_in_archive(path, &start, split)? {
        return cifar::open(path, files, request.labels);
    }
    if archive::is_tar(path)? {
        labelled(tree::of_archive(path, None)?, request)
    } else {
        list::open(path, request.labels)
    }
}

/// The archive of a path that leads into one, and the path in it.
fn in_archive(path: &Path) -> Result<Option<(PathBuf, String)>, Error> {
    let archive = path.ancestors().find(|ancestor| ancestor.is_file());
    let Some(archive) = archive.filter(|archive| archive.is_file()) else {
        return Ok(None);
    };
    let within = path.strip_prefix(archive).ok().and_then(Path::to_str);
    match within {
        Some(within) if archive::is_tar(archive)? => {
            let within = within.trim_end_matches('/').to_string();
            Ok(Some((archive.to_path_buf(), within)))
        }
        _ => Ok(None),
    }
}

/// Images are read in any order, for which a stream would have to be kept somewhere.
fn refuse_streams(path: &Path, meta: &Metadata) -> Result<(), Error> {
    let kind = meta.file_type();
    let cause = if kind.is_fifo() {
        // Who waits to write into it shall learn that nobody reads.
        let mut options = OpenOptions::new();
        drop(options.read(true).custom_flags(libc::O_NONBLOCK).open(path));
        "a pipe, but images are read in any order; write it to a file first"
    } else if kind.is_socket() {
        "a socket, not a folder, a tar archive or a list"
    } else if kind.is_file() {
        return Ok(());
    } else {
        "a device, not a folder, a tar archive or a list"
    };
    Err(Error::input(path, cause))
}

/// Labels what was found in folders or an archive.
fn labelled(mut tree: tree::Tree, request: Request) -> Result<Source, Error> {
    let Request {
        path,
        split,
        mut labels,
        truth,
        ..
    } = request;
    if tree.items.len() == 0 {
        return Err(Error::input(path, tree.no_images()));
    }
    // Tiny ImageNet's, which lies beside the images it is for.
    let annotations = path.join("val_annotations.txt");
    let annotations = annotations.is_file().then_some(annotations);
    let (kind, classes) = if let Some(truth) = truth.or(annotations.as_deref()) {
        let classes = truth::apply(truth, split, labels, &mut tree.items, &mut tree.warnings)?;
        ("images with a ground truth", classes)
    } else if let Some(classes) = beside::label(&mut tree, &mut labels)? {
        ("images with labels beside them", classes)
    } else {
        (tree.kind.name(), layout::label(&mut tree, path, labels)?)
    };
    Ok(Source {
        kind,
        classes,
        items: tree.items,
        store: tree.store,
        skipped: tree.skipped,
        warnings: tree.warnings,
    })
}

/// What the fuzz targets call.
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzz {
    use super::*;

    pub(crate) fn archive(path: &Path) {
        let Ok(true) = archive::is_tar(path) else {
            return;
        };
        let _ = tree::of_archive(path, None).map(|mut tree| tree.strip_common_folders());
    }

    pub(crate) fn labels(bytes: &[u8]) {
        let _ = mat::parse_synsets(bytes);
        let _ = cifar::parse(bytes, 1, 10);
        let _ = (idx::parse_images(bytes), idx::parse_labels(bytes));
        if let Ok(text) = text::decode(bytes.to_vec()) {
            let _ = classes::parse(&text);
            let known = table::Known {
                image: &|name| name.len() % 2 == 0,
                class: None,
            };
            let table = table::read(&text, &known, &mut Vec::new());
            let _ = table.map(|table| truth::resolve(&table, None, None));
        }
    }
}
