//! Files that appear under their final name only when they are whole.

use std::ffi::OsStr;
use std::fs::{File, Permissions};
use std::io::{BufWriter, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use anyhow::{Context, Result, anyhow, ensure};
use console::escaped;

/// What temporary files end in. Only a killed program leaves one.
pub const TEMPORARY_SUFFIX: &str = ".tmp";

/// Writes the file `path`: under a temporary name beside it, brought to the disk, then renamed. If `fill` or the disk
/// fails, whatever stood under `path` still does.
pub fn write(path: &Path, fill: impl FnOnce(&mut dyn Write) -> Result<()>) -> Result<()> {
    replace(path, fill).with_context(|| format!("{}: cannot write", escaped(path)))
}

fn replace(path: &Path, fill: impl FnOnce(&mut dyn Write) -> Result<()>) -> Result<()> {
    let name = path.file_name().context("not the name of a file")?;
    // A rename would put a file in the place of `/dev/stdout`.
    let other = path
        .metadata()
        .is_ok_and(|there| !there.is_file() && !there.is_dir());
    ensure!(!other, "a device, a pipe or a socket, not a file");
    // A name may have 255 bytes, the temporary one too.
    let start = &name.as_bytes()[..name.len().min(200)];
    let folder = path
        .parent()
        .filter(|folder| *folder != Path::new(""))
        .unwrap_or(Path::new("."));
    let draft = tempfile::Builder::new()
        .prefix(OsStr::from_bytes(&[start, b"."].concat()))
        .suffix(TEMPORARY_SUFFIX)
        // Less the umask, as for any other file; the default would hide it from others.
        .permissions(Permissions::from_mode(0o666))
        .tempfile_in(folder)
        // Less the temporary name in it, which means nothing to anybody.
        .map_err(|error| {
            anyhow!(
                "{}",
                error
                    .to_string()
                    .split(" at path ")
                    .next()
                    .unwrap_or_default()
            )
        })?;
    let mut writer = BufWriter::with_capacity(1 << 20, draft.as_file());
    fill(&mut writer)?;
    writer.flush()?;
    drop(writer);
    draft.as_file().sync_all()?;
    draft.persist(path).map_err(|error| error.error)?;
    // The new name is durable only with the folder's own content.
    File::open(folder)?.sync_all()?;
    Ok(())
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
    use std::os::unix::fs::FileTypeExt;
    use std::os::unix::net::UnixListener;

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
    fn a_missing_folder_is_said_in_one_line() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("missing/a.txt");
        let error = format!("{:#}", write(&path, |_| Ok(())).unwrap_err());
        let expected = format!(
            "{}: cannot write: No such file or directory (os error 2)",
            escaped(&path)
        );
        assert_eq!(error, expected);
    }

    #[test]
    fn what_is_no_file_is_not_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let (socket, link) = (dir.path().join("socket"), dir.path().join("link"));
        let _bound = UnixListener::bind(&socket).unwrap();
        std::os::unix::fs::symlink(&socket, &link).unwrap();
        for path in [&socket, &link] {
            let error = format!("{:#}", write(path, |_| Ok(())).unwrap_err());
            assert!(error.ends_with("a socket, not a file"), "{error}");
            assert!(path.metadata().unwrap().file_type().is_socket());
        }
    }

    #[test]
    fn any_name_will_do() {
        let dir = tempfile::tempdir().unwrap();
        for name in [
            &b"\n\xff\x1b"[..],
            &[b'a'; 255],
            "\u{e9}".repeat(127).as_bytes(),
        ] {
            let path = dir.path().join(OsStr::from_bytes(name));
            write(&path, |w| Ok(w.write_all(b"x")?)).unwrap();
            assert_eq!(std::fs::read(&path).unwrap(), b"x");
        }
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 3);
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
