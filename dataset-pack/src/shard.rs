//! One mapped shard.

use std::fs::File;
use std::path::{Path, PathBuf};

use memmap2::Mmap;

use crate::error::Error;
use crate::format::{self, HEADER_BYTES, Header, Record};
use crate::statistics::Totals;

/// A mapped shard. Once it is checked, no access can leave the map.
pub(crate) struct Shard {
    path: PathBuf,
    map: Mmap,
    pub(crate) header: Header,
    /// The header's checksum. Since the header holds the others, it stands for the whole file.
    pub(crate) checksum: u64,
}

impl Shard {
    /// Maps a file that begins with the header of a shard. Nothing else of it may be used before
    /// [`Shard::check`].
    pub(crate) fn map(path: &Path) -> Result<Shard, Error> {
        let file = File::open(path).map_err(Error::io(path, "open"))?;
        // SAFETY: the map is only read. That nobody cuts the file short or writes to it while it
        // is mapped is what packing guarantees (shards get their name when finished and are never
        // written again) and what the reader's documentation asks of everybody else.
        let map = unsafe { Mmap::map(&file) }.map_err(Error::io(path, "map"))?;
        let page = &map[..map.len().min(HEADER_BYTES)];
        let (header, checksum) =
            Header::from_page(page).map_err(|cause| Error::damaged(path, cause))?;
        Ok(Shard {
            path: path.to_path_buf(),
            map,
            header,
            checksum,
        })
    }

    /// The file.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Checks the length and the records, but not the pixels.
    pub(crate) fn check(&self) -> Result<(), Error> {
        self.find_damage()
            .map_err(|cause| Error::damaged(&self.path, cause))
    }

    fn find_damage(&self) -> Result<(), String> {
        let (length, expected) = (self.map.len() as u64, self.header.file_bytes);
        if length != expected {
            let how = if length < expected {
                "cut short"
            } else {
                "too long"
            };
            return Err(format!(
                "{how}: {length} bytes where the header says {expected}"
            ));
        }
        let h = &self.header;
        let records = self.range(h.images_end(), h.totals_offset);
        if format::checksum(records) != h.records_checksum {
            return Err("the image records do not match their checksum".into());
        }
        for (index, record) in self.records().iter().enumerate() {
            self.check_record(record)
                .map_err(|cause| format!("image {index}: {cause}"))?;
        }
        Ok(())
    }

    fn check_record(&self, record: &Record) -> Result<(), &'static str> {
        if record.label >= self.header.class_count {
            return Err("its label is beyond the classes");
        }
        self.name(record)
            .map(|_| ())
            .ok_or("its name lies outside the names or is not UTF-8")
    }

    /// The bytes from `start` to `end`, both known to lie within the file.
    fn range(&self, start: u64, end: u64) -> &[u8] {
        &self.map[start as usize..end as usize]
    }

    pub(crate) fn len(&self) -> usize {
        self.header.images as usize
    }

    pub(crate) fn records(&self) -> &[Record] {
        // A map begins on a page and the offset is a multiple of eight: the cast cannot fail.
        bytemuck::cast_slice(self.range(self.header.records_offset, self.header.names_offset))
    }

    fn name(&self, record: &Record) -> Option<&str> {
        let names_end = self.header.names_offset + self.header.names_bytes;
        let names = self.range(self.header.names_offset, names_end);
        let start = record.name_offset as usize;
        let bytes = names.get(start..start.checked_add(record.name_bytes as usize)?)?;
        std::str::from_utf8(bytes).ok()
    }

    /// Path of an image relative to the source folder.
    pub(crate) fn source(&self, index: usize) -> &str {
        // Never empty in a shard that was not changed since it was opened.
        self.name(&self.records()[index]).unwrap_or_default()
    }

    pub(crate) fn image(&self, index: usize) -> &[u8] {
        assert!(index < self.len(), "image {index} of {}", self.len());
        let start = self.header.images_offset + index as u64 * self.header.stride;
        self.range(start, start + self.header.stride)
    }

    /// The sums stored with the shard, or the cause why they are not to be believed.
    pub(crate) fn stored_totals(&self) -> Result<Totals, String> {
        let h = &self.header;
        let bytes = self.range(h.totals_offset, h.file_bytes);
        if format::checksum(bytes) != h.totals_checksum {
            return Err("the sums do not match their checksum".into());
        }
        let (positions, products) = bytes.split_at(bytes.len() - 6 * 8);
        let positions: &[u32] = bytemuck::cast_slice(&positions[..h.stride as usize * 4]);
        let products: &[u64] = bytemuck::cast_slice(products);
        let mut totals = Totals::new(h.stride as usize);
        totals.images = h.images;
        totals.positions = positions.iter().map(|&sum| u64::from(sum)).collect();
        totals.products.copy_from_slice(products);
        Ok(totals)
    }
}
