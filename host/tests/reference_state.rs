//! The network against an independent one in PyTorch: tests/reference/README.md
//! says what the state files hold and how they were made.
#![allow(clippy::print_stdout)]

use std::path::Path;

use host::device::{Buffer, Place, open};
use host::formats::tensors::{File, Info};
use host::net::context::{Mode, Share};
use host::net::spec::Spec;
use host::net::{Network, Parameters, Sgd};

const BATCH: usize = 32;

/// What an independent computation in the same precision may differ by (relative, norm).
const TOLERANCE: f64 = 1e-4;

struct State {
    file: File,
}

impl State {
    fn open(name: &str) -> Self {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/reference");
        State {
            file: File::open(&folder.join(name)).unwrap(),
        }
    }

    fn get(&self, name: &str) -> (Vec<usize>, Vec<f32>) {
        let info = self.file.infos().into_iter().find(|info| info.name == name);
        let info = info.unwrap_or_else(|| panic!("the state has no {name}"));
        (info.shape.clone(), self.file.f32(&info).unwrap())
    }

    fn number(&self, key: &str) -> f64 {
        self.file.text(key).unwrap().parse().unwrap()
    }

    fn labels(&self) -> Vec<u32> {
        let labels = self.file.i64(&Info::i64("labels", [BATCH])).unwrap();
        labels.into_iter().map(|label| label as u32).collect()
    }
}

/// The images by the README's formula, `[colour][row][column][image]`.
fn images() -> Vec<f32> {
    let mut out = vec![0.0; 3 * 224 * 224 * BATCH];
    for (i, value) in out.iter_mut().enumerate() {
        let (n, place) = ((i % BATCH) as u32, (i / BATCH) as u32);
        let (c, y, x) = (place / (224 * 224), place / 224 % 224, place % 224);
        let k = 7 * n % 10;
        let t = ((1 + k % 5) * 3 * x + (1 + k / 2) * 2 * y + 40 * c * (k + 1) + 52 * n) / 4 % 256;
        let wave = t.min(255 - t);
        let mut h = ((n * 3 + c) * 224 + y) * 224 + x;
        h ^= h >> 16;
        h = h.wrapping_mul(0x85eb_ca6b);
        h ^= h >> 13;
        h = h.wrapping_mul(0xc2b2_ae35);
        h ^= h >> 16;
        *value = (wave + (h >> 25)) as f32 - 128.0;
    }
    out
}

/// A tower's part of a joint tensor, as it lies on the device, and back.
fn each_element(shape: &[usize], weights: &Parameters, mut pair: impl FnMut(usize, usize)) {
    let p = &weights.spec;
    let inputs = if shape.len() == 1 { 1 } else { p.inputs };
    assert_eq!(shape[1..].iter().product::<usize>(), inputs);
    for input in 0..inputs {
        for output in 0..p.outputs {
            let place = match shape.len() {
                1 => output,
                _ => p.first_weight(output) + input * p.matrix()[1],
            };
            pair((p.first_output + output) * inputs + input, place);
        }
    }
}

fn write(network: &Network, state: &State, prefix: &str) {
    for (_, weights, stream) in network.parameters() {
        for (kind, to) in [
            ("weight", &weights.weights.value),
            ("bias", &weights.biases.value),
        ] {
            let (shape, joint) = state.get(&format!("{prefix}.{}.{kind}", weights.name));
            let mut own = vec![0.0; to.len()];
            each_element(&shape, weights, |from, to| own[to] = joint[from]);
            stream.upload(&own, to);
        }
    }
}

/// The relative error, by norm, of what `part` picks from every layer, the worst of all tensors.
fn worst(
    network: &Network,
    state: &State,
    prefix: &str,
    part: impl Fn(&Parameters, &str) -> Buffer<f32>,
) -> f64 {
    let mut joint = std::collections::BTreeMap::new();
    for (_, weights, stream) in network.parameters() {
        for kind in ["weight", "bias"] {
            let name = format!("{prefix}.{}.{kind}", weights.name);
            let (shape, _) = state.get(&name);
            let own = stream.download(&part(weights, kind)).unwrap();
            let whole = joint
                .entry(name)
                .or_insert_with(|| vec![f32::NAN; shape.iter().product::<usize>()]);
            each_element(&shape, weights, |to, from| whole[to] = own[from]);
        }
    }
    let errors = joint.iter().map(|(name, found)| {
        let error = relative(found, &state.get(name).1);
        println!("{name}: {error:.1e}");
        error
    });
    errors.fold(0.0, f64::max)
}

fn relative(found: &[f32], expected: &[f32]) -> f64 {
    assert_eq!(found.len(), expected.len());
    let norm = |x: &mut dyn Iterator<Item = f64>| x.map(|x| x * x).sum::<f64>().sqrt();
    let differences = found
        .iter()
        .zip(expected)
        .map(|(&a, &b)| f64::from(a) - f64::from(b));
    let error = norm(&mut { differences }) / norm(&mut expected.iter().map(|&b| f64::from(b)));
    if error.is_nan() { f64::INFINITY } else { error }
}

fn check(preset: &str, file: &str, sets: &[(&str, usize)]) {
    let state = State::open(file);
    let sets: Vec<String> = sets
        .iter()
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    let net = Spec::load(preset, &sets).unwrap().resolve(1.0, 10).unwrap();
    let devices = open(&[Place::Cpu], net.towers.len()).unwrap();
    let mut network = Network::new(&net, &devices, BATCH, 1).unwrap();
    let logits = net.position("fc8").unwrap();
    let labels = state.labels();
    write(&network, &state, "initial");

    network.load_floats(&images(), &labels);
    network.forward(Mode::Test);
    let error = relative(
        &network.values(logits).unwrap().0,
        &state.get("test_logits").1,
    );
    assert!(error <= TOLERANCE, "logits of the test: {error:.1e}");

    // The state's training has no dropout.
    let sets: Vec<String> = sets.into_iter().chain(["dropout.p=0".into()]).collect();
    let net = Spec::load(preset, &sets).unwrap().resolve(1.0, 10).unwrap();
    let mut network = Network::new(&net, &devices, BATCH, 1).unwrap();
    write(&network, &state, "initial");
    network.load_floats(&images(), &labels);
    let mode = Mode::Train {
        step: 0,
        share: Share::WHOLE,
    };
    network.forward(mode);
    let error = relative(
        &network.values(logits).unwrap().0,
        &state.get("train_logits").1,
    );
    assert!(error <= TOLERANCE, "logits of training: {error:.1e}");
    network.backward(mode);
    let gradient = |weights: &Parameters, kind: &str| match kind {
        "weight" => weights.weights.gradient.clone(),
        _ => weights.biases.gradient.clone(),
    };
    let error = worst(&network, &state, "gradient", gradient);
    assert!(error <= TOLERANCE, "gradients: {error:.1e}");

    let rates = Sgd {
        rate: state.number("lr"),
        momentum: state.number("momentum"),
        decay: state.number("weight_decay"),
    };
    let mut losses = Vec::new();
    for step in 0..10 {
        network.train(step, rates);
        let outcome = network.scores().unwrap();
        losses.push(outcome.loss.iter().sum::<f32>() / BATCH as f32);
    }
    let error = relative(&losses, &state.get("losses").1);
    assert!(error <= TOLERANCE, "losses {losses:?}: {error:.1e}");
    let value = |weights: &Parameters, kind: &str| match kind {
        "weight" => weights.weights.value.clone(),
        _ => weights.biases.value.clone(),
    };
    let error = worst(&network, &state, "final", value);
    assert!(error <= TOLERANCE, "weights after ten steps: {error:.1e}");
}

#[test]
fn paper() {
    let sizes = [
        ("conv1.maps", 32),
        ("conv2.maps", 32),
        ("conv3.maps", 64),
        ("conv4.maps", 64),
        ("conv5.maps", 32),
        ("fc6.units", 64),
        ("fc7.units", 64),
    ];
    check("paper", "paper_small.safetensors", &sizes);
}

#[test]
fn one_gpu() {
    let sizes = [
        ("conv1.maps", 16),
        ("conv2.maps", 16),
        ("conv3.maps", 32),
        ("conv4.maps", 32),
        ("conv5.maps", 32),
        ("fc6.units", 32),
        ("fc7.units", 32),
    ];
    check("one-gpu", "one_gpu_small.safetensors", &sizes);
}
