//! The forms in which ImageNet and others come, in miniature.

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use common::{class_names, contents, folder, labels, lay_out, one_line, pack, source_of};
use dataset_pack::{Dataset, Split, SynthLayout, extract, verify};

/// Unpacks an archive.
fn unpack(archive: &Path, out: &Path) {
    let file = fs::File::open(archive).expect("opens");
    tar::Archive::new(file).unpack(out).expect("unpacks");
}

#[test]
fn the_train_archive_and_its_unpacked_forms_give_the_same_bytes() {
    let dir = folder();
    let at = |name: &str| dir.path().join(name);
    lay_out(&at("imagenet"), SynthLayout::Ilsvrc2012, false);
    let archive = at("imagenet/ILSVRC2012_img_train.tar");
    let built = pack(&archive, &at("from-archive"), |_| {}).expect("packs");
    assert_eq!(built[0].source, "a tar archive");

    unpack(&archive, &at("archives"));
    pack(&at("archives"), &at("from-archives"), |_| {}).expect("packs");
    for class in common::files(&at("archives")) {
        let class_folder = at("folders").join(class.trim_end_matches(".tar"));
        unpack(&at("archives").join(class), &class_folder);
    }
    pack(&at("folders"), &at("from-folders"), |_| {}).expect("packs");
    let expected = contents(&at("from-archive"));
    assert_eq!(expected.len(), 5, "three shards, index, mean");
    assert!(contents(&at("from-archives")) == expected);
    assert!(contents(&at("from-folders")) == expected);

    let set = Dataset::open(at("from-archive")).expect("opens");
    assert_eq!(class_names(&set), ["n01440764", "n01441773", "n01442782"]);
    for (source, class) in labels(&set) {
        assert!(source.starts_with(&format!("{class}/{class}_")), "{source}");
    }

    // Both forms of a class beside each other would be each image twice.
    fs::rename(at("folders/n01440764"), at("archives/n01440764")).expect("moves");
    let error = pack(&at("archives"), &at("x"), |_| {}).expect_err("twice");
    assert!(one_line(&error).contains("is there twice"), "{error}");
}

#[test]
fn an_archive_of_folders_in_a_folder_and_one_of_a_class() {
    let dir = folder();
    let at = |name: &str| dir.path().join(name);
    lay_out(&at("drawn"), SynthLayout::Folders, false);
    let mut archive = tar::Builder::new(fs::File::create(at("a.tar")).expect("creates"));
    archive
        .append_dir_all("./ILSVRC/train", at("drawn"))
        .expect("writes");
    archive.finish().expect("writes");
    pack(&at("a.tar"), &at("a"), |_| {}).expect("packs");
    let set = Dataset::open(at("a")).expect("opens");
    assert_eq!(
        class_names(&set),
        ["0-disc-plain", "1-square-plain", "2-triangle-plain"]
    );

    lay_out(&at("classes"), SynthLayout::Archives, false);
    pack(&at("classes"), &at("b"), |_| {}).expect("packs");
    assert_eq!(Dataset::open(at("b")).expect("opens").len(), 12);
    pack(&at("classes/n01441773.tar"), &at("c"), |_| {}).expect("packs");
    assert_eq!(
        class_names(&Dataset::open(at("c")).expect("opens")),
        ["n01441773"]
    );
}

/// The labels of the validation set, from the list that the generator writes beside the devkit's.
fn expected_labels(imagenet: &Path) -> BTreeMap<String, String> {
    let table = fs::read_to_string(imagenet.join("LOC_val_solution.csv")).expect("reads");
    let line = |line: &str| {
        let (name, boxes) = line.split_once(',').expect("two columns");
        (format!("{name}.JPEG"), boxes[..9].to_string())
    };
    table.lines().skip(1).map(line).collect()
}

#[test]
fn every_form_of_ground_truth_gives_the_train_splits_labels() {
    let dir = folder();
    let at = |name: &str| dir.path().join(name);
    lay_out(&at("imagenet"), SynthLayout::Ilsvrc2012, false);
    let imagenet = at("imagenet");
    let val = imagenet.join("ILSVRC2012_img_val.tar");
    let expected = expected_labels(&imagenet);
    assert_eq!(expected.len(), 6);
    pack(
        &imagenet.join("ILSVRC2012_img_train.tar"),
        &at("train"),
        |_| {},
    )
    .expect("packs");
    let mapping = imagenet.join("LOC_synset_mapping.txt");
    let devkit = "ILSVRC2012_devkit_t12/data";
    let truths: [(&str, Option<PathBuf>); 7] = [
        ("ILSVRC2012_devkit_t12", None),
        (devkit, None),
        (
            &format!("{devkit}/ILSVRC2012_validation_ground_truth.txt"),
            None,
        ),
        ("LOC_val_solution.csv", None),
        (
            "imagenet_2012_validation_synset_labels.txt",
            Some(mapping.clone()),
        ),
        ("val.txt", Some(mapping)),
        ("LOC_val_solution.csv", Some(at("train"))),
    ];
    unpack(&val, &at("unpacked"));
    for (number, (truth, list)) in truths.into_iter().enumerate() {
        let source = if number % 2 == 0 {
            val.clone()
        } else {
            at("unpacked")
        };
        let out = at(&format!("val-{number}"));
        pack(&source, &out, |o| {
            (o.split, o.labels) = (Split::Val, list);
            o.truth = Some(imagenet.join(truth));
        })
        .unwrap_or_else(|error| panic!("{truth}: {error}"));
        let set = Dataset::open(&out).expect("opens");
        assert_eq!(labels(&set), expected, "{truth}");
        assert_eq!(
            class_names(&set),
            ["n01440764", "n01441773", "n01442782"],
            "{truth}"
        );
    }
    let set = Dataset::open(at("val-0")).expect("opens");
    assert_eq!(set.classes()[1].words, "square, plain");
    let set = Dataset::open(at("val-5")).expect("opens");
    assert_eq!(set.classes()[1].words, "square, plain");
}

#[test]
fn ilsvrc_2010_has_a_labelled_test_set() {
    let dir = folder();
    let at = |name: &str| dir.path().join(name);
    lay_out(&at("i"), SynthLayout::Ilsvrc2010, false);
    pack(&at("i/ILSVRC2010_images_train.tar"), &at("train"), |_| {}).expect("packs");
    let train = Dataset::open(at("train")).expect("opens");
    for (split, long) in [(Split::Val, "validation"), (Split::Test, "test")] {
        let archive = at(&format!("i/ILSVRC2010_images_{}.tar", split.name()));
        let out = at(split.name());
        pack(&archive, &out, |o| {
            (o.split, o.truth) = (split, Some(at("i/devkit-1.0")));
        })
        .expect("packs");
        let set = Dataset::open(&out).expect("opens");
        assert_eq!((set.split(), set.len()), (split, 6));
        assert_eq!(class_names(&set), class_names(&train));
        // The devkit numbers the three classes backwards.
        let truth = at(&format!(
            "i/devkit-1.0/data/ILSVRC2010_{long}_ground_truth.txt"
        ));
        let truth = fs::read_to_string(truth).expect("reads");
        let ids: Vec<u32> = truth
            .lines()
            .map(|line| line.parse().expect("a number"))
            .collect();
        for index in 0..set.len() {
            let source = source_of(&set, index);
            let number: usize = source[source.len() - 13..source.len() - 5]
                .parse()
                .expect("a number");
            assert_eq!(set.label(index), 3 - ids[number - 1], "{source}");
        }
    }
}

#[test]
fn ground_truth_and_images_must_match() {
    let dir = folder();
    let at = |name: &str| dir.path().join(name);
    lay_out(&at("i"), SynthLayout::Ilsvrc2012, false);
    unpack(&at("i/ILSVRC2012_img_val.tar"), &at("val"));
    let attempt = |truth: &str| {
        let out = tempfile::tempdir_in(dir.path()).expect("a folder");
        pack(&at("val"), &out.path().join("set"), |o| {
            o.truth = Some(at(truth))
        })
    };
    let line = one_line(&pack(&at("val"), &at("x"), |_| {}).expect_err("no labels"));
    assert!(line.contains("give their labels with --truth"), "{line}");
    let line = one_line(&attempt("i/val.txt").expect_err("numbers alone"));
    assert!(line.contains("give the class list with --labels"), "{line}");

    // An image behind the last label: no other can be trusted. A label without an image is left out.
    let (image, behind) = (
        at("val/ILSVRC2012_val_00000002.JPEG"),
        at("val/ILSVRC2012_val_00000009.JPEG"),
    );
    fs::rename(&image, &behind).expect("moves");
    let line = one_line(&attempt("i/ILSVRC2012_devkit_t12").expect_err("no label"));
    assert!(line.contains("image 9, but there are 6 lines"), "{line}");
    fs::remove_file(&behind).expect("removes");
    let truth = |o: &mut dataset_pack::BuildOptions| o.truth = Some(at("i/ILSVRC2012_devkit_t12"));
    let built = pack(&at("val"), &at("set"), truth).expect("packs the rest");
    assert_eq!((built[0].counts.packed, built[0].counts.rejected), (5, 1));
    let report = fs::read_to_string(at("set/report.jsonl")).expect("reads");
    assert!(
        report
            .contains("\"source\":\"2\",\"reason\":\"in the ground truth, but not in the source\""),
        "{report}"
    );

    let data = "i/ILSVRC2012_devkit_t12/data";
    fs::rename(at(&format!("{data}/meta.mat")), at("meta.mat")).expect("moves");
    let line = one_line(&attempt("i/ILSVRC2012_devkit_t12").expect_err("no meta.mat"));
    assert!(line.contains("meta.mat must lie beside it"), "{line}");
    fs::write(at(&format!("{data}/meta.mat")), "MATLAB 5.0 MAT-file").expect("writes");
    let line = one_line(&attempt("i/ILSVRC2012_devkit_t12").expect_err("no meta.mat"));
    assert!(line.contains("meta.mat: not a MATLAB file"), "{line}");
}

#[test]
fn lists_have_names_or_numbers() {
    let dir = folder();
    let at = |name: &str| dir.path().join(name);
    lay_out(&at("l"), SynthLayout::List, false);
    pack(&at("l/list.tsv"), &at("names"), |_| {}).expect("packs");
    let set = Dataset::open(at("names")).expect("opens");
    assert_eq!(
        class_names(&set),
        ["disc-plain", "square-plain", "triangle-plain"]
    );
    assert!(labels(&set).iter().all(|(source, class)| {
        let number = source["images/".len()..]
            .split_once('-')
            .expect("a number")
            .0;
        class_names(&set)[number.parse::<usize>().expect("a number")] == class
    }));
    extract(&set, at("out"), &|_| {}).expect("extracts");

    let absolute = at("l/images/1-0.JPEG");
    let lines = format!(
        "{}\t1\nimages/2-1.JPEG\t4\nimages/gone.JPEG\t0\n",
        absolute.display()
    );
    fs::write(at("l/numbers.tsv"), lines).expect("writes");
    let built = pack(&at("l/numbers.tsv"), &at("numbers"), |_| {}).expect("packs");
    assert_eq!((built[0].counts.packed, built[0].counts.rejected), (2, 1));
    let set = Dataset::open(at("numbers")).expect("opens");
    assert_eq!(class_names(&set), ["0", "1", "2", "3", "4"]);
    assert_eq!(labels(&set)[common::text(&absolute)], "1");
    let report = fs::read_to_string(at("numbers/report.jsonl")).expect("reads");
    assert!(
        report.contains("in the list, but there is no such file"),
        "{report}"
    );

    fs::write(at("classes.txt"), "a\nb\nc\n").expect("writes");
    let few = pack(&at("l/numbers.tsv"), &at("x"), |o| {
        o.labels = Some(at("classes.txt"))
    });
    let line = one_line(&few.expect_err("a label beyond the list"));
    assert!(
        line.contains("the label 4 is beyond the class list"),
        "{line}"
    );
}

#[test]
fn cifar_is_packed_as_it_is() {
    for (layout, classes, label_bytes) in [
        (SynthLayout::Cifar10, 10, 1),
        (SynthLayout::Cifar100, 100, 2),
    ] {
        let dir = folder();
        let at = |name: &str| dir.path().join(name);
        lay_out(&at("c"), layout, false);
        for split in [Split::Train, Split::Test] {
            let built = pack(&at("c"), &at(split.name()), |o| {
                (o.split, o.shard_images) = (split, 100);
            });
            let packed = if split == Split::Train {
                classes * 5
            } else {
                classes
            };
            assert_eq!(built.expect("packs")[0].counts.packed, packed as u64);
            let set = Dataset::open(at(split.name())).expect("opens");
            assert_eq!(set.classes().len(), classes);
            let name = &set.classes()[7].name;
            assert!(name.starts_with("7-square"), "{name}");
            for index in 0..set.len() {
                let source = source_of(&set, index);
                let (file, number) = source.split_once('/').expect("a file and a number");
                let bytes = fs::read(at("c").join(file)).expect("reads");
                let length = label_bytes + 3072;
                let record =
                    &bytes[number.parse::<usize>().expect("a number") * length..][..length];
                assert_eq!(set.label(index), u32::from(record[label_bytes - 1]));
                let pixels = common::pixels_of(&set, index);
                for (at, pixel) in pixels.as_chunks::<3>().0.iter().enumerate() {
                    let plane = |c: usize| record[label_bytes + c * 1024 + at];
                    assert_eq!(*pixel, [plane(0), plane(1), plane(2)]);
                }
            }
        }
        let name = if classes == 10 {
            "data_batch_3.bin"
        } else {
            "train.bin"
        };
        common::change(&at("c").join(name), |bytes| bytes.truncate(bytes.len() - 1));
        let line = one_line(&pack(&at("c"), &at("x"), |_| {}).expect_err("cut short"));
        assert!(
            line.contains(name) && line.contains("no multiple of"),
            "{line}"
        );
    }
}

#[test]
fn half_and_half() {
    let dir = folder();
    let at = |name: &str| dir.path().join(name);
    lay_out(&at("classes"), SynthLayout::Archives, false);
    pack(&at("classes"), &at("halves"), |o| {
        o.val_fraction = Some(0.5)
    })
    .expect("packs");
    let [train, val] =
        ["train", "val"].map(|s| Dataset::open(at("halves").join(s)).expect("opens"));
    assert!(
        train
            .classes()
            .iter()
            .chain(val.classes())
            .all(|class| class.images == 2)
    );
    let sources = labels(&train);
    assert!(
        labels(&val)
            .keys()
            .all(|source| !sources.contains_key(source))
    );
    assert!(
        verify(at("halves/val"), &|_, _| {})
            .expect("verifies")
            .problems
            .is_empty()
    );
}

#[test]
fn archives_that_were_cut_short_are_refused_wherever_they_were_cut() {
    let dir = folder();
    let at = |name: &str| dir.path().join(name);
    lay_out(&at("i"), SynthLayout::Ilsvrc2012, false);
    for archive in ["ILSVRC2012_img_train.tar", "ILSVRC2012_img_val.tar"] {
        let whole = fs::read(at("i").join(archive)).expect("reads");
        // At the border of every member, amid headers and amid contents.
        let cut = at("cut.tar");
        let last = whole.iter().rposition(|&byte| byte != 0).expect("content");
        for length in (0..last).step_by(512 * 5).skip(1).chain([600, 1000, last]) {
            fs::write(&cut, &whole[..length]).expect("writes");
            let truth = Some(at("i/ILSVRC2012_devkit_t12"));
            let truth = if archive.contains("val") { truth } else { None };
            let error = pack(&cut, &at("x"), |o| o.truth = truth).expect_err("cut short");
            let line = one_line(&error);
            assert!(
                line.contains("cut.tar: not a whole tar archive"),
                "{length}: {line}"
            );
        }
    }
}

#[test]
fn odd_members_and_compressed_archives() {
    let dir = folder();
    let at = |name: &str| dir.path().join(name);
    fs::create_dir_all(at("source/class")).expect("makes folders");
    let mut archive =
        tar::Builder::new(fs::File::create(at("source/class/a.tar")).expect("creates"));
    let image = image::RgbImage::from_pixel(9, 9, image::Rgb([1, 2, 3]));
    image.save(at("image.png")).expect("saves");
    let long = format!("{}/image.png", "deep/".repeat(60));
    archive
        .append_path_with_name(at("image.png"), &long)
        .expect("writes");
    let mut link = tar::Header::new_gnu();
    link.set_entry_type(tar::EntryType::Symlink);
    link.set_size(0);
    archive
        .append_link(&mut link, "link.png", "image.png")
        .expect("writes");
    archive
        .append_path_with_name(at("image.png"), "plain")
        .expect("writes");
    archive
        .append_path_with_name(file!().replace("dataset-pack/", ""), "text.rs")
        .expect("writes");
    archive.finish().expect("writes");
    fs::write(at("source/class/b.tar.gz"), "").expect("writes");
    let built = pack(&at("source"), &at("set"), |_| {}).expect("packs");
    let counts = built[0].counts;
    assert_eq!((counts.packed, counts.rejected, counts.skipped), (2, 1, 2));
    let set = Dataset::open(at("set")).expect("opens");
    let sources: Vec<String> = labels(&set).into_keys().collect();
    assert_eq!(
        sources,
        [
            format!("class/a/{}", long.replace("//", "/")),
            "class/a/plain".into()
        ]
    );
    let (_, _, stderr) = common::run(&[
        "build",
        "--source",
        common::text(&at("source")),
        "--out",
        common::text(&at("other")),
    ]);
    assert!(
        stderr.contains("class/b.tar.gz: not looked into: a gzip file; decompress it"),
        "{stderr}"
    );
    assert!(
        stderr.contains("a/link.png: a link in an archive"),
        "{stderr}"
    );
}
