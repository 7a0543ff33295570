//! Bad input of every kind: one line that names the file and the cause, exit status 1, and nothing half-written. Wrong
//! usage: exit status 2.

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use common::{
    Done, Folder, bytes, checkpoint, files, host, metrics, pack, path, program, run, train_tiny,
};

/// Data of three classes and a run of one step, `run`. Tests write only under names of their own.
static DATA: LazyLock<Folder> = LazyLock::new(|| {
    let dir = common::sets(3, 16, 64);
    run(&mut train_tiny(dir.path(), "run", &["--steps", "1"])).ok();
    dir
});

fn at(name: &str) -> String {
    path(DATA.path(), name)
}

/// Tries to train with these options into a run directory that must not come to be.
fn train(options: &[&str]) -> Done {
    let out = tempfile::tempdir().expect("a temporary folder");
    let out = path(out.path(), "out");
    let done = host(
        [
            "train",
            "--net",
            &common::tiny(),
            "--out",
            &out,
            "--steps",
            "1",
        ]
        .iter()
        .chain(options),
    );
    assert!(
        !Path::new(&out).exists(),
        "{options:?} left {:?}",
        files(Path::new(&out))
    );
    done
}

fn test_crop(checkpoint: &str, data: &str) -> Done {
    host([
        "test-crop",
        "--checkpoint",
        checkpoint,
        "--data",
        data,
        "--crops",
        "1",
        "--batch",
        "32",
    ])
}

/// A copy of the training set under this name, and its first shard.
fn copy_of_set(name: &str) -> (String, PathBuf) {
    let (from, to) = (at("sets/train"), at(name));
    fs::create_dir(&to).expect("made");
    for file in files(Path::new(&from)) {
        fs::copy(path(Path::new(&from), &file), path(Path::new(&to), &file)).expect("copied");
    }
    let shard = Path::new(&to).join("shard-00000.bin");
    (to, shard)
}

#[test]
fn a_folder_without_a_set_is_named() {
    let (missing, empty) = (at("missing"), at("empty"));
    fs::create_dir(&empty).expect("made");
    for folder in [&missing, &empty, &at("drawn")] {
        train(&["--data", folder]).fails(&[folder]);
        test_crop(&at("run"), folder).fails(&[folder]);
        train(&["--data", &at("sets/train"), "--val", folder]).fails(&[folder]);
    }
    let out = at("packed");
    for source in [&missing, &empty] {
        pack(["build", "--source", source, "--out", &out]).fails(&[source]);
        assert!(!Path::new(&out).join("index.json").exists());
    }
}

#[test]
fn bad_images_are_reported_and_left_out() {
    let (source, out) = (at("photos"), at("photos-packed"));
    for class in ["a", "b"] {
        let drawn = files(Path::new(&at("drawn")));
        let from = DATA.path().join("drawn").join(&drawn[0]);
        let to = Path::new(&source).join(class);
        fs::create_dir_all(&to).expect("made");
        for name in files(&from).iter().take(4) {
            fs::copy(from.join(name), to.join(name)).expect("copied");
        }
    }
    fs::write(Path::new(&source).join("a/empty.jpg"), "").expect("written");
    fs::write(
        Path::new(&source).join("b/garbage.png"),
        "\u{89}PNG but then not",
    )
    .expect("written");
    let build = [
        "build", "--source", &source, "--out", &out, "--size", "64", "--json",
    ];
    let strict = [&build[..], &["--max-bad", "0"]].concat();
    pack(&strict).fails(&["report.jsonl", "cannot be packed"]);
    assert!(!Path::new(&out).join("index.json").exists());
    let done = pack(build).ok();
    assert!(
        done.err.contains("a/empty.jpg") && done.err.contains("b/garbage.png"),
        "{}",
        done.err
    );
    let report = String::from_utf8(bytes(Path::new(&out).join("report.jsonl"))).expect("UTF-8");
    assert!(
        report.contains("a/empty.jpg") && report.contains("b/garbage.png"),
        "{report}"
    );
    assert_eq!(pack(["info", &out, "--json"]).ok().json()["images"], 8);
    let options = ["--net", &common::tiny(), "--steps", "1"];
    let run = ["train", "--data", &out, "--out", &at("photos-run")];
    host(run.iter().chain(&options)).ok();
}

#[test]
fn a_damaged_shard_is_named() {
    let whole = bytes(DATA.path().join("sets/train/shard-00000.bin"));
    let foreign = bytes(DATA.path().join("sets/val/shard-00000.bin"));
    let mut pixel = whole.clone();
    pixel[4096 + 64 * 64 * 3 + 5] ^= 0x10;
    let cases: [(&str, Vec<u8>, &str); 6] = [
        (
            "cut-short",
            whole[..whole.len() - 1000].to_vec(),
            "cut short",
        ),
        ("only-a-header", whole[..4096].to_vec(), "cut short"),
        ("empty-shard", Vec::new(), "cut short"),
        ("text", b"this is not a shard".repeat(4000), "not a shard"),
        ("foreign", foreign, "another set"),
        ("one-pixel", pixel, "checksum"),
    ];
    for (name, content, cause) in cases {
        let (set, shard) = copy_of_set(name);
        fs::write(&shard, content).expect("written");
        let shard = shard.to_str().expect("UTF-8");
        pack(["verify", &set]).fails_somehow();
        test_crop(&at("run"), &set).fails(&[shard, cause]);
        // A whole epoch, so that the pixel is met.
        let out = format!("{name}-run");
        let options = [
            "--data",
            &set,
            "--out",
            &at(&out),
            "--net",
            &common::tiny(),
            "--epochs",
            "1",
        ];
        host(["train"].iter().chain(&options)).fails(&[shard, cause]);
        assert!(!DATA.path().join(out).join("checkpoints/latest").exists());
    }
    let (set, shard) = copy_of_set("no-shard");
    fs::remove_file(&shard).expect("removed");
    train(&["--data", &set]).fails(&[shard.to_str().expect("UTF-8")]);
}

impl Done {
    /// `verify` says what is wrong on standard output.
    #[track_caller]
    fn fails_somehow(self) {
        assert_eq!(self.code, Some(1), "{}{}", self.out, self.err);
        assert!(self.out.contains("shard-00000.bin") || self.err.contains("shard-00000.bin"));
    }
}

#[test]
fn a_set_that_does_not_fit_the_network_is_named() {
    let other = tempfile::tempdir().expect("a temporary folder");
    let [drawn, small, more] = ["drawn", "small", "more"].map(|name| path(other.path(), name));
    pack([
        "synth",
        "--out",
        &drawn,
        "--classes",
        "4",
        "--per-class",
        "4",
    ])
    .ok();
    pack([
        "build",
        "--source",
        &at("drawn"),
        "--out",
        &small,
        "--size",
        "48",
    ])
    .ok();
    pack(["build", "--source", &drawn, "--out", &more, "--size", "64"]).ok();
    let (train_set, val_set) = (at("sets/train"), at("sets/val"));
    train(&["--data", &small]).fails(&[&small, "48×48", "64×64"]);
    train(&["--data", &train_set, "--val", &small]).fails(&[&small, "48×48"]);
    train(&["--data", &train_set, "--val", &more]).fails(&[&more, "classes"]);
    train(&["--data", &val_set]).fails(&[&val_set, "mean"]);
    test_crop(&at("run"), &small).fails(&["48×48"]);
    test_crop(&at("run"), &more).fails(&[&more, "classes", "step-0000001.safetensors"]);
    // The same number of classes, but others.
    let renamed = path(other.path(), "renamed");
    for (class, name) in files(Path::new(&at("drawn"))).iter().zip(["x", "y", "z"]) {
        let (from, to) = (
            DATA.path().join("drawn").join(class),
            Path::new(&renamed).join(name),
        );
        fs::create_dir_all(&to).expect("made");
        for file in files(&from) {
            fs::copy(from.join(&file), to.join(&file)).expect("copied");
        }
    }
    let set = path(other.path(), "renamed-set");
    pack(["build", "--source", &renamed, "--out", &set, "--size", "64"]).ok();
    test_crop(&at("run"), &set).fails(&[&set, "classes"]);
    let options = [
        "--data",
        &set,
        "--out",
        &at("run"),
        "--resume",
        "--steps",
        "2",
    ];
    host(["train"].iter().chain(&options)).fails(&[&set, "classes"]);
}

#[test]
fn a_checkpoint_that_is_none_or_of_another_network_is_named() {
    let (data, good) = (at("sets/train"), checkpoint(&DATA.path().join("run"), 1));
    let whole = bytes(&good);
    let (cut, text, empty) = (
        at("cut.safetensors"),
        at("text.safetensors"),
        at("empty.safetensors"),
    );
    fs::write(&cut, &whole[..whole.len() / 2]).expect("written");
    fs::write(&text, "no tensors here").expect("written");
    fs::write(&empty, "").expect("written");
    for file in [&cut, &text, &empty, &at("none.safetensors")] {
        test_crop(file, &data).fails(&[file]);
        train(&["--data", &data, "--init-from", file]).fails(&[file]);
        host(["filters", "--checkpoint", file, "--out", &at("f.png")]).fails(&[file]);
    }
    let export = at("exported.safetensors");
    host(["export", "--checkpoint", &at("run"), "--out", &export]).ok();
    test_crop(&export, &data).fails(&[&export, "not a checkpoint"]);
    let good = good.to_str().expect("UTF-8");
    for file in [good, &export] {
        train(&[
            "--data",
            &data,
            "--init-from",
            file,
            "--set",
            "fc3.units=96",
        ])
        .fails(&[file, "fc3", "expected F32"]);
    }
    // Of another kind of network there is nothing to begin with.
    let other = at("other.toml");
    let text = fs::read_to_string(common::tiny()).expect("readable");
    let renamed = text.replace("name = \"", "name = \"new-");
    fs::write(&other, renamed).expect("written");
    let options = ["--data", &data, "--init-from", good, "--net", &other];
    let out = at("never");
    let more = ["--out", &out, "--steps", "1"];
    host(["train"].iter().chain(&options).chain(&more)).fails(&[good, "none of its layers"]);
    test_crop(&at("sets"), &data).fails(&[&at("sets"), "no checkpoint"]);
}

#[test]
fn wrong_places_are_told() {
    let data = at("sets/train");
    for (gpus, words) in [
        ("7", &["--gpus", "GPU 7"][..]),
        ("0,1", &["--gpus", "GPU 0"]),
        ("cpu,7", &["--gpus", "GPU 7"]),
        ("cpu,cpu,cpu", &["--gpus", "3 places for 2 towers"]),
    ] {
        train(&["--data", &data, "--gpus", gpus]).fails(words);
        let options = ["--data", &data, "--gpus", gpus];
        host(
            ["test-crop", "--checkpoint", &at("run")]
                .iter()
                .chain(&options),
        )
        .fails(words);
    }
    for gpus in ["x", "", "cpu,", "0,-1"] {
        wrong_usage(&["train", "--data", &data, "--out", "o", "--gpus", gpus]);
    }
    for threads in ["0", "-1", "many"] {
        wrong_usage(&["train", "--data", &data, "--out", "o", "--threads", threads]);
    }
    let asked = run(program("host").arg("doctor").env("ALEXNET_CPU", "avx1024"));
    asked.fails(&["ALEXNET_CPU=avx1024", "baseline", "avx2", "avx512"]);
}

#[test]
fn wrong_numbers_are_told() {
    let data = at("sets/train");
    for (options, words) in [
        (["--batch", "48"], &["48", "32"][..]),
        (["--batch", "0"], &["batch"]),
        (["--lr", "0"], &["lr"]),
        (["--lr", "nan"], &["lr"]),
        (["--dropout", "1"], &["p must be"]),
        (["--width", "0"], &["width"]),
        (["--set", "conv9.bias=1"], &["conv9"]),
        (["--set", "conv1.colour=1"], &["colour"]),
        (["--set", "conv1"], &["conv1"]),
    ] {
        train(&[&["--data", &data][..], &options].concat()).fails(words);
    }
    let [missing, broken] = [at("missing.toml"), at("broken.toml")];
    fs::write(&broken, "towers = [").expect("written");
    for net in [&missing, &broken, "papre"] {
        host([
            "train",
            "--data",
            &data,
            "--out",
            &at("never"),
            "--net",
            net,
        ])
        .fails(&[net]);
    }
    test_crop_batch("33");
    test_crop_batch("0");
    assert!(!DATA.path().join("never").exists());
}

fn test_crop_batch(batch: &str) {
    let options = ["--data", &at("sets/val"), "--batch", batch];
    host(
        ["test-crop", "--checkpoint", &at("run")]
            .iter()
            .chain(&options),
    )
    .fails(&["batch", "32"]);
}

#[test]
fn a_run_is_neither_overwritten_nor_resumed_as_another() {
    let (folder, options) = (DATA.path(), ["--steps", "2"]);
    let before = bytes(folder.join("run/metrics.jsonl"));
    run(&mut train_tiny(folder, "run", &options)).fails(&[&at("run"), "--resume"]);
    let resume = ["--resume", "--steps", "2"];
    for (options, words) in [
        (["--width", "0.5"], ["--width 0.5", "1"]),
        (["--seed", "9"], ["--seed 9", "0"]),
        (["--augment", "crop"], ["--augment crop", "paper"]),
        (
            ["--order", "sequential"],
            ["--order sequential", "shuffled"],
        ),
    ] {
        run(&mut train_tiny(
            folder,
            "run",
            &[&resume[..], &options].concat(),
        ))
        .fails(&words);
    }
    let options = [
        "--data",
        &at("sets/train"),
        "--out",
        &at("run"),
        "--net",
        "one-gpu",
    ];
    host(["train"].iter().chain(&resume).chain(&options)).fails(&["--net one-gpu", "tiny"]);
    // A default that is given is no less refused, and what is not given is the run's.
    let narrow = ["--width", "0.5", "--seed", "3", "--steps", "1"];
    run(&mut train_tiny(folder, "narrow", &narrow)).ok();
    let go_on = |options: &[&str]| {
        let places = ["--data", &at("sets/train"), "--out", &at("narrow")];
        host(
            ["train"]
                .iter()
                .chain(&places)
                .chain(&resume)
                .chain(options),
        )
    };
    for (options, words) in [
        (["--net", "paper"], ["--net paper", "net tiny"]),
        (["--width", "1"], ["--width 1", "0.5"]),
        (["--seed", "0"], ["--seed 0", "3"]),
    ] {
        go_on(&options).fails(&words);
    }
    assert_eq!(metrics(&folder.join("narrow")).len(), 1);
    go_on(&[]).ok();
    let config = fs::read_to_string(folder.join("narrow/config.toml")).expect("read");
    for line in ["width = 0.5", "seed = 3", "augment = \"paper\""] {
        assert!(config.lines().any(|other| other == line), "{config}");
    }
    // The checkpoint that `latest` names is gone, or cut short.
    for (name, damage) in [("gone", None), ("short", Some(100))] {
        run(&mut train_tiny(folder, name, &["--steps", "1"])).ok();
        let file = checkpoint(&folder.join(name), 1);
        match damage {
            None => fs::remove_file(&file).expect("removed"),
            Some(length) => fs::write(&file, &bytes(&file)[..length]).expect("written"),
        }
        run(&mut train_tiny(folder, name, &resume)).fails(&["step-0000001.safetensors", name]);
    }
    assert_eq!(bytes(folder.join("run/metrics.jsonl")), before);
}

#[test]
fn an_out_that_cannot_be_written_is_named() {
    let (file, data) = (at("a-file"), at("sets/train"));
    fs::write(&file, "in the way").expect("written");
    let out = format!("{file}/run");
    let options = [
        "--data",
        &data,
        "--out",
        &out,
        "--steps",
        "1",
        "--net",
        &common::tiny(),
    ];
    host(["train"].iter().chain(&options)).fails(&[&out]);
    let out = at("nowhere/out");
    host(["export", "--checkpoint", &at("run"), "--out", &out]).fails(&[&out, "cannot write"]);
    host(["filters", "--checkpoint", &at("run"), "--out", &out]).fails(&[&out, "cannot write"]);
    let options = [
        "--data", &data, "--layer", "fc3", "--out", &out, "--batch", "32",
    ];
    host(
        ["features", "--checkpoint", &at("run")]
            .iter()
            .chain(&options),
    )
    .fails(&[&out, "cannot write"]);
}

/// Exit status 2, and nothing on standard output.
#[track_caller]
fn wrong_usage(arguments: &[&str]) {
    let done = host(arguments);
    assert_eq!(
        (done.code, done.out.as_str()),
        (Some(2), ""),
        "{arguments:?}: {}",
        done.err
    );
}

#[test]
fn wrong_usage_exits_with_2() {
    let train = ["train", "--data", "d", "--out", "o"];
    wrong_usage(&[]);
    wrong_usage(&["fly"]);
    wrong_usage(&train[..3]);
    for options in [
        &["--steps", "0"][..],
        &["--steps", "3", "--epochs", "1"],
        &["--augment", "all"],
        &["--schedule", "often"],
        &["--checkpoint-every", "0"],
        &["--keep", "0"],
        &["stray"],
    ] {
        wrong_usage(&[&train[..], options].concat());
    }
    wrong_usage(&[
        "test-crop",
        "--checkpoint",
        "c",
        "--data",
        "d",
        "--crops",
        "5",
    ]);
    assert_eq!(pack(["build", "--source", "s"]).code, Some(2));
    assert_eq!(host(["--help"]).code, Some(0));
}

#[test]
fn quiet_leaves_errors_and_results() {
    let result = |quiet: &[&str]| {
        let train = ["--steps", "2", "--resume"];
        let mut command = train_tiny(DATA.path(), "quiet", &[&train[..], quiet].concat());
        run(&mut command).ok()
    };
    let loud = result(&[]);
    assert!(!loud.err.is_empty());
    let quiet = result(&["--quiet"]);
    assert_eq!(quiet.err, "");
    assert!(quiet.out.contains("checkpoints"), "{}", quiet.out);
    host([
        "test-crop",
        "--quiet",
        "--checkpoint",
        "missing",
        "--data",
        "missing",
    ])
    .fails(&["missing"]);
    let set = at("sets/train");
    assert_eq!(pack(["--quiet", "verify", &set]).ok().err, "");
}

#[test]
fn weights_of_another_kind_or_network() {
    let from = at("weights.txt");
    fs::write(&from, "no weights").expect("written");
    let out = at("imported.safetensors");
    let tiny = common::tiny();
    let import = |from: &str| host(["import", "--from", from, "--net", &tiny, "--out", &out]);
    import(&from).fails(&[&from, "not a whole safetensors file"]);
    for ending in ["npz", "pth", "caffemodel"] {
        let from = at(&format!("weights.{ending}"));
        fs::write(&from, "no weights").expect("written");
        import(&from).fails(&[&from, "not a"]);
        import(&at(&format!("missing.{ending}"))).fails(&["missing", "No such file"]);
    }
    // A checkpoint is none: its towers are apart.
    let latest = checkpoint(&DATA.path().join("run"), 1);
    let latest = latest.to_str().expect("UTF-8");
    import(latest).fails(&["tensor fc4.bias is missing"]);
    let export = at("weights.npz2");
    let done = host(["export", "--checkpoint", &at("run"), "--out", &export]);
    assert_eq!(done.code, Some(2), "{}", done.err);
    assert!(!Path::new(&out).exists() && !Path::new(&export).exists());
}
