//! Files as odd as those in ImageNet: what becomes of each, and that the counts add up.

mod common;

use std::collections::BTreeMap;
use std::fs;

use common::{folder, lay_out, one_line, pack, source_of};
use dataset_pack::{Damaged, Dataset, Status, SynthLayout, verify};

/// What is packed of the odd files, with its status; the rest is rejected for a reason with this word.
const PACKED: [(&str, u32); 13] = [
    ("cmyk", Status::CMYK | Status::ENLARGED),
    ("ycck", Status::CMYK | Status::ENLARGED),
    ("png", Status::MISNAMED),
    ("exif", 0),
    ("grey", Status::GREY),
    ("16-bits", Status::MISNAMED | Status::DEEP),
    ("palette", Status::MISNAMED | Status::ENLARGED),
    ("alpha", Status::MISNAMED | Status::ALPHA),
    ("animation", Status::MISNAMED | Status::ENLARGED),
    ("small", Status::ENLARGED),
    ("one-wide", Status::MISNAMED | Status::ENLARGED),
    ("junk-behind", 0),
    ("junk-before-the-end", 0),
];
const REJECTED: [(&str, &str); 5] = [
    ("truncated", "damaged"),
    ("broken", "damaged"),
    ("empty", "empty"),
    ("page", "no image"),
    ("huge", "60000x60000 pixels, over the limit"),
];
/// Of those, what is packed if damaged images are kept.
const KEPT: [&str; 1] = ["truncated"];

/// The lines of a set's report by odd file: reason and action.
fn report(set: &std::path::Path) -> BTreeMap<String, (String, String)> {
    let text = fs::read_to_string(set.join("report.jsonl")).expect("there is a report");
    let line = |line: &str| {
        let line: serde_json::Value = serde_json::from_str(line).expect("JSON");
        let word = |field: &str| line[field].as_str().expect("a text").to_string();
        (odd_name(&word("source")), (word("reason"), word("action")))
    };
    text.lines().map(line).collect()
}

fn odd_name(source: &str) -> String {
    source
        .rsplit_once('_')
        .expect("a name")
        .1
        .trim_end_matches(".JPEG")
        .into()
}

fn statuses(set: &Dataset) -> BTreeMap<String, u32> {
    (0..set.len())
        .map(|index| {
            (
                odd_name(&source_of(set, index)),
                set.status(index).expect("a record").0,
            )
        })
        .collect()
}

#[test]
fn every_odd_file_is_packed_or_reported() {
    let dir = folder();
    let at = |name: &str| dir.path().join(name);
    lay_out(&at("i"), SynthLayout::Ilsvrc2012, true);
    let train = at("i/ILSVRC2012_img_train.tar");
    for (policy, out) in [
        (Damaged::Reject, at("rejected")),
        (Damaged::Keep, at("kept")),
    ] {
        let built = pack(&train, &out, |o| (o.size, o.damaged) = (64, policy)).expect("packs");
        let kept = if policy == Damaged::Keep {
            KEPT.len()
        } else {
            0
        };
        let rejected = REJECTED.len() - kept;
        let counts = built[0].counts;
        let expected = (12 + PACKED.len() + kept, kept, rejected, 0);
        let found = (counts.packed, counts.kept, counts.rejected, counts.skipped);
        assert_eq!(found, (expected.0 as u64, kept as u64, rejected as u64, 0));
        assert!(
            verify(&out, &|_, _| {})
                .expect("verifies")
                .problems
                .is_empty()
        );

        let set = Dataset::open(&out).expect("opens");
        let (statuses, report) = (statuses(&set), report(&out));
        for (name, status) in PACKED {
            assert_eq!(statuses.get(name), Some(&status), "{name}");
        }
        assert_eq!(report.len(), REJECTED.len());
        for (name, word) in REJECTED {
            let (reason, action) = &report[name];
            assert!(reason.contains(word), "{name}: {reason}");
            let kept = policy == Damaged::Keep && KEPT.contains(&name);
            assert_eq!(action, if kept { "kept" } else { "rejected" }, "{name}");
            assert_eq!(
                statuses.get(name).is_some_and(|s| s & Status::DAMAGED != 0),
                kept,
                "{name}"
            );
        }
    }
}

#[test]
fn what_is_kept_of_a_truncated_image_is_its_beginning() {
    let dir = folder();
    let at = |name: &str| dir.path().join(name);
    lay_out(&at("i"), SynthLayout::Ilsvrc2012, true);
    let options = |o: &mut dataset_pack::BuildOptions| (o.size, o.damaged) = (64, Damaged::Keep);
    pack(&at("i/ILSVRC2012_img_train.tar"), &at("set"), options).expect("packs");
    let set = Dataset::open(at("set")).expect("opens");
    let find = |name: &str| {
        let found =
            (0..set.len()).find(|&i| source_of(&set, i).ends_with(&format!("_{name}.JPEG")));
        common::pixels_of(&set, found.expect("it is packed"))
    };
    // Both were made of the same picture, of which one has the first two thirds.
    let (whole, part) = (find("junk-behind"), find("truncated"));
    let same = whole
        .iter()
        .zip(&part)
        .take_while(|(a, b)| a.abs_diff(**b) <= 4)
        .count();
    assert!(same > whole.len() / 4, "{same} of {}", whole.len());
    assert_ne!(whole, part);
}

#[test]
fn the_limit_on_bad_images_counts_those_that_are_kept() {
    let dir = folder();
    let at = |name: &str| dir.path().join(name);
    lay_out(&at("i"), SynthLayout::Archives, true);
    for policy in [Damaged::Reject, Damaged::Keep] {
        let error = pack(&at("i"), &at("set"), |o| {
            (o.damaged, o.max_bad) = (policy, 4)
        });
        let line = one_line(&error.expect_err("five are bad"));
        assert!(
            line.contains("5 images") && line.contains("4 allowed"),
            "{line}"
        );
        // What is done so far belongs to this policy.
        fs::remove_dir_all(at("set")).expect("removes");
    }
    pack(&at("i"), &at("set"), |o| o.max_bad = 5).expect("packs");
}

#[test]
fn the_limit_on_decoded_bytes_is_the_users() {
    let dir = folder();
    let at = |name: &str| dir.path().join(name);
    fs::create_dir_all(at("source/class")).expect("makes folders");
    let image = image::RgbImage::from_pixel(100, 90, image::Rgb([1, 2, 3]));
    image.save(at("source/class/a.jpg")).expect("saves");
    let wide = image::DynamicImage::from(image).into_rgb16();
    wide.save(at("source/class/b.png")).expect("saves");
    let packed = |bytes: u64| {
        let out = at(&bytes.to_string());
        let built = pack(&at("source"), &out, |o| o.max_decoded_bytes = bytes);
        built.map(|built| built[0].counts.packed)
    };
    assert_eq!(packed(100 * 90 * 6).expect("packs"), 2);
    assert_eq!(packed(100 * 90 * 6 - 1).expect("packs"), 1);
    assert_eq!(packed(100 * 90 * 3).expect("packs"), 1);
    assert!(packed(100 * 90 * 3 - 1).is_err());
}
