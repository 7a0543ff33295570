//! Tar archives, read where they lie: the headers once, the images in any order later.
//!
//! An archive within an archive is a matter of adding offsets, so nothing is ever unpacked.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::path::{Component, Path};

use tar::EntryType;

use crate::error::Error;

/// Archives within archives deeper than this are not looked into.
const MAX_DEPTH: usize = 4;
const BLOCK: u64 = 512;

/// A part of a file, read as if it were one.
struct Window<'a> {
    file: &'a File,
    start: u64,
    length: u64,
    at: u64,
    /// Whether more was asked for than there is.
    ended: bool,
}

impl Read for Window<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.length.saturating_sub(self.at).min(buffer.len() as u64) as usize;
        let read = self
            .file
            .read_at(&mut buffer[..left], self.start + self.at)?;
        self.at += read as u64;
        self.ended |= read == 0 && !buffer.is_empty();
        Ok(read)
    }
}

impl Seek for Window<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let at = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
            SeekFrom::End(by) => self.length.checked_add_signed(by),
        };
        self.at = at.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.at)
    }
}

/// What an archive holds.
pub(crate) struct Member<'a> {
    /// Path within the archive; those of archives in it are folders by their name.
    pub(crate) path: &'a str,
    pub(crate) what: What<'a>,
}

/// What a member is.
pub(crate) enum What<'a> {
    File {
        /// Where its bytes begin, in the outermost file.
        offset: u64,
        /// How many there are.
        bytes: u64,
        /// The first of them.
        start: &'a [u8],
    },
    Folder,
    /// Another name of the member of this path, if the path is one within the archive.
    Link(Option<String>),
    /// Bytes that cannot be had, for this reason.
    Lost(&'static str),
    /// A file whose path leads out of the archive.
    Outside,
    /// Bytes behind the archive's end that are no archive.
    Behind(u64),
}

/// Receives the members of an archive.
pub(crate) type Visit<'a> = &'a mut dyn FnMut(Member<'_>) -> Result<(), Error>;

/// Whether a file is a tar archive by its content.
pub(crate) fn is_tar(path: &Path) -> Result<bool, Error> {
    let file = File::open(path).map_err(Error::io(path, "open"))?;
    let mut start = Vec::new();
    file.take(BLOCK)
        .read_to_end(&mut start)
        .map_err(Error::io(path, "read"))?;
    Ok(starts_like_tar(&start))
}

/// Whether these are the first bytes of a tar archive: its first header adds up.
pub(crate) fn starts_like_tar(start: &[u8]) -> bool {
    let Some(block) = start.first_chunk::<{ BLOCK as usize }>() else {
        return false;
    };
    let field = &block[148..156];
    let digits = field
        .iter()
        .skip_while(|b| **b == b' ')
        .take_while(|b| b.is_ascii_digit());
    let stored = digits.fold(0u32, |sum, digit| {
        sum.wrapping_mul(8) + u32::from(digit - b'0')
    });
    let sum: u32 = block.iter().map(|&b| u32::from(b)).sum();
    let blank: u32 = field.iter().map(|&b| u32::from(b)).sum();
    block[0] != 0 && stored == sum - blank + 8 * u32::from(b' ')
}

/// Whether these are the first bytes of a tar archive without members: nothing but its end mark.
pub(crate) fn starts_like_empty_tar(start: &[u8]) -> bool {
    start.first_chunk() == Some(&[0; BLOCK as usize])
}

/// The name of an archive's folder: without `.tar`, in whatever letters.
pub(crate) fn folder_name(path: &str) -> &str {
    let end = path.len().saturating_sub(".tar".len());
    match path.get(end..) {
        Some(tar) if tar.eq_ignore_ascii_case(".tar") => &path[..end],
        _ => path,
    }
}

/// Visits the members of the archive at `path`, those of archives within it included. `prefix` is
/// put before their paths.
pub(crate) fn visit(path: &Path, prefix: &str, visit: Visit) -> Result<(), Error> {
    let file = File::open(path).map_err(Error::io(path, "open"))?;
    let length = file.metadata().map_err(Error::io(path, "read"))?.len();
    let archive = Archive {
        file: &file,
        path,
        depth: 0,
    };
    archive.visit(0, length, prefix, visit)
}

struct Archive<'a> {
    file: &'a File,
    path: &'a Path,
    depth: usize,
}

impl Archive<'_> {
    /// Visits an archive, and those that follow it as `cat` or `tar -A` puts them.
    fn visit(&self, start: u64, length: u64, prefix: &str, visit: Visit) -> Result<(), Error> {
        let mut at = 0;
        loop {
            at += self.visit_one(start + at, length - at, prefix, visit)?;
            let Some(next) = self.next_content(start + at, length - at)? else {
                return Ok(());
            };
            at += next;
            let mut block = [0; BLOCK as usize];
            let rest = length - at;
            let block = &mut block[..rest.min(BLOCK) as usize];
            self.read(start + at, block)?;
            if !starts_like_tar(block) {
                let path = prefix.trim_end_matches('/');
                let what = What::Behind(rest);
                return visit(Member { path, what });
            }
        }
    }

    /// Visits one archive and returns where it ends.
    fn visit_one(&self, start: u64, length: u64, prefix: &str, visit: Visit) -> Result<u64, Error> {
        let damaged = |cause: io::Error| {
            let within = if prefix.is_empty() { "" } else { " within" };
            let cause = format!("not a whole tar archive{within} {prefix}: {cause}");
            Error::damaged(self.path, cause.replace(" :", ":"))
        };
        let window = Window {
            file: self.file,
            start,
            length,
            at: 0,
            ended: false,
        };
        let mut archive = tar::Archive::new(window);
        for entry in archive.entries_with_seek().map_err(damaged)? {
            let mut entry = entry.map_err(damaged)?;
            let stored = match entry.header().entry_type() {
                // Its own size is that with the holes.
                EntryType::GNUSparse => entry.header().entry_size().map_err(damaged)?,
                _ => entry.size(),
            };
            let stop = entry.raw_file_position().checked_add(stored);
            if stop.is_none_or(|stop| stop > length) {
                let name = readable(&entry.path_bytes());
                return Err(damaged(io::Error::other(format!("cut short in {name}"))));
            }
            let (path, what) = self.member(&mut entry, start, prefix).map_err(damaged)?;
            self.found(&path, what, visit)?;
        }
        // One that was cut short between two members can be told by what ends a whole one.
        let Window { at, ended, .. } = archive.into_inner();
        if ended {
            let cause = format!("cut short after {} bytes", at.min(length));
            return Err(damaged(io::Error::other(cause)));
        }
        Ok(at)
    }

    /// How many zeros there are at a place, in whole blocks, if there is anything behind them.
    fn next_content(&self, start: u64, length: u64) -> Result<Option<u64>, Error> {
        let mut buffer = vec![0; 1 << 16];
        for at in (0..length).step_by(buffer.len()) {
            let part = (length - at).min(buffer.len() as u64) as usize;
            let part = &mut buffer[..part];
            self.read(start + at, part)?;
            if let Some(first) = part.iter().position(|&byte| byte != 0) {
                return Ok(Some(at + first as u64 / BLOCK * BLOCK));
            }
        }
        Ok(None)
    }

    fn read(&self, at: u64, buffer: &mut [u8]) -> Result<(), Error> {
        let read = self.file.read_exact_at(buffer, at);
        read.map_err(Error::io(self.path, "read"))
    }

    /// The path of a member and what it is. Its bytes are looked at later.
    fn member<R: Read>(
        &self,
        entry: &mut tar::Entry<'_, R>,
        start: u64,
        prefix: &str,
    ) -> io::Result<(String, What<'static>)> {
        let kind = entry.header().entry_type();
        let refused = |what: &str| Err(io::Error::other(what));
        let mut raw = entry.path_bytes().into_owned();
        let sparse = sparse_name(entry, kind)?;
        if let Some(Some(name)) = &sparse {
            raw.clone_from(name);
        }
        let offset = start + entry.raw_file_position();
        let bytes = entry.size();
        let what = match (kind.as_byte(), &sparse) {
            (b'L' | b'K' | b'x' | b'N' | b'X', _) => {
                return refused("a long name in a form that is not read");
            }
            (b'M', _) => return refused("a part of one in several volumes; join them first"),
            // A label or the attributes of all: nothing of a file.
            (b'V' | b'g', _) => return Ok((String::new(), What::Folder)),
            (b'5' | b'D', _) => What::Folder,
            (b'1', _) => What::Link(link_target(entry, None)),
            (b'2', _) => What::Link(link_target(entry, Some(&raw))),
            (b'3' | b'4' | b'6', _) => What::Lost("a device or a pipe in an archive"),
            (_, Some(_)) => {
                What::Lost("a sparse file in an archive; make the archive without tar's --sparse")
            }
            (_, None) if raw.ends_with(b"/") => What::Folder,
            (_, None) => What::File {
                offset,
                bytes,
                start: &[],
            },
        };
        let path = readable(&raw);
        Ok(match normal(&path) {
            Some(path) => (format!("{prefix}{path}"), what),
            None if matches!(what, What::Folder) => (String::new(), what),
            None => (format!("{prefix}{path}"), What::Outside),
        })
    }

    /// Shows a member, or those of an archive that it is.
    fn found(&self, path: &str, what: What<'_>, visit: Visit) -> Result<(), Error> {
        let What::File { offset, bytes, .. } = what else {
            return if path.is_empty() {
                Ok(())
            } else {
                visit(Member { path, what })
            };
        };
        let mut start = [0; BLOCK as usize];
        let start = &mut start[..bytes.min(BLOCK) as usize];
        self.read(offset, start)?;
        let folder = folder_name(path);
        let empty = folder != path && starts_like_empty_tar(start);
        if self.depth < MAX_DEPTH && (starts_like_tar(start) || empty) {
            let inner = Archive {
                depth: self.depth + 1,
                ..*self
            };
            visit(Member {
                path: folder,
                what: What::Folder,
            })?;
            return inner.visit(offset, bytes, &format!("{folder}/"), visit);
        }
        visit(Member {
            path,
            what: What::File {
                offset,
                bytes,
                start,
            },
        })
    }
}

/// Whether a member is stored without its holes, and then its name if it is elsewhere than in the header.
fn sparse_name<R: Read>(
    entry: &mut tar::Entry<'_, R>,
    kind: EntryType,
) -> io::Result<Option<Option<Vec<u8>>>> {
    let global = kind == EntryType::XGlobalHeader;
    let mut sparse = (kind == EntryType::GNUSparse).then_some(None);
    let Some(extensions) = entry.pax_extensions()? else {
        return Ok(sparse);
    };
    for extension in extensions {
        let extension = extension?;
        let key = extension.key_bytes();
        if global && matches!(key, b"path" | b"linkpath" | b"size") {
            return Err(io::Error::other(
                "a path or size for all members, which is not read",
            ));
        }
        if key == b"GNU.sparse.name" {
            sparse = Some(Some(extension.value_bytes().to_vec()));
        } else if key.starts_with(b"GNU.sparse.") || key == b"SCHILY.realsize" {
            sparse = sparse.or(Some(None));
        }
    }
    Ok(sparse)
}

/// The path that a link leads to, if it is one within the archive; that of a symbolic link is
/// relative to the link's own folder.
fn link_target<R: Read>(entry: &tar::Entry<'_, R>, from: Option<&[u8]>) -> Option<String> {
    let target = readable(&entry.link_name_bytes()?);
    let Some(from) = from else {
        return normal(&target);
    };
    let from = normal(&readable(from))?;
    let mut parts: Vec<&str> = from.split('/').collect();
    parts.pop();
    for part in Path::new(&target).components() {
        match part {
            Component::Normal(part) => parts.push(part.to_str()?),
            Component::ParentDir => drop(parts.pop()?),
            Component::CurDir => {}
            _ => return None,
        }
    }
    Some(parts.join("/"))
}

/// Bytes as text. What is not UTF-8 becomes `\xff`.
pub(crate) fn readable(bytes: &[u8]) -> String {
    let mut text = String::new();
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        for byte in chunk.invalid() {
            text.push_str(&format!("\\x{byte:02x}"));
        }
    }
    text
}

/// A path without `.` and empty parts; none if it is absolute or has `..`.
fn normal(path: &str) -> Option<String> {
    let mut parts = Vec::new();
    for part in Path::new(path).components() {
        match part {
            Component::Normal(part) => parts.push(part.to_str()?),
            Component::CurDir => {}
            _ => return None,
        }
    }
    (!parts.is_empty()).then(|| parts.join("/"))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;
    use proptest::prelude::*;

    fn archive(files: &[(String, Vec<u8>)], gnu: bool) -> Vec<u8> {
        let mut archive = tar::Builder::new(Vec::new());
        for (name, bytes) in files {
            let mut header = if gnu {
                tar::Header::new_gnu()
            } else {
                tar::Header::new_ustar()
            };
            header.set_size(bytes.len() as u64);
            archive
                .append_data(&mut header, name, &bytes[..])
                .expect("writes");
        }
        archive.into_inner().expect("writes")
    }

    /// The members' paths and, read where they are said to be, contents.
    fn members(bytes: &[u8]) -> Result<Vec<(String, Vec<u8>)>, Error> {
        let mut file = tempfile::NamedTempFile::new().expect("a file");
        file.write_all(bytes).expect("writes");
        let mut members = Vec::new();
        visit(file.path(), "", &mut |member| {
            let content = match member.what {
                What::File {
                    offset,
                    bytes: length,
                    start,
                } => {
                    let content = &bytes[offset as usize..][..length as usize];
                    assert!(content.starts_with(start));
                    content
                }
                What::Folder => return Ok(()),
                _ => panic!("{}", member.path),
            };
            members.push((member.path.to_string(), content.to_vec()));
            Ok(())
        })?;
        Ok(members)
    }

    fn files() -> impl Strategy<Value = Vec<(String, Vec<u8>)>> {
        let name = prop_oneof!["[a-z]{1,8}(/[a-zä ]{1,9}){0,2}", "[a-z]{101,140}"];
        prop::collection::vec((name, prop::collection::vec(any::<u8>(), 0..1500)), 0..6)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn archives_and_archives_in_them_are_read_as_written(
            outer in files(), inner in files(), gnu: bool,
        ) {
            let mut all = outer.clone();
            all.push(("inner.tar".into(), archive(&inner, gnu)));
            let mut expected = outer;
            expected.extend(inner.into_iter().map(|(name, bytes)| (format!("inner/{name}"), bytes)));
            let bytes = archive(&all, true);
            // Random bytes are an archive once in many lives of the universe.
            prop_assert_eq!(members(&bytes).expect("reads"), expected);
        }

        #[test]
        fn an_archive_cut_short_is_an_error(outer in files(), at in 0.0..1.0f64) {
            let bytes = archive(&outer, true);
            let content = bytes.len() - 1024;
            let cut = (content as f64 * at) as usize;
            prop_assert!(members(&bytes[..cut]).is_err());
        }
    }
}
