//! One open shard.

use std::io::ErrorKind;
use std::ops::Range;
use std::path::{Path, PathBuf};

use super::description::Description;
use super::format::{self, HEADER_BYTES, Header, Record};
use crate::error::Error;
use crate::pixels::statistics::Totals;
use crate::sys::Map;

/// An open shard.
pub(crate) struct Shard {
    path: PathBuf,
    map: Map,
    pub(crate) header: Header,
    /// The header's checksum. Since the header holds the others, it stands for the whole file.
    pub(crate) checksum: u64,
    labels: Vec<u32>,
    checksums: Vec<u64>,
}

/// The records and names of a shard, in memory.
pub(crate) struct Records {
    pub(crate) records: Vec<Record>,
    names: Vec<u8>,
}

impl Records {
    /// A record's name, if it lies within the names and is UTF-8.
    pub(crate) fn name(&self, record: &Record) -> Option<&str> {
        let start = record.name_offset as usize;
        let end = start.checked_add(record.name_bytes as usize)?;
        std::str::from_utf8(self.names.get(start..end)?).ok()
    }
}

impl Shard {
    /// Opens a file that begins with the header of a shard. Nothing else of it may be used before
    /// [`Shard::load`].
    pub(crate) fn open(path: &Path) -> Result<Shard, Error> {
        let map = Map::new(path).map_err(Error::io(path, "open"))?;
        let page = 0..map.len().min(HEADER_BYTES as u64);
        let (header, checksum) = map
            .with(page, Header::from_page)
            .map_err(Error::io(path, "read"))?
            .map_err(|cause| Error::damaged(path, cause))?;
        Ok(Shard {
            path: path.to_path_buf(),
            map,
            header,
            checksum,
            labels: Vec::new(),
            checksums: Vec::new(),
        })
    }

    /// The file.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// An error about this shard.
    pub(crate) fn damaged(&self, cause: impl Into<String>) -> Error {
        Error::damaged(&self.path, cause)
    }

    /// Checks the length and the records, but not the pixels. Returns the records.
    pub(crate) fn load(&mut self) -> Result<Records, Error> {
        let length = self.map.len();
        let expected = self.header.file_bytes;
        if length != expected {
            let how = if length < expected {
                "cut short"
            } else {
                "too long"
            };
            let cause = format!("{how}: {length} bytes where the header says {expected}");
            return Err(self.damaged(cause));
        }
        let records = self.read_records()?;
        for (index, record) in records.records.iter().enumerate() {
            let cause = if record.label >= self.header.class_count {
                "its label is beyond the classes"
            } else if records.name(record).is_none() {
                "its name lies outside the names or is not UTF-8"
            } else {
                continue;
            };
            return Err(self.damaged(format!("image {index}: {cause}")));
        }
        self.labels = records.records.iter().map(|record| record.label).collect();
        self.checksums = records
            .records
            .iter()
            .map(|record| record.checksum)
            .collect();
        Ok(records)
    }

    fn read_records(&self) -> Result<Records, Error> {
        let h = &self.header;
        let bytes = self.section(h.images_end(), h.description_offset)?;
        if format::checksum(&bytes) != h.records_checksum {
            return Err(self.damaged("the image records do not match their checksum"));
        }
        let at = |offset: u64| (offset - h.images_end()) as usize;
        let names_end = at(h.names_offset + h.names_bytes);
        let records = &bytes[at(h.records_offset)..at(h.names_offset)];
        Ok(Records {
            records: bytemuck::pod_collect_to_vec(records),
            names: bytes[at(h.names_offset)..names_end].to_vec(),
        })
    }

    /// Shows `look` the pixels of an image.
    pub(crate) fn pixels<R>(
        &self,
        index: usize,
        look: impl FnOnce(&[u8]) -> R,
    ) -> Result<R, Error> {
        self.look(self.place(index), look)
    }

    fn section(&self, start: u64, end: u64) -> Result<Vec<u8>, Error> {
        self.look(start..end, <[u8]>::to_vec)
    }

    /// Shows `look` a part of the file. It was there when the shard was opened.
    fn look<R>(&self, part: Range<u64>, look: impl FnOnce(&[u8]) -> R) -> Result<R, Error> {
        self.map
            .with(part, look)
            .map_err(|cause| match cause.kind() {
                ErrorKind::UnexpectedEof => self.damaged("cut short since it was opened"),
                _ => Error::io(&self.path, "read")(cause),
            })
    }

    pub(crate) fn len(&self) -> usize {
        self.header.images as usize
    }

    pub(crate) fn label(&self, index: usize) -> u32 {
        self.labels[index]
    }

    /// Of an image's pixels.
    pub(crate) fn checksum_of(&self, index: usize) -> u64 {
        self.checksums[index]
    }

    /// One image's record, from the disk.
    pub(crate) fn record(&self, index: usize) -> Result<Record, Error> {
        let bytes = size_of::<Record>() as u64;
        let start = self.header.records_offset + index as u64 * bytes;
        self.look(start..start + bytes, bytemuck::pod_read_unaligned)
    }

    /// One image's path within the source, from the disk.
    pub(crate) fn source(&self, index: usize) -> Result<String, Error> {
        let record = self.record(index)?;
        let (start, length) = (u64::from(record.name_offset), u64::from(record.name_bytes));
        let changed = || self.damaged(format!("image {index}: its record has changed"));
        if start + length > self.header.names_bytes {
            return Err(changed());
        }
        let start = self.header.names_offset + start;
        let name = self.section(start, start + length)?;
        String::from_utf8(name).map_err(|_| changed())
    }

    /// Tells the system that an image will be read soon.
    pub(crate) fn prefetch(&self, index: usize) {
        self.map.will_need(self.place(index));
    }

    /// Where an image lies.
    fn place(&self, index: usize) -> Range<u64> {
        assert!(index < self.len(), "image {index} of {}", self.len());
        let start = self.header.images_offset + index as u64 * self.header.stride;
        start..start + self.header.stride
    }

    /// What the set is made of, and this shard's lines of the report.
    pub(crate) fn texts(&self) -> Result<(Description, Vec<u8>), Error> {
        let h = &self.header;
        let mut bytes = self.section(h.description_offset, h.totals_offset)?;
        if format::checksum(&bytes) != h.texts_checksum {
            return Err(self.damaged("its description or report does not match its checksum"));
        }
        let description = serde_json::from_slice(&bytes[..h.description_bytes as usize]);
        let description: Description =
            description.map_err(|e| self.damaged(format!("its description: {e}")))?;
        description.check().map_err(|cause| self.damaged(cause))?;
        bytes.truncate((h.description_bytes + h.report_bytes) as usize);
        bytes.drain(..h.description_bytes as usize);
        Ok((description, bytes))
    }

    /// The sums stored with the shard.
    pub(crate) fn stored_totals(&self) -> Result<Totals, Error> {
        let h = &self.header;
        let bytes = self.section(h.totals_offset, h.file_bytes)?;
        if format::checksum(&bytes) != h.totals_checksum {
            return Err(self.damaged("the sums do not match their checksum"));
        }
        let (positions, products) = bytes.split_at(bytes.len() - 6 * 8);
        let positions: Vec<u32> = bytemuck::pod_collect_to_vec(&positions[..h.stride as usize * 4]);
        let products: Vec<u64> = bytemuck::pod_collect_to_vec(products);
        let mut totals = Totals::new(h.stride as usize);
        totals.images = h.images;
        totals.positions = positions.iter().map(|&sum| u64::from(sum)).collect();
        totals.products.copy_from_slice(&products);
        Ok(totals)
    }
}
