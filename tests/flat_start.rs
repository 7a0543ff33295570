//! A run whose loss does not move is told so, and `host diagnose` names the layer where the signal dies.

mod common;

use std::sync::LazyLock;

use common::{Folder, host, metrics, path, run, tiny, train_tiny};

static DATA: LazyLock<Folder> = LazyLock::new(|| common::sets(4, 24, 64));

/// conv2 gives its bias, whatever the image, and hardly learns.
const DEAF: [&str; 6] = [
    "--set",
    "conv2.sigma=1e-6",
    "--set",
    "conv2.bias=1",
    "--set",
    "train.lr=1e-8",
];

#[test]
fn a_flat_start_is_said_once_and_a_good_one_is_not() {
    let steps = ["--steps", "230", "--checkpoint-every", "500"];
    let flat = run(train_tiny(DATA.path(), "flat", &steps).args(DEAF)).ok();
    let said = flat.err.lines().filter(|line| line.contains("flat start"));
    let said: Vec<&str> = said.collect();
    assert_eq!(said.len(), 1, "{}", flat.err);
    for word in [
        "after 200 steps",
        "1.386",
        "--set conv2.bias=0.1",
        "host diagnose",
    ] {
        assert!(said[0].contains(word), "{word}: {}", said[0]);
    }
    let good = run(&mut train_tiny(DATA.path(), "good", &steps)).ok();
    assert!(!good.err.contains("flat start"), "{}", good.err);
}

#[test]
fn diagnose_names_the_layer_where_the_signal_dies() {
    let diagnose = |options: &[&str]| {
        let data = path(DATA.path(), "sets/train");
        let mut arguments = vec!["diagnose", "--data", &data, "--net"];
        let net = tiny();
        arguments.extend([net.as_str(), "--steps", "2"]);
        host(arguments.iter().chain(options)).ok()
    };
    let deaf = diagnose(&[&DEAF[..], &["--json"]].concat()).json();
    assert_eq!(
        (&deaf["dies_in"], &deaf["loses_most"]),
        (&"conv2".into(), &"conv2".into())
    );
    let good = diagnose(&["--json"]).json();
    assert_eq!(good["dies_in"], serde_json::Value::Null, "{good}");
    let layers = good["layers"].as_array().expect("layers");
    let names: Vec<_> = layers
        .iter()
        .map(|l| l["layer"].as_str().unwrap())
        .collect();
    assert_eq!(
        names,
        ["conv1", "lrn1", "pool1", "conv2", "pool2", "fc3", "fc4"]
    );
    for layer in layers.iter().filter(|layer| layer["weight"].is_number()) {
        let of = |key: &str| layer[key].as_f64().expect("a number");
        let ratio = of("update") / of("weight");
        assert!((of("update_ratio") - ratio).abs() <= 1e-12 * ratio);
        assert!(of("gradient") > 0.0 && of("signal") > 0.05, "{layer}");
    }
    assert!(diagnose(&[]).out.contains("the signal reaches the end"));
}

#[test]
fn norms_stand_in_the_metrics_when_they_are_asked_for() {
    let options = ["--steps", "4", "--norms-every", "2"];
    run(&mut train_tiny(DATA.path(), "norms", &options)).ok();
    for line in metrics(&DATA.path().join("norms")) {
        let layers = line["layers"].as_object();
        let names = layers.map(|layers| layers.keys().cloned().collect::<Vec<_>>());
        match line["step"].as_u64().expect("a step") % 2 {
            0 => assert_eq!(names.expect("norms"), ["conv1", "conv2", "fc3", "fc4"]),
            _ => assert_eq!(names, None),
        }
    }
}
