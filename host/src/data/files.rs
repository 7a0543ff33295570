//! Images from files of their own, prepared as packing prepares them, a batch at a time and one batch ahead.

use std::path::PathBuf;
use std::sync::mpsc::{Receiver, sync_channel};

use anyhow::{Context, Result};
use dataset_pack::{Rejection, Resize, load_image};

use crate::net::{Batch, IMAGES};

use super::views::View;

/// A file and its pixels, `[row][column][colour]`, or why it has none.
pub struct Loaded {
    /// The file.
    pub path: PathBuf,
    /// Its pixels.
    pub pixels: Result<Vec<u8>, Rejection>,
}

/// Files that are read while those before them are computed. Two groups of them are in memory, however many there are.
pub struct Files {
    groups: Receiver<Result<Vec<Loaded>>>,
}

impl Files {
    /// Begins to read the files in groups of `group`, each image brought to `size`×`size` pixels.
    pub fn start(
        names: impl Iterator<Item = Result<PathBuf>> + Send + 'static,
        group: usize,
        size: usize,
        rule: Resize,
    ) -> Result<Files> {
        let (send, groups) = sync_channel(1);
        let mut names = names.peekable();
        let read = move || {
            while names.peek().is_some() {
                let paths: Result<Vec<PathBuf>> = names.by_ref().take(group).collect();
                let failed = paths.is_err();
                let loaded = paths.map(|paths| load_all(paths, size, rule));
                if send.send(loaded).is_err() || failed {
                    return; // nobody wants more, or there is no more
                }
            }
        };
        std::thread::Builder::new()
            .name("images".into())
            .spawn(read)
            .context("starting the thread that reads images")?;
        Ok(Files { groups })
    }
}

impl Iterator for Files {
    type Item = Result<Vec<Loaded>>;

    fn next(&mut self) -> Option<Self::Item> {
        self.groups.recv().ok()
    }
}

/// Reads files on all cores.
fn load_all(paths: Vec<PathBuf>, size: usize, rule: Resize) -> Vec<Loaded> {
    let threads = std::thread::available_parallelism().map_or(1, |n| n.get());
    let part = paths.len().div_ceil(threads).max(1);
    let load = |path: &PathBuf| Loaded {
        pixels: load_image(path, size, rule),
        path: path.clone(),
    };
    std::thread::scope(|scope| {
        let begin = |paths| scope.spawn(move || Vec::from_iter(Iterator::map(paths, load)));
        let parts: Vec<_> = paths
            .chunks(part)
            .map(|paths| begin(paths.iter()))
            .collect();
        let join = |part: std::thread::ScopedJoinHandle<'_, Vec<Loaded>>| {
            part.join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        };
        parts.into_iter().flat_map(join).collect()
    })
}

/// A batch of `slots` images as they are stored; the last one again where there are fewer.
pub fn batch(images: &[&[u8]], size: usize, slots: usize) -> Batch {
    let last = images.len().saturating_sub(1);
    let pixels = (0..slots).flat_map(|slot| images[slot.min(last)]);
    Batch {
        pixels: pixels.copied().collect(),
        side: size,
        views: vec![View::default(); slots],
        labels: vec![0; slots],
        valid: images.len(),
    }
}

/// Slots that a batch needs for so many images, if it may have at most `most`.
pub fn slots(images: usize, most: usize) -> usize {
    most.min(images.max(1).next_multiple_of(IMAGES))
}
