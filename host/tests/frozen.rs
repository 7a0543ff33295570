//! Layers that are frozen.

use std::collections::BTreeMap;

use host::data::views::centre;
use host::device::{Place, open};
use host::net::spec::Spec;
use host::net::{Batch, Network, Sgd};

const BATCH: usize = 32;

/// Weights and biases by tower, layer and kind.
type Values = BTreeMap<String, Vec<f32>>;

fn values(network: &Network) -> Values {
    let mut all = Values::new();
    for (tower, parameters, stream) in network.parameters() {
        for (kind, tensor) in [
            ("weight", &parameters.weights),
            ("bias", &parameters.biases),
        ] {
            let name = format!("{tower}.{}.{kind}", parameters.name);
            all.insert(name, stream.download(&tensor.value).unwrap());
        }
    }
    all
}

/// Initial values, and those after some steps.
fn train(sets: &[&str], steps: u32) -> [Values; 2] {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/common/tiny.toml");
    let sets: Vec<String> = sets.iter().map(|set| set.to_string()).collect();
    let net = Spec::load(file, &sets).unwrap().resolve(1.0, 5).unwrap();
    let devices = open(&[Place::Cpu], net.towers.len()).unwrap();
    let mut network = Network::new(&net, &devices, BATCH, 1).unwrap();
    network.initialise();
    let before = values(&network);
    let side = net.input.size;
    let pixel = |i: usize| ((i as u32).wrapping_mul(2_654_435_761) >> 24) as u8;
    let batch = Batch {
        pixels: (0..BATCH * side * side * 3).map(pixel).collect(),
        side,
        views: vec![centre(&net.input); BATCH],
        labels: (0..BATCH as u32).map(|i| i % 5).collect(),
        valid: BATCH,
    };
    for step in 0..steps {
        network.load(&batch);
        let sgd = Sgd {
            rate: 0.01,
            bias_rate: None,
            momentum: 0.9,
            decay: 0.0005,
        };
        network.train(step, sgd);
    }
    [before, values(&network)]
}

#[test]
fn frozen_layers_keep_their_bits_and_the_others_get_the_same_gradients() {
    for frozen in [&["conv1"][..], &["conv2"], &["conv1", "conv2"], &["fc3"]] {
        let sets: Vec<String> = frozen.iter().map(|l| format!("{l}.frozen=true")).collect();
        let sets: Vec<&str> = sets.iter().map(String::as_str).collect();
        let is_frozen = |name: &str| frozen.iter().any(|layer| name.contains(layer));
        let [before, after] = train(&sets, 3);
        for (name, value) in &after {
            let same = before[name] == *value;
            assert_eq!(same, is_frozen(name), "{frozen:?}: {name}");
        }
        // In the first step nobody knows yet that another does not move.
        let ([_, free], [_, after]) = (train(&[], 1), train(&sets, 1));
        for (name, value) in after.iter().filter(|(name, _)| !is_frozen(name)) {
            assert!(free[name] == *value, "{frozen:?}: {name}");
        }
    }
}

#[test]
fn a_network_may_be_frozen_whole() {
    let sets = ["convolution.frozen=true", "fully-connected.frozen=true"];
    let [before, after] = train(&sets, 2);
    assert_eq!(before, after);
}
