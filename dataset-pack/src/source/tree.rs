//! Images in folders and in archives, as one tree: an archive is a folder by another name.

use std::fs::File;
use std::io::Read;
use std::path::{Component, Path};

use image::ImageFormat;
use walkdir::WalkDir;

use super::archive::{self, Member};
use super::store::{Container, Store};
use crate::decode;
use crate::error::Error;
use crate::items::{Items, NO_LABEL, Place, split};

/// What was found.
pub(crate) struct Tree {
    pub(crate) kind: &'static str,
    pub(crate) items: Items,
    pub(crate) store: Store,
    pub(crate) skipped: u64,
    pub(crate) warnings: Vec<String>,
}

/// Walks a folder, archives in it included.
pub(crate) fn walk(root: &Path) -> Result<Tree, Error> {
    let mut tree = Tree::new(root, "class folders");
    for entry in WalkDir::new(root).min_depth(1).follow_links(true) {
        let entry = match entry {
            Ok(entry) => entry,
            Err(error) => {
                tree.dangling(error)?;
                continue;
            }
        };
        let kind = entry.file_type();
        if kind.is_file() {
            let length = entry.metadata().map_err(|e| walk_error(root, e))?.len();
            tree.file(entry.path(), length)?;
        } else if !kind.is_dir() {
            // Devices and pipes are never opened: reading one may wait for ever.
            tree.skipped += 1;
        }
    }
    Ok(tree)
}

/// Looks through one archive.
pub(crate) fn of_archive(path: &Path) -> Result<Tree, Error> {
    let mut tree = Tree::new(path, "a tar archive");
    tree.archive(path, "")?;
    Ok(tree)
}

impl Tree {
    fn new(root: &Path, kind: &'static str) -> Tree {
        let store = Store {
            root: root.to_path_buf(),
            containers: Vec::new(),
        };
        let (items, skipped, warnings) = (Items::default(), 0, Vec::new());
        Tree {
            kind,
            items,
            store,
            skipped,
            warnings,
        }
    }

    fn file(&mut self, path: &Path, length: u64) -> Result<(), Error> {
        let source = relative(&self.store.root, path);
        if !named_like_an_image(path) {
            let start = read_start(path)?;
            if archive::starts_like_tar(&start) {
                self.kind = "class folders and archives";
                let source = source.unwrap_or_else(|lossy| lossy);
                let stem = source.strip_suffix(".tar").unwrap_or(&source);
                return self.archive(path, &format!("{stem}/"));
            }
            if !decode::is_image(&start) {
                self.skip(path);
                return Ok(());
            }
        }
        match source {
            Ok(source) => {
                let (folder, name) = split(&source);
                let folder = self.items.folder(folder);
                self.items.push(folder, name, Place::File, length, NO_LABEL)
            }
            Err(lossy) => self.items.push_bad(&lossy, "the name is not UTF-8"),
        }
    }

    /// Counts a file that is no image; one that may well hold images is worth a warning.
    fn skip(&mut self, path: &Path) {
        self.skipped += 1;
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .to_lowercase();
        let packed = [
            ".gz", ".tgz", ".bz2", ".xz", ".zst", ".zip", ".7z", ".rar", ".tar",
        ];
        if packed.iter().any(|end| name.ends_with(end)) {
            let path = path.display();
            self.warnings.push(format!(
                "{path}: not a plain tar archive, hence not looked into"
            ));
        }
    }

    fn archive(&mut self, path: &Path, prefix: &str) -> Result<(), Error> {
        let number = self.store.containers.len() as u32;
        self.store.containers.push(Container {
            path: path.to_path_buf(),
            planes: false,
        });
        archive::visit(path, prefix, &mut |member| self.member(number, &member))
    }

    fn member(&mut self, container: u32, member: &Member<'_>) -> Result<(), Error> {
        let image = named_like_an_image(Path::new(member.path));
        if let Some(trouble) = member.trouble {
            if image {
                return self.items.push_bad(member.path, trouble);
            }
            self.skipped += 1;
        } else if image || decode::is_image(member.start) {
            let (folder, name) = split(member.path);
            let folder = self.items.folder(folder);
            let place = Place::Within(container, member.offset);
            return self.items.push(folder, name, place, member.bytes, NO_LABEL);
        } else {
            self.skip(Path::new(member.path));
        }
        Ok(())
    }

    /// In an archive of `train/CLASS/IMAGE`, `train` is no class.
    pub(crate) fn strip_common_folders(&mut self) {
        if self.kind == "a tar archive" {
            while self.items.strip_common_folder() {}
        }
    }

    /// A link that leads nowhere is a bad image or a file to skip; any other error ends the walk,
    /// since a folder that cannot be read would be a silent gap.
    fn dangling(&mut self, error: walkdir::Error) -> Result<(), Error> {
        let root = &self.store.root;
        let path = error.path().unwrap_or(root).to_path_buf();
        if let Some(ancestor) = error.loop_ancestor() {
            let cause = format!("a link back to {}", ancestor.display());
            return Err(Error::input(&path, cause));
        }
        if path.is_symlink() && !path.exists() {
            if named_like_an_image(&path) {
                let source = relative(root, &path).unwrap_or_else(|lossy| lossy);
                return self
                    .items
                    .push_bad(&source, "a link to a file that does not exist");
            }
            self.skipped += 1;
            return Ok(());
        }
        Err(walk_error(root, error))
    }
}

fn walk_error(root: &Path, error: walkdir::Error) -> Error {
    let path = error.path().unwrap_or(root).to_path_buf();
    let cause = error
        .into_io_error()
        .unwrap_or_else(|| std::io::ErrorKind::Other.into());
    Error::io(&path, "read")(cause)
}

/// The path below `root`, or its nearest readable form if it is not UTF-8.
fn relative(root: &Path, path: &Path) -> Result<String, String> {
    let below = path.strip_prefix(root).unwrap_or(path);
    let mut parts = Vec::new();
    for part in below.components() {
        if let Component::Normal(part) = part {
            let part = part
                .to_str()
                .ok_or_else(|| below.to_string_lossy().into_owned())?;
            parts.push(part);
        }
    }
    Ok(parts.join("/"))
}

/// A name like an image's makes a file a candidate, so that a damaged one is not passed over.
fn named_like_an_image(path: &Path) -> bool {
    ImageFormat::from_path(path).is_ok_and(|format| format.reading_enabled())
}

/// Without such a name, the first bytes decide.
fn read_start(path: &Path) -> Result<Vec<u8>, Error> {
    let mut start = Vec::new();
    let file = File::open(path).map_err(Error::io(path, "read"))?;
    file.take(512)
        .read_to_end(&mut start)
        .map_err(Error::io(path, "read"))?;
    Ok(start)
}
