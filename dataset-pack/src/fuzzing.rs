//! What the fuzz targets call. Nothing here may panic or take much memory, whatever the bytes.

use std::io::Write;

use crate::build::Packer;
use crate::pixels::memory::Memory;
use crate::pixels::{Damaged, Resize};
use crate::set::index::Index;
use crate::shard::Shard;
use crate::shard::format::{self, HEADER_BYTES, Header};
use crate::source::{Content, fuzz};

/// Bytes as a file, for readers that want one.
fn as_file(bytes: &[u8], read: impl FnOnce(&std::path::Path)) {
    let memory = std::path::Path::new("/dev/shm");
    let folder = if memory.is_dir() {
        memory.to_path_buf()
    } else {
        std::env::temp_dir()
    };
    let Ok(mut file) = tempfile::NamedTempFile::new_in(folder) else {
        return;
    };
    if file.write_all(bytes).is_ok() {
        read(file.path());
    }
}

/// A shard. The first byte says which checksums are put right, so that what they guard is reached.
pub fn shard(bytes: &[u8]) {
    let Some((&repairs, bytes)) = bytes.split_first() else {
        return;
    };
    let mut bytes = bytes.to_vec();
    if repairs & 1 != 0 {
        seal(&mut bytes, repairs);
    }
    as_file(&bytes, |path| {
        let Ok(mut shard) = Shard::open(path) else {
            return;
        };
        if shard.load().is_err() {
            return;
        }
        for index in 0..shard.len() {
            let _ = shard.pixels(index, format::checksum);
            let _ = (shard.source(index), shard.record(index), shard.label(index));
        }
        let _ = (shard.texts(), shard.stored_totals());
    });
}

/// Makes the most of bytes that begin with something like a header.
fn seal(bytes: &mut Vec<u8>, repairs: u8) {
    bytes.resize(bytes.len().max(HEADER_BYTES), 0);
    let mut header: Header = bytemuck::pod_read_unaligned(&bytes[..size_of::<Header>()]);
    header.magic = format::MAGIC;
    (header.version, header.byte_order, header.channels) = (format::VERSION, format::BYTE_ORDER, 3);
    if repairs & 2 != 0 {
        header.size = header.size % 8 + 1;
        header.images %= 8;
        for length in [
            &mut header.names_bytes,
            &mut header.description_bytes,
            &mut header.report_bytes,
        ] {
            *length %= 2048;
        }
        header.candidates = header.candidates % 8 + header.images;
        header = header.layout();
        bytes.resize(header.file_bytes as usize, 0);
    }
    if repairs & 4 != 0 {
        let sum = |from: u64, to: u64| {
            bytes
                .get(from as usize..to as usize)
                .map_or(0, format::checksum)
        };
        let h = &header;
        let end = h
            .images_offset
            .saturating_add(h.images.saturating_mul(h.stride));
        let sums = [
            sum(end, h.description_offset),
            sum(h.description_offset, h.totals_offset),
            sum(h.totals_offset, h.file_bytes),
        ];
        [
            header.records_checksum,
            header.texts_checksum,
            header.totals_checksum,
        ] = sums;
    }
    bytes[..HEADER_BYTES].copy_from_slice(&header.to_page());
}

/// A tar archive.
pub fn archive(bytes: &[u8]) {
    as_file(bytes, fuzz::archive);
}

/// Lists, ground truth, CIFAR, `meta.mat`, the index.
pub fn labels(bytes: &[u8]) {
    fuzz::labels(bytes);
    if let Ok(text) = std::str::from_utf8(bytes) {
        let _ = Index::parse("index.json".as_ref(), text);
    }
}

/// An image, of at most 16 MiB once decoded.
pub fn image(bytes: &[u8]) {
    let memory = Memory::new(1 << 24);
    for (damaged, rule) in [
        (Damaged::Reject, Resize::Bilinear),
        (Damaged::Keep, Resize::Area2012),
    ] {
        let packer = Packer {
            size: 32,
            rule,
            memory: &memory,
            damaged,
        };
        let mut pixels = [0; 32 * 32 * 3];
        let _ = packer.pack(&Content::Encoded(bytes.to_vec()), "image.jpg", &mut pixels);
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::path::Path;

    use flate2::read::GzDecoder;

    /// Calls a target with all that fuzzing it has found to reach something new.
    fn replay(name: &str, target: fn(&[u8])) {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus");
        let file = std::fs::File::open(folder.join(format!("{name}.tar.gz"))).expect("a corpus");
        let mut archive = tar::Archive::new(GzDecoder::new(file));
        let mut inputs = 0;
        for entry in archive.entries().expect("an archive") {
            let mut bytes = Vec::new();
            let mut entry = entry.expect("a member");
            entry.read_to_end(&mut bytes).expect("its bytes");
            target(&bytes);
            inputs += 1;
        }
        assert!(inputs > 100, "{inputs}");
    }

    #[test]
    fn shards() {
        replay("shard", super::shard);
    }

    #[test]
    fn archives() {
        replay("archive", super::archive);
    }

    #[test]
    fn labels() {
        replay("labels", super::labels);
    }

    #[test]
    fn images() {
        replay("image", super::image);
    }
}
