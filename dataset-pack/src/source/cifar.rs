//! The binary files of CIFAR-10 and CIFAR-100, in a folder or in the archive they come in.

use std::borrow::Cow;
use std::collections::HashMap;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::items::{Items, Place};
use super::store::{Container, Form, Store};
use super::{Source, archive, classes, gzip, text};
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

/// The list of names and the files of the other splits.
const BESIDE: [&str; 5] = [
    "test_batch.bin",
    "train.bin",
    "test.bin",
    TEN_NAMES,
    HUNDRED_NAMES,
];
const TEN_NAMES: &str = "batches.meta.txt";
const HUNDRED_NAMES: &str = "fine_label_names.txt";

/// The folders in the archives they come in.
const FOLDERS: [&str; 2] = ["cifar-10-batches-bin", "cifar-100-binary"];

/// More bytes than this no such file has.
const MOST: u64 = 256 << 20;

/// The files of one split.
pub(crate) struct Files {
    kind: &'static str,
    batches: Vec<Batch>,
    /// Bytes before the pixels, of which the last is the label.
    label_bytes: u64,
    names: Option<Batch>,
    count: usize,
}

/// One of the files.
struct Batch {
    name: String,
    /// Where it is, or the archive that it is in.
    path: PathBuf,
    unpacked: Option<Vec<u8>>,
}

impl Batch {
    fn bytes(&self) -> Result<Cow<'_, [u8]>, Error> {
        Ok(match &self.unpacked {
            Some(bytes) => bytes.into(),
            None => std::fs::read(&self.path)
                .map_err(Error::io(&self.path, "read"))?
                .into(),
        })
    }

    fn damaged(&self, cause: String) -> Error {
        let within = self.unpacked.as_ref().map(|_| format!("{}: ", self.name));
        Error::damaged(&self.path, within.unwrap_or_default() + &cause)
    }
}

/// Finds CIFAR's files for a split directly in a folder, or in the one that their archive holds.
pub(crate) fn find(folder: &Path, split: Split) -> Result<Option<Files>, Error> {
    let inner = FOLDERS.map(|name| folder.join(name));
    for folder in [&[folder.to_path_buf()], &inner[..]].concat() {
        if folder.join("batches.meta").is_file() && folder.join("data_batch_1").is_file() {
            return Err(Error::input(&folder, OF_PYTHON));
        }
        let file = |name: &str| {
            let path = folder.join(name);
            path.is_file().then(|| Batch {
                name: name.into(),
                path,
                unpacked: None,
            })
        };
        if let Some(files) = of_split(&folder, split, file)? {
            return Ok(Some(files));
        }
    }
    Ok(None)
}

const OF_PYTHON: &str = "CIFAR in its form for Python, which is not read; give its binary form";

/// Finds the files in a tar archive, gzipped or not, if it is one of CIFAR's; `start` are the first bytes in it.
pub(crate) fn find_in_archive(
    path: &Path,
    start: &[u8],
    split: Split,
) -> Result<Option<Files>, Error> {
    if !archive::starts_like_tar(start) || !start.starts_with(b"cifar-10") {
        return Ok(None);
    }
    if start.starts_with(b"cifar-10-batches-py") || start.starts_with(b"cifar-100-python") {
        return Err(Error::input(path, OF_PYTHON));
    }
    let mut members = members(path)?;
    of_split(path, split, |name| {
        members.remove(name).map(|bytes| Batch {
            name: name.into(),
            path: path.to_path_buf(),
            unpacked: Some(bytes),
        })
    })
}

/// What an archive has of CIFAR's files, by their names.
fn members(path: &Path) -> Result<HashMap<String, Vec<u8>>, Error> {
    let content = gzip::Content::open(path)?;
    let is_packed = content.is_packed;
    let failed = |cause: io::Error| {
        if is_packed {
            gzip::damaged(path, &cause)
        } else {
            Error::damaged(path, format!("not a whole tar archive: {cause}"))
        }
    };
    let mut members = HashMap::new();
    for entry in tar::Archive::new(content).entries().map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let name = archive::readable(&entry.path_bytes());
        let name = name.rsplit('/').next().unwrap_or_default();
        if !TRAIN.contains(&name) && !BESIDE.contains(&name) {
            continue;
        }
        let (size, mut bytes) = (entry.size(), Vec::new());
        entry.take(MOST).read_to_end(&mut bytes).map_err(failed)?;
        if bytes.len() as u64 != size {
            let cause = format!("{name}: cut short, or longer than CIFAR's files");
            return Err(Error::damaged(path, cause));
        }
        members.insert(name.to_string(), bytes);
    }
    Ok(members)
}

/// Gathers the files of a split; `file` gives one by its name, if it is there.
fn of_split(
    place: &Path,
    split: Split,
    mut file: impl FnMut(&str) -> Option<Batch>,
) -> Result<Option<Files>, Error> {
    let (ten, hundred): (&[&str], &str) = match split {
        Split::Train => (&TRAIN, "train.bin"),
        _ => (&["test_batch.bin"], "test.bin"),
    };
    let batches: Vec<Batch> = ten.iter().filter_map(|name| file(name)).collect();
    let names = file(TEN_NAMES);
    if batches.len() == ten.len() {
        return Ok(Some(Files {
            kind: "CIFAR-10",
            batches,
            label_bytes: 1,
            names,
            count: 10,
        }));
    }
    if !batches.is_empty() || names.is_some() {
        let (found, all) = (batches.len(), ten.len());
        let cause = format!("{found} of CIFAR-10's {all} files for this split");
        return Err(Error::input(place, cause));
    }
    let (Some(batch), Some(names)) = (file(hundred), file(HUNDRED_NAMES)) else {
        return Ok(None);
    };
    Ok(Some(Files {
        kind: "CIFAR-100",
        batches: vec![batch],
        label_bytes: 2,
        names: Some(names),
        count: 100,
    }))
}

/// Lists the images of the files.
pub(crate) fn open(
    root: &Path,
    files: Files,
    labels: Option<Vec<ClassName>>,
) -> Result<Source, Error> {
    let classes = match (labels, &files.names) {
        (Some(labels), _) => labels,
        (None, Some(names)) => {
            let text = text::decode(names.bytes()?.into_owned());
            let classes = text.and_then(|text| classes::parse(&text));
            classes.map_err(|cause| names.damaged(cause))?
        }
        (None, None) => (0..files.count)
            .map(|n| n.to_string().as_str().into())
            .collect(),
    };
    let (mut items, mut containers) = (Items::default(), Vec::new());
    for batch in files.batches {
        let labels = parse(&batch.bytes()?, files.label_bytes, classes.len());
        let labels = labels.map_err(|cause| batch.damaged(cause))?;
        let folder = items.folder(&format!("{}/", batch.name));
        for (number, label) in (0..).zip(labels) {
            let offset = number * (files.label_bytes + PIXELS) + files.label_bytes;
            let place = Place::Within(containers.len() as u32, offset);
            items.push(folder, &format!("{number:05}"), place, PIXELS, label)?;
        }
        containers.push(Container {
            path: batch.path,
            form: Form::Planes,
            unpacked: batch.unpacked,
        });
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
