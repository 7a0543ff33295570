//! Testing trained networks, and beginning with their weights: what is averaged, per class, written as a submission.

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::LazyLock;

use common::{Done, Folder, bytes, host, pack, path, run, train_tiny};
use safetensors::SafeTensors;
use serde_json::Value;

const CLASSES: usize = 7;

/// Data of seven classes; the runs `part`, whose network sees 56×56 of 64×64 pixels, and `whole`, whose sees all.
static DATA: LazyLock<Folder> = LazyLock::new(|| {
    let dir = common::sets(CLASSES as u32, 40, 64);
    let common = ["--steps", "40", "--lr", "0.003"];
    let whole = ["--set", "input.crop=64"];
    run(&mut train_tiny(dir.path(), "part", &common)).ok();
    run(&mut train_tiny(
        dir.path(),
        "whole",
        &[&common[..], &whole].concat(),
    ))
    .ok();
    dir
});

fn at(name: &str) -> String {
    path(DATA.path(), name)
}

fn test_crop(checkpoints: &[&str], data: &str, options: &[&str]) -> Done {
    let fixed = ["--data", data, "--batch", "32"];
    let command = ["test-crop", "--checkpoint"];
    host(
        command
            .iter()
            .chain(checkpoints)
            .chain(&fixed)
            .chain(options),
    )
}

fn number(value: &Value, key: &str) -> f64 {
    let found = value[key].as_f64();
    found.unwrap_or_else(|| panic!("{key} in {value}"))
}

#[test]
fn it_is_said_what_the_crops_are() {
    let (part, whole, val) = (at("part"), at("whole"), at("sets/val"));
    let views = |checkpoints: &[&str], crops| {
        let done = test_crop(checkpoints, &val, &["--crops", crops, "--json"]).ok();
        done.json()["views"].clone()
    };
    let ten = "56×56 of 64×64 pixels, corners and centre, and mirrored";
    let both = "whole images of 64×64 pixels, and mirrored";
    assert_eq!(views(&[&part], "10"), serde_json::json!([ten]));
    assert_eq!(views(&[&whole], "10"), serde_json::json!([both]));
    assert_eq!(
        views(&[&whole, &part, &whole], "10"),
        serde_json::json!([both, ten])
    );
    let shown = test_crop(&[&whole], &val, &["--crops", "1"]).ok().out;
    assert!(
        shown.contains("crops        whole images of 64×64 pixels\n"),
        "{shown}"
    );
}

/// However many views a network has of an image, its probabilities add up to one and count as much as another's.
#[test]
fn all_networks_count_alike() {
    let (part, whole, val) = (at("part"), at("whole"), at("sets/val"));
    let loss = |checkpoints: &[&str], crops| {
        let done = test_crop(checkpoints, &val, &["--crops", crops, "--json"]).ok();
        number(&done.json(), "loss")
    };
    // Two views instead of ten, not weighed as ten, would add ln 5.
    let (one, ten) = (loss(&[&whole], "1"), loss(&[&whole], "10"));
    assert!((one - ten).abs() < 0.5, "{one} {ten}");
    // −ln of a mean lies below the mean of −ln.
    let [first, second] = [&part, &whole].map(|run| loss(&[run], "10"));
    let both = loss(&[&part, &whole], "10");
    assert!(both < (first + second) / 2.0, "{first} {second} {both}");
    assert!((both - (first + second) / 2.0).abs() < 0.5);
}

/// The probability of each image's own class, from what `host features` says of the last layer.
fn own_probabilities(checkpoint: &str, data: &str) -> Vec<f64> {
    let file = at("logits.safetensors");
    let command = ["features", "--checkpoint", checkpoint, "--data", data];
    host(command.iter().chain(&["--layer", "fc4", "--out", &file])).ok();
    let bytes = bytes(&file);
    let tensors = SafeTensors::deserialize(&bytes).expect("safetensors");
    let logits = tensors.tensor("features").expect("features").data();
    let logits = logits
        .as_chunks()
        .0
        .iter()
        .map(|b| f64::from(f32::from_le_bytes(*b)));
    let labels = tensors.tensor("labels").expect("labels").data();
    let labels = labels.as_chunks().0.iter().map(|b| i64::from_le_bytes(*b));
    let exp: Vec<f64> = logits.map(f64::exp).collect();
    let images = exp.as_chunks::<CLASSES>().0.iter().zip(labels);
    images
        .map(|(exp, label)| exp[label as usize] / exp.iter().sum::<f64>())
        .collect()
}

/// Networks of other layers, towers and crops: their probabilities are averaged, image by image.
#[test]
fn an_ensemble_averages_the_probabilities_of_different_networks() {
    let (part, whole, other) = (at("part"), at("whole"), at("other"));
    let net = at("other.toml");
    let text = format!(
        "name = \"other\"\nbase = {:?}\ntowers = 1\nremove = [\"lrn1\"]\ninput = {{ crop = 40 }}\n\
         [[layer]]\nname = \"relu2\"\nkind = \"tanh\"\n",
        common::tiny()
    );
    fs::write(&net, text).expect("written");
    let (data, val) = (at("sets/train"), at("sets/val"));
    let train = ["train", "--net", &net, "--data", &data, "--out", &other];
    host(train.iter().chain(&["--steps", "20", "--lr", "0.003"])).ok();
    let checkpoints = [&*part, &whole, &other];
    let each = checkpoints.map(|checkpoint| own_probabilities(checkpoint, &val));
    let images = each[0].len();
    assert_eq!(images, CLASSES * 10);
    let mean = |i: usize| each.iter().map(|of| of[i]).sum::<f64>() / each.len() as f64;
    let expected = (0..images).map(|i| -mean(i).ln()).sum::<f64>() / images as f64;
    let tested = test_crop(&checkpoints, &val, &["--crops", "1", "--json"])
        .ok()
        .json();
    let loss = number(&tested, "loss");
    assert!(
        (loss - expected).abs() < 1e-4 * expected,
        "{loss} {expected}"
    );
    assert_eq!(tested["views"].as_array().map(Vec::len), Some(3));
}

#[test]
fn networks_that_do_not_fit_the_set_are_named_before_any_works() {
    let (part, val, small) = (at("part"), at("sets/val"), at("small"));
    let drawn = at("drawn");
    pack([
        "build", "--source", &drawn, "--out", &small, "--size", "32", "--split", "val",
    ])
    .ok();
    let done = test_crop(&[&part], &small, &[]);
    let cause = "the data's images are 32×32, the network reads 64×64";
    done.fails(&[&part, cause]);
    let few = common::sets(3, 12, 64);
    let data = path(few.path(), "sets/train");
    let three = path(few.path(), "run");
    run(&mut train_tiny(few.path(), "run", &["--steps", "1"])).ok();
    let done = test_crop(&[&part, &three], &val, &["--submission", &at("never")]);
    done.fails(&[&val, "classes", &three]);
    test_crop(&[&part], &data, &[]).fails(&[&data, "classes"]);
    assert!(!Path::new(&at("never")).exists());
}

/// The labels of a set's images, in the order of the images' names.
fn labels(set: &str) -> Vec<u32> {
    let images = pack(["info", set, "--json"]).ok().json()["images"].as_u64();
    let image = |index: u64| {
        let index = index.to_string();
        let image = pack(["inspect", set, "--index", &index, "--json"])
            .ok()
            .json();
        let label = image["label"].as_u64().expect("a number");
        (image["source"].to_string(), label as u32)
    };
    let sorted: BTreeMap<String, u32> = (0..images.expect("a number")).map(image).collect();
    sorted.into_values().collect()
}

/// The lines of a submission.
fn lines(file: &str) -> Vec<Vec<u32>> {
    let text = String::from_utf8(bytes(file)).expect("UTF-8");
    let line = |line: &str| {
        let numbers = line.split(' ').map(|n| n.parse().expect("a number"));
        numbers.collect()
    };
    text.lines().map(line).collect()
}

/// Two ways to the same errors: those that the report has of each class, and those counted in the submission.
#[test]
fn the_errors_of_classes_are_those_of_the_submission() {
    let (val, file) = (at("sets/val"), at("submission.txt"));
    let options = ["--per-class", "--submission", &file, "--json"];
    run(&mut train_tiny(DATA.path(), "early", &["--steps", "1"])).ok();
    let early = at("early");
    let report = test_crop(&[&early], &val, &options).ok().json();
    let (lines, labels) = (lines(&file), labels(&val));
    assert_eq!(lines.len(), labels.len());
    let (mut images, mut top1, mut top5) = ([0; CLASSES], [0; CLASSES], [0; CLASSES]);
    for (line, &label) in lines.iter().zip(&labels) {
        assert_eq!(line.len(), 5);
        let class = label as usize;
        images[class] += 1;
        top1[class] += usize::from(line[0] != label + 1);
        top5[class] += usize::from(!line.contains(&(label + 1)));
    }
    let some_are_wrong = |of: [usize; CLASSES]| of.iter().any(|&n| n > 0);
    assert!(
        some_are_wrong(top1) && some_are_wrong(top5),
        "{top1:?} {top5:?}"
    );
    let classes = report["classes"].as_array().expect("a list");
    assert_eq!(classes.len(), CLASSES);
    let names = common::files(Path::new(&at("drawn")));
    for (class, (name, of)) in names.iter().zip(classes).enumerate() {
        assert_eq!(of["class"], *name);
        assert_eq!(of["images"], images[class]);
        let of_class = |errors: usize| errors as f64 / images[class] as f64;
        assert!((number(of, "top1_error") - of_class(top1[class])).abs() < 1e-9);
        assert!((number(of, "top5_error") - of_class(top5[class])).abs() < 1e-9);
    }
    let shown = test_crop(&[&early], &val, &["--per-class"]).ok().out;
    assert!(
        shown.contains(" images  top-1 %  top-5 %  class\n"),
        "{shown}"
    );
    let without = test_crop(&[&early], &val, &["--json"]).ok().json();
    assert!(without.get("classes").is_none());
}

/// With the devkit, a submission compares with its ground truth line by line.
#[test]
fn ilsvrcs_submission_has_the_devkits_numbers() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let at = |name: &str| path(dir.path(), name);
    let layout = [
        "--layout",
        "ilsvrc2012",
        "--classes",
        "8",
        "--per-class",
        "6",
    ];
    pack(["synth", "--out", &at("i")].iter().copied().chain(layout)).ok();
    let (devkit, size) = (at("i/ILSVRC2012_devkit_t12"), ["--size", "64"]);
    let build = |archive: &str, out: &str, options: &[&str]| {
        let (archive, out) = (at(archive), at(out));
        let fixed = ["build", "--source", &archive, "--out", &out];
        pack(fixed.iter().chain(&size).chain(options)).ok();
    };
    build("i/ILSVRC2012_img_train.tar", "sets/train", &[]);
    let truth = ["--truth", &devkit, "--split", "val"];
    build("i/ILSVRC2012_img_val.tar", "val", &truth);
    run(&mut train_tiny(
        dir.path(),
        "run",
        &["--steps", "20", "--lr", "0.003"],
    ))
    .ok();

    let (val, file, checkpoint) = (at("val"), at("s.txt"), at("run"));
    let given = ["--submission", &file, "--devkit", &devkit, "--json"];
    let report = test_crop(&[&checkpoint], &val, &given).ok().json();
    let truth = format!("{devkit}/data/ILSVRC2012_validation_ground_truth.txt");
    let truth: Vec<u32> = lines(&truth).concat();
    let found = lines(&file);
    assert_eq!(found.len(), truth.len());
    let wrong = |hit: &dyn Fn(&[u32], u32) -> bool| {
        let wrong = found
            .iter()
            .zip(&truth)
            .filter(|(line, id)| !hit(line, **id));
        wrong.count() as f64 / truth.len() as f64
    };
    let top1 = wrong(&|line, id| line[0] == id);
    let top5 = wrong(&|line, id| line.contains(&id));
    assert!(
        (number(&report, "top1_error") - top1).abs() < 1e-9,
        "{report}"
    );
    assert!(
        (number(&report, "top5_error") - top5).abs() < 1e-9,
        "{report}"
    );

    let never = at("never");
    let refused = |data: &str, devkit: Option<&str>, words: &[&str]| {
        let mut options = vec!["--submission", &never];
        options.extend(devkit.iter().flat_map(|devkit| ["--devkit", devkit]));
        test_crop(&[&checkpoint], data, &options).fails(words);
    };
    refused(&val, None, &[&val, "--devkit"]);
    refused(&val, Some(&at("i")), &[&at("i"), "no meta.mat"]);
    fs::write(at("meta.mat"), "MATLAB").expect("written");
    refused(
        &val,
        Some(&at("meta.mat")),
        &["meta.mat: not a MATLAB file"],
    );
    // Without an image, the lines behind it would be those of other images.
    let unpacked = at("unpacked");
    fs::create_dir(&unpacked).expect("made");
    let archive = at("i/ILSVRC2012_img_val.tar");
    run(Command::new("tar").args(["-xf", &archive, "-C", &unpacked])).ok();
    fs::remove_file(format!("{unpacked}/ILSVRC2012_val_00000003.JPEG")).expect("removed");
    build("unpacked", "gap", &["--truth", &devkit, "--split", "val"]);
    refused(&at("gap"), Some(&devkit), &["image of number 3 is missing"]);
    assert!(!Path::new(&never).exists());
}

fn tensors(run: &str, out: &str) -> BTreeMap<String, (Vec<usize>, Vec<u8>)> {
    host(["export", "--checkpoint", run, "--out", out]).ok();
    let file = bytes(out);
    let file = SafeTensors::deserialize(&file).expect("a safetensors file");
    let one = |(name, t): (&str, safetensors::tensor::TensorView)| {
        (name.to_owned(), (t.shape().to_vec(), t.data().to_vec()))
    };
    file.iter().map(|(name, t)| one((name, t))).collect()
}

/// Steps too small to change a weight (but not a bias of zero): what a run has is what it began with.
const STILL: [&str; 6] = ["--steps", "1", "--lr", "1e-30", "--set", "train.decay=0"];

#[test]
fn a_network_for_other_classes_begins_with_all_but_the_last_layer() {
    let other = common::sets(3, 12, 64);
    let before = tensors(&at("part"), &at("part.safetensors"));
    let fresh = run(&mut train_tiny(other.path(), "fresh", &STILL)).ok();
    assert!(!fresh.err.contains("starts fresh"));
    let exported = path(other.path(), "fresh.safetensors");
    let fresh = tensors(&path(other.path(), "fresh"), &exported);
    for (number, from) in [at("part"), at("part.safetensors")].iter().enumerate() {
        let out = format!("tuned-{number}");
        let options = [&STILL[..], &["--init-from", from]].concat();
        let done = run(&mut train_tiny(other.path(), &out, &options)).ok();
        let told = "fc4: 7 outputs in the file, here 3: the layer starts fresh";
        assert!(done.err.contains(told), "{}", done.err);
        let exported = path(other.path(), &format!("{out}.safetensors"));
        let tuned = tensors(&path(other.path(), &out), &exported);
        for (name, tensor) in tuned.iter().filter(|(name, _)| *name != "fc4.bias") {
            let expected = if name.starts_with("fc4") {
                &fresh
            } else {
                &before
            };
            assert!(tensor == &expected[name], "{name}");
        }
    }
}

#[test]
fn layers_go_by_their_names_and_towers_make_no_difference() {
    let before = tensors(&at("part"), &at("named.safetensors"));
    let text = fs::read_to_string(common::tiny()).expect("readable");
    let net = at("renamed.toml");
    fs::write(
        &net,
        text.replace("\"fc3\"", "\"hidden\"")
            .replace("towers = 2", "towers = 1"),
    )
    .expect("written");
    let (data, out) = (at("sets/train"), at("renamed"));
    let from = at("part");
    let options = [
        "train",
        "--net",
        &net,
        "--data",
        &data,
        "--out",
        &out,
        "--init-from",
        &from,
    ];
    let done = host(options.iter().chain(&STILL)).ok();
    for told in [
        "hidden: not in the file: the layer starts fresh",
        "not used, since the network has no such layers: fc3.bias, fc3.weight",
    ] {
        assert!(done.err.contains(told), "{}", done.err);
    }
    let after = tensors(&out, &at("renamed.safetensors"));
    for name in [
        "conv1.weight",
        "conv2.weight",
        "conv2.bias",
        "fc4.weight",
        "fc4.bias",
    ] {
        assert!(after[name] == before[name], "{name}");
    }
}
