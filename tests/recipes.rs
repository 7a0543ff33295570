//! How a network learns, layer by layer: from files, until and from an epoch, and changed when a run goes on.

mod common;

use std::fs;
use std::path::Path;
use std::sync::LazyLock;

use common::{Folder, checkpoint, host, metrics, path, run, train_tiny};
use serde_json::json;

/// An epoch of its training set is two steps of the tiny net.
static DATA: LazyLock<Folder> = LazyLock::new(|| common::sets(4, 20, 64));

/// A run's `config.toml`.
fn config(run: &str) -> toml::Table {
    let text = fs::read_to_string(DATA.path().join(run).join("config.toml"));
    text.expect("config.toml").parse().expect("TOML")
}

fn go(out: &str, options: &[&str]) -> common::Done {
    run(&mut train_tiny(DATA.path(), out, options))
}

/// An exported tensor of a step of a run.
fn tensor(run: &str, step: u64, name: &str) -> Vec<u8> {
    let from = checkpoint(&DATA.path().join(run), step);
    let to = path(DATA.path(), &format!("{run}-{step}.safetensors"));
    let from = from.to_str().expect("UTF-8");
    host(["export", "--checkpoint", from, "--out", &to]).ok();
    let bytes = common::bytes(to);
    let file = safetensors::SafeTensors::deserialize(&bytes).expect("safetensors");
    file.tensor(name).expect("the tensor").data().to_vec()
}

#[test]
fn a_recipe_is_a_file_and_options_have_the_last_word() {
    let recipe = path(DATA.path(), "recipe.toml");
    let text = "[train]\nlr = 0.25\nmomentum = 0.5\n[convolution]\nrates.biases = 2\n";
    fs::write(&recipe, text).expect("written");
    let options = ["--recipe", &recipe, "--lr", "0.001", "--steps", "1"];
    go("filed", &options).ok();
    let net = &config("filed")["net"];
    assert_eq!(net["train"]["lr"].as_float(), Some(0.001));
    assert_eq!(net["train"]["momentum"].as_float(), Some(0.5));
    assert_eq!(net["layer"][0]["rates"]["biases"].as_integer(), Some(2));
    go("wrong", &["--recipe", "none", "--steps", "1"]).fails(&["none: ", "krizhevsky-145"]);
    fs::write(&recipe, "[conv7]\nrates = 2\n").expect("written");
    go("wrong", &["--recipe", &recipe, "--steps", "1"]).fails(&["recipe.toml: ", "conv7"]);
    assert!(!DATA.path().join("wrong").exists());
}

#[test]
fn a_layer_is_frozen_from_its_epoch_on_and_biases_have_a_schedule_of_their_own() {
    let options = [
        "--set",
        "conv1.frozen={ from = 1 }",
        "--set",
        "train.schedule=step:1",
        "--set",
        "train.factor=1e-30",
        "--set",
        "fc3.schedule={ biases = \"constant\" }",
        // Beside this, a rate of next to nothing is nothing.
        "--set",
        "fc3.bias=0.1",
        "--epochs",
        "2",
        "--checkpoint-every",
        "1",
    ];
    go("thaw", &options).ok();
    let moves = |name: &str, from| tensor("thaw", from, name) != tensor("thaw", from + 1, name);
    // Momentum goes on moving what no rate does, but not what is frozen.
    for (name, first, second) in [
        ("conv1.weight", true, false),
        ("conv1.bias", true, false),
        ("conv2.weight", true, true),
        ("fc3.bias", true, true),
    ] {
        assert_eq!((moves(name, 1), moves(name, 2)), (first, second), "{name}");
    }
    let still = [&options[..], &["--set", "train.momentum=0"]].concat();
    go("still", &still).ok();
    let moves = |name: &str| tensor("still", 2, name) != tensor("still", 3, name);
    let seen = ["conv2.weight", "conv2.bias", "fc3.weight", "fc3.bias"].map(moves);
    assert_eq!(seen, [false, false, false, true]);
}

#[test]
fn what_is_changed_when_a_run_goes_on_is_logged_and_kept() {
    let steps = |n| ["--resume", "--seed", "3", "--steps", n];
    go("changed", &steps("2")).ok();
    assert!(config("changed").get("changes").is_none());
    let sets = ["--lr", "0.002", "--set", "conv1.frozen={ from = 3 }"];
    let told = go("changed", &[&steps("4")[..], &sets].concat()).ok();
    assert!(
        told.err
            .contains("from step 3 on train.lr is 0.002; it was 0.01"),
        "{}",
        told.err
    );
    go("changed", &steps("5")).ok();
    go(
        "changed",
        &[&steps("6")[..], &["--set", "train.momentum=0.5"]].concat(),
    )
    .ok();

    let changes = config("changed")["changes"].clone();
    let changes = serde_json::to_value(changes).expect("JSON");
    let expected = json!([
        { "step": 2, "key": "conv1.frozen.from", "now": 3 },
        { "step": 2, "key": "train.lr", "was": 0.01, "now": 0.002 },
        { "step": 5, "key": "train.momentum", "was": 0.9, "now": 0.5 },
    ]);
    assert_eq!(changes, expected);
    let lines = metrics(&DATA.path().join("changed"));
    let logged: Vec<_> = lines.iter().map(|line| line["changes"].clone()).collect();
    let none = serde_json::Value::Null;
    let third = json!({ "conv1.frozen.from": 3, "train.lr": 0.002 });
    let sixth = json!({ "train.momentum": 0.5 });
    assert_eq!(
        logged,
        [none.clone(), none.clone(), third, none.clone(), none, sixth]
    );
    assert_eq!(lines[2]["lr"], 0.002);
}

/// What a step does that is stopped before its checkpoint never was.
#[test]
fn a_change_that_no_checkpoint_has_is_forgotten() {
    let out = DATA.path().join("lost");
    go("lost", &["--steps", "2"]).ok();
    let kept = fs::read(out.join("checkpoints/latest")).expect("latest");
    go("lost", &["--resume", "--steps", "3", "--lr", "0.5"]).ok();
    // As if it had been killed in the third step.
    fs::write(out.join("checkpoints/latest"), kept).expect("written");
    fs::remove_file(checkpoint(&out, 3)).expect("removed");
    go("lost", &["--resume", "--steps", "3"]).ok();
    assert!(config("lost").get("changes").is_none());
    let lines = metrics(Path::new(&out));
    assert_eq!((lines.len(), &lines[2]["lr"]), (3, &json!(0.01)));
    assert!(lines.iter().all(|line| line.get("changes").is_none()));
}

/// It judges what `host train` would see, so it trains on the same images.
#[test]
fn diagnose_takes_colour_noise_in_as_many_epochs_as_training_does() {
    let data = path(DATA.path(), "sets/train");
    let loss = |set: &str| {
        let net = common::tiny();
        let train = ["--steps", "3", "--set", set];
        let out = format!("colours-{}", set.len());
        go(&out, &train).ok();
        let lines = metrics(&DATA.path().join(&out));
        let given = ["--data", &data, "--net", &net];
        let diagnose = [&["diagnose", "--json"], &given[..], &train].concat();
        assert_eq!(
            host(diagnose).ok().json()["loss"],
            lines[2]["loss"],
            "{set}"
        );
        lines[2]["loss"].clone()
    };
    assert_ne!(
        loss("train.colour-epochs=0"),
        loss("train.colour-epochs=90")
    );
}
