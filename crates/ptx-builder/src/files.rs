//! Where things are kept, and writing them whole.

use crate::Error;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

/// The directory `ptx-builder` in the cargo target directory that holds `out_dir`, or in `out_dir`
/// itself if that is in none. Cargo marks its target directories as caches.
pub fn cache_dir(out_dir: &Path) -> PathBuf {
    let target = out_dir
        .ancestors()
        .find(|dir| dir.join("CACHEDIR.TAG").is_file());
    target.unwrap_or(out_dir).join("ptx-builder")
}

/// Waits until no other process or thread holds this lock; held until the file is dropped. Where
/// the file system knows no locks, builds running at once may do some work twice.
pub fn lock(path: &Path) -> Result<fs::File, Error> {
    if let Some(dir) = path.parent() {
        fs::create_dir_all(dir).map_err(|source| Error::io(dir, source))?;
    }
    let file = fs::File::create(path).map_err(|source| Error::io(path, source))?;
    let _ = file.lock();
    Ok(file)
}

/// Writes a file under a temporary name and renames it; leaves it alone where it is the same.
pub fn write(path: &Path, text: &str) -> Result<(), Error> {
    if fs::read(path).is_ok_and(|old| old == text.as_bytes()) {
        return Ok(());
    }
    if let Some(dir) = path.parent() {
        fs::create_dir_all(dir).map_err(|source| Error::io(dir, source))?;
    }
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.tmp", std::process::id()));
    let temporary = path.with_file_name(name);
    write_synced(&temporary, text)
        .and_then(|()| fs::rename(&temporary, path))
        .map_err(|source| {
            let _ = fs::remove_file(&temporary);
            Error::io(path, source)
        })
}

fn write_synced(path: &Path, text: &str) -> std::io::Result<()> {
    let mut file = fs::File::create(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cache_lies_in_the_target_directory() {
        let dir = tempfile::tempdir().unwrap();
        let out = dir.path().join("debug/build/x-0123/out");
        fs::create_dir_all(&out).unwrap();
        assert_eq!(cache_dir(&out), out.join("ptx-builder"));
        fs::write(dir.path().join("CACHEDIR.TAG"), "").unwrap();
        assert_eq!(cache_dir(&out), dir.path().join("ptx-builder"));
    }

    #[test]
    fn writing_replaces_and_leaves_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("sub/a.ptx");
        for text in ["one", "two"] {
            write(&path, text).unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
        }
        assert_eq!(fs::read_dir(dir.path().join("sub")).unwrap().count(), 1);
    }

    #[test]
    fn an_error_names_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("taken");
        fs::create_dir(&path).unwrap();
        let message = write(&path, "x").unwrap_err().to_string();
        assert!(message.contains("taken"), "{message}");
    }
}
