//! `extract`: a set back to class folders of PNG.

use std::path::{Component, Path, PathBuf};

use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::{ExtendedColorType, ImageEncoder};
use rayon::prelude::*;
use twox_hash::XxHash3_64;

use super::dataset::Dataset;
use super::index::is_plain_name;
use crate::error::Error;
use crate::sys::atomic;

/// Writes every image of a set to `out/CLASS/SOURCE.png`, where SOURCE is the image's path within
/// its class folder. `out` must be empty or new. `done` is told of images as they are written.
pub fn extract(
    dataset: &Dataset,
    out: impl AsRef<Path>,
    done: &(dyn Fn(usize) + Sync),
) -> Result<(), Error> {
    let out = out.as_ref();
    atomic::make_empty_folder(out)?;
    (0..dataset.len()).into_par_iter().try_for_each(|index| {
        let path = out.join(target(dataset, index)?);
        let folder = path.parent().unwrap_or(out);
        std::fs::create_dir_all(folder).map_err(Error::io(folder, "make the folder"))?;
        write_png(&path, &dataset.image(index)?, dataset.size())?;
        done(1);
        Ok(())
    })
}

/// Writes a square RGB image as PNG.
pub fn write_png(path: &Path, rgb: &[u8], size: usize) -> Result<(), Error> {
    let mut png = Vec::new();
    PngEncoder::new_with_quality(&mut png, CompressionType::Fast, FilterType::Adaptive)
        .write_image(rgb, size as u32, size as u32, ExtendedColorType::Rgb8)
        .map_err(|e| Error::io(path, "write")(std::io::Error::other(e)))?;
    atomic::write_unsynced(path, &png)
}

/// Where an image goes below the output folder, and never outside it.
fn target(dataset: &Dataset, index: usize) -> Result<PathBuf, Error> {
    let class = dataset.classes()[dataset.label(index) as usize]
        .name
        .as_str();
    let source = dataset.source(index)?;
    // Lists may name files anywhere.
    let source = source.trim_start_matches('/');
    let below = source
        .strip_prefix(class)
        .and_then(|s| s.strip_prefix('/'))
        .unwrap_or(source);
    let inside = Path::new(below)
        .components()
        .all(|part| matches!(part, Component::Normal(_)));
    if !is_plain_name(class) || below.is_empty() || !inside {
        let cause = format!("image {index}: {class:?}, {source:?} cannot be file names");
        return Err(Error::damaged(dataset.shard_file(index), cause));
    }
    let (folders, name) = below.rsplit_once('/').unwrap_or(("", below));
    let folders = folders.split('/').map(|folder| fitting(folder, ""));
    let folders: PathBuf = std::iter::once(fitting(class, "")).chain(folders).collect();
    Ok(folders.join(fitting(name, ".png")))
}

/// A file's name with this end, shortened if no file can have it.
fn fitting(name: &str, end: &str) -> String {
    const MOST: usize = 255;
    if name.len() + end.len() <= MOST {
        return format!("{name}{end}");
    }
    let hash = XxHash3_64::oneshot(name.as_bytes());
    let end = format!("~{hash:016x}{end}");
    let start = &name[..name.floor_char_boundary(MOST - end.len())];
    format!("{start}{end}")
}
