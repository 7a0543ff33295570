//! Archives and files that are easily read wrongly or passed over: each is packed, reported or refused.

mod common;

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::Command;

use common::{class_names, folder, labels, one_line, pack, picture, pictures, told};
use dataset_pack::{Dataset, extract, verify};
use tar::{EntryType, Header};

const IMAGES: [&str; 4] = ["cat/1.jpg", "cat/2.jpg", "dog/1.jpg", "dog/2.jpg"];

fn archive(path: &Path, fill: impl FnOnce(&mut tar::Builder<fs::File>)) {
    let mut archive = tar::Builder::new(fs::File::create(path).expect("creates"));
    fill(&mut archive);
    archive.finish().expect("writes");
}

/// A member's header with a name and a type.
fn header(name: &[u8], kind: u8, bytes: usize) -> Header {
    let mut header = Header::new_ustar();
    header.as_old_mut().name[..name.len()].copy_from_slice(name);
    header.set_entry_type(EntryType::new(kind));
    header.set_size(bytes as u64);
    header.set_mode(0o644);
    header.set_cksum();
    header
}

#[test]
fn archives_one_behind_the_other_and_what_is_none() {
    let dir = folder();
    let at = |name: &str| dir.path().join(name);
    pictures(&at("d"), &IMAGES);
    for class in ["cat", "dog"] {
        let tar = at(&format!("{class}.tar"));
        archive(&tar, |a| {
            a.append_dir_all(class, at("d").join(class))
                .expect("writes")
        });
    }
    let [cat, dog] = ["cat.tar", "dog.tar"].map(|name| fs::read(at(name)).expect("reads"));
    fs::write(at("both.tar"), [&cat[..], &[0; 4096], &dog[..]].concat()).expect("writes");
    let (set, _) = told(&at("both.tar"), |_| {}).expect("packs");
    assert_eq!(labels(&set).into_keys().collect::<Vec<_>>(), IMAGES);
    fs::write(at("cut.tar"), [&cat[..], &dog[..1000]].concat()).expect("writes");
    let line = one_line(
        &told(&at("cut.tar"), |_| {})
            .map(drop)
            .expect_err("cut short"),
    );
    assert!(line.contains("cut.tar: not a whole tar archive"), "{line}");
    fs::write(at("more.tar"), [&cat[..], b"more"].concat()).expect("writes");
    let (_, warnings) = told(&at("more.tar"), |_| {}).expect("packs");
    let behind = |w: &String| w.contains("more.tar: 4 bytes behind the archive's end");
    assert!(warnings.iter().any(behind), "{warnings:?}");
}

#[test]
fn links_in_an_archive_have_the_bytes_of_what_they_lead_to() {
    let dir = folder();
    let at = |name: &str| dir.path().join(name);
    picture(&at("1.jpg"));
    archive(&at("a.tar"), |a| {
        let mut link = |kind, name: &str, target: &str| {
            let mut header = Header::new_gnu();
            header.set_entry_type(kind);
            header.set_size(0);
            a.append_link(&mut header, name, target).expect("writes");
        };
        link(EntryType::Link, "x/dog/hard.jpg", "x/cat/1.jpg");
        link(EntryType::Symlink, "x/dog/soft.jpg", "../cat/./1.jpg");
        link(EntryType::Symlink, "x/dog/gone.jpg", "../cat/2.jpg");
        link(EntryType::Symlink, "x/dog/out.jpg", "/etc/passwd");
        a.append_path_with_name(at("1.jpg"), "x/cat/1.jpg")
            .expect("writes");
    });
    let set = at("set");
    let built = pack(&at("a.tar"), &set, |_| {}).expect("packs");
    assert_eq!((built[0].counts.packed, built[0].counts.rejected), (3, 2));
    let set = Dataset::open(set).expect("opens");
    assert_eq!(
        labels(&set).into_keys().collect::<Vec<_>>(),
        ["cat/1.jpg", "dog/hard.jpg", "dog/soft.jpg"]
    );
    let first = common::pixels_of(&set, 0);
    assert!((1..3).all(|index| common::pixels_of(&set, index) == first));
}

#[test]
fn members_of_every_type() {
    let dir = folder();
    let at = |name: &str| dir.path().join(name);
    picture(&at("1.jpg"));
    let jpeg = fs::read(at("1.jpg")).expect("reads");
    archive(&at("a.tar"), |a| {
        let mut put = |name: &str, kind: u8, bytes: &[u8]| {
            a.append(&header(name.as_bytes(), kind, bytes.len()), bytes)
                .expect("writes");
        };
        put("global", b'g', b"17 comment=hello\n");
        put("volume", b'V', b"");
        put("c/", b'5', b"");
        put("old folder/", b'0', b"");
        for kind in *b"07\0" {
            put(&format!("c/type-{kind}.jpg"), kind, &jpeg);
        }
        put("c/unknown-type.jpg", b'Q', &jpeg);
        for kind in *b"346" {
            put(&format!("c/device-{kind}.jpg"), kind, b"");
        }
        put(
            "x",
            b'x',
            b"22 GNU.sparse.major=1\n30 GNU.sparse.name=c/real.jpg\n",
        );
        put("c/GNUSparseFile.7/real.jpg", b'0', &jpeg);
        put("../out.jpg", b'0', &jpeg);
    });
    let built = pack(&at("a.tar"), &at("set"), |_| {}).expect("packs");
    let report = fs::read_to_string(at("set/report.jsonl")).expect("reads");
    assert_eq!((built[0].counts.packed, built[0].counts.rejected), (4, 5));
    for words in [
        "\"c/device-51.jpg\",\"reason\":\"a device or a pipe",
        "\"c/real.jpg\",\"reason\":\"a sparse file",
        "\"../out.jpg\",\"reason\":\"its path in the archive leads out of it\"",
    ] {
        assert!(report.contains(words), "{words}: {report}");
    }
    // What leads out of the archive does not make a class of what is before its first slash.
    assert_eq!(
        class_names(&Dataset::open(at("set")).expect("opens")),
        ["c", "old folder"]
    );
    for (kind, why) in [(b'M', "several volumes"), (b'X', "a long name in a form")] {
        archive(&at("b.tar"), |a| {
            a.append(&header(b"c/1.jpg", kind, 3), &b"abc"[..])
                .expect("writes")
        });
        let line = one_line(&told(&at("b.tar"), |_| {}).map(drop).expect_err(why));
        assert!(line.contains(why), "{line}");
    }
    archive(&at("b.tar"), |a| {
        a.append(&header(b"g", b'g', 10), &b"10 path=a\n"[..])
            .expect("writes");
    });
    let line = one_line(
        &told(&at("b.tar"), |_| {})
            .map(drop)
            .expect_err("a path for all"),
    );
    assert!(line.contains("a path or size for all members"), "{line}");
}

#[test]
fn classes_are_called_like_archives_without_their_ends() {
    let dir = folder();
    picture(&dir.path().join("1.jpg"));
    let jpeg = fs::read(dir.path().join("1.jpg")).expect("reads");
    let source = dir.path().join("source");
    fs::create_dir(&source).expect("makes");
    for name in ["cat.tar", "dog.TAR"] {
        archive(&source.join(name), |a| {
            a.append(&header(b"1.jpg", b'0', jpeg.len()), &jpeg[..])
                .expect("writes");
        });
    }
    archive(&dir.path().join("around.tar"), |a| {
        a.append_dir_all("", &source).expect("writes");
    });
    for source in [source, dir.path().join("around.tar")] {
        let (set, _) = told(&source, |_| {}).expect("packs");
        assert_eq!(class_names(&set), ["cat", "dog"]);
    }
}

/// Files with holes as tar stores them itself, in both forms.
#[test]
fn sparse_files_do_not_spoil_the_archive() {
    let dir = folder();
    let at = |name: &str| dir.path().join(name);
    pictures(&at("d"), &IMAGES);
    fs::File::create(at("d/cat/holes.bmp"))
        .and_then(|f| f.set_len(3 << 20))
        .expect("writes");
    for form in ["gnu", "pax"] {
        let done = Command::new("tar")
            .args(["-S", "--format", form, "-cf", "a.tar", "d"])
            .current_dir(dir.path())
            .status();
        if !done.is_ok_and(|status| status.success()) {
            return; // Not everybody has GNU's tar.
        }
        let built = pack(&at("a.tar"), &at(form), |_| {}).expect("packs");
        assert_eq!((built[0].counts.packed, built[0].counts.rejected), (4, 1));
        let report = fs::read_to_string(at(form).join("report.jsonl")).expect("reads");
        assert!(
            report.contains("\"cat/holes.bmp\",\"reason\":\"a sparse file"),
            "{report}"
        );
    }
}

#[test]
fn images_of_types_that_are_not_read_are_reported() {
    let dir = folder();
    let at = |name: &str| dir.path().join(name);
    pictures(&at("d"), &["cat/1.jpg", "dog/1.jpg", "dog/2.nef"]);
    for (name, content, _) in UNREAD {
        fs::create_dir_all(at("d").join(name).parent().expect("a folder")).expect("makes folders");
        fs::write(at("d").join(name), content).expect("writes");
    }
    archive(&at("d.tar"), |a| {
        a.append_dir_all("d", at("d")).expect("writes")
    });
    for (source, out) in [("d", "a"), ("d.tar", "b")] {
        let built = pack(&at(source), &at(out), |_| {}).expect("packs");
        let counts = built[0].counts;
        let unread = UNREAD.len() as u64 + 1;
        assert_eq!(
            (counts.packed, counts.rejected, counts.skipped),
            (2, unread, 0)
        );
        let set = Dataset::open(at(out)).expect("opens");
        assert_eq!(class_names(&set), ["cat", "dog", "fish"]);
        let report = fs::read_to_string(at(out).join("report.jsonl")).expect("reads");
        for (name, _, kind) in UNREAD {
            let line = report.lines().find(|line| line.contains(name)).expect(name);
            assert!(
                line.contains(&format!("{kind} is a type that is not read")),
                "{line}"
            );
        }
        assert!(
            report.contains("2.nef\",\"reason\":\"a camera's raw file"),
            "{report}"
        );
    }
}

const UNREAD: [(&str, &[u8], &str); 8] = [
    ("fish/1.heic", b"\0\0\0\x18ftypheic\0\0\0\0heicmif1", "HEIC"),
    ("dog/odd-name", b"\0\0\0\x1cftypavif\0\0\0\0", "AVIF"),
    ("dog/avif.jpg", b"\0\0\0\x1cftypavif\0\0\0\0", "AVIF"),
    ("dog/3.jp2", b"", "JPEG 2000"),
    ("dog/4.jxl", b"\xff\x0a", "JPEG XL"),
    ("dog/5.PSD", b"8BPS\0\x01", "Photoshop"),
    ("dog/6.exr", b"\x76\x2f\x31\x01", "OpenEXR"),
    ("dog/7.svg", b"<svg xmlns='x'/>", "SVG"),
];

#[test]
fn compressed_archives_and_streams_say_what_to_do() {
    let dir = folder();
    let at = |name: &str| dir.path().join(name);
    for (name, start, words) in [
        (
            "a.tar.gz",
            &b"\x1f\x8b\x08\0"[..],
            "a gzip file; decompress it with gunzip",
        ),
        (
            "no-extension",
            b"BZh91AY",
            "a bzip2 file; decompress it with bunzip2",
        ),
        ("a.xz", b"\xfd7zXZ\0", "an xz file; decompress it with unxz"),
        ("a.zst", b"\x28\xb5\x2f\xfd", "a zstd file"),
        (
            "a.zip",
            b"PK\x03\x04",
            "a zip file; unpack it and give the folder",
        ),
        ("a.7z", b"7z\xbc\xaf\x27\x1c", "a 7-Zip file; unpack it"),
        ("a.rar", b"Rar!\x1a\x07\0", "a rar file; unpack it"),
    ] {
        fs::write(at(name), start).expect("writes");
        let line = one_line(&told(&at(name), |_| {}).map(drop).expect_err(name));
        assert!(line.contains(name) && line.contains(words), "{line}");
    }
    let fifo = at("fifo");
    let made = Command::new("mkfifo").arg(&fifo).status().expect("runs");
    assert!(made.success());
    let line = one_line(&told(&fifo, |_| {}).map(drop).expect_err("a pipe"));
    assert!(
        line.contains("a pipe, but images are read in any order; write it to a file"),
        "{line}"
    );
    let line = one_line(
        &told(Path::new("/dev/zero"), |_| {})
            .map(drop)
            .expect_err("a device"),
    );
    assert!(line.contains("a device"), "{line}");
    // Within a source, one that is called like an image is accounted for and not opened.
    pictures(&at("d"), &IMAGES);
    fs::rename(&fifo, at("d/cat/3.jpg")).expect("moves");
    let (set, _) = told(&at("d"), |_| {}).expect("packs");
    assert_eq!((set.len(), set.counts().rejected), (4, 1));
}

#[test]
fn any_name_that_a_file_can_have() {
    let dir = folder();
    let at = |name: &str| dir.path().join(name);
    let long = format!("{}.jpg", "y".repeat(251));
    let class = at("d").join(OsStr::from_bytes(b"caf\xe9"));
    fs::create_dir_all(&class).expect("makes folders");
    for name in [&b"b\xff.jpg"[..], b"x\x1b[2J\n.jpg", long.as_bytes()] {
        picture(&class.join(OsStr::from_bytes(name)));
    }
    fs::write(class.join("bad\nwarning: forged.jpg"), "bad").expect("writes");
    archive(&at("d.tar"), |a| {
        a.append_dir_all("d", at("d")).expect("writes")
    });
    for (source, out) in [
        ("d", OsStr::from_bytes(b"out\xff\n")),
        ("d.tar", OsStr::new("tar")),
    ] {
        let out = dir.path().join(out);
        let run = common::program(&["build", "--json", "--source"])
            .arg(at(source))
            .arg("--out")
            .arg(&out)
            .output();
        let run = run.expect("runs");
        let stderr = String::from_utf8(run.stderr).expect("is escaped");
        assert!(run.status.success(), "{stderr}");
        assert!(
            !stderr
                .lines()
                .any(|line| line.contains("warning: forged") && !line.contains("bad\\n"))
        );
        let set = Dataset::open(&out).expect("opens");
        assert_eq!(class_names(&set), ["caf\\xe9"]);
        let expected = [
            "caf\\xe9/b\\xff.jpg",
            "caf\\xe9/x\x1b[2J\n.jpg",
            &format!("caf\\xe9/{long}"),
        ];
        assert_eq!(labels(&set).into_keys().collect::<Vec<_>>(), expected);
        assert!(
            verify(&out, &|_, _| {})
                .expect("verifies")
                .problems
                .is_empty()
        );
        extract(&set, at("images").join(source), &|_| {}).expect("extracts");
        assert_eq!(
            common::files(&at("images").join(source).join("caf\\xe9")).len(),
            3
        );
    }
}

#[test]
fn a_set_within_its_source_can_be_resumed() {
    let dir = folder();
    let at = |name: &str| dir.path().join(name);
    pictures(&at("d"), &IMAGES);
    pack(&at("d"), &at("d/sets/a"), |o| o.shard_images = 1).expect("packs");
    let whole = common::contents(&at("d/sets/a"));
    for name in ["index.json", "shard-00002.bin"] {
        fs::remove_file(at("d/sets/a").join(name)).expect("removes");
    }
    pack(&at("d"), &at("d/sets/a"), |o| o.shard_images = 1).expect("goes on");
    assert!(common::contents(&at("d/sets/a")) == whole);
    let part = |o: &mut dataset_pack::BuildOptions| o.part.count = 2;
    let line = one_line(&pack(&at("d"), &at("d/part"), part).expect_err("parts see each other"));
    assert!(line.contains("choose another --out"), "{line}");
    let line = one_line(&pack(&at("d"), &at("d/../d"), |_| {}).expect_err("the source"));
    assert!(line.contains("this is the source"), "{line}");
}

/// More shards than a process may have files open.
#[test]
fn thousands_of_shards_need_few_open_files() {
    let dir = folder();
    let at = |name: &str| dir.path().join(name);
    let names: Vec<String> = (0..80).map(|n| format!("{}/{n}.jpg", n % 2)).collect();
    names.iter().for_each(|name| picture(&at("d").join(name)));
    let program = env!("CARGO_BIN_EXE_dataset-pack");
    let script = "ulimit -n 24 && \"$0\" build --source d --out s --size 8 --shard-images 1 --jobs 1 \
        && \"$0\" verify s && \"$0\" extract s --out x && \"$0\" info s";
    let run = Command::new("bash")
        .args(["-c", script, program])
        .current_dir(dir.path())
        .output();
    let run = run.expect("runs");
    assert!(
        run.status.success(),
        "{}",
        String::from_utf8_lossy(&run.stderr)
    );
}
