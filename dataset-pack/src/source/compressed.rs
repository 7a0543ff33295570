//! Archives and other containers that are not looked into: what they are, and what to do.

/// A kind of file by its first bytes, its names' ends, and what makes a folder or a tar of it.
struct Kind {
    name: &'static str,
    signatures: &'static [&'static [u8]],
    ends: &'static [&'static str],
    advice: &'static str,
}

const KINDS: [Kind; 12] = [
    kind(
        "a gzip",
        &[b"\x1f\x8b"],
        &[".gz", ".tgz"],
        "decompress it with gunzip",
    ),
    kind(
        "a bzip2",
        &[b"BZh"],
        &[".bz2", ".tbz2", ".tbz"],
        "decompress it with bunzip2",
    ),
    kind(
        "an xz",
        &[b"\xfd7zXZ\0"],
        &[".xz", ".txz"],
        "decompress it with unxz",
    ),
    kind(
        "a zstd",
        &[b"\x28\xb5\x2f\xfd"],
        &[".zst", ".tzst"],
        "decompress it with unzstd",
    ),
    kind(
        "a lz4",
        &[b"\x04\x22\x4d\x18"],
        &[".lz4"],
        "decompress it with unlz4",
    ),
    kind("a lzip", &[b"LZIP"], &[".lz"], "decompress it with lzip -d"),
    kind(
        "a compress",
        &[b"\x1f\x9d"],
        &[".Z"],
        "decompress it with uncompress",
    ),
    kind(
        "a zip",
        &[b"PK\x03\x04", b"PK\x05\x06"],
        &[".zip"],
        "unpack it and give the folder",
    ),
    kind(
        "a 7-Zip",
        &[b"7z\xbc\xaf\x27\x1c"],
        &[".7z"],
        "unpack it and give the folder",
    ),
    kind(
        "a rar",
        &[b"Rar!\x1a\x07"],
        &[".rar"],
        "unpack it and give the folder",
    ),
    kind(
        "a cpio",
        &[b"070701", b"070702", b"070707"],
        &[".cpio"],
        "unpack it and give the folder",
    ),
    kind(
        "a Parquet or HDF5",
        &[b"PAR1", b"\x89HDF\r\n\x1a\n"],
        &[".parquet", ".h5", ".hdf5"],
        "write its images to files first",
    ),
];

const fn kind(
    name: &'static str,
    signatures: &'static [&'static [u8]],
    ends: &'static [&'static str],
    advice: &'static str,
) -> Kind {
    Kind {
        name,
        signatures,
        ends,
        advice,
    }
}

/// What a file is and what to do about it, if it is one of these by its first bytes.
pub(crate) fn by_content(start: &[u8]) -> Option<String> {
    told(|kind| {
        kind.signatures
            .iter()
            .any(|signature| start.starts_with(signature))
    })
}

/// What a file is and what to do about it, if it is called like one of these.
pub(crate) fn by_name(name: &str) -> Option<String> {
    let name = name.to_lowercase();
    told(|kind| {
        kind.ends
            .iter()
            .any(|end| name.ends_with(&end.to_lowercase()))
    })
}

fn told(is_it: impl Fn(&Kind) -> bool) -> Option<String> {
    let kind = KINDS.iter().find(|kind| is_it(kind))?;
    Some(format!("{} file; {}", kind.name, kind.advice))
}
