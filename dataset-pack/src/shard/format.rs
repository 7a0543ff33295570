//! Shard format 1, as FORMAT.md describes it byte by byte.

use bytemuck::{Pod, Zeroable};
use twox_hash::XxHash3_64;

/// First bytes of a shard.
pub(crate) const MAGIC: [u8; 8] = *b"IMGSHARD";
/// The only version there is.
pub(crate) const VERSION: u32 = 1;
/// Reads as 0x04030201 where the byte order is not the writer's.
pub(crate) const BYTE_ORDER: u32 = 0x0102_0304;
/// The header takes one page, so that the images begin on a page.
pub(crate) const HEADER_BYTES: usize = 4096;
/// The header's last eight bytes are the checksum of those before.
const CHECKED_BYTES: usize = HEADER_BYTES - 8;

/// Fields of a shard's header, in file order. Offsets and lengths are bytes from the file's start.
#[repr(C)]
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
pub(crate) struct Header {
    pub(crate) magic: [u8; 8],
    pub(crate) version: u32,
    pub(crate) byte_order: u32,
    /// Width and height of every image.
    pub(crate) size: u32,
    pub(crate) channels: u32,
    pub(crate) resize: u32,
    pub(crate) decoder: u32,
    pub(crate) split: u32,
    /// This shard's number in the set, from zero.
    pub(crate) shard: u32,
    pub(crate) shard_count: u32,
    pub(crate) class_count: u32,
    /// Images in this shard.
    pub(crate) images: u64,
    /// Those and what could not be packed of the candidates that were this shard's.
    pub(crate) candidates: u64,
    pub(crate) seed: u64,
    /// Hash of all that decides the set's content; shards of one set agree in it.
    pub(crate) set_id: u64,
    /// Bytes of an image.
    pub(crate) stride: u64,
    pub(crate) images_offset: u64,
    pub(crate) records_offset: u64,
    pub(crate) names_offset: u64,
    pub(crate) names_bytes: u64,
    pub(crate) description_offset: u64,
    pub(crate) description_bytes: u64,
    pub(crate) report_offset: u64,
    pub(crate) report_bytes: u64,
    pub(crate) totals_offset: u64,
    pub(crate) file_bytes: u64,
    /// Of the bytes from the end of the images to `description_offset`.
    pub(crate) records_checksum: u64,
    /// Of the bytes from `description_offset` to `totals_offset`.
    pub(crate) texts_checksum: u64,
    /// Of the bytes from `totals_offset` to the end of the file.
    pub(crate) totals_checksum: u64,
}

/// What is known of one image, in the order of the images.
#[repr(C)]
#[derive(Clone, Copy, Debug, Pod, Zeroable, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) label: u32,
    /// Of the original image.
    pub(crate) width: u32,
    pub(crate) height: u32,
    /// Flags, see [`Status`](crate::pixels::Status).
    pub(crate) status: u32,
    /// xxh3-64 of the image's bytes.
    pub(crate) checksum: u64,
    /// Where the source's name starts within the names.
    pub(crate) name_offset: u32,
    pub(crate) name_bytes: u32,
}

/// The checksum used throughout.
pub(crate) fn checksum(bytes: &[u8]) -> u64 {
    XxHash3_64::oneshot(bytes)
}

/// The next multiple of eight.
pub(crate) fn align8(offset: u64) -> u64 {
    offset.next_multiple_of(8)
}

impl Header {
    /// Lays out a shard of as many images and bytes of text as it says. Checksums are left to be
    /// filled in.
    pub(crate) fn layout(mut self) -> Header {
        let images = self.images;
        self.stride = u64::from(self.size) * u64::from(self.size) * u64::from(self.channels);
        self.images_offset = HEADER_BYTES as u64;
        self.records_offset = align8(self.images_offset + images * self.stride);
        self.names_offset = self.records_offset + images * size_of::<Record>() as u64;
        self.description_offset = align8(self.names_offset + self.names_bytes);
        self.report_offset = self.description_offset + self.description_bytes;
        self.totals_offset = align8(self.report_offset + self.report_bytes);
        self.file_bytes = align8(self.totals_offset + self.stride * 4) + 6 * 8;
        self
    }

    /// Where the last image ends.
    pub(crate) fn images_end(&self) -> u64 {
        self.images_offset + self.images * self.stride
    }

    /// The header's page, with its checksum.
    pub(crate) fn to_page(self) -> [u8; HEADER_BYTES] {
        let mut page = [0; HEADER_BYTES];
        page[..size_of::<Header>()].copy_from_slice(bytemuck::bytes_of(&self));
        let sum = checksum(&page[..CHECKED_BYTES]);
        page[CHECKED_BYTES..].copy_from_slice(&sum.to_ne_bytes());
        page
    }

    /// Reads a page and refuses whatever is not a header of this version, saying why.
    pub(crate) fn from_page(page: &[u8]) -> Result<(Header, u64), String> {
        if page.len() < HEADER_BYTES {
            return Err(format!(
                "cut short: {} bytes, less than a header",
                page.len()
            ));
        }
        let header: Header = bytemuck::pod_read_unaligned(&page[..size_of::<Header>()]);
        if header.magic != MAGIC {
            return Err("not a shard (the first eight bytes are not IMGSHARD)".into());
        }
        if header.byte_order != BYTE_ORDER {
            return Err("written by a machine of the other byte order".into());
        }
        if header.version != VERSION {
            let version = header.version;
            return Err(format!(
                "format version {version}; this program reads version {VERSION}"
            ));
        }
        let sum = checksum(&page[..CHECKED_BYTES]);
        if page[CHECKED_BYTES..HEADER_BYTES] != sum.to_ne_bytes() {
            return Err("the header does not match its checksum".into());
        }
        header.check_layout()?;
        Ok((header, sum))
    }

    /// A header is believed only if it says what a writer of this format would say.
    fn check_layout(&self) -> Result<(), String> {
        let sane = self.channels == 3
            && (1..=MAX_SIZE).contains(&self.size)
            && self.images <= self.candidates
            && self.candidates <= MAX_SHARD_IMAGES
            && [self.names_bytes, self.description_bytes, self.report_bytes]
                .iter()
                .all(|&bytes| bytes <= u64::from(u32::MAX));
        let expected = sane.then(|| self.layout());
        if expected.is_some_and(|e| bytemuck::bytes_of(&e) == bytemuck::bytes_of(self)) {
            Ok(())
        } else {
            Err("the header's offsets contradict its counts".into())
        }
    }
}

/// Largest width and height of a packed image.
pub const MAX_SIZE: u32 = 4096;
/// Most images in a shard: the sums of their bytes fit 32 bits.
pub const MAX_SHARD_IMAGES: u64 = 1 << 20;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn header(size: u32) -> Header {
        let (magic, version, byte_order, channels) = (MAGIC, VERSION, BYTE_ORDER, 3);
        Header {
            magic,
            version,
            byte_order,
            size,
            channels,
            ..Header::zeroed()
        }
    }

    fn header_of(size: u32, images: u64, texts: [u32; 3]) -> Header {
        let [names_bytes, description_bytes, report_bytes] = texts.map(u64::from);
        let candidates = images;
        Header {
            images,
            candidates,
            names_bytes,
            description_bytes,
            report_bytes,
            ..header(size)
        }
        .layout()
    }

    #[test]
    fn the_layout_is_that_of_the_document() {
        assert_eq!(size_of::<Header>(), 192);
        assert_eq!(std::mem::offset_of!(Header, images), 48);
        assert_eq!(std::mem::offset_of!(Header, file_bytes), 160);
        assert_eq!(size_of::<Record>(), 32);
        let h = header_of(256, 2, [5, 10, 20]);
        assert_eq!(h.records_offset, 4096 + 2 * 196_608);
        assert_eq!(h.description_offset, h.records_offset + 64 + 8);
        assert_eq!(h.totals_offset, h.description_offset + 32);
        assert_eq!(h.file_bytes, h.totals_offset + 786_432 + 48);
    }

    proptest! {
        #[test]
        fn a_header_survives_its_page(
            size in 1u32..4096, images in 0u64..1 << 20, texts: [u32; 3], seed: u64,
        ) {
            let mut h = header_of(size, images, texts);
            h.seed = seed;
            let (back, _) = Header::from_page(&h.to_page()).map_err(TestCaseError::fail)?;
            prop_assert_eq!(bytemuck::bytes_of(&back), bytemuck::bytes_of(&h));
        }

        #[test]
        fn one_changed_byte_is_noticed(at in 0usize..HEADER_BYTES, change in 1u8..) {
            let mut page = header_of(256, 10, [100, 10, 0]).to_page();
            page[at] ^= change;
            prop_assert!(Header::from_page(&page).is_err());
        }

        #[test]
        fn no_page_makes_it_panic(mut bytes in prop::collection::vec(any::<u8>(), 0..300), fix: bool) {
            // With a right checksum, the layout check is what must hold.
            if fix {
                bytes.resize(HEADER_BYTES, 0);
                bytes[..16].copy_from_slice(&header(1).to_page()[..16]);
                let sum = checksum(&bytes[..CHECKED_BYTES]);
                bytes[CHECKED_BYTES..].copy_from_slice(&sum.to_ne_bytes());
            }
            let _ = Header::from_page(&bytes);
        }
    }
}
