//! Which files the PTX was made from.

use crate::Error;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::{fs, io};

/// The crate's name and the sources of it and its path dependencies, from the dependency file
/// that cargo leaves beside what it builds.
pub fn sources(release_dir: &Path) -> Result<(String, Vec<PathBuf>), Error> {
    let entries = fs::read_dir(release_dir).map_err(|source| Error::io(release_dir, source))?;
    let newest = entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "d"))
        .max_by_key(|path| fs::metadata(path).and_then(|data| data.modified()).ok())
        .ok_or_else(|| {
            let missing = io::Error::new(io::ErrorKind::NotFound, "cargo left no dependency file");
            Error::io(release_dir, missing)
        })?;
    let text = fs::read_to_string(&newest).map_err(|source| Error::io(&newest, source))?;
    let name = newest
        .file_stem()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    Ok((name, parse(&text)))
}

/// `TARGET: FILE FILE …`, a line per target, with blanks in names escaped as in a makefile.
fn parse(text: &str) -> Vec<PathBuf> {
    let mut files = BTreeSet::new();
    for line in text.lines() {
        let Some((_, list)) = line.split_once(": ") else {
            continue;
        };
        let joined = list.replace("\\ ", "\0");
        files.extend(
            joined
                .split_whitespace()
                .map(|name| PathBuf::from(name.replace('\0', " "))),
        );
    }
    files.into_iter().collect()
}

/// Adds the manifest of every package among the sources, and its workspace's manifest and lock
/// file: whatever bears on the result although no compiler reads it.
pub fn with_manifests(sources: Vec<PathBuf>, crate_dir: &Path) -> Vec<PathBuf> {
    let mut files: BTreeSet<PathBuf> = sources.into_iter().collect();
    let packages: BTreeSet<PathBuf> = files
        .iter()
        .filter_map(|file| above(file, "Cargo.toml"))
        .collect();
    files.extend(packages);
    for name in ["Cargo.toml", "Cargo.lock"] {
        // The lock file lies beside the workspace's manifest, at or above the crate.
        let root = crate_dir
            .ancestors()
            .find(|dir| dir.join("Cargo.lock").is_file());
        files.extend(root.map(|root| root.join(name)));
    }
    files.retain(|file| file.is_file());
    files.into_iter().collect()
}

fn above(file: &Path, name: &str) -> Option<PathBuf> {
    file.ancestors()
        .skip(1)
        .map(|dir| dir.join(name))
        .find(|path| path.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_with_blanks_are_read() {
        let text = "/t/my\\ dir/k.ptx: /a\\ b/src/lib.rs /c/src/lib.rs\n";
        assert_eq!(
            parse(text),
            ["/a b/src/lib.rs", "/c/src/lib.rs"].map(PathBuf::from)
        );
    }

    #[test]
    fn manifests_and_the_lock_file_are_added() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        for file in [
            "Cargo.toml",
            "Cargo.lock",
            "k/Cargo.toml",
            "k/src/lib.rs",
            "k/src/gone.rs",
        ] {
            let path = root.join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        fs::remove_file(root.join("k/src/gone.rs")).unwrap();
        let sources = ["k/src/lib.rs", "k/src/gone.rs"]
            .map(|file| root.join(file))
            .to_vec();
        let expected = ["Cargo.lock", "Cargo.toml", "k/Cargo.toml", "k/src/lib.rs"];
        assert_eq!(
            with_manifests(sources, &root.join("k")),
            expected.map(|file| root.join(file))
        );
    }
}
