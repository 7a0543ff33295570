//! What there is to pack: class folders, the images below them, and their labels.

use std::collections::{BTreeSet, HashMap};
use std::fs::File;
use std::io::Read;
use std::path::{Component, Path};

use image::ImageFormat;
use walkdir::WalkDir;

use crate::decode;
use crate::error::Error;
use crate::report::BadImage;

/// An image to be packed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Candidate {
    /// Path relative to the source folder, with `/` between its parts.
    pub(crate) source: String,
    pub(crate) label: u32,
}

/// What was found in a source folder.
#[derive(Debug)]
pub(crate) struct Scan {
    /// In label order.
    pub(crate) classes: Vec<String>,
    /// In the order of their paths.
    pub(crate) candidates: Vec<Candidate>,
    /// Files named like images that are already known to be none.
    pub(crate) bad: Vec<BadImage>,
    /// Number of files that are no images.
    pub(crate) skipped: u64,
    /// Classes of the list that have no image here.
    pub(crate) empty_classes: Vec<String>,
}

/// Reads a class list: one name a line.
pub(crate) fn read_labels(path: &Path) -> Result<Vec<String>, Error> {
    let text = std::fs::read_to_string(path).map_err(Error::io(path, "read"))?;
    let mut seen = BTreeSet::new();
    let mut names = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        let name = line.trim_end();
        if name.is_empty() {
            continue;
        }
        if !seen.insert(name) {
            return Err(Error::input(
                path,
                format!("line {number}: {name:?} is there twice"),
            ));
        }
        names.push(name.to_string());
    }
    if names.is_empty() {
        return Err(Error::input(path, "no class names in it"));
    }
    Ok(names)
}

/// Walks a folder of class folders. Without a list, the classes are the folders directly under
/// `root` that hold at least one image at any depth, in byte order of their names.
pub(crate) fn scan(root: &Path, labels: Option<Vec<String>>) -> Result<Scan, Error> {
    let kind = std::fs::metadata(root).map_err(Error::io(root, "open the source folder"))?;
    if !kind.is_dir() {
        return Err(Error::input(
            root,
            "not a folder; the source is a folder of class folders",
        ));
    }
    let found = walk(root)?;
    let with_images: BTreeSet<&str> = found.images.iter().filter_map(|s| class_of(s)).collect();
    let listed = labels.is_some();
    let classes =
        labels.unwrap_or_else(|| with_images.iter().map(|name| name.to_string()).collect());
    let by_name: HashMap<&str, u32> = classes.iter().map(String::as_str).zip(0u32..).collect();

    let (mut candidates, mut bad) = (Vec::new(), found.bad);
    for source in found.images {
        match class_of(&source).map(|name| (name, by_name.get(name))) {
            Some((_, Some(&label))) => candidates.push(Candidate { source, label }),
            Some((name, None)) => {
                let cause = "this class folder is not in the class list";
                return Err(Error::input(&root.join(name), cause));
            }
            None => bad.push(BadImage::new(source, "not in a class folder")),
        }
    }
    if candidates.is_empty() {
        let cause = format!("no images in class folders ({} other files)", found.skipped);
        return Err(Error::input(root, cause));
    }
    candidates.sort_by(|a, b| a.source.cmp(&b.source));
    bad.sort();
    let used: BTreeSet<u32> = candidates.iter().map(|c| c.label).collect();
    let unused = |label: &u32| !used.contains(label);
    let empty_classes = if listed {
        (0..classes.len() as u32)
            .filter(unused)
            .map(|l| classes[l as usize].clone())
            .collect()
    } else {
        Vec::new()
    };
    Ok(Scan {
        classes,
        candidates,
        bad,
        skipped: found.skipped,
        empty_classes,
    })
}

/// The class folder of a path, if it lies in one.
fn class_of(source: &str) -> Option<&str> {
    source.split_once('/').map(|(class, _)| class)
}

#[derive(Default)]
struct Found {
    images: Vec<String>,
    bad: Vec<BadImage>,
    skipped: u64,
}

fn walk(root: &Path) -> Result<Found, Error> {
    let mut found = Found::default();
    for entry in WalkDir::new(root).min_depth(1).follow_links(true) {
        let entry = match entry {
            Ok(entry) => entry,
            Err(error) => {
                dangling(root, error, &mut found)?;
                continue;
            }
        };
        if entry.file_type().is_dir() {
            continue;
        }
        let source = relative(root, entry.path());
        // Devices and pipes are never opened: reading one may wait for ever.
        let candidate = entry.file_type().is_file()
            && (named_like_an_image(entry.path()) || starts_like_an_image(entry.path())?);
        match source {
            _ if !candidate => found.skipped += 1,
            Ok(source) => found.images.push(source),
            Err(lossy) => found
                .bad
                .push(BadImage::new(lossy, "the name is not UTF-8")),
        }
    }
    Ok(found)
}

/// A link that leads nowhere is a bad image or a file to skip; any other error ends the walk,
/// since a folder that cannot be read would be a silent gap.
fn dangling(root: &Path, error: walkdir::Error, found: &mut Found) -> Result<(), Error> {
    let path = error.path().unwrap_or(root).to_path_buf();
    if let Some(ancestor) = error.loop_ancestor() {
        let cause = format!("a link back to {}", ancestor.display());
        return Err(Error::input(&path, cause));
    }
    if path.is_symlink() && !path.exists() {
        if named_like_an_image(&path) {
            let source = relative(root, &path).unwrap_or_else(|lossy| lossy);
            found.bad.push(BadImage::new(
                source,
                "a link to a file that does not exist",
            ));
        } else {
            found.skipped += 1;
        }
        return Ok(());
    }
    let cause = error
        .into_io_error()
        .unwrap_or_else(|| std::io::ErrorKind::Other.into());
    Err(Error::io(&path, "read")(cause))
}

/// The path below `root`, or its nearest readable form if it is not UTF-8.
fn relative(root: &Path, path: &Path) -> Result<String, String> {
    let below = path.strip_prefix(root).unwrap_or(path);
    let mut parts = Vec::new();
    for part in below.components() {
        if let Component::Normal(part) = part {
            parts.push(
                part.to_str()
                    .ok_or_else(|| below.to_string_lossy().into_owned())?,
            );
        }
    }
    Ok(parts.join("/"))
}

/// A name like an image's makes a file a candidate, so that a damaged one is not passed over.
fn named_like_an_image(path: &Path) -> bool {
    ImageFormat::from_path(path).is_ok_and(|format| format.reading_enabled())
}

/// Without such a name, the first bytes decide.
fn starts_like_an_image(path: &Path) -> Result<bool, Error> {
    let mut start = Vec::new();
    let file = File::open(path).map_err(Error::io(path, "read"))?;
    file.take(64)
        .read_to_end(&mut start)
        .map_err(Error::io(path, "read"))?;
    Ok(decode::is_image(&start))
}
