use anyhow::{Context, Result};

use super::*;
use crate::net::layer::convolution::{Algorithm, Convolution};
use crate::net::layer::dropout::Dropout;
use crate::net::layer::lrn::Lrn;

const TINY: &str = r#"
name = "tiny"
towers = 2
[input]
size = 16
crop = 8
[[layer]]
name = "conv1"
kind = "convolution"
maps = 32
kernel = 3
[[layer]]
name = "norm"
kind = "lrn"
k = 2
n = 5
alpha = 1e-4
beta = 0.75
[[layer]]
name = "drop"
kind = "dropout"
p = 0.5
[[layer]]
name = "fc2"
kind = "fully-connected"
units = "classes"
[[layer]]
name = "softmax"
kind = "softmax"
"#;

fn set(sets: &[&str]) -> Result<Spec> {
    sets.iter().try_fold(Spec::parse(TINY)?, |spec, set| {
        spec.with(set).with_context(|| format!("--set {set}"))
    })
}

fn convolution(spec: &Spec) -> &Convolution {
    match &spec.layers[0].kind {
        Kind::Convolution(c) => c,
        other => panic!("{other:?}"),
    }
}

/// The error of a network file with this text, through a real file.
fn error_of(text: &str) -> String {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("net.toml");
    std::fs::write(&path, text).unwrap();
    let error = format!("{:#}", Spec::load(path.to_str().unwrap(), &[]).unwrap_err());
    assert!(
        error.contains("net.toml: ") && !error.contains('\n'),
        "{error}"
    );
    error
}

#[test]
fn presets_are_read_and_say_their_own_names() {
    for (name, text) in PRESETS {
        let spec = Spec::load(name, &[]).unwrap();
        assert_eq!(spec.name, *name);
        let summary = text.lines().next().unwrap();
        assert!(
            summary.starts_with("# ") && summary.ends_with(['.', ')']),
            "{summary}"
        );
        let batch = if *name == "caffe" { 256 } else { 128 };
        assert_eq!((spec.train.batch, spec.train.momentum), (batch, 0.9));
        if !name.starts_with("cifar") {
            let Train {
                lr,
                decay,
                epochs,
                max_reductions,
                ..
            } = spec.train;
            assert_eq!((lr, decay, epochs, max_reductions), (0.01, 0.0005, 90, 3));
        }
    }
}

#[test]
fn defaults_are_those_of_the_documentation() {
    let spec = Spec::parse(TINY).unwrap();
    let expected = Convolution {
        groups: 1,
        maps: 32,
        kernel: 3,
        stride: 1,
        pad: 0,
        rounding: Rounding::Floor,
        reads: Reads::Own,
        algorithm: Algorithm::Direct,
    };
    let course = |decay| Course {
        rate: 1.0,
        decay,
        momentum: None,
        schedule: None,
        frozen: Frozen {
            until: 0,
            from: None,
        },
    };
    let learning = Learning {
        init: Init {
            sigma: 0.01,
            bias: 0.0,
            scale_with_width: true,
        },
        weights: course(1.0),
        biases: course(0.0),
    };
    assert_eq!(spec.layers[0].learning, learning);
    assert_eq!(convolution(&spec), &expected);
    assert_eq!(spec.train, Train::default());
    assert_eq!(spec.input.channels, 3);
}

#[test]
fn overrides_reach_every_key() {
    let spec = set(&[
        "conv1.bias=0.1",
        "conv1.init.sigma = 0.03",
        "conv1.rates.biases=2",
        "conv1.rounding=ceil",
        "lrn.alpha=2e-5",
        "norm.alpha-over-n=true",
        "dropout.p=0.25",
        "fc2.reads=\"both\"",
        "train.momentum=0.8",
        "train.schedule=step:3,6",
        "input.crop=7",
        "towers=1",
    ])
    .unwrap();
    let conv = convolution(&spec);
    let learning = &spec.layers[0].learning;
    assert_eq!(
        learning.init,
        Init {
            sigma: 0.03,
            bias: 0.1,
            scale_with_width: false
        }
    );
    assert_eq!(
        (learning.weights.rate, learning.biases.rate, conv.rounding),
        (1.0, 2.0, Rounding::Ceil)
    );
    assert_eq!(
        spec.layers[1].kind,
        Kind::Lrn(Lrn {
            k: 2.0,
            n: 5,
            alpha: 2e-5,
            beta: 0.75,
            alpha_over_n: true
        })
    );
    assert_eq!(spec.layers[2].kind, Kind::Dropout(Dropout { p: 0.25 }));
    assert!(matches!(&spec.layers[3].kind, Kind::FullyConnected(f) if f.reads == Reads::Both));
    assert_eq!(
        (spec.train.momentum, &spec.train.schedule),
        (0.8, &Rule::Step(vec![3, 6]))
    );
    assert_eq!((spec.input.crop, spec.towers), (7, 1));
}

#[test]
fn written_out_it_is_the_same_network() {
    let spec = Spec::load("paper", &["conv2.bias=0.1".into(), "train.lr=0.02".into()]).unwrap();
    let again = Spec::parse(&spec.to_toml()).unwrap();
    assert_eq!(
        (&again.layers, &again.train, again.to_toml()),
        (&spec.layers, &spec.train, spec.to_toml())
    );
}

#[test]
fn weights_and_biases_learn_together_or_apart() {
    let of = |sets: &[&str]| set(sets).unwrap().layers[0].learning.clone();
    let learning = of(&["conv1.rates=2", "conv1.rates.biases=3", "conv1.frozen=true"]);
    assert_eq!((learning.weights.rate, learning.biases.rate), (2.0, 3.0));
    assert!(!learning.weights.learns() && !learning.biases.learns());
    let learning = of(&[
        "conv1.frozen={ weights = { from = 3 }, biases = { until = 2, from = 5 } }",
        "conv1.momentum.weights=0.5",
        "conv1.schedule={ biases = \"step:1\" }",
    ]);
    let frozen = |course: &Course| {
        (0..7)
            .map(|epoch| course.frozen.holds(epoch))
            .collect::<Vec<_>>()
    };
    assert_eq!(
        frozen(&learning.weights),
        [false, false, false, true, true, true, true]
    );
    assert_eq!(
        frozen(&learning.biases),
        [true, true, false, false, false, true, true]
    );
    assert!(learning.weights.learns() && learning.biases.learns());
    assert_eq!(
        (learning.weights.momentum, learning.biases.momentum),
        (Some(0.5), None)
    );
    assert_eq!(learning.biases.schedule, Some(Rule::Step(vec![1])));
    assert_eq!(learning.weights.schedule, None);
    assert!(
        !of(&["conv1.frozen={ until = 3, from = 3 }"])
            .weights
            .learns()
    );
}

/// A recipe that says this, applied to the tiny network.
fn recipe(text: &str) -> Result<Spec> {
    with_recipe(Spec::parse(TINY)?, text)
}

fn with_recipe(spec: Spec, text: &str) -> Result<Spec> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("recipe.toml");
    std::fs::write(&path, text).unwrap();
    spec.with_recipe(path.as_os_str())
}

#[test]
fn a_recipe_says_how_a_network_learns_and_leaves_the_rest() {
    let spec = recipe(
        "[train]\nlr = 0.5\n[convolution]\nrates = 3\nfrozen.from = 1\n\
         [fc2]\ndecay.biases = 1\n[conv1]\nrates.biases = 4",
    )
    .unwrap();
    let [conv, fc] = [0, 3].map(|i| &spec.layers[i].learning);
    assert_eq!((spec.train.lr, spec.train.momentum), (0.5, 0.9));
    // By its name it counts more than by its kind.
    assert_eq!((conv.weights.rate, conv.biases.rate), (3.0, 4.0));
    assert_eq!(
        (conv.weights.frozen.from, conv.biases.frozen.from),
        (Some(1), Some(1))
    );
    assert_eq!(
        (fc.weights.decay, fc.biases.decay, fc.weights.rate),
        (1.0, 1.0, 1.0)
    );
    assert_eq!(
        spec.layers[0].kind,
        Spec::parse(TINY).unwrap().layers[0].kind
    );
    // Said of both it replaces, said of one it leaves the other.
    let again = "[convolution]\nfrozen.until = 2\nrates.weights = 5";
    let spec = with_recipe(spec, again).unwrap();
    let conv = &spec.layers[0].learning;
    assert_eq!(
        (conv.weights.frozen.until, conv.weights.frozen.from),
        (2, None)
    );
    assert_eq!((conv.weights.rate, conv.biases.rate), (5.0, 4.0));
}

#[test]
fn the_recipes_are_those_of_the_paper_and_of_configuration_145() {
    let spec = |recipe: &str| {
        Spec::load("paper", &[])
            .unwrap()
            .with_recipe(recipe.as_ref())
    };
    let plain = Spec::load("paper", &[]).unwrap();
    assert_eq!(spec("paper").unwrap().train, plain.train);
    let learning = |spec: &Spec| {
        spec.layers
            .iter()
            .map(|l| l.learning.clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(learning(&spec("paper").unwrap()), learning(&plain));
    let hand = spec("krizhevsky-145").unwrap();
    assert_eq!(hand.train.schedule, Rule::Step(vec![25, 51, 79]));
    assert_eq!((hand.train.lr, hand.train.colour_epochs), (0.01, Some(67)));
    for layer in hand
        .layers
        .iter()
        .filter(|layer| layer.kind.keys().has_weights())
    {
        let Learning {
            weights, biases, ..
        } = &layer.learning;
        let from = (layer.name == "conv1").then_some(72);
        assert_eq!((weights.rate, biases.rate), (1.0, 2.0));
        assert_eq!(
            (&weights.schedule, &biases.schedule),
            (&None, &Some(Rule::Constant))
        );
        assert_eq!((weights.frozen.from, biases.frozen.from), (from, from));
    }
}

#[test]
fn wrong_recipes_get_one_line() {
    for (wrong, cause) in [
        ("lr = 0.1", "`lr` is not a table"),
        ("[train]\nrate = 1", "unknown field `rate`"),
        ("[conv9]\nrates = 1", "no layer is named or of kind `conv9`"),
        (
            "[conv1]\nmaps = 16",
            "conv1: unknown key `maps`, a recipe has rates, decay, ",
        ),
        (
            "[norm]\nrates = 1",
            "layer norm: `rates` is for layers that have weights",
        ),
        (
            "[conv1]\nrates = -1",
            "layer conv1: rates and decay must be at least 0",
        ),
        (
            "[conv1]\nmomentum = 1",
            "layer conv1: momentum must be in [0, 1), found 1",
        ),
        (
            "[conv1]\nschedule = \"plateau\"",
            "layer conv1: schedule: only the network's",
        ),
        (
            "[conv1]\nschedule = \"soon\"",
            "layer conv1: schedule: schedule `soon`: expected",
        ),
        (
            "[conv1]\nfrozen = 3",
            "layer conv1: frozen: 3: expected true, false or epochs",
        ),
        (
            "[conv1]\nfrozen.since = 3",
            "layer conv1: frozen: unknown field `since`",
        ),
        (
            "[conv1]\nrates = { biases = 1, maps = 2 }",
            "layer conv1: rates: unknown key `maps`",
        ),
        ("[conv1", "line 1: "),
    ] {
        let error = format!("{:#}", recipe(wrong).unwrap_err());
        assert!(
            error.contains("recipe.toml: ") && error.contains(cause),
            "{error}"
        );
        assert!(!error.contains('\n'), "{error}");
    }
    let error = Spec::parse(TINY)
        .unwrap()
        .with_recipe("none".as_ref())
        .unwrap_err();
    let error = format!("{error:#}");
    assert!(
        error.contains("none: ") && error.contains("one of paper, krizhevsky-145"),
        "{error}"
    );
}

#[test]
fn wrong_overrides_name_themselves() {
    for (wrong, cause) in [
        ("conv1.bias", "expected KEY=VALUE"),
        ("conv9.bias=1", "no layer is named or of kind `conv9`"),
        ("conv1.bais=1", "layer conv1: unknown field `bais`"),
        (
            "train.lr=fast",
            "invalid type: string \"fast\", expected f64",
        ),
        ("train.lr=-1", "train: lr must be positive"),
        ("conv1.maps.x=1", "`maps` has no keys of its own"),
        ("momentum=0.8", "unknown field `momentum`"),
        (
            "norm.bias=1",
            "layer norm: `init` is for layers that have weights",
        ),
        ("conv1..bias=1", "the key has an empty part"),
        ("dropout.p=1.0", "layer drop: p must be in [0, 1)"),
    ] {
        let error = format!("{:#}", set(&[wrong]).unwrap_err());
        assert!(
            error.starts_with(&format!("--set {wrong}: ")) && error.contains(cause),
            "{error}"
        );
        assert!(!error.contains('\n'), "{error}");
    }
}

#[test]
fn wrong_files_get_one_line_with_file_layer_and_cause() {
    for (from, to, cause) in [
        ("towers = 2\n", "towers = \n", "line 3: "),
        ("towers = 2\n", "", "missing field `towers`"),
        ("towers = 2\n", "towers = 0\n", "towers must be at least 1"),
        (
            "crop = 8",
            "crop = 17",
            "input: crop 17 must be between 1 and size 16",
        ),
        ("crop = 8", "crop = 8\nchannels = 1", "channels must be 3"),
        (
            "kernel = 3",
            "kernel = 3\nkernle = 3",
            "layer conv1: unknown field `kernle`",
        ),
        (
            "kernel = 3",
            "kernel = 3\nreads = \"all\"",
            "layer conv1: unknown variant `all`",
        ),
        (
            "kernel = 3",
            "kernel = 3\npad = 3",
            "layer conv1: pad 3 must be smaller than kernel 3",
        ),
        (
            "kernel = 3",
            "kernel = 0",
            "layer conv1: maps, kernel and stride must be at least 1",
        ),
        (
            "kernel = 3",
            "kernel = 3\ngroups = 0",
            "layer conv1: groups must be at least 1",
        ),
        ("kernel = 3", "", "layer conv1: missing field `kernel`"),
        ("kernel = 3", "kernel = -3", "layer conv1: invalid value"),
        ("\"lrn\"", "\"lrnn\"", "layer norm: unknown kind `lrnn`"),
        ("name = \"norm\"", "", "layer number 2: `name` is missing"),
        (
            "name = \"norm\"",
            "name = \"conv1\"",
            "layer conv1: the name is used twice",
        ),
        (
            "units = \"classes\"",
            "units = \"many\"",
            "layer fc2: units = \"many\": expected",
        ),
        (
            "kind = \"softmax\"",
            "kind = \"softmax\"\np = 1",
            "layer softmax: unknown field `p`",
        ),
    ] {
        assert!(TINY.contains(from));
        let error = error_of(&TINY.replacen(from, to, 1));
        assert!(error.contains(cause), "{error}\nshould have: {cause}");
    }
}

#[test]
fn a_missing_file_names_the_presets() {
    let error = format!("{:#}", Spec::load("papper", &[]).unwrap_err());
    assert!(
        error.contains("papper: ") && error.contains("paper, krizhevsky-145, one-gpu"),
        "{error}"
    );
}

#[test]
fn old_spellings_of_training_are_read() {
    let paper = Spec::load("paper", &[]).unwrap();
    let text = paper.to_toml();
    let old = text
        .replace("factor = 0.1", "divide = 10")
        .replace("max-reductions = 3", "times = 3");
    assert!(old.contains("divide") && old.contains("times"), "{old}");
    assert_eq!(Spec::parse(&old).unwrap().to_toml(), text);
    let train = |set: &str| Spec::load("paper", &[set.to_string()]).map(|spec| spec.train);
    assert_eq!(train("train.divide=4").unwrap().factor, 0.25);
    assert_eq!(train("train.times=1").unwrap().max_reductions, 1);
    let error = format!("{:#}", train("train.divide=0.5").unwrap_err());
    assert!(error.contains("divide must be at least 1"), "{error}");
}

fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in files {
        std::fs::write(dir.path().join(name), text).unwrap();
    }
    dir
}

#[test]
fn a_network_can_say_only_how_it_differs() {
    let mine = r#"
name = "mine"
base = "tiny.toml"
remove = ["norm"]
[train]
batch = 64
[[layer]]
name = "conv1"
init = { bias = 0.5 }
[[layer]]
name = "drop"
kind = "tanh"
[[layer]]
name = "relu1"
after = "conv1"
kind = "relu"
[[layer]]
name = "more"
before = "fc2"
kind = "relu"
"#;
    let grandchild = "name = \"third\"\nbase = \"mine.toml\"\n";
    let dir = folder(&[
        ("tiny.toml", TINY),
        ("mine.toml", mine),
        ("third.toml", grandchild),
    ]);
    let load = |name: &str| Spec::load(&dir.path().join(name), &[]).unwrap();
    let spec = load("mine.toml");
    let layers: Vec<_> = spec.layers.iter().map(|layer| &*layer.name).collect();
    assert_eq!(layers, ["conv1", "relu1", "drop", "more", "fc2", "softmax"]);
    let conv1 = convolution(&spec);
    assert_eq!(
        (conv1.maps, conv1.kernel, spec.layers[0].learning.init.bias),
        (32, 3, 0.5)
    );
    assert!(matches!(spec.layers[2].kind, Kind::Tanh(_)));
    assert_eq!(
        (spec.name.as_str(), spec.train.batch, spec.train.lr),
        ("mine", 64, 0.01)
    );
    // What a checkpoint holds needs no base.
    let text = spec.to_toml();
    assert!(!text.contains("base"), "{text}");
    assert_eq!(Spec::parse(&text).unwrap().layers, spec.layers);
    assert_eq!(load("third.toml").layers, spec.layers);
}

#[test]
fn what_cannot_be_inherited_is_told_in_a_line() {
    let base = "name = \"x\"\nbase = \"paper\"\n";
    for (text, cause) in [
        ("base = \"none.toml\"", "none.toml: No such file"),
        ("base = 7", "`base` is not a string"),
        ("base = \"net.toml\"", "it has this network as its own base"),
        (
            "base = \"other.toml\"",
            "it has this network as its own base",
        ),
        (
            &format!("{base}remove = [\"conv9\"]"),
            "remove conv9: the base has no layer `conv9`",
        ),
        (
            &format!("{base}remove = \"conv5\""),
            "`remove` is not a list",
        ),
        (
            &format!("{base}[[layer]]\nname = \"conv9\"\nmaps = 3"),
            "layer conv9: the base has no layer",
        ),
        (&format!("{base}[[layer]]\nmaps = 3"), "a layer has no name"),
        (
            &format!("{base}[[layer]]\nname = \"relu9\"\nkind = \"relu\"\nafter = \"conv9\""),
            "layer relu9: the base has no layer `conv9`",
        ),
        (
            &format!("{base}[[layer]]\nname = \"conv1\"\nkind = \"relu\"\nafter = \"conv2\""),
            "`after` and `before` are for new layers",
        ),
        (
            &format!("{base}[[layer]]\nname = \"conv1\"\nmap = 3"),
            "layer conv1: unknown field `map`",
        ),
    ] {
        let dir = folder(&[("net.toml", text), ("other.toml", "base = \"net.toml\"")]);
        let error = Spec::load(&dir.path().join("net.toml"), &[]).unwrap_err();
        let error = format!("{error:#}");
        assert!(
            error.contains("net.toml") && error.contains(cause),
            "{cause}: {error}"
        );
        assert!(!error.contains('\n'), "{error}");
    }
}
