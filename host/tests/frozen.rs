//! Layers that are frozen.

use std::collections::BTreeMap;

use host::data::views::centre;
use host::device::{Buffer, Place, open};
use host::net::parameters::Tensor;
use host::net::rates::Rates;
use host::net::spec::Spec;
use host::net::{Batch, Network, Sgd};

const BATCH: usize = 32;

/// Weights and biases by tower, layer and kind.
type Values = BTreeMap<String, Vec<f32>>;

const SGD: Sgd = Sgd {
    rate: 0.01,
    momentum: 0.9,
    decay: 0.0005,
};

fn tensors(network: &Network, what: impl Fn(&Tensor) -> &Buffer<f32>) -> Values {
    let mut all = Values::new();
    for (tower, parameters, stream) in network.parameters() {
        for (kind, tensor) in [
            ("weight", &parameters.weights),
            ("bias", &parameters.biases),
        ] {
            let name = format!("{tower}.{}.{kind}", parameters.name);
            all.insert(name, stream.download(what(tensor)).unwrap());
        }
    }
    all
}

fn values(network: &Network) -> Values {
    tensors(network, |tensor| &tensor.value)
}

/// The tiny network with its initial values, and a batch.
fn network(sets: &[&str]) -> (Network, Batch) {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/common/tiny.toml");
    let sets: Vec<String> = sets.iter().map(|set| set.to_string()).collect();
    let net = Spec::load(file, &sets).unwrap().resolve(1.0, 5).unwrap();
    let devices = open(&[Place::Cpu], net.towers.len()).unwrap();
    let network = Network::new(&net, &devices, BATCH, 1).unwrap();
    network.initialise();
    let side = net.input.size;
    let pixel = |i: usize| ((i as u32).wrapping_mul(2_654_435_761) >> 24) as u8;
    let batch = Batch {
        pixels: (0..BATCH * side * side * 3).map(pixel).collect(),
        side,
        views: vec![centre(&net.input); BATCH],
        labels: (0..BATCH as u32).map(|i| i % 5).collect(),
        valid: BATCH,
    };
    (network, batch)
}

/// Initial values, and those after some steps.
fn train(sets: &[&str], steps: u32) -> [Values; 2] {
    let (mut network, batch) = network(sets);
    let before = values(&network);
    for step in 0..steps {
        network.load(&batch);
        network.train(step, SGD);
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

/// The gradients that a step computes are those of what learns in its epoch.
#[test]
fn what_is_frozen_in_an_epoch_costs_no_gradient_in_it() {
    let sets = [
        "conv1.frozen={ weights = { until = 3 }, biases = { from = 3 } }",
        "conv2.frozen.from=3",
    ];
    let gradients = |epoch: u32| {
        let (mut network, batch) = network(&sets);
        network.load(&batch);
        let rates = Rates::new(network.net(), SGD, epoch, |_| SGD.rate);
        network.train_by(0, &rates);
        tensors(&network, |tensor| &tensor.gradient)
    };
    let zero = |values: &Values, name: &str| values[name].iter().all(|&x| x == 0.0);
    for (epoch, frozen) in [
        (2, &["conv1.weight"][..]),
        (3, &["conv1.bias", "conv2.weight", "conv2.bias"]),
    ] {
        let gradients = gradients(epoch);
        for name in gradients.keys() {
            let is_frozen = frozen.iter().any(|end| name.ends_with(end));
            assert_eq!(zero(&gradients, name), is_frozen, "epoch {epoch}: {name}");
        }
    }
}

#[test]
fn a_network_may_be_frozen_whole() {
    let sets = ["convolution.frozen=true", "fully-connected.frozen=true"];
    let [before, after] = train(&sets, 2);
    assert_eq!(before, after);
}
