//! Labels that people have in one form or another: understood, or refused; and what smells is told of.

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use common::{class_names, folder, labels, one_line, pictures, told};
use dataset_pack::{BuildOptions, Dataset};

/// The classes and the class of each image of a flat folder, by what `truth` says.
fn by_truth(flat: &Path, truth: &[u8]) -> Result<(Dataset, Vec<String>), String> {
    let file = flat.with_extension("truth");
    fs::write(&file, truth).expect("writes");
    let change = |o: &mut BuildOptions| o.truth = Some(file.clone());
    told(flat, change).map_err(|error| one_line(&error))
}

fn pairs(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    let pair = |&(a, b): &(&str, &str)| (a.to_string(), b.to_string());
    pairs.iter().map(pair).collect()
}

#[test]
fn tables_in_the_forms_in_which_people_write_them() {
    let dir = folder();
    let flat = dir.path().join("flat");
    pictures(&flat, &["a.b.jpg", "c.jpg", "d e.jpg", "f.jpg"]);
    let expected = pairs(&[
        ("a.b.jpg", "cat"),
        ("c.jpg", "dog"),
        ("d e.jpg", "dog"),
        ("f.jpg", "cat"),
    ]);
    let plain = "filename,label\na.b.jpg,cat\nc.jpg,dog\nd e.jpg,dog\nf.jpg,cat\n";
    let utf16: Vec<u8> = plain.encode_utf16().flat_map(u16::to_le_bytes).collect();
    for table in [
        plain.as_bytes().to_vec(),
        // As spreadsheets write it, and other words.
        format!("\u{feff}{}", plain.replace('\n', "\r\n")).into_bytes(),
        [b"\xff\xfe", &utf16[..]].concat(),
        plain.replace(',', ";").into_bytes(),
        format!("sep=;\r\n{}", plain.replace(',', ";")).into_bytes(),
        plain.replace(',', "\t").into_bytes(),
        plain
            .replace("filename,label", "Image Id,Species")
            .into_bytes(),
        plain.replace("filename,label", "what,ever").into_bytes(),
        plain.replace("filename,label\n", "").into_bytes(),
        plain.replace(".jpg", "").into_bytes(),
        plain
            .replace("filename,label\n", "")
            .replace(',', " ")
            .into_bytes(),
        // The class first; more columns; boxes without a header, as in Tiny ImageNet.
        b"label,path\ncat,a.b.jpg\ndog,./c.jpg\ndog,x/y/d e.jpg\ncat,x\\f.jpg\n".to_vec(),
        b",id,breed,split\n0,a.b,cat,train\n1,c,dog,test\n2,d e,dog,\n3,f,cat,train\n".to_vec(),
        b"a.b.jpg\tcat\t0\t1\nc.jpg\tdog\t2\t3\nd e.jpg\tdog\t4\t5\nf.jpg\tcat\t6\t7\n".to_vec(),
        b"\"a.b.jpg\",\"cat\"\n\"c.jpg\",\"dog\"\n\"d e.jpg\",dog\nf.jpg,\"cat\"\n".to_vec(),
    ] {
        let text = String::from_utf8_lossy(&table).into_owned();
        let (set, _) = by_truth(&flat, &table).unwrap_or_else(|why| panic!("{text}: {why}"));
        assert_eq!(labels(&set), expected, "{text}");
        assert_eq!(class_names(&set), ["cat", "dog"], "{text}");
    }
    let (set, _) = by_truth(
        &flat,
        b"image,class\nc.jpg,\"a \"\"b\"\", c\"\nf.jpg,x\nd e.jpg,x\n",
    )
    .expect("packs");
    assert_eq!(class_names(&set), ["a \"b\", c", "x"]);
}

#[test]
fn tables_that_are_not_understood_are_refused() {
    let dir = folder();
    let flat = dir.path().join("flat");
    pictures(&flat, &["a_1.jpg", "b_2.jpg"]);
    for (table, why) in [
        (
            "image,cat,dog\na_1.jpg,1,0\nb_2.jpg,0,1\n",
            "which of the columns has the classes",
        ),
        (
            "x.png,cat\ny.png,dog\n",
            "none of the names in it is that of an image",
        ),
        ("a_1.jpg\nb_2.jpg\n", "names of images without classes"),
        (
            "a_1.jpg,cat\nb_2.jpg,big,dog\n",
            "line 2: 3 fields where the first line has 2",
        ),
        ("a_1.jpg,cat\nb_2.jpg,\n", "line 2: no class"),
        ("a_1.jpg,cat\nb_2.jpg\n", "line 2: no class"),
        (
            "a_1.jpg,\"cat\nb_2.jpg,dog\n",
            "line 1: a quote that does not end",
        ),
        ("a_1.jpg,cat\na_1.jpg,dog\n", "\"a_1.jpg\" is there twice"),
        ("cat\n\ndog\n", "line 2 is empty"),
        (
            "a_1.jpg,1.0\nb_2.jpg,2.0\n",
            "the label \"1.0\" is a number",
        ),
        (
            "{\"a_1.jpg\": \"cat\", \"b_2.jpg\": \"dog\"}\n",
            "none of the names",
        ),
        ("", "nothing in it"),
    ] {
        let line = by_truth(&flat, table.as_bytes())
            .map(drop)
            .expect_err(table);
        assert!(line.contains(why), "{table}: {line}");
    }
    let line = by_truth(&flat, b"a_1.jpg,k\xe4tzchen\n")
        .map(drop)
        .expect_err("Latin-1");
    assert!(line.contains("line 1 is not UTF-8"), "{line}");
    let zero = dir.path().join("zero");
    pictures(&zero, &["v_0.jpg", "v_1.jpg"]);
    let line = by_truth(&zero, b"cat\ndog\n")
        .map(drop)
        .expect_err("counts from zero");
    assert!(
        line.contains("v_0.jpg: image 0, but the first line is that of image 1"),
        "{line}"
    );
}

#[test]
fn a_header_of_a_class_a_line_is_none_of_them() {
    let dir = folder();
    let flat = dir.path().join("flat");
    pictures(&flat, &["v_1.jpg", "v_2.jpg", "v_3.jpg"]);
    let (set, _) = by_truth(&flat, b"label\r\ncat\r\ndog\r\ncat\r\n").expect("packs");
    let expected = pairs(&[("v_1.jpg", "cat"), ("v_2.jpg", "dog"), ("v_3.jpg", "cat")]);
    assert_eq!(labels(&set), expected);
}

/// A line too few or too many shifts the labels of all images behind it.
#[test]
fn lines_that_are_not_those_of_the_images_are_refused() {
    let dir = folder();
    let flat = dir.path().join("flat");
    pictures(&flat, &["v_1.jpg", "v_2.jpg", "v_3.jpg", "v_4.jpg"]);
    for (lines, why) in [
        ("cat\ndog\ncat\n", "v_4.jpg: image 4, but there are 3 lines"),
        ("espèce\ncat\ndog\ncat\ndog\n", "is it a header?"),
        (
            "1 cat\n2 dog\n3 cat\n4 dog\n",
            "each line would be a class of its own",
        ),
    ] {
        let line = by_truth(&flat, lines.as_bytes()).map(drop);
        let line = line.expect_err(lines);
        assert!(line.contains(why), "{lines}: {line}");
    }
    by_truth(&flat, b"cat\ndog\ncat\ndog\ncat\n").expect("an image is missing");
    let named = dir.path().join("named");
    pictures(&named, &["a.jpg", "b.jpg"]);
    let line = by_truth(&named, b"cat\ndog\n").map(drop);
    let line = line.expect_err("names without numbers");
    assert!(line.contains("no image's name ends in a number"), "{line}");
}

#[test]
fn folders_that_contradict_the_ground_truth() {
    let dir = folder();
    let source = dir.path().join("source");
    pictures(&source, &["cat/v_1.jpg", "cat/v_2.jpg", "dog/v_3.jpg"]);
    let (set, _) = by_truth(&source, b"cat\ncat\ndog\n").expect("packs");
    let expected = [
        ("cat/v_1.jpg", "cat"),
        ("cat/v_2.jpg", "cat"),
        ("dog/v_3.jpg", "dog"),
    ];
    assert_eq!(labels(&set), pairs(&expected));
    for truth in ["cat\ndog\ncat\n", "v_1 cat\nv_2 dog\nv_3 dog\n"] {
        let line = by_truth(&source, truth.as_bytes()).map(drop);
        let line = line.expect_err(truth);
        let why = "cat/v_2.jpg lies in the folder \"cat\", but is of \"dog\" here";
        assert!(line.contains(why), "{line}");
    }
    // Numbers of folders are seldom classes.
    pictures(&dir.path().join("shards"), &["0/v_1.jpg", "1/v_2.jpg"]);
    fs::write(dir.path().join("classes"), "0\n1\n").expect("writes");
    fs::write(dir.path().join("truth"), "v_1 1\nv_2 0\n").expect("writes");
    let change = |o: &mut BuildOptions| {
        o.truth = Some(dir.path().join("truth"));
        o.labels = Some(dir.path().join("classes"));
    };
    let (set, _) = told(&dir.path().join("shards"), change).expect("packs");
    let expected = [("0/v_1.jpg", "1"), ("1/v_2.jpg", "0")];
    assert_eq!(labels(&set), pairs(&expected));
}

#[test]
fn a_folder_of_all_images_beside_others_is_told_of() {
    let dir = folder();
    pictures(
        dir.path(),
        &["images/1.jpg", "images/2.jpg", "masks/1.jpg", "masks/2.jpg"],
    );
    let (_, told) = told(dir.path(), |_| {}).expect("packs");
    let said = "the class \"images\" is called like a folder of all images";
    assert!(told.iter().any(|line| line.contains(said)), "{told:?}");
}

#[test]
fn columns_without_a_header() {
    let dir = folder();
    let flat = dir.path().join("flat");
    pictures(&flat, &["a.jpg", "b.jpg"]);
    for (table, why) in [
        // Numbers may be the classes where the words are splits.
        (
            "a.jpg,0,train\nb.jpg,1,val\n",
            "which of the columns has the classes",
        ),
        (
            "a.jpg great dane\nb.jpg pug\n",
            "2 fields where the first line has 3; put a tab between name and class",
        ),
    ] {
        let line = by_truth(&flat, table.as_bytes()).map(drop);
        let line = line.expect_err(table);
        assert!(line.contains(why), "{table}: {line}");
    }
    let (set, told) = by_truth(&flat, b"a.jpg,cat,7\nb.jpg,dog,8\n").expect("packs");
    assert_eq!(labels(&set), pairs(&[("a.jpg", "cat"), ("b.jpg", "dog")]));
    let said = "classes are taken from the column that begins with \"cat\"";
    assert!(told.iter().any(|line| line.contains(said)), "{told:?}");
}

#[test]
fn equal_names_in_several_folders_are_told_apart_by_their_paths() {
    let dir = folder();
    let source = dir.path().join("source");
    pictures(
        &source,
        &["cat/1.jpg", "cat/2.jpg", "dog/1.jpg", "dog/2.jpg"],
    );
    let table = "cat/1.jpg a\ncat/2.jpg b\ndog/1.jpg b\ntrain/dog/2.jpg a\n";
    let (set, _) = by_truth(&source, table.as_bytes()).expect("packs");
    let expected = [
        ("cat/1.jpg", "a"),
        ("cat/2.jpg", "b"),
        ("dog/1.jpg", "b"),
        ("dog/2.jpg", "a"),
    ];
    assert_eq!(labels(&set), pairs(&expected));
    let line = by_truth(&source, b"1.jpg a\n2.jpg b\n")
        .map(drop)
        .expect_err("which of them?");
    assert!(line.contains("give whole paths"), "{line}");
    // The same list as a source, with numbers.
    fs::write(
        source.join("list.txt"),
        "cat/1.jpg 0\ndog/1.jpg 1\ndog/2.jpg 1\n",
    )
    .expect("writes");
    let (set, _) = told(&source.join("list.txt"), |_| {}).expect("packs");
    fs::write(source.join("other.txt"), "/cat/1.jpg 0\n/dog/1.jpg 1\n").expect("writes");
    let line = told(&source.join("other.txt"), |_| {}).map(drop);
    let line = one_line(&line.expect_err("no such files"));
    assert!(line.contains("paths are relative to the list"), "{line}");
    let expected = [("cat/1.jpg", "0"), ("dog/1.jpg", "1"), ("dog/2.jpg", "1")];
    assert_eq!(labels(&set), pairs(&expected));
    // Two ways to write a path are one image.
    fs::write(
        source.join("twice.txt"),
        "cat/1.jpg a\n./cat//1.jpg b\ndog/1.jpg b\n",
    )
    .expect("writes");
    let line = told(&source.join("twice.txt"), |_| {}).map(drop);
    let line = one_line(&line.expect_err("a or b?"));
    assert!(line.contains("cat/1.jpg is there twice"), "{line}");
    // An image that is not there is no header.
    fs::write(
        source.join("gone.txt"),
        "gone.jpg a\ncat/1.jpg b\ndog/1.jpg b\n",
    )
    .expect("writes");
    let (set, _) = told(&source.join("gone.txt"), |_| {}).expect("packs");
    assert_eq!(class_names(&set), ["a", "b"]);
}

#[test]
fn synsets_at_the_end_of_names() {
    let dir = folder();
    let at = |name: &str| dir.path().join(name);
    let names = [
        "ILSVRC2012_val_00000001_n01443537.JPEG",
        "ILSVRC2012_val_00000002_n01440764.JPEG",
    ];
    pictures(&at("val"), &names);
    let expected = pairs(&[(names[0], "n01443537"), (names[1], "n01440764")]);
    let (set, _) = told(&at("val"), |_| {}).expect("packs");
    assert_eq!(labels(&set), expected);
    for truth in [
        "ImageId,PredictionString\nILSVRC2012_val_00000001,n01443537 1 2 3 4 \n\
        ILSVRC2012_val_00000002,n01440764 1 2 3 4 n01440764 5 6 7 8 \n",
        "n01443537\nn01440764\n",
    ] {
        let (set, _) = by_truth(&at("val"), truth.as_bytes()).expect("packs");
        assert_eq!(labels(&set), expected);
    }
    let line = by_truth(&at("val"), b"n01440764\nn01443537\n")
        .map(drop)
        .expect_err("the other way");
    assert!(
        line.contains("is of n01443537 by its name, but of n01440764 here"),
        "{line}"
    );
    pictures(
        &at("train"),
        &["n01440764_1_n01440764.JPEG", "n01443537_2.JPEG"],
    );
    let (set, _) = told(&at("train"), |_| {}).expect("packs");
    assert_eq!(class_names(&set), ["n01440764", "n01443537"]);
}

#[test]
fn labels_beside_the_images() {
    for (end, texts) in [
        ("cls", ["0", "1", "1"]),
        ("cls.txt", ["0\n", "1", "1\r\n"]),
        ("json", ["{\"label\": 0, \"x\": 5}", "{\"label\": 1}", "1"]),
        ("txt", ["0", "1", "1"]),
    ] {
        let dir = folder();
        let at = |name: &str| dir.path().join(name);
        let keys = ["000000", "000001", "000002"];
        for (key, text) in keys.iter().zip(texts) {
            pictures(&at("flat"), &[&format!("{key}.jpg")]);
            fs::write(at("flat").join(format!("{key}.{end}")), text).expect("writes");
        }
        fs::create_dir(at("shards")).expect("makes a folder");
        for (number, keys) in [(0, &keys[..2]), (1, &keys[2..])] {
            let file = fs::File::create(at(&format!("shards/train-00000{number}.tar")));
            let mut archive = tar::Builder::new(file.expect("creates"));
            for name in keys
                .iter()
                .flat_map(|key| ["jpg", end].map(|end| format!("{key}.{end}")))
            {
                archive
                    .append_path_with_name(at("flat").join(&name), &name)
                    .expect("writes");
            }
            archive.finish().expect("writes");
        }
        for source in ["flat", "shards", "shards/train-000000.tar"] {
            let (set, _) =
                told(&at(source), |_| {}).unwrap_or_else(|why| panic!("{end} {source}: {why}"));
            assert_eq!(class_names(&set), ["0", "1"], "{end} {source}");
            let classes: Vec<String> = labels(&set).into_values().collect();
            assert_eq!(classes[..2], ["0", "1"], "{end} {source}");
        }
    }
}

#[test]
fn what_lies_beside_images_and_is_no_label_is_none() {
    let dir = folder();
    let at = |name: &str| dir.path().join(name);
    pictures(&at("classes"), &["cat/1.jpg", "dog/2.jpg"]);
    for (name, text) in [
        ("cat/1.txt", "7"),
        ("dog/2.txt", "8"),
        ("cat/1.json", "{\"label\": 9}"),
    ] {
        fs::write(at("classes").join(name), text).expect("writes");
    }
    let (set, _) = told(&at("classes"), |_| {}).expect("packs");
    assert_eq!(class_names(&set), ["cat", "dog"]);
    // Shards of images with captions have no classes, and must not become one each.
    pictures(&at("shards"), &["00000/a.jpg", "00001/b.jpg"]);
    for (name, text) in [("00000/a.txt", "a cat asleep"), ("00001/b.txt", "two dogs")] {
        fs::write(at("shards").join(name), text).expect("writes");
    }
    let line = one_line(
        &told(&at("shards"), |_| {})
            .map(drop)
            .expect_err("no labels"),
    );
    assert!(
        line.contains("look like captions") && line.contains("--truth"),
        "{line}"
    );
    // Shards of two splits beside each other.
    for split in ["train", "val"] {
        let shard = at("splits").join(format!("imagenet-{split}-000000"));
        pictures(&shard, &["a.jpg"]);
        fs::write(shard.join("a.cls"), "1").expect("writes");
    }
    let line = one_line(
        &told(&at("splits"), |_| {})
            .map(drop)
            .expect_err("two splits"),
    );
    assert!(line.contains("called train and val are splits"), "{line}");
    // One label file for two images.
    pictures(&at("two"), &["a.left.jpg", "a.right.jpg"]);
    fs::write(at("two/a.cls"), "1").expect("writes");
    let line = one_line(&told(&at("two"), |_| {}).map(drop).expect_err("two images"));
    assert!(line.contains("two images with one label"), "{line}");
}

#[test]
fn splits_and_other_levels_are_no_classes() {
    let dir = folder();
    let at = |name: &str| dir.path().join(name);
    let images = ["a/1.jpg", "a/2.jpg", "b/1.jpg", "b/2.jpg"];
    for split in ["train", "val"] {
        pictures(&at("imagenet").join(split), &images);
    }
    pictures(&at("around/inner/data"), &images);
    pictures(&at("flat"), &["images/1.jpg", "images/2.jpg"]);
    for (source, word) in [
        ("imagenet", "train, val are named like splits of the data"),
        ("imagenet", "imagenet/train"),
        ("around", "--source"),
        ("around", "around/inner/data, or"),
        ("flat", "give their labels with --truth"),
    ] {
        let line = one_line(&told(&at(source), |_| {}).map(drop).expect_err(source));
        assert!(line.contains(word), "{source}: {line}");
    }
    let mut archive = tar::Builder::new(fs::File::create(at("k.tar")).expect("creates"));
    archive
        .append_dir_all("ILSVRC/Data", at("imagenet"))
        .expect("writes");
    archive.finish().expect("writes");
    let line = one_line(&told(&at("k.tar"), |_| {}).map(drop).expect_err("splits"));
    assert!(line.contains("k.tar/ILSVRC/Data/train"), "{line}");
    // That is a source.
    let (set, _) = told(&at("k.tar/ILSVRC/Data/train"), |_| {}).expect("packs");
    assert_eq!(labels(&set).into_keys().collect::<Vec<_>>(), images);
    // A class called like a split among others, and one that has folders: a word, no more.
    pictures(
        &at("vehicles"),
        &["train/1.jpg", "car/x/1.jpg", "car/y/2.jpg"],
    );
    let (set, warnings) = told(&at("vehicles"), |_| {}).expect("packs");
    assert_eq!(class_names(&set), ["car", "train"]);
    let warnings = warnings.join("\n");
    assert!(
        warnings.contains("\"train\" is called like a split"),
        "{warnings}"
    );
    assert!(
        warnings.contains("\"car\" holds no images but in folders"),
        "{warnings}"
    );
}

#[test]
fn what_systems_leave_behind_is_no_class() {
    let dir = folder();
    let at = |name: &str| dir.path().join(name);
    let images = ["cat/1.jpg", "cat/2.jpg", "dog/1.jpg", "dog/2.jpg"];
    pictures(&at("d"), &images);
    for litter in [
        ".git",
        ".ipynb_checkpoints",
        "__MACOSX/cat",
        "@eaDir/1.jpg",
        "lost+found",
        "$RECYCLE.BIN",
        "System Volume Information",
        ".Trash-1000/files",
        "cat/@eaDir",
    ] {
        pictures(&at("d").join(litter), &["left.jpg"]);
    }
    fs::write(at("d/cat/Thumbs.db"), "x").expect("writes");
    fs::write(at("d/cat/._1.jpg"), b"\0\x05\x16\x07\0\x02\0\0Mac OS X").expect("writes");
    let mut archive = tar::Builder::new(fs::File::create(at("d.tar")).expect("creates"));
    archive.append_dir_all("d", at("d")).expect("writes");
    archive.finish().expect("writes");
    for source in ["d", "d.tar"] {
        let (set, warnings) = told(&at(source), |_| {}).expect("packs");
        assert_eq!(labels(&set).into_keys().collect::<Vec<_>>(), images);
        assert_eq!(class_names(&set), ["cat", "dog"]);
        assert_eq!((set.counts().rejected, set.counts().skipped), (0, 11));
        assert!(
            warnings.iter().any(|w| w.contains("2 files in \"@eaDir\"")),
            "{warnings:?}"
        );
    }
}

#[test]
fn an_empty_class_folder_keeps_its_number() {
    let dir = folder();
    let at = |name: &str| dir.path().join(name);
    pictures(&at("d"), &["a/1.jpg", "c/1.jpg", "c/2.jpg"]);
    fs::create_dir_all(at("d/b/also empty")).expect("makes folders");
    fs::create_dir(at("d/notes")).expect("makes a folder");
    fs::write(at("d/notes/readme.txt"), "text").expect("writes");
    let mut archive = tar::Builder::new(fs::File::create(at("d.tar")).expect("creates"));
    archive.append_dir_all("x/d", at("d")).expect("writes");
    archive.finish().expect("writes");
    for source in ["d", "d.tar"] {
        let (set, warnings) = told(&at(source), |_| {}).expect("packs");
        assert_eq!(class_names(&set), ["a", "b", "c"]);
        let warnings = warnings.join("\n");
        for words in [
            "\"b\" has no images here",
            "\"a\" has only one image",
            "\"notes\" holds other files",
        ] {
            assert!(warnings.contains(words), "{words}: {warnings}");
        }
    }
    // So does an archive of a class without members.
    fs::create_dir(at("tars")).expect("makes a folder");
    for class in ["a", "b", "c"] {
        let file = fs::File::create(at(&format!("tars/{class}.tar"))).expect("creates");
        let mut archive = tar::Builder::new(file);
        if class != "b" {
            archive
                .append_dir_all(".", at("d").join(class))
                .expect("writes");
        }
        archive.finish().expect("writes");
    }
    let (set, _) = told(&at("tars"), |_| {}).expect("packs");
    assert_eq!(class_names(&set), ["a", "b", "c"]);
    // And a compressed one among them would go missing.
    fs::write(at("tars/ab.tar.gz"), b"\x1f\x8b\x08").expect("writes");
    let line = one_line(&told(&at("tars"), |_| {}).map(drop).expect_err("compressed"));
    assert!(
        line.contains("ab.tar.gz: a gzip file; decompress it"),
        "{line}"
    );
}

#[test]
fn class_names_that_are_spelt_differently_or_are_numbers() {
    let dir = folder();
    let at = |name: &str| dir.path().join(name);
    pictures(&at("d"), &["cafe\u{301}/1.jpg", "tea/1.jpg"]);
    fs::write(at("list.txt"), "\u{feff}tea\r\ncaf\u{e9}\r\n").expect("writes");
    let (set, warnings) = told(&at("d"), |o| o.labels = Some(at("list.txt"))).expect("packs");
    assert_eq!(labels(&set)["cafe\u{301}/1.jpg"], "caf\u{e9}");
    assert!(
        warnings
            .iter()
            .any(|w| w.contains("each of the 2 images is a class of its own"))
    );
    pictures(&at("d"), &["caf\u{e9}/1.jpg"]);
    let (_, warnings) = told(&at("d"), |_| {}).expect("packs");
    assert!(
        warnings.iter().any(|w| w.contains("differ, but hardly")),
        "{warnings:?}"
    );

    pictures(&at("n"), &["0/1.jpg", "2/1.jpg", "10/1.jpg"]);
    let (set, warnings) = told(&at("n"), |_| {}).expect("packs");
    assert_eq!(class_names(&set), ["0", "10", "2"]);
    assert!(
        warnings
            .iter()
            .any(|w| w.contains("class \"10\" has the label 1")),
        "{warnings:?}"
    );
    // Numbers in a list of numbers are names, not places.
    fs::write(at("n.txt"), "0\n10\n2\n").expect("writes");
    fs::write(at("truth"), "0/1.jpg 0\n2/1.jpg 2\n10/1.jpg 10\n").expect("writes");
    let change =
        |o: &mut BuildOptions| (o.labels, o.truth) = (Some(at("n.txt")), Some(at("truth")));
    let (set, _) = told(&at("n"), change).expect("packs");
    assert!(
        labels(&set)
            .iter()
            .all(|(source, class)| source.starts_with(&format!("{class}/")))
    );
}
