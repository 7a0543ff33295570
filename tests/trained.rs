//! A network learns, and everything that is done with a trained one: tests, features, export, pictures.

mod common;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::LazyLock;

use safetensors::{Dtype, SafeTensors};
use serde_json::Value;

use common::{Folder, bytes, files, host, metrics, pack, path, run, train_tiny};

const CLASSES: usize = 5;
const STEPS: u64 = 150;

/// Data of five classes and the trained run `run`.
static TRAINED: LazyLock<Folder> = LazyLock::new(|| {
    let dir = common::sets(CLASSES as u32, 60, 64);
    let val = path(dir.path(), "sets/val");
    let options = [
        "--val",
        &val,
        "--validate-every",
        "50",
        "--steps",
        &STEPS.to_string(),
        "--seed",
        "1",
        // With the network's own 0.01 it depends on the seed how far it gets.
        "--lr",
        "0.003",
    ];
    run(&mut train_tiny(dir.path(), "run", &options)).ok();
    dir
});

fn at(name: &str) -> String {
    path(TRAINED.path(), name)
}

/// `host test-crop` on the held-out images.
fn test_crop(checkpoints: &[&str], crops: &str) -> Value {
    let options = [
        "--data",
        &at("sets/val"),
        "--crops",
        crops,
        "--batch",
        "32",
        "--json",
    ];
    host(
        ["test-crop", "--checkpoint"]
            .iter()
            .chain(checkpoints)
            .chain(&options),
    )
    .ok()
    .json()
}

fn number(value: &Value, key: &str) -> f64 {
    value[key]
        .as_f64()
        .unwrap_or_else(|| panic!("{key} in {value}"))
}

fn shapes(file: &[u8]) -> BTreeMap<String, (Dtype, Vec<usize>)> {
    let file = SafeTensors::deserialize(file).expect("a safetensors file");
    file.iter()
        .map(|(name, t)| (name.to_owned(), (t.dtype(), t.shape().to_vec())))
        .collect()
}

fn floats(file: &[u8], name: &str) -> Vec<f32> {
    let file = SafeTensors::deserialize(file).expect("a safetensors file");
    let tensor = file.tensor(name).unwrap_or_else(|e| panic!("{name}: {e}"));
    tensor
        .data()
        .as_chunks()
        .0
        .iter()
        .map(|&four| f32::from_le_bytes(four))
        .collect()
}

#[test]
fn it_learns() {
    let lines = metrics(Path::new(&at("run")));
    let (validations, steps): (Vec<_>, Vec<_>) = lines
        .iter()
        .partition(|line| line.get("validation").is_some());
    assert_eq!((steps.len() as u64, validations.len()), (STEPS, 3));
    for (line, step) in steps.iter().zip(1..) {
        assert_eq!(line["step"], step);
        for key in ["epoch", "loss", "top1_error", "top5_error", "lr"] {
            assert!(number(line, key).is_finite());
        }
    }
    let chance = 1.0 - 1.0 / CLASSES as f64;
    assert!(number(validations[2], "loss") < 0.5 * (CLASSES as f64).ln());
    assert!(
        number(validations[2], "top1_error") < 0.5 * chance,
        "{}",
        validations[2]
    );
    assert_eq!(number(validations[2], "top5_error"), 0.0);
}

#[test]
fn a_run_leaves_what_is_documented() {
    let run = at("run");
    let expected = [
        "checkpoints",
        "config.toml",
        "curves.png",
        "filters.png",
        "metrics.jsonl",
    ];
    assert_eq!(files(Path::new(&run)), expected);
    let names = [
        "latest",
        "step-0000050.safetensors",
        "step-0000100.safetensors",
        "step-0000150.safetensors",
    ];
    assert_eq!(files(&Path::new(&run).join("checkpoints")), names);
    let config = String::from_utf8(bytes(Path::new(&run).join("config.toml"))).expect("UTF-8");
    for line in [
        "seed = 1",
        "steps = 150",
        "lr = 0.003",
        "momentum = 0.9",
        "name = \"tiny\"",
    ] {
        assert!(
            config.lines().any(|other| other == line),
            "{line} in {config}"
        );
    }
    for picture in ["curves.png", "filters.png"] {
        let picture = image::open(Path::new(&run).join(picture))
            .expect("a picture")
            .to_rgb8();
        let first = picture.get_pixel(0, 0);
        assert!(picture.width() >= 64 && picture.pixels().any(|pixel| pixel != first));
    }
}

#[test]
fn one_crop_is_the_validation_and_ten_are_as_good() {
    let lines = metrics(Path::new(&at("run")));
    let one = test_crop(&[&at("run")], "1");
    for key in ["loss", "top1_error", "top5_error"] {
        let validation = number(&lines[lines.len() - 1], key);
        assert!(
            (number(&one, key) - validation).abs() < 1e-6,
            "{key}: {one} {validation}"
        );
    }
    let images = pack(["info", &at("sets/val"), "--json"]).ok().json()["images"].clone();
    let ten = test_crop(&[&at("run")], "10");
    for (result, crops) in [(&one, 1), (&ten, 10)] {
        assert_eq!(
            (&result["images"], result["crops"].as_u64()),
            (&images, Some(crops)),
            "{result}"
        );
        assert_eq!(result["checkpoints"], 1);
    }
    assert_ne!(number(&one, "loss"), number(&ten, "loss"));
    assert!(
        number(&ten, "top1_error") <= number(&one, "top1_error") + 0.1,
        "{one} {ten}"
    );
}

#[test]
fn several_checkpoints_are_averaged() {
    let file = |step: u32| at(&format!("run/checkpoints/step-{step:07}.safetensors"));
    let last = test_crop(&[&file(150)], "1");
    let twice = test_crop(&[&file(150), &file(150)], "1");
    assert_eq!(
        (twice["checkpoints"].as_u64(), &twice["top1_error"]),
        (Some(2), &last["top1_error"])
    );
    assert!(
        (number(&twice, "loss") - number(&last, "loss")).abs() < 1e-6,
        "{twice} {last}"
    );
    // The mean of two likelihoods: its loss is below the mean of the two losses.
    let (first, both) = (
        test_crop(&[&file(50)], "1"),
        test_crop(&[&file(50), &file(150)], "1"),
    );
    let losses = [&first, &last, &both].map(|result| number(result, "loss"));
    assert!(losses[2] < (losses[0] + losses[1]) / 2.0, "{losses:?}");
}

#[test]
fn features_have_a_row_for_each_image() {
    let out = at("features.safetensors");
    let val = at("sets/val");
    let options = [
        "--data", &val, "--layer", "fc3", "--out", &out, "--batch", "32",
    ];
    host(
        ["features", "--checkpoint", &at("run")]
            .iter()
            .chain(&options),
    )
    .ok();
    let file = bytes(&out);
    let images = pack(["info", &val, "--json"]).ok().json()["images"]
        .as_u64()
        .expect("a number") as usize;
    let expected = [
        ("features".to_owned(), (Dtype::F32, vec![images, 64])),
        ("labels".to_owned(), (Dtype::I64, vec![images])),
    ];
    assert_eq!(shapes(&file), expected.into());
    let tensors = SafeTensors::deserialize(&file).expect("a safetensors file");
    let labels = tensors
        .tensor("labels")
        .expect("labels")
        .data()
        .as_chunks()
        .0;
    for (index, &label) in labels.iter().enumerate() {
        let image = pack(["inspect", &val, "--index", &index.to_string(), "--json"])
            .ok()
            .json();
        assert_eq!(
            image["label"].as_i64(),
            Some(i64::from_le_bytes(label)),
            "{image}"
        );
        if index == 10 {
            break;
        }
    }
    // After ReLU, and images of different classes differ.
    let features = floats(&file, "features");
    assert!(features.iter().all(|&x| x >= 0.0) && features.iter().any(|&x| x > 0.0));
    assert_ne!(features[..64], features[64..128]);
    // Batches of another size change nothing.
    let again = at("features-64.safetensors");
    let options = [
        "--data", &val, "--layer", "fc3", "--out", &again, "--batch", "64",
    ];
    host(
        ["features", "--checkpoint", &at("run")]
            .iter()
            .chain(&options),
    )
    .ok();
    assert!(bytes(&again) == file);
    let options = [
        "--data",
        &val,
        "--layer",
        "fc9",
        "--out",
        &at("none.safetensors"),
    ];
    host(
        ["features", "--checkpoint", &at("run")]
            .iter()
            .chain(&options),
    )
    .fails(&["fc9", "fc3"]);
}

#[test]
fn an_exported_network_gives_the_same_results() {
    let file = at("export.safetensors");
    host(["export", "--checkpoint", &at("run"), "--out", &file]).ok();
    // 32 maps of 13 × 13 … fc3 reads 32 maps of 3 × 3 in C, H, W order.
    let expected = [
        ("conv1.weight", vec![32, 3, 7, 7]),
        ("conv1.bias", vec![32]),
        ("conv2.weight", vec![32, 32, 3, 3]),
        ("conv2.bias", vec![32]),
        ("fc3.weight", vec![64, 32 * 3 * 3]),
        ("fc3.bias", vec![64]),
        ("fc4.weight", vec![CLASSES, 64]),
        ("fc4.bias", vec![CLASSES]),
    ];
    let expected = expected.map(|(name, shape)| (name.to_owned(), (Dtype::F32, shape)));
    assert_eq!(shapes(&bytes(&file)), expected.into());
    // A step too small to change a weight: the test sees the imported network.
    for (from, out) in [
        (file, "imported"),
        (at("run/checkpoints/step-0000150.safetensors"), "copied"),
    ] {
        let options = [
            "--init-from",
            &from,
            "--steps",
            "1",
            "--lr",
            "1e-30",
            "--set",
            "train.decay=0",
        ];
        run(&mut train_tiny(TRAINED.path(), out, &options)).ok();
        assert_eq!(test_crop(&[&at(out)], "10"), test_crop(&[&at("run")], "10"));
    }
}

/// The names and shapes that PyTorch's grouped convolutions have, at the width that 0.1 comes to.
#[test]
fn the_papers_network_is_exported_as_pytorch_names_it() {
    let dir = common::sets(3, 12, 256);
    let [data, out, file] =
        ["sets/train", "run", "export.safetensors"].map(|name| path(dir.path(), name));
    let options = ["--width", "0.1", "--batch", "32", "--steps", "1"];
    host(
        ["train", "--data", &data, "--out", &out]
            .iter()
            .chain(&options),
    )
    .ok();
    host(["export", "--checkpoint", &out, "--out", &file]).ok();
    let shapes = shapes(&bytes(&file));
    let outputs = |name: &str| shapes[&format!("{name}.bias")].1[0];
    let [c1, c2, c3, c4, c5] = ["conv1", "conv2", "conv3", "conv4", "conv5"].map(outputs);
    let [f6, f7] = ["fc6", "fc7"].map(outputs);
    let expected = [
        ("conv1", vec![c1, 3, 11, 11]),
        ("conv2", vec![c2, c1 / 2, 5, 5]),
        ("conv3", vec![c3, c2, 3, 3]),
        ("conv4", vec![c4, c3 / 2, 3, 3]),
        ("conv5", vec![c5, c4 / 2, 3, 3]),
        ("fc6", vec![f6, c5 * 36]),
        ("fc7", vec![f7, f6]),
        ("fc8", vec![3, f7]),
    ];
    assert_eq!(shapes.len(), 16);
    for (name, shape) in expected {
        assert_eq!(
            shapes[&format!("{name}.weight")],
            (Dtype::F32, shape),
            "{name}"
        );
    }
    let picture = path(dir.path(), "filters.png");
    host(["filters", "--checkpoint", &out, "--out", &picture]).ok();
    assert!(image::open(&picture).expect("a picture").width() >= 11);
}
