//! Files that appear under their final name only when they are whole.

use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock};

use anyhow::{Context, Result};
use console::escaped;
use dataset_pack::atomic::{Draft, TEMPORARY_SUFFIX, folder_of, sync_folder};

/// Bytes that are written at once.
const PART: usize = 1 << 20;

static UNWANTED: LazyLock<Arc<AtomicBool>> = LazyLock::new(Arc::default);

/// Once this is set no file is finished any more: writing one fails and leaves nothing. For signals.
pub fn unwanted() -> Arc<AtomicBool> {
    UNWANTED.clone()
}

/// A file of which no more is written once it is unwanted.
struct Wanted<'a>(&'a mut dyn Write, &'a AtomicBool);

impl Write for Wanted<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.1.load(Ordering::Relaxed) {
            true => Err(io::Error::other("interrupted")),
            false => self.0.write(&bytes[..bytes.len().min(PART)]),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// Writes the file `path`: under a temporary name beside it, brought to the disk, then renamed. If `fill` or the disk
/// fails, whatever stood under `path` still does.
pub fn write(path: &Path, fill: impl FnOnce(&mut dyn Write) -> Result<()>) -> Result<()> {
    write_while(path, &UNWANTED, fill)
}

fn write_while(
    path: &Path,
    unwanted: &AtomicBool,
    fill: impl FnOnce(&mut dyn Write) -> Result<()>,
) -> Result<()> {
    let mut writer = BufWriter::with_capacity(PART, Draft::create(path)?);
    let cannot = || format!("{}: cannot write", escaped(path));
    fill(&mut Wanted(&mut writer, unwanted)).with_context(cannot)?;
    let draft = writer.into_inner().map_err(|error| error.into_error());
    draft.with_context(cannot)?.publish()?;
    // The new name is durable only with the folder's own content.
    Ok(sync_folder(folder_of(path))?)
}

/// Removes what a killed program left in a folder.
pub fn remove_leftovers(folder: &Path) -> Result<()> {
    let failed = || format!("{}: cannot tidy up", escaped(folder));
    for entry in std::fs::read_dir(folder).with_context(failed)? {
        let path = entry.with_context(failed)?.path();
        if path
            .extension()
            .is_some_and(|end| end == &TEMPORARY_SUFFIX[1..])
        {
            std::fs::remove_file(&path).with_context(failed)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let entries = std::fs::read_dir(folder).unwrap();
        entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect()
    }

    #[test]
    fn a_failure_leaves_what_was_there() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.txt");
        write(&path, |w| Ok(w.write_all(b"old")?)).unwrap();
        let error = write(&path, |w| {
            w.write_all(b"new")?;
            anyhow::bail!("no more")
        });
        assert_eq!(
            format!("{:#}", error.unwrap_err()),
            format!("{}: cannot write: no more", escaped(&path))
        );
        assert_eq!(std::fs::read(&path).unwrap(), b"old");
        assert_eq!(names(dir.path()), ["a.txt"]);
    }

    #[test]
    fn a_file_that_becomes_unwanted_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.txt");
        let unwanted = AtomicBool::new(false);
        let error = write_while(&path, &unwanted, |w| {
            w.write_all(b"one")?;
            unwanted.store(true, Ordering::Relaxed);
            Ok(w.write_all(b"two")?)
        });
        assert_eq!(
            format!("{:#}", error.unwrap_err()),
            format!("{}: cannot write: interrupted", escaped(&path))
        );
        assert_eq!(names(dir.path()), [""; 0]);
    }

    #[test]
    fn leftovers_are_removed_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["step-1.safetensors", "step-2.safetensors.x1.tmp", "latest"] {
            std::fs::write(dir.path().join(name), "").unwrap();
        }
        remove_leftovers(dir.path()).unwrap();
        let mut left = names(dir.path());
        left.sort();
        assert_eq!(left, ["latest", "step-1.safetensors"]);
    }
}
