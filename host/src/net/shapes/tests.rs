use super::build::positions;
use super::*;
use crate::net::spec::{PRESETS, Rounding, Spec};

fn net(name: &str, sets: &[&str], width: f64, classes: usize) -> Result<Net> {
    let sets: Vec<String> = sets.iter().map(|set| set.to_string()).collect();
    Spec::load(name, &sets)?.resolve(width, classes)
}

fn layer<'a>(net: &'a Net, tower: usize, name: &str) -> &'a Layer {
    &net.towers[tower][net.position(name).unwrap()]
}

fn sigma(net: &Net, name: &str) -> f64 {
    layer(net, 0, name).parameters().unwrap().init.sigma
}

/// The published table of the network: layer, output, parameters.
#[test]
fn the_paper_has_its_published_shapes_and_parameters() {
    let net = net("paper", &[], 1.0, 1000).unwrap();
    let counts = net.counts();
    let of = |name: &str| {
        counts
            .iter()
            .find(|c| c.name == name)
            .map(|c| (c.output, c.parameters))
            .unwrap()
    };
    let shape = |channels, height| Dims {
        channels,
        height,
        width: height,
    };
    for (name, output, parameters) in [
        ("conv1", shape(96, 55), 34_944),
        ("pool1", shape(96, 27), 0),
        ("conv2", shape(256, 27), 307_456),
        ("pool2", shape(256, 13), 0),
        ("conv3", shape(384, 13), 885_120),
        ("conv4", shape(384, 13), 663_936),
        ("conv5", shape(256, 13), 442_624),
        ("pool5", shape(256, 6), 0),
        ("fc6", shape(4096, 1), 37_752_832),
        ("fc7", shape(4096, 1), 16_781_312),
        ("fc8", shape(1000, 1), 4_097_000),
        ("softmax", shape(1000, 1), 0),
    ] {
        assert_eq!(of(name), (output, parameters), "{name}");
    }
    assert_eq!(net.parameter_count(), 60_965_224);
}

/// The values are those of `tests/reference/count_parameters.py`.
#[test]
fn every_preset_has_its_parameters() {
    let counts = [
        ("paper", 60_965_224),
        ("krizhevsky-145", 60_965_224),
        ("one-gpu", 59_798_312),
        ("sixth-conv", 61_260_392),
        ("torchvision", 61_100_840),
        ("caffe", 60_965_224),
        ("no-lrn", 60_965_224),
        ("no-overlap", 60_965_224),
        ("no-colour", 60_965_224),
        ("no-conv3", 59_858_920),
        ("no-conv4", 60_301_288),
        ("no-conv5", 79_396_968),
        ("cifar-relu", 1_104_328),
        ("cifar-tanh", 1_104_328),
        ("cifar-lrn", 2_257_960),
        ("cifar-no-lrn", 2_257_960),
    ];
    assert_eq!(
        counts.map(|(name, _)| name),
        *PRESETS.iter().map(|(name, _)| *name).collect::<Vec<_>>()
    );
    for (name, parameters) in counts {
        let net = net(name, &[], 1.0, 1000).unwrap();
        assert_eq!(net.parameter_count(), parameters, "{name}");
        let last = net.towers[0]
            .iter()
            .rev()
            .find(|layer| layer.output.height > 1);
        let side = match name {
            "cifar-relu" | "cifar-tanh" => 4,
            _ => 6,
        };
        assert_eq!(last.unwrap().output.height, side, "{name}");
    }
}

#[test]
fn the_paper_exchanges_where_it_says() {
    let net = net("paper", &[], 1.0, 1000).unwrap();
    let exchanging: Vec<&str> = net.towers[1]
        .iter()
        .filter(|layer| layer.exchanges)
        .map(|layer| layer.name.as_str())
        .collect();
    assert_eq!(exchanging, ["conv3", "fc6", "fc7", "fc8", "softmax"]);
    assert_eq!(layer(&net, 1, "conv1").input.channels, 3);
    assert_eq!(layer(&net, 1, "conv2").input.channels, 48);
    assert_eq!(layer(&net, 1, "conv3").input.channels, 256);
    assert_eq!(layer(&net, 1, "fc6").parameters().unwrap().inputs, 9216);
    assert_eq!(
        layer(&net, 1, "fc7").parameters().unwrap().first_output,
        2048
    );
    assert_eq!(
        layer(&net, 1, "fc8").parameters().unwrap().padded_outputs(),
        512
    );
}

#[test]
fn initial_values_are_the_papers() {
    let net = net("paper", &[], 1.0, 1000).unwrap();
    for layer in &net.towers[0] {
        if let Some(p) = layer.parameters() {
            let one = ["conv2", "conv4", "conv5", "fc6", "fc7"].contains(&layer.name.as_str());
            assert_eq!(
                (p.init.sigma, p.init.bias),
                (0.01, if one { 1.0 } else { 0.0 }),
                "{}",
                layer.name
            );
            let (weights, biases) = (&layer.learning.weights, &layer.learning.biases);
            assert_eq!(
                [weights, biases].map(|course| (course.rate, course.decay)),
                [(1.0, 1.0), (1.0, 0.0)]
            );
        }
    }
}

#[test]
fn one_gpu_reads_everything_and_exchanges_nothing() {
    let net = net("one-gpu", &[], 1.0, 1000).unwrap();
    assert_eq!(net.towers.len(), 1);
    assert!(net.towers[0].iter().all(|layer| !layer.exchanges));
    assert_eq!(net.parameter_count(), 59_798_312);
    // On one tower "both" means the same as "own".
    let both = Spec::load("one-gpu", &["conv3.reads=both".into()])
        .unwrap()
        .resolve(1.0, 1000)
        .unwrap();
    let computed = |net: &Net| -> Vec<_> {
        let layers = net.towers[0].iter();
        layers
            .map(|layer| (layer.input, layer.output, layer.exchanges, layer.parameters))
            .collect()
    };
    assert_eq!(computed(&both), computed(&net));
}

#[test]
fn a_reduced_width_rounds_to_granules_and_scales_sigma() {
    let quarter = net("paper", &[], 0.25, 10).unwrap();
    for (name, outputs) in [
        ("conv1", 16),
        ("conv2", 32),
        ("conv3", 48),
        ("conv4", 48),
        ("conv5", 32),
        ("fc6", 512),
        ("fc8", 5),
    ] {
        assert_eq!(layer(&quarter, 0, name).output.channels, outputs, "{name}");
    }
    assert_eq!(sigma(&quarter, "conv1"), 0.01);
    for name in ["conv2", "conv3", "conv5", "fc6", "fc8"] {
        assert_eq!(sigma(&quarter, name), 0.02, "{name}");
    }
    let given = net("paper", &["conv3.sigma=0.06"], 0.25, 10).unwrap();
    assert_eq!(
        (sigma(&given, "conv3"), sigma(&given, "conv4")),
        (0.06, 0.02)
    );
    let least = net("paper", &[], 0.001, 2).unwrap();
    let hidden = least.towers[0]
        .iter()
        .filter(|l| !["fc8", "softmax"].contains(&l.name.as_str()));
    assert!(
        hidden.clone().count() > 0 && hidden.clone().all(|layer| layer.output.channels == GRANULE)
    );
}

#[test]
fn an_odd_class_goes_to_the_first_tower() {
    let net = net("paper", &[], 0.25, 13).unwrap();
    let fc8 = |tower| layer(&net, tower, "fc8").parameters().unwrap();
    assert_eq!((fc8(0).first_output, fc8(0).outputs), (0, 7));
    assert_eq!((fc8(1).first_output, fc8(1).outputs), (7, 6));
    assert_eq!(layer(&net, 1, "softmax").input.channels, 13);
    assert_eq!(layer(&net, 1, "softmax").output.channels, 13);
}

/// Counted by hand: windows of a side of n, `kernel`, `stride`, `pad`.
#[test]
fn windows_are_counted_as_documented() {
    use Rounding::{Ceil, Floor};
    for (side, kernel, stride, pad, rounding, expected) in [
        (224, 11, 4, 0, Ceil, 55),
        (224, 11, 4, 0, Floor, 54),
        (55, 3, 2, 0, Floor, 27),
        (32, 3, 2, 0, Floor, 15),
        (32, 3, 2, 0, Ceil, 16),
        (5, 5, 1, 2, Ceil, 5),
        (4, 2, 4, 0, Ceil, 1),
        (5, 2, 4, 0, Ceil, 2),
        // A window that would begin in the padding behind the image does not count.
        (4, 2, 2, 1, Ceil, 3),
        (3, 2, 2, 1, Ceil, 2),
        (3, 3, 1, 0, Floor, 1),
    ] {
        let found = positions(side, kernel, stride, pad, rounding).unwrap();
        assert_eq!(
            found, expected,
            "{side} {kernel} {stride} {pad} {rounding:?}"
        );
    }
}

#[test]
fn keys_that_a_kind_cannot_have_are_told() {
    for (name, key, cause) in [
        (
            "paper",
            "pool1.pad=3",
            "layer pool1: pad 3 must be smaller than kernel 3",
        ),
        (
            "cifar-relu",
            "pool2.pad=3",
            "layer pool2: pad 3 must be smaller than kernel 3",
        ),
        (
            "cifar-lrn",
            "local3.groups=2",
            "layer local3: groups are for convolutions",
        ),
        (
            "krizhevsky-145",
            "lrn2-within-map.n=0",
            "layer lrn2-within-map: n must be at least 1",
        ),
    ] {
        let error = format!("{:#}", net(name, &[key], 1.0, 10).unwrap_err());
        assert_eq!(error, format!("--set {key}: {cause}"));
    }
}

#[test]
fn what_cannot_be_built_is_said_in_one_line() {
    for (sets, width, classes, cause) in [
        (
            &["conv1.maps=97"][..],
            1.0,
            10,
            "net paper: layer conv1: 97 maps over 2 tower(s): each tower must have a mul",
        ),
        (
            &["conv1.maps=97"],
            0.5,
            10,
            "net paper: layer conv1: 97 maps cannot be split over 2 towers",
        ),
        (
            &["fc6.units=100"],
            1.0,
            10,
            "net paper: layer fc6: 100 units over 2 tower(s)",
        ),
        (
            &["conv3.kernel=16"],
            1.0,
            10,
            "net paper: layer conv3: kernel 16 is larger than its input, 13 (pad 1)",
        ),
        (
            &["fc7.units=classes"],
            1.0,
            10,
            "net paper: layer fc7: only the end of the network can be this",
        ),
        (
            &["fc8.units=1000"],
            1.0,
            10,
            "net paper: the last two layers must be a fully-connected one with",
        ),
        (
            &["towers=5"],
            1.0,
            4,
            "4 classes cannot be split over 5 towers",
        ),
        (
            &["conv1.groups=2"],
            1.0,
            10,
            "net paper: layer conv1: the 3 maps it reads cannot be split into 2 groups",
        ),
        (
            &["conv2.groups=3"],
            1.0,
            10,
            "net paper: layer conv2: 256 maps over 2 tower(s): each tower must have a multiple of 48",
        ),
        (
            &[],
            1e6,
            10,
            "net paper: layer conv1: 96 maps are too many at this width",
        ),
        (
            &[],
            1.0,
            1 << 40,
            "1099511627776 classes are more than 1048576",
        ),
        (
            &["input.size=65536", "input.crop=65536"],
            1.0,
            10,
            "net paper: layer conv1: no memory is large enough for it",
        ),
        (
            &[
                "conv3.kernel=65535",
                "conv3.pad=65534",
                "conv3.maps=1048576",
            ],
            1.0,
            10,
            "net paper: layer conv3: no memory is large enough for it",
        ),
        (&[], 0.0, 10, "width must be positive, found 0"),
        (&[], f64::NAN, 10, "width must be positive, found NaN"),
    ] {
        let error = format!("{:#}", net("paper", sets, width, classes).unwrap_err());
        assert!(error.starts_with(cause) && !error.contains('\n'), "{error}");
    }
}
