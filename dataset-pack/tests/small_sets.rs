//! Small data sets as they are downloaded: IDX files, CIFAR's archives, Tiny ImageNet, Imagenette, ImageNet's archives
//! as Hugging Face has them.

mod common;

use std::fs;
use std::io::Write;
use std::path::Path;

use common::{
    class_names, contents, folder, labels, lay_out, one_line, pack, picture, pictures, pixels_of,
    run, source_of, text,
};
use dataset_pack::{Dataset, Split, Status, SynthLayout};
use flate2::Compression;
use flate2::write::GzEncoder;

const IMAGES: &str = "train-images-idx3-ubyte";
const LABELS: &str = "train-labels-idx1-ubyte";
const TEST_IMAGES: &str = "t10k-images-idx3-ubyte";

/// The bytes of an IDX file, written down from its description: two zeros, the type of bytes, the number of dimensions,
/// the sizes with their highest byte first, the numbers.
fn idx(sizes: &[u32], bytes: &[u8]) -> Vec<u8> {
    let mut file = vec![0, 0, 8, sizes.len() as u8];
    sizes
        .iter()
        .for_each(|size| file.extend(size.to_be_bytes()));
    [&file, bytes].concat()
}

/// A pixel of one of the images here.
fn pixel(image: usize, y: usize, x: usize) -> u8 {
    (image * 31 + y * 7 + x * 3 + 1) as u8
}

fn images(count: usize, height: usize, width: usize) -> Vec<u8> {
    let place = |at: usize| (at / (height * width), at / width % height, at % width);
    let pixels = (0..count * height * width).map(place);
    let pixels: Vec<u8> = pixels.map(|(image, y, x)| pixel(image, y, x)).collect();
    idx(&[count as u32, height as u32, width as u32], &pixels)
}

fn gzipped(bytes: &[u8]) -> Vec<u8> {
    let mut out = GzEncoder::new(Vec::new(), Compression::fast());
    out.write_all(bytes).expect("packs");
    out.finish().expect("packs")
}

/// Nine images to train with and four to test with, of 28×28 pixels.
fn mnist(out: &Path) {
    fs::create_dir_all(out).expect("makes a folder");
    let write = |name: &str, bytes: Vec<u8>| fs::write(out.join(name), bytes).expect("writes");
    write(IMAGES, images(9, 28, 28));
    write(LABELS, idx(&[9], &[4, 0, 1, 2, 3, 4, 0, 1, 2]));
    write(TEST_IMAGES, images(4, 28, 28));
    write("t10k-labels-idx1-ubyte", idx(&[4], &[1, 4, 0, 2]));
}

#[test]
fn mnist_is_padded_to_32_pixels_gzipped_or_not() {
    let dir = folder();
    let at = |name: &str| dir.path().join(name);
    mnist(&at("mnist"));
    fs::create_dir(at("gz")).expect("makes a folder");
    for (name, bytes) in contents(&at("mnist")) {
        fs::write(at("gz").join(name + ".gz"), gzipped(&bytes)).expect("writes");
    }
    let built = pack(&at("mnist"), &at("train"), |_| {}).expect("packs");
    assert_eq!((built[0].source, built[0].counts.packed), ("IDX files", 9));
    pack(&at("gz"), &at("train-gz"), |_| {}).expect("packs");
    assert!(contents(&at("train")) == contents(&at("train-gz")));
    // What is given by name is the one, whatever the split.
    pack(
        &at("gz").join(IMAGES.to_string() + ".gz"),
        &at("named"),
        |_| {},
    )
    .expect("packs");
    assert!(contents(&at("train")) == contents(&at("named")));
    pack(&at("gz"), &at("test"), |o| o.split = Split::Test).expect("packs");

    let set = Dataset::open(at("train")).expect("opens");
    assert_eq!(class_names(&set), ["0", "1", "2", "3", "4"]);
    let all = labels(&set);
    assert_eq!(all[&format!("{IMAGES}/00000")], "4");
    assert_eq!(all[&format!("{IMAGES}/00008")], "2");
    for index in 0..set.len() {
        let source = source_of(&set, index);
        let image = source.rsplit('/').next().expect("a name");
        let image: usize = image.parse().expect("a number");
        let pixels = pixels_of(&set, index);
        for (place, rgb) in pixels.as_chunks::<3>().0.iter().enumerate() {
            let inside = |n: usize| (2..30).contains(&n).then(|| n - 2);
            let grey = match (inside(place / 32), inside(place % 32)) {
                (Some(y), Some(x)) => pixel(image, y, x),
                _ => 0,
            };
            assert_eq!(*rgb, [grey; 3], "{source}, pixel {place}");
        }
        assert_eq!(set.original_size(index).expect("its record"), (28, 28));
        let status = set.status(index).expect("its record");
        assert_eq!(status, Status(Status::GREY | Status::PADDED));
    }
    let test = Dataset::open(at("test")).expect("opens");
    assert_eq!((test.len(), test.split()), (4, Split::Test));
    assert_eq!(labels(&test)[&format!("{TEST_IMAGES}/00001")], "4");
}

/// What is far from the set's size is resized, and what has it is left as it is.
#[test]
fn only_what_nearly_has_the_size_is_padded() {
    let dir = folder();
    let at = |name: &str| dir.path().join(name);
    fs::write(at(LABELS), idx(&[3], &[0, 1, 0])).expect("writes");
    for (height, width, status) in [
        (32, 32, 0),
        (24, 32, Status::PADDED),
        (25, 27, Status::PADDED),
        (23, 28, Status::ENLARGED),
        (28, 33, Status::ENLARGED),
        (40, 40, 0),
    ] {
        fs::write(at(IMAGES), images(3, height, width)).expect("writes");
        let out = at(&format!("{height}-{width}"));
        pack(&at(IMAGES), &out, |_| {}).expect("packs");
        let set = Dataset::open(&out).expect("opens");
        let found = set.status(0).expect("its record");
        assert_eq!(found, Status(Status::GREY | status), "{height}×{width}");
    }
    // An odd rest has its larger part at the right and below.
    let set = Dataset::open(at("25-27")).expect("opens");
    let pixels = pixels_of(&set, 0);
    let filled = |y: usize, x: usize| pixels[(y * 32 + x) * 3] != 0;
    let rows = (0..32).filter(|&y| (0..32).any(|x| filled(y, x)));
    let columns = (0..32).filter(|&x| (0..32).any(|y| filled(y, x)));
    assert_eq!(rows.collect::<Vec<_>>(), Vec::from_iter(3..28));
    assert_eq!(columns.collect::<Vec<_>>(), Vec::from_iter(2..29));
}

#[test]
fn classes_of_idx_files_may_have_names() {
    let dir = folder();
    let at = |name: &str| dir.path().join(name);
    mnist(&at("mnist"));
    fs::write(
        at("names.txt"),
        "top\ntrouser\npull over\ndress\ncoat\nbag\n",
    )
    .expect("writes");
    let list = |o: &mut dataset_pack::BuildOptions| o.labels = Some(at("names.txt"));
    pack(&at("mnist"), &at("set"), list).expect("packs");
    let set = Dataset::open(at("set")).expect("opens");
    assert_eq!(set.classes().len(), 6);
    assert_eq!(labels(&set)[&format!("{IMAGES}/00008")], "pull over");
    fs::write(at("names.txt"), "top\ntrouser\npull over\ndress\n").expect("writes");
    let line = one_line(&pack(&at("mnist"), &at("few"), list).expect_err("too few"));
    let cause = "train-labels-idx1-ubyte: image 0: the label 4 is beyond the class list";
    assert!(line.contains(cause), "{line}");
}

/// Each of these spoils one thing about the files, and is told in a line that names the file and the cause.
#[test]
fn idx_files_that_are_not_whole_are_refused() {
    let whole = images(9, 28, 28);
    let numbers = [4, 0, 1, 2, 3, 4, 0, 1, 2];
    let labels = idx(&[9], &numbers);
    let packed = gzipped(&whole);
    let mut flipped = packed.clone();
    *flipped.last_mut().expect("bytes") ^= 1;
    let checksum = packed.len() - 8;
    let mut other_sum = packed.clone();
    other_sum[checksum] ^= 1;
    let mut floats = whole.clone();
    floats[2] = 0x0d;
    let gz = |bytes: &[u8]| (format!("{IMAGES}.gz"), bytes.to_vec());
    let plain = |name: &str, bytes: &[u8]| (name.to_string(), bytes.to_vec());
    let cases = [
        (
            plain(IMAGES, &whole[..whole.len() - 1]),
            "cut short: 7071 bytes, but its header tells of 9 images, which are 7072",
        ),
        (
            plain(IMAGES, &[&whole[..], &[0]].concat()),
            "longer than the 9 images that its header tells of",
        ),
        (plain(IMAGES, &whole[..14]), "cut short in its header"),
        (plain(IMAGES, &whole[..3]), "cut short in its header"),
        (
            plain(IMAGES, b"what is this"),
            "not an IDX file: it begins with [77, 68, 61, 74]",
        ),
        (
            plain(IMAGES, &floats),
            "type 0x0d and 3 dimensions, not one of images: type 0x08 and 3",
        ),
        (
            plain(IMAGES, &labels),
            "type 0x08 and 1 dimensions, not one of images",
        ),
        (
            plain(IMAGES, &idx(&[0, 28, 28], &[])),
            "0 images of 28×28 pixels",
        ),
        (
            plain(IMAGES, &idx(&[u32::MAX; 3], &[])),
            "its header tells of more pixels than a file can hold",
        ),
        (
            plain(LABELS, &labels[..12]),
            "cut short: 12 bytes, but its header tells of 9 labels",
        ),
        (plain(LABELS, &idx(&[8], &numbers[..8])), "8 labels, but "),
        (
            plain(LABELS, &whole),
            "3 dimensions, not one of labels: type 0x08 and 1",
        ),
        (
            gz(&packed[..packed.len() / 2]),
            "the gzip file is cut short",
        ),
        (gz(&packed[..4]), "the gzip file is cut short"),
        (gz(&other_sum), "not a whole gzip file"),
        (gz(&flipped), "not a whole gzip file"),
        (
            gz(&[&packed[..], b"junk behind the end"].concat()),
            "not a whole gzip file",
        ),
        (gz(&gzipped(&whole[..500])), "cut short: 500 bytes"),
        (
            gz(&gzipped(&idx(&[6_000_000, 28, 28], &[]))),
            "too long to be unpacked in memory",
        ),
    ];
    for ((name, bytes), cause) in cases {
        let dir = folder();
        let at = |name: &str| dir.path().join(name);
        mnist(&at("mnist"));
        if name.ends_with(".gz") {
            fs::remove_file(at("mnist").join(IMAGES)).expect("removes");
        }
        fs::write(at("mnist").join(&name), bytes).expect("writes");
        let line = one_line(&pack(&at("mnist"), &at("set"), |_| {}).expect_err(cause));
        assert!(
            line.contains(&name) && line.contains(cause),
            "{cause}: {line}"
        );
        assert!(!at("set").join("index.json").exists());
    }
}

#[test]
fn idx_files_must_be_the_splits_and_have_their_labels() {
    let dir = folder();
    let at = |name: &str| dir.path().join(name);
    mnist(&at("mnist"));
    let attempt =
        |source: &str| one_line(&pack(&at(source), &at("set"), |_| {}).expect_err(source));
    let line = attempt(&format!("mnist/{LABELS}"));
    assert!(
        line.contains("its name does not tell where the labels are"),
        "{line}"
    );
    fs::remove_file(at("mnist").join(LABELS)).expect("removes");
    let line = attempt("mnist");
    assert!(
        line.contains("its labels are not beside it: train-labels"),
        "{line}"
    );
    fs::remove_file(at("mnist").join(IMAGES)).expect("removes");
    let line = attempt("mnist");
    assert!(
        line.contains("none with images of the split train: t10k-images"),
        "{line}"
    );
    for name in ["emnist-mnist-train", "emnist-digits-train"] {
        fs::write(at("mnist").join(format!("{name}-images-idx3-ubyte")), "").expect("writes");
    }
    let line = attempt("mnist");
    assert!(
        line.contains("several IDX files with images: emnist-digits"),
        "{line}"
    );
}

/// CIFAR's files in the archive they come in.
fn cifar_archive(files: &Path, inner: &str) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    archive.append_dir_all(inner, files).expect("writes");
    archive.into_inner().expect("writes")
}

#[test]
fn cifars_archives_give_what_their_files_give() {
    for (layout, inner) in [
        (SynthLayout::Cifar10, "cifar-10-batches-bin"),
        (SynthLayout::Cifar100, "cifar-100-binary"),
    ] {
        let dir = folder();
        let at = |name: &str| dir.path().join(name);
        lay_out(&at(inner), layout, false);
        let archive = cifar_archive(&at(inner), inner);
        fs::write(at("c.tar"), &archive).expect("writes");
        fs::write(at("c.tar.gz"), gzipped(&archive)).expect("writes");
        for split in [Split::Train, Split::Test] {
            let out = |name: &str| at(&format!("{}-{name}", split.name()));
            let with = |o: &mut dataset_pack::BuildOptions| (o.split, o.shard_images) = (split, 99);
            pack(&at(inner), &out("files"), with).expect("packs");
            let expected = contents(&out("files"));
            // The folder that the archive was unpacked in will do, too.
            for (number, source) in [at("c.tar"), at("c.tar.gz"), at("")].iter().enumerate() {
                let out = out(&number.to_string());
                pack(source, &out, with).expect("packs");
                assert!(contents(&out) == expected, "{inner} {number}");
            }
        }
        fs::write(at("cut.tar.gz"), &gzipped(&archive)[..archive.len() / 4]).expect("writes");
        let line = one_line(&pack(&at("cut.tar.gz"), &at("x"), |_| {}).expect_err("cut short"));
        assert!(
            line.contains("cut.tar.gz: the gzip file is cut short"),
            "{line}"
        );
        fs::write(at("cut.tar"), &archive[..archive.len() / 2]).expect("writes");
        let line = one_line(&pack(&at("cut.tar"), &at("x"), |_| {}).expect_err("cut short"));
        assert!(line.contains("cut.tar: "), "{line}");
    }
}

#[test]
fn cifars_python_form_is_told() {
    let dir = folder();
    let at = |name: &str| dir.path().join(name);
    fs::create_dir(at("py")).expect("makes a folder");
    for name in ["data_batch_1", "batches.meta"] {
        fs::write(at("py").join(name), "\u{80}").expect("writes");
    }
    let archive = cifar_archive(&at("py"), "cifar-10-batches-py");
    fs::write(at("py.tar.gz"), gzipped(&archive)).expect("writes");
    for source in ["py", "py.tar.gz"] {
        let line = one_line(&pack(&at(source), &at("x"), |_| {}).expect_err("pickles"));
        assert!(
            line.contains("CIFAR in its form for Python, which is not read"),
            "{line}"
        );
    }
}

#[test]
fn tiny_imagenet_as_it_is_unpacked() {
    let dir = folder();
    let root = dir.path().join("tiny-imagenet-200");
    let at = |name: &str| dir.path().join(name);
    let classes = ["n02124075", "n04067472"];
    for class in classes {
        let train = root.join("train").join(class);
        pictures(
            &train.join("images"),
            &[&format!("{class}_0.JPEG"), &format!("{class}_1.JPEG")],
        );
        let boxes = format!("{class}_0.JPEG\t0\t10\t63\t58\n{class}_1.JPEG\t6\t9\t40\t32\n");
        fs::write(train.join(format!("{class}_boxes.txt")), boxes).expect("writes");
    }
    pictures(
        &root.join("val/images"),
        &["val_0.JPEG", "val_1.JPEG", "val_2.JPEG"],
    );
    let annotations = "val_0.JPEG\tn04067472\t0\t32\t44\t62\nval_1.JPEG\tn02124075\t52\t55\t57\t59\n\
                       val_2.JPEG\tn04067472\t4\t0\t60\t55\n";
    fs::write(root.join("val/val_annotations.txt"), annotations).expect("writes");
    pictures(&root.join("test/images"), &["test_0.JPEG"]);
    fs::write(root.join("wnids.txt"), classes.join("\n")).expect("writes");
    fs::write(root.join("words.txt"), "n02124075\tEgyptian cat\n").expect("writes");

    pack(&root.join("train"), &at("train"), |_| {}).expect("packs");
    pack(&root.join("val"), &at("val"), |o| o.split = Split::Val).expect("packs");
    let [train, val] = ["train", "val"].map(|set| Dataset::open(at(set)).expect("opens"));
    assert_eq!((train.len(), val.len()), (4, 3));
    assert_eq!(class_names(&train), classes);
    assert_eq!(class_names(&val), classes);
    assert_eq!(labels(&val)["images/val_1.JPEG"], "n02124075");
    let line = one_line(&pack(&root, &at("x"), |_| {}).expect_err("both splits"));
    assert!(line.contains("tiny-imagenet-200/train"), "{line}");
    let line = one_line(&pack(&root.join("test"), &at("x"), |_| {}).expect_err("no labels"));
    assert!(line.contains("give their labels with --truth"), "{line}");
}

#[test]
fn imagenette_as_it_is_unpacked() {
    let dir = folder();
    let at = |name: &str| dir.path().join(name);
    let root = at("imagenette2-160");
    for (split, names) in [
        (
            "train",
            ["ILSVRC2012_val_00000293.JPEG", "n01440764_10026.JPEG"],
        ),
        (
            "val",
            ["n01440764_190.JPEG", "ILSVRC2012_val_00009111.JPEG"],
        ),
    ] {
        for class in ["n01440764", "n02102040"] {
            pictures(&root.join(split).join(class), &names);
        }
    }
    fs::write(root.join("noisy_imagenette.csv"), "path,noisy_labels_0\n").expect("writes");
    for split in [Split::Train, Split::Val] {
        let out = at(split.name());
        pack(&root.join(split.name()), &out, |o| o.split = split).expect("packs");
        let set = Dataset::open(&out).expect("opens");
        assert_eq!(class_names(&set), ["n01440764", "n02102040"]);
        assert_eq!(set.len(), 4);
    }
    let line = one_line(&pack(&root, &at("x"), |_| {}).expect_err("both splits"));
    assert!(line.contains("imagenette2-160/train"), "{line}");
}

/// Hugging Face has ImageNet in archives of a part of the images each, whose names begin or end in the class.
#[test]
fn imagenet_as_hugging_face_has_it() {
    let dir = folder();
    let at = |name: &str| dir.path().join(name);
    let names = [
        (
            "train/train_images_0",
            [
                "n01440764_10026_n01440764.JPEG",
                "n01443537_2_n01443537.JPEG",
            ],
        ),
        (
            "train/train_images_1",
            ["n01440764_18_n01440764.JPEG", "n01484850_76_n01484850.JPEG"],
        ),
        (
            "val/val_images",
            [
                "ILSVRC2012_val_00000293_n01440764.JPEG",
                "ILSVRC2012_val_00000001_n01443537.JPEG",
            ],
        ),
        (
            "test/test_images",
            [
                "ILSVRC2012_test_00000001.JPEG",
                "ILSVRC2012_test_00000002.JPEG",
            ],
        ),
    ];
    for (archive, images) in names {
        let path = at(&format!("{archive}.tar"));
        fs::create_dir_all(path.parent().expect("a folder")).expect("makes folders");
        let mut tar = tar::Builder::new(fs::File::create(path).expect("creates"));
        for image in images {
            picture(&at(archive).join(image));
            tar.append_path_with_name(at(archive).join(image), image)
                .expect("writes");
        }
        tar.finish().expect("writes");
    }
    for (archive, _) in names {
        fs::remove_dir_all(at(archive)).expect("removes");
    }
    pack(&at("train"), &at("set"), |_| {}).expect("packs");
    let set = Dataset::open(at("set")).expect("opens");
    assert_eq!(class_names(&set), ["n01440764", "n01443537", "n01484850"]);
    assert_eq!(set.len(), 4);
    for (source, class) in labels(&set) {
        assert!(source.contains(&format!("/{class}_")), "{source}");
    }
    pack(&at("val/val_images.tar"), &at("val-set"), |o| {
        (o.split, o.labels) = (Split::Val, Some(at("set")));
    })
    .expect("packs");
    let val = Dataset::open(at("val-set")).expect("opens");
    assert_eq!(
        labels(&val)["ILSVRC2012_val_00000001_n01443537.JPEG"],
        "n01443537"
    );
    let line =
        one_line(&pack(&at("test/test_images.tar"), &at("x"), |_| {}).expect_err("no labels"));
    assert!(line.contains("give their labels with --truth"), "{line}");
    // The parts of two splits beside each other would be one set.
    fs::rename(at("val/val_images.tar"), at("train/val_images.tar")).expect("moves");
    let line = one_line(&pack(&at("train"), &at("x"), |_| {}).expect_err("two splits"));
    assert!(line.contains("named like splits"), "{line}");
}

#[test]
fn the_program_tells_of_damage_in_one_line() {
    let dir = folder();
    let at = |name: &str| dir.path().join(name);
    mnist(&at("mnist"));
    common::change(&at("mnist").join(IMAGES), |bytes| bytes.truncate(5000));
    let (status, out, err) = run(&[
        "build",
        "--source",
        text(&at("mnist")),
        "--out",
        text(&at("set")),
    ]);
    assert_eq!((status, out.as_str()), (1, ""));
    assert!(
        err.lines()
            .last()
            .is_some_and(|line| line.contains("cut short: 5000 bytes")),
        "{err}"
    );
}
