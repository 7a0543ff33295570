//! The binary files of CIFAR-10 and CIFAR-100.

use std::path::{Path, PathBuf};

use super::items::{Items, Place};
use super::store::{Container, Store};
use super::{Source, classes};
use crate::error::Error;
use crate::shard::{ClassName, Split};

/// Bytes of an image: planes of 32×32.
const PIXELS: u64 = 3 * 32 * 32;

const TRAIN: [&str; 5] = [
    "data_batch_1.bin",
    "data_batch_2.bin",
    "data_batch_3.bin",
    "data_batch_4.bin",
    "data_batch_5.bin",
];

/// The files of one split.
pub(crate) struct Files {
    kind: &'static str,
    paths: Vec<PathBuf>,
    /// Bytes before the pixels, of which the last is the label.
    label_bytes: u64,
    names: PathBuf,
    count: usize,
}

/// Finds CIFAR's files for a split directly in a folder.
pub(crate) fn find(folder: &Path, split: Split) -> Result<Option<Files>, Error> {
    let existing = |names: &[&str]| -> Vec<PathBuf> {
        let paths = names.iter().map(|name| folder.join(name));
        paths.filter(|path| path.is_file()).collect()
    };
    let (ten, hundred): (&[&str], &[&str]) = match split {
        Split::Train => (&TRAIN, &["train.bin"]),
        _ => (&["test_batch.bin"], &["test.bin"]),
    };
    let fine = folder.join("fine_label_names.txt");
    let ten_names = folder.join("batches.meta.txt");
    let found = existing(ten);
    if found.len() == ten.len() {
        let (kind, paths, label_bytes, names, count) = ("CIFAR-10", found, 1, ten_names, 10);
        return Ok(Some(Files {
            kind,
            paths,
            label_bytes,
            names,
            count,
        }));
    }
    if !found.is_empty() || ten_names.is_file() {
        let cause = format!(
            "{} of CIFAR-10's {} files for this split",
            found.len(),
            ten.len()
        );
        return Err(Error::input(folder, cause));
    }
    let found = existing(hundred);
    if found.is_empty() || !fine.is_file() {
        return Ok(None);
    }
    let (kind, paths, label_bytes, names, count) = ("CIFAR-100", found, 2, fine, 100);
    Ok(Some(Files {
        kind,
        paths,
        label_bytes,
        names,
        count,
    }))
}

/// Lists the images of the files.
pub(crate) fn open(
    root: &Path,
    files: Files,
    labels: Option<Vec<ClassName>>,
) -> Result<Source, Error> {
    let classes = match labels {
        Some(labels) => labels,
        None if files.names.is_file() => classes::read_labels(&files.names)?,
        None => (0..files.count)
            .map(|n| n.to_string().as_str().into())
            .collect(),
    };
    let (mut items, mut containers) = (Items::default(), Vec::new());
    for path in files.paths {
        let bytes = std::fs::read(&path).map_err(Error::io(&path, "read"))?;
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let labels = parse(&bytes, files.label_bytes, classes.len());
        let labels = labels.map_err(|cause| Error::damaged(&path, cause))?;
        let folder = items.folder(&format!("{name}/"));
        for (number, label) in (0..).zip(labels) {
            let offset = number * (files.label_bytes + PIXELS) + files.label_bytes;
            let place = Place::Within(containers.len() as u32, offset);
            items.push(folder, &format!("{number:05}"), place, PIXELS, label)?;
        }
        containers.push(Container { path, planes: true });
    }
    let store = Store {
        root: root.to_path_buf(),
        containers,
    };
    let (skipped, warnings) = (0, Vec::new());
    Ok(Source {
        kind: files.kind,
        classes,
        items,
        store,
        skipped,
        warnings,
    })
}

/// The labels in a file's bytes.
pub(crate) fn parse(bytes: &[u8], label_bytes: u64, classes: usize) -> Result<Vec<u32>, String> {
    let record = (label_bytes + PIXELS) as usize;
    if bytes.is_empty() || !bytes.len().is_multiple_of(record) {
        return Err(format!("{} bytes are no multiple of {record}", bytes.len()));
    }
    let label = |(number, image): (usize, &[u8])| {
        let label = u32::from(image[label_bytes as usize - 1]);
        let known = (label as usize) < classes;
        known
            .then_some(label)
            .ok_or_else(|| format!("image {number}: no class {label}"))
    };
    bytes.chunks_exact(record).enumerate().map(label).collect()
}
