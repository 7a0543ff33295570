//! Trained networks and images that are no part of a set: what they show.

mod common;

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::Stdio;
use std::sync::LazyLock;

use common::{Done, Folder, files, host, pack, path, program, run, train_tiny};
use serde_json::Value;

/// Images of four classes in `drawn` and the run `run`.
static DATA: LazyLock<Folder> = LazyLock::new(|| {
    let dir = common::sets(4, 40, 64);
    run(&mut train_tiny(
        dir.path(),
        "run",
        &["--steps", "30", "--lr", "0.003"],
    ))
    .ok();
    dir
});

fn at(name: &str) -> String {
    path(DATA.path(), name)
}

/// A drawn image of a class.
fn image(class: usize, number: usize) -> String {
    let folder = at("drawn");
    let class = &files(Path::new(&folder))[class];
    let folder = path(Path::new(&folder), class);
    path(Path::new(&folder), &files(Path::new(&folder))[number])
}

fn predict(images: &[&str], options: &[&str]) -> Done {
    let command = ["predict", "--checkpoint", &at("run")];
    host(command.iter().chain(images).chain(options))
}

fn lines(text: &str) -> Vec<Value> {
    let line = |line| serde_json::from_str(line).expect("JSON");
    text.lines().map(line).collect()
}

/// Of a class in what was predicted.
fn probability(predicted: &Value, class: &Value) -> f64 {
    let guesses = predicted["predictions"].as_array().expect("a list");
    let guess = guesses.iter().find(|guess| guess["class"] == *class);
    guess.expect("the class")["probability"]
        .as_f64()
        .expect("a number")
}

/// The same image packed: the loss that `test-crop` finds is of exactly the probability that `predict` gives.
#[test]
fn a_file_is_predicted_as_the_same_image_packed_is() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    for (class, rule, crops) in [
        (0, "bilinear", "10"),
        (1, "2012", "10"),
        (2, "bilinear", "1"),
    ] {
        let (file, set) = (image(class, 3), path(dir.path(), &format!("set{class}")));
        let list = path(dir.path(), &format!("source{class}"));
        // All classes, or the network's would not be those of the set; of three of them another image.
        for other in 0..4 {
            let from = if other == class {
                file.clone()
            } else {
                image(other, 0)
            };
            let from = Path::new(&from);
            let folder = from.parent().and_then(Path::file_name).expect("a class");
            let to = Path::new(&list).join(folder);
            fs::create_dir_all(&to).expect("a folder");
            fs::copy(from, to.join(from.file_name().expect("a name"))).expect("copies");
        }
        let options = ["--size", "64", "--resize", rule, "--split", "val"];
        let build = ["build", "--source", &list, "--out", &set];
        pack(build.iter().chain(&options)).ok();
        let test = [
            "--data",
            &set,
            "--crops",
            crops,
            "--per-class",
            "--batch",
            "64",
            "--json",
        ];
        let run = at("run");
        let tested = host(["test-crop", "--checkpoint", &run].iter().chain(&test))
            .ok()
            .json();
        let of_class = &tested["classes"][class];
        let options = ["--resize", rule, "--crops", crops, "--top", "4", "--json"];
        let predicted = predict(&[&file], &options).ok().json();
        assert_eq!(predicted["path"], file);
        assert_eq!(predicted["class"], of_class["class"]);
        let p = probability(&predicted, &of_class["class"]);
        // The program has the probability in 32 bits, and prints as many digits as tell it from others.
        let loss = -f64::from(p as f32).ln();
        assert_eq!(
            of_class["loss"].as_f64(),
            Some(loss),
            "{predicted} {of_class}"
        );
        let sum: f64 = tested["classes"]
            .as_array()
            .expect("a list")
            .iter()
            .zip(0..4)
            .map(|(of, _)| probability(&predicted, &of["class"]))
            .sum();
        assert!((sum - 1.0).abs() < 1e-5, "{sum}");
    }
}

#[test]
fn the_likeliest_come_first_and_as_many_as_asked_for() {
    let images = [image(0, 0), image(1, 0)];
    let images = images.each_ref().map(String::as_str);
    let all = predict(&images, &["--top", "99", "--json"]).ok();
    let two = predict(&images, &["--top", "2", "--json"]).ok();
    for (all, two) in lines(&all.out).iter().zip(lines(&two.out)) {
        let all = all["predictions"].as_array().expect("a list");
        let p = |i: usize| all[i]["probability"].as_f64();
        assert!(
            all.len() == 4 && (1..4).all(|i| p(i) <= p(i - 1)),
            "{all:?}"
        );
        assert_eq!(two["predictions"].as_array().expect("a list")[..], all[..2]);
    }
    let shown = predict(&images, &["--top", "1"]).ok().out;
    assert_eq!(shown.lines().count(), 4, "{shown}");
    assert!(shown.contains(" %  "), "{shown}");
}

#[test]
fn a_bad_image_is_named_and_the_others_go_on() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let text = path(dir.path(), "no\u{1b}image.jpg");
    fs::write(&text, "words").expect("writes");
    let missing = path(dir.path(), "missing.jpg");
    let (good, other) = (image(0, 0), image(1, 1));
    let done = predict(&[&good, &text, &missing, &other], &["--json"]);
    assert_eq!(lines(&done.out).len(), 2);
    let of = |word: &str| done.err.lines().filter(|line| line.contains(word)).count();
    assert_eq!(
        (
            of("image.jpg: the content is no image"),
            of("missing.jpg: cannot read")
        ),
        (1, 1)
    );
    assert!(!done.err.contains('\u{1b}'), "{}", done.err);
    done.fails(&["2 of 4 images could not be read"]);
    let sheet = path(dir.path(), "sheet.png");
    predict(&[&missing], &["--png", &sheet]).fails(&["sheet.png: there is no image to draw"]);
    assert!(!Path::new(&sheet).exists());
}

/// Names on standard input are predicted as those on the command line, and a reader that goes ends the work.
#[test]
fn names_are_read_from_standard_input() {
    let images = [image(0, 0), image(3, 1)];
    let named = predict(&images.each_ref().map(String::as_str), &["--json"]).ok();
    let mut command = program("host");
    command.args([
        "predict",
        "--checkpoint",
        &at("run"),
        "-",
        "--json",
        "--batch",
        "32",
    ]);
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().expect("the program starts");
    let mut input = child.stdin.take().expect("a pipe");
    write!(input, "{}\r\n\n{}", images[0], images[1]).expect("writes");
    drop(input);
    let done: Done = child.wait_with_output().expect("it ends").into();
    assert_eq!(done.ok().out, named.out);

    let mut child = command.spawn().expect("the program starts");
    let mut input = child.stdin.take().expect("a pipe");
    let mut output = BufReader::new(child.stdout.take().expect("a pipe"));
    let feed = std::thread::spawn(move || {
        // Until nobody reads them any more.
        (0..100_000)
            .take_while(|_| writeln!(input, "{}", images[0]).is_ok())
            .count()
    });
    let mut line = String::new();
    output.read_line(&mut line).expect("a line");
    drop(output);
    assert!(feed.join().expect("ends") < 100_000);
    let done: Done = child.wait_with_output().expect("it ends").into();
    assert_eq!(
        done.ok()
            .err
            .lines()
            .filter(|line| line.contains("error"))
            .count(),
        0
    );
}

/// The most memory a program has had so far, in kB.
fn peak(child: &std::process::Child) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", child.id())).expect("its status");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let number = line.and_then(|line| line.trim().strip_suffix(" kB"));
    number.and_then(|n| n.parse().ok()).expect("a peak")
}

/// Ten thousand images and what is known of them would be 120 MB.
#[test]
fn ten_thousand_predictions_take_no_more_memory_than_one_thousand() {
    let mut command = program("host");
    let (run, batch) = (at("run"), ["--crops", "1", "--batch", "32"]);
    command.args(["predict", "--checkpoint", &run, "-", "--json"]);
    command.args(batch).stdin(Stdio::piped());
    command.stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().expect("the program starts");
    let mut input = child.stdin.take().expect("a pipe");
    let mut output = BufReader::new(child.stdout.take().expect("a pipe")).lines();
    let images = [image(0, 0), image(1, 1), image(2, 2)];
    let feed = std::thread::spawn(move || {
        let names = images.iter().cycle().take(10_000);
        names.for_each(|name| writeln!(input, "{name}").expect("writes"));
    });
    let mut told = |count: usize| output.by_ref().take(count).map(Result::unwrap).count();
    assert_eq!(told(1000), 1000);
    let before = peak(&child);
    assert_eq!(told(8900), 8900);
    let after = peak(&child);
    assert_eq!(told(1000), 100);
    feed.join().expect("ends");
    assert!(child.wait().expect("its status").success());
    assert!(after < before + 16_000, "{before} kB, then {after} kB");
}

#[test]
fn a_sheet_has_every_image() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let sheet = path(dir.path(), "sheet.png");
    let images: Vec<String> = (0..5).map(|i| image(i % 4, i)).collect();
    let images: Vec<&str> = images.iter().map(String::as_str).collect();
    predict(&images, &["--png", &sheet, "--crops", "1"]).ok();
    let (width, height) = image::image_dimensions(&sheet).expect("a picture");
    assert!(width > 4 * 200 && height > 2 * 300, "{width} {height}");
    assert_eq!(files(dir.path()), ["sheet.png"]);
}

/// The numbers of an array that NumPy's format has, little-endian, behind its head.
fn numbers<const N: usize>(file: &str) -> (String, Vec<[u8; N]>) {
    let bytes = common::bytes(file);
    let length = usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
    let head = String::from_utf8(bytes[10..10 + length].to_vec()).expect("text");
    (head, bytes[10 + length..].as_chunks().0.to_vec())
}

/// All forms of the file have the same features, float16 but for its precision.
#[test]
fn features_come_as_tensors_and_as_arrays_also_in_half_precision() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let write = |name: &str, options: &[&str]| {
        let (file, data, run) = (path(dir.path(), name), at("sets/val"), at("run"));
        let fixed = [
            "features",
            "--checkpoint",
            &run,
            "--data",
            &data,
            "--layer",
            "fc3",
        ];
        let out = ["--batch", "32", "--out", &file];
        host(fixed.iter().chain(&out).chain(options)).ok();
        file
    };
    let whole = common::bytes(write("a.safetensors", &[]));
    let whole = safetensors::SafeTensors::deserialize(&whole).expect("tensors");
    let array = write("a.npy", &[]);
    let (head, floats) = numbers::<4>(&array);
    assert!(head.contains("'<f4'") && head.contains(", 64)"), "{head}");
    assert!(floats.as_flattened() == whole.tensor("features").expect("there").data());
    let (head, labels) = numbers::<8>(&path(dir.path(), "a.labels.npy"));
    assert!(head.contains("'<i8'"), "{head}");
    assert!(labels.as_flattened() == whole.tensor("labels").expect("there").data());

    let half = common::bytes(write("h.safetensors", &["--half"]));
    let half = safetensors::SafeTensors::deserialize(&half).expect("tensors");
    let half = half.tensor("features").expect("there");
    assert_eq!(half.dtype(), safetensors::Dtype::F16);
    let (_, bits) = numbers::<2>(&write("h.npy", &["--half"]));
    assert!(bits.as_flattened() == half.data());
    let mut positive = 0;
    for (half, whole) in bits.iter().zip(&floats) {
        let (half, whole) = (
            u16::from_le_bytes(*half),
            f64::from(f32::from_le_bytes(*whole)),
        );
        let (exponent, fraction) = (i32::from(half >> 10 & 31), f64::from(half & 1023));
        let value = match exponent {
            0 => fraction * 2f64.powi(-24),
            _ => (1.0 + fraction / 1024.0) * 2f64.powi(exponent - 15),
        };
        assert!(
            (value - whole).abs() <= whole / 2048.0 + 2f64.powi(-25),
            "{value} {whole}"
        );
        positive += usize::from(whole > 0.0);
    }
    assert!(positive > floats.len() / 20, "{positive}");
    let (run, data) = (at("run"), at("sets/val"));
    let fixed = [
        "features",
        "--checkpoint",
        &run,
        "--data",
        &data,
        "--layer",
        "fc3",
    ];
    let done = host(fixed.iter().chain(&["--out", "x.npy", "--with-images"]));
    done.fails(&["x.npy: an array has no room for --with-images"]);
}

/// The set's features and an index of them, made once.
static INDEX: LazyLock<String> = LazyLock::new(|| {
    let (run, data, index) = (at("run"), at("sets/val"), at("val.index"));
    let fixed = [
        "index",
        "--checkpoint",
        &run,
        "--data",
        &data,
        "--out",
        &index,
    ];
    let done = host(fixed.iter().chain(&["--batch", "32", "--json"])).ok();
    assert_eq!(done.json()["layer"], "fc3");
    assert_eq!(done.json()["width"], 64);
    index
});

fn similar(options: &[&str]) -> Done {
    host(["similar", "--index", &INDEX].iter().chain(options))
}

/// Against all distances between the features that `host features` writes.
#[test]
fn neighbours_are_those_of_a_plain_search() {
    let (run, data, array) = (at("run"), at("sets/val"), at("features.npy"));
    let fixed = [
        "features",
        "--checkpoint",
        &run,
        "--data",
        &data,
        "--layer",
        "fc3",
    ];
    host(fixed.iter().chain(&["--batch", "32", "--out", &array])).ok();
    let (_, floats) = numbers::<4>(&array);
    let rows: Vec<Vec<f64>> = floats
        .as_chunks::<64>()
        .0
        .iter()
        .map(|row| row.iter().map(|&x| f32::from_le_bytes(x).into()).collect())
        .collect();
    let far = |a: usize, b: usize| {
        let squares = rows[a].iter().zip(&rows[b]).map(|(a, b)| (a - b).powi(2));
        squares.sum::<f64>().sqrt()
    };
    for image in [0, 5, rows.len() - 1] {
        let mut others: Vec<usize> = (0..rows.len()).filter(|&other| other != image).collect();
        others.sort_by(|&a, &b| far(image, a).total_cmp(&far(image, b)));
        let done = similar(&["--image", &image.to_string(), "--count", "4", "--json"]).ok();
        let done = done.json();
        let found = done["neighbours"].as_array().expect("a list");
        assert_eq!(found.len(), 4);
        for (found, &other) in found.iter().zip(&others) {
            assert_eq!(found["image"], other);
            let distance = found["distance"].as_f64().expect("a number");
            assert!((distance - far(image, other)).abs() < 1e-9, "{distance}");
        }
        // The image's own file is at no distance from it.
        let source = done["path"].as_str().expect("a path");
        let file = path(Path::new(&at("drawn")), source);
        let sheet = at("similar.png");
        let of_file = ["--checkpoint", &run, &file, "--json", "--png", &sheet];
        let itself = &similar(&of_file).ok().json()["neighbours"][0];
        assert_eq!(itself["image"], image);
        assert_eq!(itself["distance"], 0.0);
        assert!(image::image_dimensions(&sheet).expect("a picture").0 > 7 * 140);
    }
}

#[test]
fn an_index_of_something_else_is_refused() {
    let other = at("other");
    run(&mut train_tiny(DATA.path(), "other", &["--steps", "1"])).ok();
    let file = image(0, 0);
    let done = similar(&["--checkpoint", &other, &file]);
    done.fails(&["val.index: it was made by another checkpoint", &at("run")]);
    let train = at("sets/train");
    let done = similar(&["--image", "0", "--data", &train]);
    done.fails(&["val.index: it was made of another set than", &train]);
    similar(&["--image", "99999"]).fails(&["image 99999 of a set of"]);
    let cut = at("cut.index");
    let bytes = common::bytes(&*INDEX);
    fs::write(&cut, &bytes[..bytes.len() - 1]).expect("writes");
    let done = host(["similar", "--index", &cut, "--image", "0"]);
    done.fails(&["cut.index", "bytes where its description wants"]);
}

#[test]
fn what_a_layer_makes_of_an_image_is_drawn() {
    let (file, sheet) = (image(0, 0), at("maps.png"));
    let run = at("run");
    let draw = |layer: &str, file: &str| {
        let fixed = ["activations", "--checkpoint", &run, file, "--layer", layer];
        host(fixed.iter().chain(&["--out", &sheet, "--json"]))
    };
    let drawn = draw("conv1", &file).ok().json();
    // (56 − 7) / 3 + 1 places each way, and 32 maps in both towers.
    assert_eq!(
        [&drawn["maps"], &drawn["rows"], &drawn["columns"]],
        [32, 17, 17]
    );
    let picture = image::open(&sheet).expect("a picture").to_rgb8();
    let seen = |light: u8| picture.pixels().any(|pixel| pixel.0 == [light; 3]);
    assert!(seen(0) && seen(255), "no map has its whole range");
    draw("conv9", &file).fails(&["net tiny has no layer `conv9`"]);
    let missing = at("missing.jpg");
    draw("conv1", &missing).fails(&[&missing, "cannot read"]);
}

fn saliency(images: &[&str], sheet: &str, options: &[&str]) -> Done {
    let command = ["saliency", "--checkpoint", &at("run"), "--png", sheet];
    host(command.iter().chain(images).chain(options))
}

/// It goes by the centre, so its probability is that of `predict --crops 1`, to the last bit.
#[test]
fn saliency_is_of_the_likeliest_class_or_of_the_one_asked_for() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let sheet = path(dir.path(), "sheet.png");
    let images = [image(0, 0), image(2, 1), image(3, 2)];
    let images = images.each_ref().map(String::as_str);
    let done = saliency(&images, &sheet, &["--json"]).ok();
    let predicted = predict(&images, &["--crops", "1", "--json"]).ok();
    for (of, predicted) in lines(&done.out).iter().zip(lines(&predicted.out)) {
        let likeliest = &predicted["predictions"][0];
        assert_eq!(of["path"], predicted["path"]);
        assert_eq!(of["class"], likeliest["class"]);
        assert_eq!(of["probability"], likeliest["probability"]);
        assert!(of["gradient"].as_f64().is_some_and(|g| g > 0.0), "{of}");
        let pixel = of["pixel"].as_array().expect("a row and a column");
        assert!(pixel.iter().all(|p| p.as_u64().is_some_and(|p| p < 56)));
    }
    let (width, height) = image::image_dimensions(&sheet).expect("a picture");
    assert!(width > 6 * 200 && height > 2 * 240, "{width} {height}");

    let class = &files(Path::new(&at("drawn")))[1];
    let by_name = saliency(&images[..1], &sheet, &["--json", "--class", class]);
    let by_number = saliency(&images[..1], &sheet, &["--json", "--class", "1"]);
    assert_eq!(by_name.ok().json(), by_number.ok().json());
    for wrong in ["4", "no such"] {
        let cause = "no class has this name or number; they go from 0 to 3";
        saliency(&images, &sheet, &["--class", wrong]).fails(&[cause]);
    }
}

/// Codes of a set, and of its images' own files, whose codes must be the same.
#[test]
fn codes_find_what_is_like_an_image() {
    let index = at("coded.index");
    let (run, data) = (at("run"), at("sets/val"));
    let make = [
        "index",
        "--checkpoint",
        &run,
        "--data",
        &data,
        "--batch",
        "32",
        "--out",
        &index,
    ];
    let coded = host(make.iter().chain(&["--bits", "64", "--json"]))
        .ok()
        .json();
    let recall = coded["codes"]["recall"].as_array().expect("a list");
    let recall: Vec<f64> = recall
        .iter()
        .filter_map(|one| one["recall"].as_f64())
        .collect();
    // There are fewer images than the last two look among.
    assert!(recall[0] > 0.3 && recall[1..] == [1.0, 1.0], "{recall:?}");
    let whole = common::bytes(&index);
    let codes = format!("{index}.codes");
    let first = common::bytes(&codes);
    let again = make.iter().chain(&["--bits", "64", "--threads", "1"]);
    host(again).ok();
    assert!(common::bytes(&codes) == first && common::bytes(&index) == whole);

    let ask = |options: &[&str]| host(["similar", "--index", &index].iter().chain(options));
    let exact = ask(&["--image", "3", "--json"]).ok().json();
    let ranked = ["--image", "3", "--codes", "--rerank", "1000", "--json"];
    assert_eq!(ask(&ranked).ok().json(), exact);
    let by_codes = ask(&["--image", "3", "--codes", "--json"]).ok().json();
    let bits = |of: &Value| of["bits"].as_u64().expect("bits");
    let found = by_codes["neighbours"].as_array().expect("a list");
    assert!(
        found
            .iter()
            .all(|one| one["image"] != 3 && one["distance"].is_null())
    );
    assert!(found.is_sorted_by_key(bits), "{found:?}");
    let source = by_codes["path"].as_str().expect("a path");
    let file = path(Path::new(&at("drawn")), source);
    let of_file = ask(&["--checkpoint", &run, &file, "--codes", "--json"])
        .ok()
        .json();
    assert_eq!(bits(&of_file["neighbours"][0]), 0);
    assert!(
        ask(&["--image", "3", "--codes"])
            .ok()
            .out
            .contains(" bits  ")
    );

    let mut damaged = first.clone();
    damaged[first.len() / 2] ^= 1;
    fs::write(&codes, damaged).expect("writes");
    ask(&["--image", "3", "--codes"]).fails(&["coded.index.codes", "does not match its checksum"]);
    fs::remove_file(&codes).expect("removes");
    ask(&["--image", "3", "--codes"]).fails(&["coded.index.codes", "host index --bits"]);
    for wrong in [&["--bits", "100"][..], &["--seed", "1"]] {
        assert_eq!(host(make.iter().chain(wrong)).code, Some(2));
    }
}
