//! Types of images that are not read, told by content or name, so that none is passed over.

/// Signatures at the start of a file: where, what, and of which type.
const SIGNATURES: [(usize, &[u8], &str); 38] = [
    (4, b"ftypavif", "AVIF"),
    (4, b"ftypavis", "AVIF"),
    (4, b"ftypheic", "HEIC"),
    (4, b"ftypheix", "HEIC"),
    (4, b"ftypheim", "HEIC"),
    (4, b"ftypheis", "HEIC"),
    (4, b"ftyphevc", "HEIC"),
    (4, b"ftyphevx", "HEIC"),
    (4, b"ftyphevm", "HEIC"),
    (4, b"ftyphevs", "HEIC"),
    (4, b"ftypmif1", "HEIF"),
    (4, b"ftypmif2", "HEIF"),
    (4, b"ftypmsf1", "HEIF"),
    (4, b"ftypmiaf", "HEIF"),
    (4, b"ftypjpeg", "HEIF"),
    (4, b"ftypjxl ", "JPEG XL"),
    (4, b"ftypcrx ", RAW),
    (0, b"\0\0\0\x0cjP  \r\n\x87\n", "JPEG 2000"),
    (0, b"\xff\x4f\xff\x51", "JPEG 2000"),
    (0, b"\0\0\0\x0cJXL \r\n\x87\n", "JPEG XL"),
    (0, b"\xff\x0a", "JPEG XL"),
    (0, b"II\xbc\x01", "JPEG XR"),
    (0, b"8BPS", "Photoshop"),
    (0, b"\x76\x2f\x31\x01", "OpenEXR"),
    (0, b"DDS ", "DDS"),
    (0, b"#?RADIANCE", "Radiance HDR"),
    (0, b"#?RGBE", "Radiance HDR"),
    (0, b"farbfeld", "farbfeld"),
    (0, b"gimp xcf", "XCF"),
    (0, b"icns", "ICNS"),
    (0, b"\x8aMNG\r\n\x1a\n", "MNG"),
    (0, b"\x8bJNG\r\n\x1a\n", "JNG"),
    (0, b"FLIF", "FLIF"),
    (0, b"BPG\xfb", "BPG"),
    (0, b"AT&TFORM", "DjVu"),
    (128, b"DICM", "DICOM"),
    (0, b"SIMPLE  =", "FITS"),
    (0, b"\x01\xda", "SGI"),
];

/// Those of camera's raw files. Most of the rest are TIFF by content, and what a reader of TIFF
/// finds in them is the thumbnail.
const RAW_SIGNATURES: [(usize, &[u8]); 8] = [
    (8, b"CR\x02"),
    (0, b"FUJIFILMCCD-RAW"),
    (0, b"IIRO"),
    (0, b"IIRS"),
    (0, b"MMOR"),
    (0, b"IIU\0"),
    (0, b"FOVb"),
    (0, b"\0MRM"),
];

const RAW: &str = "a camera's raw file";

const RAW_NAMES: [&str; 26] = [
    "3fr", "arw", "cr2", "cr3", "crw", "dcr", "dng", "erf", "fff", "iiq", "kdc", "mef", "mos",
    "mrw", "nef", "nrw", "orf", "pef", "raf", "rw2", "rwl", "sr2", "srf", "srw", "x3f", "gpr",
];

const NAMES: [(&str, &[&str]); 24] = [
    ("AVIF", &["avif", "avifs"]),
    ("HEIC", &["heic", "heics", "hif"]),
    ("HEIF", &["heif", "heifs"]),
    (
        "JPEG 2000",
        &["jp2", "j2k", "j2c", "jpc", "jpf", "jpx", "jpm", "jph"],
    ),
    ("JPEG XL", &["jxl"]),
    ("JPEG XR", &["jxr", "wdp", "hdp"]),
    ("Photoshop", &["psd", "psb"]),
    ("OpenEXR", &["exr"]),
    ("DDS", &["dds"]),
    ("Radiance HDR", &["hdr"]),
    ("farbfeld", &["ff"]),
    ("SVG", &["svgz"]),
    ("PFM", &["pfm"]),
    ("XCF", &["xcf"]),
    ("ICNS", &["icns"]),
    ("a cursor", &["cur"]),
    ("MNG", &["mng", "jng"]),
    ("PCX", &["pcx"]),
    ("SGI", &["sgi"]),
    ("XBM", &["xbm", "xpm", "wbmp"]),
    ("PostScript", &["eps"]),
    ("a metafile", &["emf", "wmf"]),
    ("DICOM", &["dcm", "dicom"]),
    ("FITS", &["fits"]),
];

/// The type that the first bytes of a file tell, if it is one of images that are not read.
pub(crate) fn by_content(start: &[u8]) -> Option<&'static str> {
    let start = &start[..start.len().min(1024)];
    let is_at = |at: usize, what: &[u8]| start.get(at..).is_some_and(|s| s.starts_with(what));
    if RAW_SIGNATURES.iter().any(|&(at, what)| is_at(at, what)) {
        return Some(RAW);
    }
    let found = SIGNATURES.iter().find(|(at, what, _)| is_at(*at, what));
    found.map(|&(_, _, name)| name).or_else(|| {
        let pfm = start.starts_with(b"PF\n") || start.starts_with(b"Pf\n");
        pfm.then_some("PFM").or(is_svg(start).then_some("SVG"))
    })
}

fn is_svg(start: &[u8]) -> bool {
    let text = start
        .strip_prefix(b"\xef\xbb\xbf")
        .unwrap_or(start)
        .trim_ascii_start();
    let begins = |what: &[u8]| text.starts_with(what);
    begins(b"<svg")
        || [&b"<?xml"[..], b"<!--", b"<!DOCTYPE svg"]
            .iter()
            .any(|what| begins(what))
            && text.windows(4).any(|four| four == b"<svg")
}

/// The type that a file's name tells, if it is one of images that are not read.
pub(crate) fn by_name(name: &str) -> Option<&'static str> {
    if is_raw(name) {
        return Some(RAW);
    }
    let extension = extension(name)?;
    let found = NAMES
        .iter()
        .find(|(_, all)| all.contains(&extension.as_str()));
    found.map(|&(kind, _)| kind)
}

/// Whether a file is called like a camera's raw file.
pub(crate) fn is_raw(name: &str) -> bool {
    extension(name).is_some_and(|extension| RAW_NAMES.contains(&extension.as_str()))
}

fn extension(name: &str) -> Option<String> {
    name.rsplit_once('.')
        .map(|(_, extension)| extension.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_and_name_tell_the_type() {
        for (start, kind) in [
            (&b"\0\0\0\x1cftypavif\0\0\0\0"[..], Some("AVIF")),
            (b"\0\0\0\x18ftypheic\0\0\0\0heicmif1", Some("HEIC")),
            (b"\0\0\0\x18ftypisom", None),
            (b"<?xml version=\"1.0\"?>\n<svg xmlns", Some("SVG")),
            (b"<?xml version=\"1.0\"?>\n<annotation>", None),
            (b"II*\0\x10\0\0\0CR\x02\0", Some(RAW)),
            (b"II*\0\x08\0\0\0", None),
            (b"\xff\xd8\xff\xe0", None),
            (b"", None),
        ] {
            assert_eq!(by_content(start), kind, "{start:?}");
        }
        for (name, kind) in [
            ("a.HEIC", Some("HEIC")),
            ("b.x.jp2", Some("JPEG 2000")),
            ("c.Nef", Some(RAW)),
            ("heic", None),
            ("d.jpg", None),
        ] {
            assert_eq!(by_name(name), kind, "{name}");
        }
    }
}
