//! What there is to pack, recognised by looking at it: class folders, archives of them, flat
//! images with a ground truth, lists, CIFAR's files.

mod archive;
mod cifar;
mod classes;
mod list;
mod mat;
mod store;
mod tree;
mod truth;

use std::collections::{BTreeSet, HashMap};
use std::path::Path;

pub(crate) use classes::read_labels;
pub(crate) use store::{Content, Store};

use crate::description::{ClassName, Split};
use crate::error::Error;
use crate::items::{Item, Items, NO_LABEL};

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

/// Looks through a source. `labels` gives the classes and their order; `truth` the labels of
/// images that lie in no class folders.
pub(crate) fn open(
    path: &Path,
    split: Split,
    labels: Option<Vec<ClassName>>,
    truth: Option<&Path>,
) -> Result<Source, Error> {
    let meta = std::fs::metadata(path).map_err(Error::io(path, "open the source"))?;
    let mut source = if meta.is_dir() {
        match cifar::find(path, split)? {
            Some(files) => cifar::open(path, files, labels)?,
            None => labelled(tree::walk(path)?, path, split, labels, truth)?,
        }
    } else if archive::is_tar(path)? {
        labelled(tree::of_archive(path)?, path, split, labels, truth)?
    } else {
        list::open(path, labels)?
    };
    let mut used = vec![false; source.classes.len()];
    let labels = source.items.iter().map(|item| item.label);
    labels
        .filter(|&label| label != NO_LABEL)
        .for_each(|label| used[label as usize] = true);
    if !used.contains(&true) {
        let skipped = source.skipped;
        let cause = format!("no images in class folders ({skipped} other files)");
        return Err(Error::input(path, cause));
    }
    for (class, _) in source.classes.iter().zip(used).filter(|(_, used)| !used) {
        let warning = format!("the class {:?} has no images here", class.name);
        source.warnings.push(warning);
    }
    Ok(source)
}

/// Labels what was found in folders or an archive.
fn labelled(
    mut tree: tree::Tree,
    path: &Path,
    split: Split,
    labels: Option<Vec<ClassName>>,
    truth: Option<&Path>,
) -> Result<Source, Error> {
    let (kind, classes) = if let Some(truth) = truth {
        let truth = truth::read(truth, split, labels)?;
        truth.apply(&mut tree.items)?;
        ("images with a ground truth", truth.classes)
    } else {
        tree.strip_common_folders();
        let class_of = by_folder_or_name(&tree.items, path)?;
        (tree.kind, by_name(&mut tree.items, path, class_of, labels)?)
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

type ClassOf = fn(Item<'_>) -> Option<&str>;

/// Where the classes are to be seen: in folders if there are any, else in names like
/// `n01440764_10026.JPEG`.
fn by_folder_or_name(items: &Items, path: &Path) -> Result<ClassOf, Error> {
    let folder: ClassOf = |item| item.folder.split_once('/').map(|(class, _)| class);
    let name: ClassOf = |item| {
        let synset = item.name.split_once('_')?.0;
        classes::is_synset(synset).then_some(synset)
    };
    if items.len() == 0 || items.iter().any(|item| folder(item).is_some()) {
        Ok(folder)
    } else if items.iter().all(|item| name(item).is_some()) {
        Ok(name)
    } else {
        let cause = "the images are in no class folders; give their labels with --truth";
        Err(Error::input(path, cause))
    }
}

/// Labels the images by class names; without a list, those that occur in byte order.
fn by_name(
    items: &mut Items,
    path: &Path,
    class_of: ClassOf,
    labels: Option<Vec<ClassName>>,
) -> Result<Vec<ClassName>, Error> {
    let classes = labels.unwrap_or_else(|| {
        let found: BTreeSet<&str> = items.iter().filter_map(class_of).collect();
        found.into_iter().map(ClassName::from).collect()
    });
    let numbers = numbered(&classes);
    let mut unknown = None;
    items.label(|item| match class_of(item) {
        None => Err("not in a class folder".into()),
        Some(name) => Ok(numbers.get(name).copied().unwrap_or_else(|| {
            unknown.get_or_insert_with(|| name.to_string());
            NO_LABEL
        })),
    });
    match unknown {
        Some(name) => {
            let cause = "this class folder is not in the class list";
            Err(Error::input(&path.join(name), cause))
        }
        None => Ok(classes),
    }
}

/// The label of each name.
fn numbered(classes: &[ClassName]) -> HashMap<&str, u32> {
    classes.iter().map(|c| c.name.as_str()).zip(0..).collect()
}

/// What the fuzz targets call.
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzz {
    use super::*;

    pub(crate) fn archive(path: &Path) {
        let Ok(true) = archive::is_tar(path) else {
            return;
        };
        let _ = tree::of_archive(path).map(|mut tree| tree.strip_common_folders());
    }

    pub(crate) fn labels(bytes: &[u8]) {
        let _ = mat::parse_synsets(bytes);
        let _ = cifar::parse(bytes, 1, 10);
        if let Ok(text) = std::str::from_utf8(bytes) {
            let _ = (classes::parse(text), list::parse(text));
            let _ = truth::parse(text).map(|lines| truth::resolve(lines, None, None));
        }
    }
}
