//! Writes one shard.

use std::path::Path;

use super::format::{self, HEADER_BYTES, Header, Record};
use super::report::BadImage;
use crate::error::Error;
use crate::pixels::statistics::Sums;
use crate::sys::atomic::Draft;

/// What is written of an image besides its pixels, made by any thread.
pub(crate) struct Packed {
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) status: u32,
    pub(crate) checksum: u64,
    pub(crate) products: [u64; 6],
}

/// A shard being written, image after image.
pub(crate) struct ShardWriter {
    draft: Draft,
    header: Header,
    records: Vec<Record>,
    names: Vec<u8>,
    report: Vec<u8>,
    sums: Sums,
}

impl ShardWriter {
    /// Starts a shard; of `header`, all but counts and layout must be filled in.
    pub(crate) fn create(path: &Path, header: Header) -> Result<Self, Error> {
        let mut draft = Draft::create(path)?;
        let Header {
            images_offset,
            stride,
            candidates,
            ..
        } = header.layout();
        draft.reserve(images_offset + candidates * stride)?;
        // Its place is kept by a page that no reader takes for a header.
        draft.append(&[0; HEADER_BYTES])?;
        let (records, names, report) = (Vec::new(), Vec::new(), Vec::new());
        Ok(ShardWriter {
            draft,
            header,
            records,
            names,
            report,
            sums: Sums::new(stride as usize),
        })
    }

    /// Appends the pixels of images.
    pub(crate) fn write(&mut self, pixels: &[u8]) -> Result<(), Error> {
        self.sums.add_pixels(pixels);
        self.draft.write_past_cache(pixels)
    }

    /// Notes what else is known of an image whose pixels are written, in their order.
    pub(crate) fn record(&mut self, image: &Packed, label: u32, source: &str) {
        self.sums.add_products(image.products);
        self.records.push(Record {
            label,
            width: image.width,
            height: image.height,
            status: image.status,
            checksum: image.checksum,
            name_offset: self.names.len() as u32,
            name_bytes: source.len() as u32,
        });
        self.names.extend_from_slice(source.as_bytes());
    }

    /// Notes what was not packed, or not cleanly.
    pub(crate) fn report(&mut self, bad: &BadImage) -> Result<(), Error> {
        let line = bad
            .line()
            .map_err(|e| Error::io(self.draft.path(), "write")(e.into()))?;
        self.report.extend(line);
        Ok(())
    }

    /// Writes what follows the images, then the header, and gives the file its name.
    pub(crate) fn finish(mut self, description: &[u8]) -> Result<(), Error> {
        let mut header = Header {
            images: self.records.len() as u64,
            names_bytes: self.names.len() as u64,
            description_bytes: description.len() as u64,
            report_bytes: self.report.len() as u64,
            ..self.header
        }
        .layout();
        let records = self.records_section(&header);
        header.records_checksum = format::checksum(&records);
        self.draft.append(&records)?;
        let texts = self.texts_section(&header, description);
        header.texts_checksum = format::checksum(&texts);
        self.draft.append(&texts)?;
        let totals = totals_section(self.sums);
        header.totals_checksum = format::checksum(&totals);
        self.draft.append(&totals)?;
        self.draft.write_start(&header.to_page())?;
        self.draft.publish()
    }

    /// What lies between the images and the description.
    fn records_section(&self, header: &Header) -> Vec<u8> {
        let start = header.images_end();
        let mut bytes = vec![0; (header.records_offset - start) as usize];
        bytes.extend_from_slice(bytemuck::cast_slice(&self.records));
        bytes.extend_from_slice(&self.names);
        bytes.resize((header.description_offset - start) as usize, 0);
        bytes
    }

    fn texts_section(&self, header: &Header, description: &[u8]) -> Vec<u8> {
        let mut bytes = [description, &self.report].concat();
        bytes.resize(
            (header.totals_offset - header.description_offset) as usize,
            0,
        );
        bytes
    }
}

fn totals_section(sums: Sums) -> Vec<u8> {
    let (positions, products) = sums.finish();
    let mut bytes = bytemuck::cast_slice(&positions).to_vec();
    bytes.resize(bytes.len().next_multiple_of(8), 0);
    bytes.extend_from_slice(bytemuck::cast_slice(&products));
    bytes
}
