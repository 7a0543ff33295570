//! Sources that cannot be packed, or not wholly: one clear line, and nothing half-written.

mod common;

use std::fs;
use std::path::Path;

use common::{draw, files, folder, one_line, pack, run, text};
use dataset_pack::{Dataset, Error};

/// What packing `source` says, having made no set.
fn refusal(source: &Path, out: &Path, max_bad: usize) -> String {
    let error = pack(source, out, |o| o.max_bad = max_bad).expect_err("must not pack");
    assert!(Dataset::open(out).is_err());
    one_line(&error)
}

#[test]
fn a_source_that_is_missing_empty_or_a_file_is_named() {
    let dir = folder();
    let (source, out) = (dir.path().join("source"), dir.path().join("out"));
    let line = refusal(&source, &out, 0);
    assert!(
        line.contains("source") && line.contains("No such file"),
        "{line}"
    );
    fs::create_dir_all(source.join("class")).expect("makes a folder");
    let line = refusal(&source, &out, 0);
    assert!(
        line.contains("source") && line.contains("no images in class folders"),
        "{line}"
    );
    fs::write(dir.path().join("file"), "text").expect("writes");
    let line = refusal(&dir.path().join("file"), &out, 0);
    assert!(line.contains("file: neither a folder, nor a tar"), "{line}");
    assert!(!out.exists(), "nothing was begun");
}

/// A JPEG of 300×200 pixels.
fn jpeg() -> Vec<u8> {
    let picture = image::RgbImage::from_fn(300, 200, |x, y| {
        image::Rgb([(x * 7) as u8, (y * 5) as u8, (x * y) as u8])
    });
    let mut bytes = std::io::Cursor::new(Vec::new());
    picture
        .write_to(&mut bytes, image::ImageFormat::Jpeg)
        .expect("encodes");
    bytes.into_inner()
}

/// A BMP header that claims `width`×`height` pixels, with none behind it.
fn bmp(width: i32, height: i32) -> Vec<u8> {
    let mut bytes = b"BM\0\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0".to_vec();
    bytes.extend(width.to_le_bytes());
    bytes.extend(height.to_le_bytes());
    bytes.extend([1, 0, 24, 0]);
    bytes.resize(54, 0);
    bytes
}

fn png() -> Vec<u8> {
    let mut bytes = std::io::Cursor::new(Vec::new());
    let picture = image::RgbImage::from_fn(50, 50, |x, y| image::Rgb([x as u8, y as u8, 9]));
    picture
        .write_to(&mut bytes, image::ImageFormat::Png)
        .expect("encodes");
    bytes.into_inner()
}

/// Every kind of bad image, with a word that its reason must have.
fn bad_images() -> Vec<(&'static str, Vec<u8>, &'static str)> {
    let (jpeg, png) = (jpeg(), png());
    let mut damaged_png = png.clone();
    damaged_png[60] ^= 0xff;
    // A progressive or baseline frame header of 0 columns.
    let mut zero_jpeg = jpeg.clone();
    let frame = jpeg
        .windows(2)
        .position(|w| w == [0xff, 0xc0])
        .expect("a frame header");
    zero_jpeg[frame + 7..frame + 9].fill(0);
    vec![
        ("empty.jpg", vec![], "empty"),
        (
            "page.JPEG",
            b"<html><body>404</body></html>".to_vec(),
            "no image",
        ),
        ("half.jpg", jpeg[..jpeg.len() / 2].to_vec(), "damaged"),
        ("nearly.jpg", jpeg[..jpeg.len() - 200].to_vec(), "damaged"),
        ("start.jpg", jpeg[..30].to_vec(), "damaged"),
        ("half.png", png[..png.len() / 2].to_vec(), "damaged"),
        ("flipped.png", damaged_png, "damaged"),
        ("zero.jpg", zero_jpeg, ""),
        ("zero.bmp", bmp(0, 5), "0x5"),
        ("bomb.bmp", bmp(60_000, 60_000), "limit"),
        ("nothing-behind.bmp", bmp(50, 50), "damaged"),
    ]
}

#[test]
fn bad_images_are_listed_and_the_rest_is_packed() {
    let dir = folder();
    let (source, out) = (dir.path().join("source"), dir.path().join("out"));
    draw(&source);
    let class = source.join("1-square-plain");
    let bad = bad_images();
    for (name, content, _) in &bad {
        fs::write(class.join(name), content).expect("writes");
    }
    std::os::unix::fs::symlink("nowhere", class.join("dangling.png")).expect("links");
    fs::write(source.join("stray.png"), png()).expect("writes");
    let built = pack(&source, &out, |_| {}).expect("packs the rest");
    let counts = built[0].counts;
    assert_eq!((counts.packed, counts.rejected), (12, bad.len() as u64 + 2));
    assert_eq!(Dataset::open(&out).expect("opens").len(), 12);

    let report = fs::read_to_string(out.join("report.jsonl")).expect("there is a report");
    assert_eq!(report.lines().count(), bad.len() + 2);
    let reason = |source: &str| {
        let lines = report
            .lines()
            .map(serde_json::from_str::<serde_json::Value>);
        let line = lines
            .map(|l| l.expect("JSON"))
            .find(|l| l["source"] == source);
        let line = line.unwrap_or_else(|| panic!("{source} is not in the report"));
        assert_eq!(line["action"], "rejected");
        line["reason"].as_str().expect("a reason").to_string()
    };
    for (name, _, word) in &bad {
        let reason = reason(&format!("1-square-plain/{name}"));
        assert!(reason.contains(word), "{name}: {reason}");
    }
    assert!(reason("1-square-plain/dangling.png").contains("does not exist"));
    assert!(reason("stray.png").contains("not in a class folder"));
}

#[test]
fn every_truncation_of_a_jpeg_is_noticed() {
    let (dir, jpeg) = (folder(), jpeg());
    let path = dir.path().join("cut.jpg");
    // Only the end-of-image marker may be missing: all pixels are there without it.
    for length in (0..jpeg.len() - 40).step_by(97) {
        fs::write(&path, &jpeg[..length]).expect("writes");
        let loaded = dataset_pack::load_image(&path, 32, dataset_pack::Resize::Bilinear);
        assert!(loaded.is_err(), "{length} of {} bytes", jpeg.len());
    }
}

#[test]
fn too_many_bad_images_fail_and_leave_the_report() {
    let dir = folder();
    let (source, out) = (dir.path().join("source"), dir.path().join("out"));
    draw(&source);
    for number in 0..3 {
        fs::write(source.join(format!("0-disc-plain/bad-{number}.jpg")), "bad").expect("writes");
    }
    let line = refusal(&source, &out, 2);
    assert!(
        line.contains("3 images") && line.contains("2 allowed"),
        "{line}"
    );
    assert!(
        line.contains("bad-") && line.contains("report.jsonl"),
        "{line}"
    );
    assert!(
        !files(&out).iter().any(|name| name.ends_with(".tmp")),
        "{:?}",
        files(&out)
    );
    let report = fs::read_to_string(out.join("report.jsonl")).expect("there is a report");
    assert_eq!(report.lines().count(), 3);
    // The same folder will do once the source is mended or the limit raised.
    pack(&source, &out, |o| o.max_bad = 3).expect("packs");
    assert_eq!(Dataset::open(&out).expect("opens").len(), 12);
}

#[test]
fn a_source_of_bad_images_alone_makes_no_set() {
    let dir = folder();
    let (source, out) = (dir.path().join("source"), dir.path().join("out"));
    fs::create_dir_all(source.join("class")).expect("makes a folder");
    fs::write(source.join("class/bad.jpg"), "bad").expect("writes");
    let line = refusal(&source, &out, 10);
    assert!(line.contains("none of the images"), "{line}");
}

#[test]
fn a_finished_set_is_not_overwritten() {
    let dir = common::packed();
    let (source, set) = (dir.path().join("source"), dir.path().join("set"));
    let index = fs::read(set.join("index.json")).expect("reads");
    // The same again is done already; anything else is refused.
    assert_eq!(
        pack(&source, &set, |_| {}).expect("is there")[0]
            .counts
            .packed,
        12
    );
    let line = one_line(&pack(&source, &set, |o| o.seed = 5).expect_err("refused"));
    assert!(
        line.contains("set: already holds a finished set of other images"),
        "{line}"
    );
    assert_eq!(fs::read(set.join("index.json")).expect("reads"), index);
}

#[test]
fn a_folder_that_cannot_be_written_is_named() {
    let dir = folder();
    draw(&dir.path().join("source"));
    fs::write(dir.path().join("file"), "text").expect("writes");
    let error = pack(
        &dir.path().join("source"),
        &dir.path().join("file/out"),
        |_| {},
    );
    let error = error.expect_err("a file is in the way");
    assert!(matches!(error, Error::Io { .. }));
    assert!(one_line(&error).contains("file/out"), "{error}");
}

/// A limit on the size of files stands in for a full disk: the write fails in the middle.
#[test]
fn a_full_disk_names_the_file_and_leaves_nothing_half_written() {
    let dir = folder();
    let (source, out) = (dir.path().join("source"), dir.path().join("out"));
    draw(&source);
    let shell = "trap '' XFSZ; ulimit -f 20; exec \"$0\" build --source \"$1\" --out \"$2\"";
    let program = env!("CARGO_BIN_EXE_dataset-pack");
    let arguments = ["-c", shell, program, text(&source), text(&out)];
    let output = std::process::Command::new("bash")
        .args(arguments)
        .output()
        .expect("runs");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    let line = stderr
        .lines()
        .find(|l| l.starts_with("dataset-pack:"))
        .expect("an error line");
    assert!(
        line.contains("shard-00000.bin: cannot write: File too large"),
        "{line}"
    );
    assert_eq!(files(&out), Vec::<String>::new());
    let (status, _, stderr) = run(&["info", text(&out)]);
    assert_eq!(status, 1);
    assert!(stderr.contains("not a packed set"), "{stderr}");
}
