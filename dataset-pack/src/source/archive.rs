//! Tar archives, read where they lie: the headers once, the images in any order later.
//!
//! An archive within an archive is a matter of adding offsets, so nothing is ever unpacked.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::path::{Component, Path};

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
}

impl Read for Window<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.length.saturating_sub(self.at).min(buffer.len() as u64) as usize;
        let read = self
            .file
            .read_at(&mut buffer[..left], self.start + self.at)?;
        self.at += read as u64;
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

/// A regular file in an archive.
pub(crate) struct Member<'a> {
    /// Path within the archive; those of archives in it are folders by their name.
    pub(crate) path: &'a str,
    /// Where its bytes begin, in the outermost file.
    pub(crate) offset: u64,
    /// How many there are.
    pub(crate) bytes: u64,
    /// The first of them.
    pub(crate) start: &'a [u8],
    /// What it is, if it is no regular file, or why its path is none.
    pub(crate) trouble: Option<&'static str>,
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
    fn visit(&self, start: u64, length: u64, prefix: &str, visit: Visit) -> Result<(), Error> {
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
        };
        let mut archive = tar::Archive::new(window);
        let mut end = 0;
        for entry in archive.entries_with_seek().map_err(damaged)? {
            let entry = entry.map_err(damaged)?;
            let (at, bytes) = (entry.raw_file_position(), entry.size());
            let stop = at.checked_add(bytes).filter(|&stop| stop <= length);
            let Some(stop) = stop else {
                let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
                return Err(damaged(io::Error::other(format!("cut short in {name}"))));
            };
            end = stop.next_multiple_of(BLOCK);
            self.member(&entry, start + at, bytes, prefix, visit)?;
        }
        self.check_end(start, end, length).map_err(damaged)
    }

    /// An archive that was cut short between two members can be told by what ends a whole one.
    fn check_end(&self, start: u64, end: u64, length: u64) -> io::Result<()> {
        let mut block = [1; BLOCK as usize];
        if end + BLOCK <= length {
            self.file.read_exact_at(&mut block, start + end)?;
        }
        if block == [0; BLOCK as usize] {
            Ok(())
        } else {
            Err(io::Error::other(format!("cut short after {end} bytes")))
        }
    }

    fn member<R: Read>(
        &self,
        entry: &tar::Entry<'_, R>,
        offset: u64,
        bytes: u64,
        prefix: &str,
        visit: Visit,
    ) -> Result<(), Error> {
        use tar::EntryType;
        let kind = entry.header().entry_type();
        let mut trouble = match kind {
            EntryType::Regular | EntryType::Continuous => None,
            EntryType::Link | EntryType::Symlink => Some("a link in an archive"),
            EntryType::GNUSparse => Some("a sparse file in an archive"),
            _ => return Ok(()),
        };
        let raw = entry.path_bytes();
        let path = normal(&String::from_utf8_lossy(&raw));
        if path.is_none() {
            trouble = Some("its path in the archive leads out of it");
        } else if std::str::from_utf8(&raw).is_err() {
            trouble = Some("the name is not UTF-8");
        }
        let path = path.unwrap_or_else(|| String::from_utf8_lossy(&raw).into_owned());
        let path = format!("{prefix}{path}");
        let mut start = [0; BLOCK as usize];
        let start = &mut start[..bytes.min(BLOCK) as usize];
        if trouble.is_none() {
            self.file
                .read_exact_at(start, offset)
                .map_err(Error::io(self.path, "read"))?;
        }
        if trouble.is_none() && self.depth < MAX_DEPTH && starts_like_tar(start) {
            let inner = Archive {
                depth: self.depth + 1,
                ..*self
            };
            let stem = path.strip_suffix(".tar").unwrap_or(&path);
            return inner.visit(offset, bytes, &format!("{stem}/"), visit);
        }
        visit(Member {
            path: &path,
            offset,
            bytes,
            start,
            trouble,
        })
    }
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
            assert!(
                member.trouble.is_none()
                    && bytes[member.offset as usize..].starts_with(member.start)
            );
            let content = &bytes[member.offset as usize..][..member.bytes as usize];
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
            // What has no members does not look like an archive.
            if inner.is_empty() {
                expected.push(all[all.len() - 1].clone());
            }
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
