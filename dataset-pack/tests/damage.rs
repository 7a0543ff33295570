//! Damaged sets: `Dataset::open` and `verify` name the file and the cause.

mod common;

use std::fs;
use std::path::Path;

use common::{change, draw, folder, one_line, pack, packed, run, text};
use dataset_pack::{Crop, Dataset, rebuild_index, verify};

/// What opening says of a set whose file was changed.
fn refusal(set: &Path, name: &str, edit: impl FnOnce(&mut Vec<u8>)) -> String {
    change(&set.join(name), edit);
    let error = Dataset::open(set)
        .err()
        .expect("a damaged set does not open");
    let line = one_line(&error);
    assert!(line.contains(name), "{line}");
    let (status, stdout, stderr) = run(&["verify", text(set)]);
    assert_eq!(status, 1);
    assert!(
        format!("{stdout}{stderr}").contains(name),
        "{stdout}{stderr}"
    );
    line
}

fn shard_refusal(edit: impl FnOnce(&mut Vec<u8>)) -> String {
    let dir = packed();
    refusal(&dir.path().join("set"), "shard-00001.bin", edit)
}

/// Gives a changed header a right checksum, as another program might.
fn reseal(bytes: &mut [u8]) {
    let sum = twox_hash::XxHash3_64::oneshot(&bytes[..4088]);
    bytes[4088..4096].copy_from_slice(&sum.to_le_bytes());
}

#[test]
fn a_truncated_shard() {
    for length in [0, 100, 5000] {
        let line = shard_refusal(|b| b.truncate(length));
        assert!(
            line.contains(&format!("cut short: {length} bytes")),
            "{line}"
        );
    }
    let line = shard_refusal(|b| b.truncate(b.len() - 1));
    assert!(line.contains("cut short"), "{line}");
    let line = shard_refusal(|b| b.push(0));
    assert!(line.contains("too long"), "{line}");
}

#[test]
fn an_overwritten_header() {
    let line = shard_refusal(|b| b[..8].copy_from_slice(b"PNG\0\0\0\0\0"));
    assert!(line.contains("not a shard"), "{line}");
    let line = shard_refusal(|b| b[20] ^= 1);
    assert!(
        line.contains("header does not match its checksum"),
        "{line}"
    );
    let line = shard_refusal(|b| b[3000] ^= 1);
    assert!(
        line.contains("header does not match its checksum"),
        "{line}"
    );
    let line = shard_refusal(|b| b.fill(0));
    assert!(line.contains("not a shard"), "{line}");
}

#[test]
fn another_version_or_byte_order() {
    let line = shard_refusal(|b| {
        b[8] = 2;
        reseal(b);
    });
    assert!(
        line.contains("format version 2; this program reads version 1"),
        "{line}"
    );
    let line = shard_refusal(|b| {
        b[28] ^= 1;
        reseal(b);
    });
    assert!(
        line.contains("not the shard that the index was written for"),
        "{line}"
    );
    let line = shard_refusal(|b| b[12..16].reverse());
    assert!(line.contains("byte order"), "{line}");
}

#[test]
fn a_header_that_lies_with_a_right_checksum() {
    for at in [
        16, 20, 48, 80, 88, 96, 104, 112, 120, 128, 136, 144, 152, 160,
    ] {
        let line = shard_refusal(|b| {
            b[at] ^= 0x11;
            reseal(b);
        });
        assert!(line.contains("offsets contradict"), "byte {at}: {line}");
    }
    let line = shard_refusal(|b| {
        b[36] ^= 1;
        reseal(b);
    });
    assert!(line.contains("shard 0 under the name of 1"), "{line}");
}

#[test]
fn overwritten_records() {
    let records = 4096 + 5 * 32 * 32 * 3;
    for at in [records, records + 31, records + 5 * 32 + 3] {
        let line = shard_refusal(|b| b[at] ^= 0x80);
        assert!(line.contains("records do not match"), "{line}");
    }
}

#[test]
fn a_foreign_or_swapped_shard() {
    let (dir, other) = (packed(), folder());
    draw(&other.path().join("source"));
    let set = other.path().join("set");
    pack(&other.path().join("source"), &set, |o| o.seed = 9).expect("packs");
    let foreign = fs::read(set.join("shard-00001.bin")).expect("reads");
    let line = refusal(&dir.path().join("set"), "shard-00001.bin", |b| *b = foreign);
    assert!(line.contains("belongs to another set"), "{line}");

    let dir = packed();
    let first = fs::read(dir.path().join("set/shard-00000.bin")).expect("reads");
    let line = refusal(&dir.path().join("set"), "shard-00001.bin", |b| *b = first);
    assert!(line.contains("shard 0 under the name of 1"), "{line}");
}

#[test]
fn a_missing_shard_index_or_folder() {
    let dir = packed();
    let set = dir.path().join("set");
    fs::remove_file(set.join("shard-00002.bin")).expect("removes");
    let line = one_line(&Dataset::open(&set).err().expect("refused"));
    assert!(
        line.contains("shard-00002.bin") && line.contains("No such file"),
        "{line}"
    );
    fs::remove_file(set.join("index.json")).expect("removes");
    let line = one_line(&Dataset::open(&set).err().expect("refused"));
    assert!(line.contains("unfinished"), "{line}");
    let line = one_line(
        &Dataset::open(dir.path().join("nowhere"))
            .err()
            .expect("refused"),
    );
    assert!(line.contains("no such folder"), "{line}");
    let line = one_line(
        &Dataset::open(dir.path().join("source"))
            .err()
            .expect("refused"),
    );
    assert!(line.contains("no index.json"), "{line}");
}

#[test]
fn a_damaged_index_or_mean() {
    let set = |dir: &tempfile::TempDir| dir.path().join("set");
    let dir = packed();
    let line = refusal(&set(&dir), "index.json", |b| {
        let at = b
            .windows(6)
            .position(|w| w == b"packed")
            .expect("the counts");
        b[at + 8] ^= 2;
    });
    assert!(line.contains("does not match its checksum"), "{line}");
    let dir = packed();
    let line = refusal(&set(&dir), "index.json", |b| b.truncate(b.len() / 2));
    assert!(line.contains("not a valid index"), "{line}");
    let dir = packed();
    let line = refusal(&set(&dir), "mean.f32", |b| b[77] ^= 1);
    assert!(line.contains("does not match its checksum"), "{line}");
    let dir = packed();
    let line = refusal(&set(&dir), "mean.f32", |b| b.truncate(100));
    assert!(line.contains("100 bytes"), "{line}");
}

/// Opening does not read the pixels and sums; `verify` does, and tells which are damaged.
#[test]
fn verify_finds_every_damaged_byte() {
    let dir = packed();
    let set = dir.path().join("set");
    assert!(
        verify(&set, &|_, _| {})
            .expect("verifies")
            .problems
            .is_empty()
    );
    let path = set.join("shard-00001.bin");
    let good = fs::read(&path).expect("reads");
    let source = Dataset::open(&set)
        .expect("opens")
        .source(5 + 3)
        .expect("a source");
    change(&path, |b| b[4096 + 3 * 3072 + 1000] ^= 4);
    assert!(Dataset::open(&set).expect("opens").image(5 + 3).is_err());
    let problems = verify(&set, &|_, _| {}).expect("verifies").problems;
    let line = &problems[0];
    assert!(
        line.contains("shard-00001.bin: image 3") && line.contains(&source),
        "{line}"
    );
    let (status, stdout, _) = run(&["verify", text(&set), "--json"]);
    assert_eq!(status, 1);
    let json: serde_json::Value = serde_json::from_str(&stdout).expect("JSON");
    assert_eq!(json["problems"][0].as_str(), Some(line.as_str()));

    for at in (0..good.len()).step_by(211).chain([good.len() - 1]) {
        fs::write(&path, &good).expect("writes");
        change(&path, |b| b[at] ^= 0x20);
        let found = verify(&set, &|_, _| {}).expect("verifies").problems;
        assert!(!found.is_empty(), "byte {at} changed unnoticed");
        assert!(
            found.iter().any(|p| p.contains("shard-00001.bin")),
            "{found:?}"
        );
    }
}

/// What a new index would be made of without another look at the pixels.
#[test]
fn no_index_is_made_of_damaged_texts_or_sums() {
    fn texts(b: &mut [u8]) {
        let tool = br#""tool":""#;
        let at = b.windows(tool.len()).position(|w| w == tool);
        b[at.expect("the description") + tool.len()] ^= 0x20;
    }
    fn sums(b: &mut [u8]) {
        *b.last_mut().expect("bytes") ^= 1;
    }
    type Damage = fn(&mut [u8]);
    let cases: [(&str, Damage); 2] = [
        (
            "its description or report does not match its checksum",
            texts,
        ),
        ("the sums do not match their checksum", sums),
    ];
    for (cause, damage) in cases {
        let dir = packed();
        let set = dir.path().join("set");
        fs::remove_file(set.join("index.json")).expect("removes");
        change(&set.join("shard-00001.bin"), |b| damage(b));
        let line = one_line(&rebuild_index(&set).expect_err("damaged"));
        assert!(
            line.contains("shard-00001.bin") && line.contains(cause),
            "{line}"
        );
        assert!(!set.join("index.json").exists());
    }
}

#[test]
fn verify_names_all_damage_and_files_that_do_not_belong() {
    let dir = packed();
    let set = dir.path().join("set");
    change(&set.join("shard-00000.bin"), |b| b[4096] ^= 1);
    change(&set.join("shard-00002.bin"), |b| b.truncate(50));
    fs::write(set.join("shard-00009.bin"), "stray").expect("writes");
    let found = verify(&set, &|_, _| {}).expect("verifies");
    let named = |name: &str| found.problems.iter().any(|p| p.contains(name));
    assert!(
        named("shard-00000.bin") && named("shard-00002.bin"),
        "{:?}",
        found.problems
    );
    assert_eq!(found.strangers, ["shard-00009.bin"]);
}

#[test]
fn a_shard_that_shrinks_or_changes_while_it_is_open_is_named() {
    let dir = packed();
    let set = dir.path().join("set");
    let open = Dataset::open(&set).expect("opens");
    let path = set.join("shard-00001.bin");
    let file = fs::File::options().write(true).open(&path).expect("opens");
    let length = file.metadata().expect("has a length").len();
    let line = |index: usize| one_line(&open.image(index).expect_err("is gone"));
    // Images 5 to 9 lie in this shard; the cut goes through the fourth of them.
    file.set_len(4096 + 3 * 3072 + 100).expect("cuts");
    for index in 0..open.len() {
        if (5..10).contains(&index) {
            let cause = "shard-00001.bin: cut short since it was opened";
            assert!(line(index).contains(cause), "{}", line(index));
        } else {
            open.image(index).expect("is there");
        }
        open.prefetch(index);
    }
    assert!(open.source(5).is_err() && open.status(5).is_err() && open.original_size(5).is_err());
    assert_eq!(open.label(9), open.label(9), "labels are in memory");
    // Pages that were missed once stay lost for those who had the shard open.
    file.set_len(length).expect("grows");
    let cause = "shard-00001.bin: cannot read: the disk gave no data, or the file was shorter";
    assert!(line(7).contains(cause), "{}", line(7));
    let again = Dataset::open(&set);
    assert!(again.is_err(), "zeros stand where its records were");
}

#[test]
fn an_image_that_changes_while_its_shard_is_open_is_told_by_its_checksum() {
    let dir = packed();
    let set = dir.path().join("set");
    let open = Dataset::open(&set).expect("opens");
    change(&set.join("shard-00001.bin"), |b| b[4096 + 3 * 3072] ^= 1);
    let (side, mut corner) = (2, [0; 12]);
    let crop = Crop { y: 30, x: 30, side };
    let whole = one_line(&open.image(8).expect_err("has changed"));
    let cut = one_line(
        &open
            .read_crop(8, crop, &mut corner)
            .expect_err("has changed"),
    );
    for line in [whole, cut] {
        let cause = "shard-00001.bin: image 8 of the set does not match its checksum";
        assert!(line.contains(cause), "{line}");
    }
    let seven = open.image(7).expect("is whole");
    open.read_crop(7, crop, &mut corner).expect("is whole");
    assert_eq!(corner[6..], seven[(31 * 32 + 30) * 3..], "its last row");
}
