//! The layers that the paper's network has not, against PyTorch: tests/reference/kinds_net.py made the state.

use std::path::{Path, PathBuf};

use host::device::{Place, open};
use host::formats::pytorch::{join_biases, join_weights, joints, set};
use host::formats::tensors::{File, Info};
use host::net::Network;
use host::net::context::{Mode, Share};
use host::net::spec::Spec;

const IMAGES: usize = 32;

/// What an independent computation in the same precision may differ by (relative, norm).
const TOLERANCE: f64 = 1e-5;

fn reference(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../tests/reference")
        .join(name)
}

fn prefixed(prefix: &str, info: &Info) -> Info {
    Info::f32(format!("{prefix}.{}", info.name), info.shape.clone())
}

#[track_caller]
fn assert_close(what: &str, found: &[f32], expected: &[f32]) {
    assert_eq!(found.len(), expected.len(), "{what}");
    let norm = |x: &mut dyn Iterator<Item = f64>| x.map(|x| x * x).sum::<f64>().sqrt();
    let pairs = found.iter().zip(expected);
    let off = norm(&mut pairs.map(|(&a, &b)| f64::from(a) - f64::from(b)));
    let error = off / norm(&mut expected.iter().map(|&x| f64::from(x)));
    assert!(error <= TOLERANCE, "{what}: off by {error:.1e}");
}

#[test]
fn each_kind_gives_pytorchs_logits_and_gradients() {
    let state = File::open(&reference("kinds_small.safetensors")).unwrap();
    let net = Spec::load(&reference("kinds.toml"), &[]).unwrap();
    let net = net.resolve(1.0, 10).unwrap();
    let devices = open(&[Place::Cpu], 1).unwrap();
    let mut network = Network::new(&net, &devices, IMAGES, 1).unwrap();
    for joint in joints(&net) {
        let [weights, biases] =
            [&joint.weight, &joint.bias].map(|info| state.f32(&prefixed("initial", info)).unwrap());
        set(&network, &joint, &weights, &biases).unwrap();
    }
    // From image after image to pixel after pixel.
    let images = state
        .f32(&Info::f32("images", [IMAGES, 3, 16, 16]))
        .unwrap();
    let pixels = images.len() / IMAGES;
    let images: Vec<f32> = (0..images.len())
        .map(|i| images[i % IMAGES * pixels + i / IMAGES])
        .collect();
    let labels = state.i64(&Info::i64("labels", [IMAGES])).unwrap();
    let labels: Vec<u32> = labels.into_iter().map(|label| label as u32).collect();
    network.load_floats(&images, &labels);
    let mode = Mode::Train {
        step: 0,
        share: Share::WHOLE,
    };
    network.forward(mode);
    let (logits, _) = network.values(net.position("fc4").unwrap()).unwrap();
    let expected = state.f32(&Info::f32("logits", [IMAGES, 10])).unwrap();
    assert_close("logits", &logits, &expected);

    network.backward(mode);
    for (joint, (_, own, stream)) in joints(&net).iter().zip(network.parameters()) {
        let weights = stream.download(&own.weights.gradient).unwrap();
        let biases = stream.download(&own.biases.gradient).unwrap();
        let found = [
            (&joint.weight, join_weights(&net, joint.layer, &[weights])),
            (&joint.bias, join_biases(&net, joint.layer, &[biases])),
        ];
        for (info, found) in found {
            let expected = state.f32(&prefixed("gradient", info)).unwrap();
            assert_close(&info.name, &found.unwrap(), &expected);
        }
    }
}
