//! Files that appear under their final name only when they are whole.

use std::ffi::OsStr;
use std::fs::{File, Metadata, Permissions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::{FallocateFlags, fallocate};
use rustix::io::Errno;
use tempfile::NamedTempFile;

use super::direct;
use crate::error::Error;

/// What temporary files end in. A killed run may leave them; the next one removes them.
pub const TEMPORARY_SUFFIX: &str = ".tmp";

/// A file being written. Dropped before [`Draft::publish`], it is deleted.
pub struct Draft {
    file: NamedTempFile,
    path: PathBuf,
}

impl Draft {
    /// Starts the file that will be called `path`.
    pub fn create(path: &Path) -> Result<Draft, Error> {
        // A rename would put a file in the place of `/dev/stdout`.
        let other = |there: Metadata| !there.is_file() && !there.is_dir();
        if path.metadata().is_ok_and(other) {
            let cause = "a device, a pipe or a socket, not a file";
            return Err(Error::input(path, cause));
        }
        let no_name = || Error::io(path, "write")(io::Error::other("not the name of a file"));
        let name = path.file_name().ok_or_else(no_name)?.as_bytes();
        // The longest name has no room for what is added to it.
        let start = &name[..name.len().min(200)];
        let file = tempfile::Builder::new()
            .prefix(OsStr::from_bytes(&[start, b"."].concat()))
            .suffix(TEMPORARY_SUFFIX)
            // Less the umask, as for any other file; the default would hide it from others.
            .permissions(Permissions::from_mode(0o666))
            .tempfile_in(folder_of(path))
            .map_err(|error| Error::io(path, "write")(without_temporary_name(error)))?;
        Ok(Draft {
            file,
            path: path.to_path_buf(),
        })
    }

    /// Takes room on the disk for as many bytes. What is not used of it is given back by
    /// [`Draft::publish`]. Where the file system cannot, room is taken as it is needed.
    pub(crate) fn reserve(&self, bytes: u64) -> Result<(), Error> {
        match fallocate(self.file.as_file(), FallocateFlags::KEEP_SIZE, 0, bytes) {
            Err(Errno::NOSPC) => Err(Error::io(&self.path, "write")(Errno::NOSPC.into())),
            _ => Ok(()),
        }
    }

    /// The name it is to have.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn append(&mut self, bytes: &[u8]) -> Result<(), Error> {
        // Past the wrapper, whose errors name the temporary file.
        let file = self.file.as_file_mut();
        file.write_all(bytes)
            .map_err(Error::io(&self.path, "write"))
    }

    /// Appends bytes that nobody reads soon; best in whole [`direct::Block`]s.
    pub(crate) fn write_past_cache(&mut self, bytes: &[u8]) -> Result<(), Error> {
        direct::write(self.file.as_file_mut(), bytes).map_err(Error::io(&self.path, "write"))
    }

    /// Overwrites the beginning of the file.
    pub(crate) fn write_start(&mut self, bytes: &[u8]) -> Result<(), Error> {
        let file = self.file.as_file_mut();
        file.seek(SeekFrom::Start(0))
            .map_err(Error::io(&self.path, "write"))?;
        self.append(bytes)
    }

    /// Brings the content to the disk and gives the file its name, which lasts once
    /// [`sync_folder`] has brought that to the disk too.
    pub fn publish(self) -> Result<(), Error> {
        let file = self.file.as_file();
        file.metadata()
            .and_then(|metadata| file.set_len(metadata.len()))
            .and_then(|()| file.sync_all())
            .map_err(Error::io(&self.path, "write"))?;
        self.publish_unsynced()
    }

    /// Gives the file its name. After a power failure it may be empty.
    fn publish_unsynced(self) -> Result<(), Error> {
        let path = self.path;
        self.file
            .persist(&path)
            .map_err(|e| Error::io(&path, "write")(e.error))?;
        Ok(())
    }
}

/// The content of the file, from its start; errors do not name it.
impl Write for Draft {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.as_file_mut().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.as_file_mut().flush()
    }
}

/// The folder that a file is or will be in.
pub fn folder_of(path: &Path) -> &Path {
    let folder = path.parent().filter(|folder| *folder != Path::new(""));
    folder.unwrap_or(Path::new("."))
}

/// The error without the temporary name that `tempfile` adds, which means nothing to anybody.
fn without_temporary_name(error: io::Error) -> io::Error {
    let text = error.to_string();
    let cause = text.split(" at path ").next().unwrap_or_default();
    io::Error::new(error.kind(), cause)
}

/// Writes a whole file.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let mut draft = Draft::create(path)?;
    draft.append(bytes)?;
    draft.publish()
}

/// Writes one of many files that are easily made again: whole, but not waiting for the disk.
pub(crate) fn write_unsynced(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let mut draft = Draft::create(path)?;
    draft.append(bytes)?;
    draft.publish_unsynced()
}

/// Makes a folder for output, and refuses one that has something in it.
pub(crate) fn make_empty_folder(path: &Path) -> Result<(), Error> {
    std::fs::create_dir_all(path).map_err(Error::io(path, "make the folder"))?;
    let mut entries = std::fs::read_dir(path).map_err(Error::io(path, "read"))?;
    match entries.next() {
        None => Ok(()),
        Some(_) => Err(Error::input(
            path,
            "the folder is not empty; choose another",
        )),
    }
}

/// Makes the names in a folder durable.
pub fn sync_folder(folder: &Path) -> Result<(), Error> {
    let handle = File::open(folder).map_err(Error::io(folder, "open"))?;
    handle.sync_all().map_err(Error::io(folder, "write"))
}

/// Copies a file: whole, and brought to the disk.
pub(crate) fn copy(from: &Path, to: &Path) -> Result<(), Error> {
    let mut draft = Draft::create(to)?;
    let mut source = File::open(from).map_err(Error::io(from, "open"))?;
    let mut buffer = vec![0; 1 << 20];
    loop {
        match source.read(&mut buffer).map_err(Error::io(from, "read"))? {
            0 => return draft.publish(),
            read => draft.append(&buffer[..read])?,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{FileTypeExt, MetadataExt, symlink};
    use std::os::unix::net::UnixListener;

    use super::*;

    #[test]
    fn what_is_no_file_is_not_replaced() {
        let folder = tempfile::tempdir().expect("makes a folder");
        let (socket, link) = (folder.path().join("socket"), folder.path().join("link"));
        let _bound = UnixListener::bind(&socket).expect("binds");
        symlink(&socket, &link).expect("links");
        for path in [&socket, &link] {
            let error = write(path, b"x").expect_err("no file").to_string();
            assert!(error.ends_with("a socket, not a file"), "{error}");
            let there = path.metadata().expect("is there");
            assert!(there.file_type().is_socket());
        }
    }

    #[test]
    fn room_that_is_not_used_is_given_back() {
        let folder = tempfile::tempdir().expect("makes a folder");
        let path = folder.path().join("file");
        let mut draft = Draft::create(&path).expect("starts");
        draft.reserve(1 << 24).expect("has room");
        draft.append(b"ten bytes.").expect("writes");
        draft.publish().expect("has its name");
        let file = path.metadata().expect("is there");
        assert_eq!(file.len(), 10);
        assert!(file.blocks() * 512 < 1 << 20, "{} blocks", file.blocks());
    }

    #[test]
    fn a_missing_folder_is_said_in_one_line() {
        let folder = tempfile::tempdir().expect("makes a folder");
        let path = folder.path().join("missing/file");
        let error = write(&path, b"x").expect_err("there is no folder");
        let path = path.display();
        let expected = format!("{path}: cannot write: No such file or directory (os error 2)");
        assert_eq!(error.to_string(), expected);
    }

    #[test]
    fn any_name_will_do() {
        let folder = tempfile::tempdir().expect("makes a folder");
        let longest = "\u{e9}".repeat(127);
        for name in [&b"\n\xff\x1b"[..], &[b'a'; 255], longest.as_bytes()] {
            let path = folder.path().join(OsStr::from_bytes(name));
            write(&path, b"x").expect("writes");
            assert_eq!(std::fs::read(&path).expect("is there"), b"x");
        }
        assert_eq!(folder.path().read_dir().expect("is there").count(), 3);
        let error = write(Path::new("/"), b"x").expect_err("no file");
        assert_eq!(error.to_string(), "/: cannot write: not the name of a file");
    }
}
