//! IDX files, in which MNIST, Fashion-MNIST and their like come: one of grey images, one of labels, each perhaps
//! gzipped.

use std::path::{Path, PathBuf};

use console::escaped;

use super::Source;
use super::gzip::Content;
use super::items::{Items, Place};
use super::store::{Container, Form, Store};
use crate::error::Error;
use crate::shard::{ClassName, Split};

/// What the two files' names have in place of each other.
const NAMES: [[&str; 2]; 2] = [
    ["images-idx3-ubyte", "labels-idx1-ubyte"],
    ["images.idx3-ubyte", "labels.idx1-ubyte"],
];

/// More than this is not unpacked in memory.
const MOST_UNPACKED: u64 = 4 << 30;

/// The images and the labels of one split.
pub(crate) struct Pair {
    images: PathBuf,
    labels: PathBuf,
}

/// What IDX calls the bytes of a file: a count and, of images, two sides.
pub(crate) struct Header {
    count: u64,
    height: u32,
    width: u32,
}

impl Header {
    const IMAGES: u64 = 16;

    fn image_bytes(&self) -> u64 {
        u64::from(self.width) * u64::from(self.height)
    }
}

/// Whether these are the first bytes of an IDX file, of whatever numbers.
pub(crate) fn starts_like_idx(start: &[u8]) -> bool {
    let types = [0x08, 0x09, 0x0b, 0x0c, 0x0d, 0x0e];
    matches!(start, [0, 0, kind, 1..=4, ..] if types.contains(kind))
}

/// Finds the files of a split directly in a folder.
pub(crate) fn find(folder: &Path, split: Split) -> Result<Option<Pair>, Error> {
    let entries = std::fs::read_dir(folder).map_err(Error::io(folder, "read"))?;
    let names = entries.flatten().map(|entry| entry.file_name());
    let mut names: Vec<String> = names
        .filter_map(|name| name.into_string().ok())
        .filter(|name| labels_of(name).is_some())
        .collect();
    // What is there gzipped and unpacked is one file.
    names.sort();
    names.dedup_by(|second, first| without_gz(second) == without_gz(first));
    if names.is_empty() {
        return Ok(None);
    }
    let (of_split, others): (Vec<_>, Vec<_>) = names
        .into_iter()
        .partition(|name| name.contains("train") == (split == Split::Train));
    match &of_split[..] {
        [one] => pair(&folder.join(one)).map(Some),
        [] => {
            let (others, split) = (others.join(", "), split.name());
            let cause = format!("IDX files, but none with images of the split {split}: {others}");
            Err(Error::input(folder, cause))
        }
        several => {
            let cause = format!("several IDX files with images: {}", several.join(", "));
            Err(Error::input(
                folder,
                format!("{cause}; give one as --source"),
            ))
        }
    }
}

/// A file of images, and that of their labels beside it.
pub(crate) fn pair(images: &Path) -> Result<Pair, Error> {
    let name = images.file_name().unwrap_or_default().to_string_lossy();
    let Some(labels) = labels_of(&name) else {
        let cause = "its name does not tell where the labels are; an IDX file of images is called …-images-idx3-ubyte";
        return Err(Error::input(images, cause));
    };
    let plain = without_gz(&labels);
    let names = [labels.clone(), plain.into(), format!("{plain}.gz")];
    let mut paths = names.iter().map(|name| images.with_file_name(name));
    match paths.find(|path| path.is_file()) {
        Some(labels) => Ok(Pair {
            images: images.to_path_buf(),
            labels,
        }),
        None => {
            let cause = format!("its labels are not beside it: {plain} or {plain}.gz");
            Err(Error::input(images, cause))
        }
    }
}

/// The name that the labels have if this is that of images.
fn labels_of(images: &str) -> Option<String> {
    let (plain, gz) = images.split_at(without_gz(images).len());
    let name = |[of_images, of_labels]: [&str; 2]| {
        let before = plain.strip_suffix(of_images)?;
        Some(format!("{before}{of_labels}{gz}"))
    };
    NAMES.into_iter().find_map(name)
}

fn without_gz(name: &str) -> &str {
    name.strip_suffix(".gz").unwrap_or(name)
}

/// Lists the images.
pub(crate) fn open(pair: Pair, labels: Option<Vec<ClassName>>) -> Result<Source, Error> {
    let Pair { images, labels: of } = pair;
    let (header, unpacked) = read_images(&images)?;
    let numbers = read_labels(&of)?;
    if numbers.len() as u64 != header.count {
        let (labels, count) = (numbers.len(), header.count);
        let cause = format!(
            "{labels} labels, but {} has {count} images",
            escaped(&images)
        );
        return Err(Error::input(&of, cause));
    }
    let classes = labels.unwrap_or_else(|| {
        let most = numbers.iter().max().map_or(0, |&most| u32::from(most) + 1);
        let names = (0..most).map(|number| number.to_string());
        names.map(|name| name.as_str().into()).collect()
    });
    let name = images.file_name().unwrap_or_default().to_string_lossy();
    let mut items = Items::default();
    let folder = items.folder(&format!("{}/", without_gz(&name)));
    for (number, label) in (0..).zip(numbers) {
        if usize::from(label) >= classes.len() {
            let cause = format!("the label {label} is beyond the class list");
            return Err(Error::input(&of, format!("image {number}: {cause}")));
        }
        let bytes = header.image_bytes();
        let place = Place::Within(0, Header::IMAGES + number * bytes);
        items.push(folder, &format!("{number:05}"), place, bytes, label.into())?;
    }
    let form = Form::Grey {
        width: header.width,
        height: header.height,
    };
    Ok(Source {
        kind: "IDX files",
        classes,
        items,
        store: Store {
            root: images.parent().unwrap_or(Path::new(".")).to_path_buf(),
            containers: vec![Container {
                path: images,
                form,
                unpacked,
            }],
        },
        skipped: 0,
        warnings: Vec::new(),
    })
}

/// What a file of images says of itself and, if it is gzipped, what is in it.
fn read_images(path: &Path) -> Result<(Header, Option<Vec<u8>>), Error> {
    let mut content = Content::open(path)?;
    let start = content.take(Header::IMAGES, path)?;
    let header = parse_images(&start).map_err(|cause| Error::damaged(path, cause))?;
    let sizes = header.count.checked_mul(header.image_bytes());
    let Some(wanted) = sizes.and_then(|bytes| bytes.checked_add(Header::IMAGES)) else {
        let cause = "its header tells of more pixels than a file can hold";
        return Err(Error::damaged(path, cause));
    };
    if content.is_packed && wanted > MOST_UNPACKED {
        let cause = "too long to be unpacked in memory; decompress it with gunzip";
        return Err(Error::input(path, cause));
    }
    let (length, unpacked) = if content.is_packed {
        let mut bytes = start;
        bytes.extend(content.take(wanted - Header::IMAGES + 1, path)?);
        (bytes.len() as u64, Some(bytes))
    } else {
        let meta = std::fs::metadata(path).map_err(Error::io(path, "read"))?;
        (meta.len(), None)
    };
    check_length(path, header.count, "images", length, wanted)?;
    Ok((header, unpacked))
}

fn read_labels(path: &Path) -> Result<Vec<u8>, Error> {
    let mut content = Content::open(path)?;
    let start = content.take(8, path)?;
    let count = parse_labels(&start).map_err(|cause| Error::damaged(path, cause))?;
    let labels = content.take(u64::from(count) + 1, path)?;
    let length = (start.len() + labels.len()) as u64;
    check_length(path, count.into(), "labels", length, 8 + u64::from(count))?;
    Ok(labels)
}

fn check_length(path: &Path, count: u64, of: &str, length: u64, wanted: u64) -> Result<(), Error> {
    if length < wanted {
        let cause = format!("cut short: {length} bytes, but its header tells of {count} {of}");
        return Err(Error::damaged(path, format!("{cause}, which are {wanted}")));
    }
    if length > wanted {
        let cause = format!("longer than the {count} {of} that its header tells of");
        return Err(Error::damaged(path, cause));
    }
    Ok(())
}

/// Reads the header of a file of images.
pub(crate) fn parse_images(start: &[u8]) -> Result<Header, String> {
    let [count, height, width] = parse::<3>(start, "images")?;
    if count == 0 || height == 0 || width == 0 {
        return Err(format!("{count} images of {width}×{height} pixels"));
    }
    Ok(Header {
        count: count.into(),
        height,
        width,
    })
}

/// The number of labels in a file of them.
pub(crate) fn parse_labels(start: &[u8]) -> Result<u32, String> {
    let [count] = parse::<1>(start, "labels")?;
    Ok(count)
}

/// The sizes along each of `N` dimensions, of bytes.
fn parse<const N: usize>(start: &[u8], of: &str) -> Result<[u32; N], String> {
    let (magic, sizes) = start.split_at_checked(4).ok_or("cut short in its header")?;
    let [_, _, kind, dimensions] = [0, 1, 2, 3].map(|at| magic[at]);
    if !starts_like_idx(magic) {
        return Err(format!("not an IDX file: it begins with {magic:02x?}"));
    }
    if (kind, usize::from(dimensions)) != (8, N) {
        let cause = format!("an IDX file of type {kind:#04x} and {dimensions} dimensions");
        return Err(format!("{cause}, not one of {of}: type 0x08 and {N}"));
    }
    let sizes = sizes.as_chunks::<4>().0;
    let sizes: [[u8; 4]; N] = sizes.try_into().map_err(|_| "cut short in its header")?;
    Ok(sizes.map(u32::from_be_bytes))
}
