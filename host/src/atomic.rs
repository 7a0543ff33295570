//! Files that appear under their final name only when they are whole.

use std::io::{BufWriter, Write};
use std::path::Path;

use anyhow::{Context, Result};
use console::escaped;
use dataset_pack::atomic::{Draft, TEMPORARY_SUFFIX, folder_of, sync_folder};

/// Writes the file `path`: under a temporary name beside it, brought to the disk, then renamed. If `fill` or the disk
/// fails, whatever stood under `path` still does.
pub fn write(path: &Path, fill: impl FnOnce(&mut dyn Write) -> Result<()>) -> Result<()> {
    let mut writer = BufWriter::with_capacity(1 << 20, Draft::create(path)?);
    let cannot = || format!("{}: cannot write", escaped(path));
    fill(&mut writer).with_context(cannot)?;
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
