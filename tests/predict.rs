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
