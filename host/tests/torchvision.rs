//! A state_dict of torchvision's AlexNet, made by tests/reference/make_torchvision.py, gives PyTorch's logits.

use std::path::Path;

use host::device::{Place, open};
use host::formats::first_weights;
use host::formats::tensors::{File, Info};
use host::net::Network;
use host::net::context::Mode;
use host::net::spec::Spec;

const BATCH: usize = 32;
const CLASSES: usize = 10;
const SIDE: usize = 224;

/// `[colour][row][column][image]` of the images that the script describes.
fn images() -> Vec<f32> {
    let value = |field: u32| ((field.wrapping_mul(2_654_435_761) >> 24) as f32 - 128.0) / 64.0;
    let pixel = |i: usize| {
        let (place, n) = (i / BATCH, i % BATCH);
        let (c, y, x) = (place / SIDE / SIDE, place / SIDE % SIDE, place % SIDE);
        value((((n * 3 + c) * 8 + y / 28) * 8 + x / 28) as u32)
    };
    (0..BATCH * 3 * SIDE * SIDE).map(pixel).collect()
}

#[test]
fn a_state_dict_of_torchvision_gives_pytorchs_logits() {
    let narrow = "conv1.maps=16 conv2.maps=32 conv3.maps=32 conv4.maps=16 conv5.maps=16 fc6.units=32 fc7.units=32";
    let sets: Vec<String> = narrow.split(' ').map(str::to_owned).collect();
    let spec = Spec::load("torchvision", &sets).unwrap();
    let net = spec.resolve(1.0, CLASSES).unwrap();
    let devices = open(&[Place::Cpu], 1).unwrap();
    let mut network = Network::new(&net, &devices, BATCH, 0).unwrap();

    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../tests/reference/torchvision_small.safetensors"
    );
    let told = first_weights::set(&network, Path::new(path)).unwrap();
    // Of the layers, none is missing and none left over.
    let unused = "not used, since the network has no such layers: logits";
    assert_eq!(told, [unused]);

    network.load_floats(&images(), &[0; BATCH]);
    network.forward(Mode::Test);
    let (logits, _) = network.values(net.position("fc8").unwrap()).unwrap();
    let file = File::open(Path::new(path)).unwrap();
    let theirs = file.f32(&Info::f32("logits", [BATCH, CLASSES])).unwrap();
    let norm = |x: &mut dyn Iterator<Item = f64>| x.map(|x| x * x).sum::<f64>().sqrt();
    let apart = logits.iter().zip(&theirs);
    let apart = norm(&mut apart.map(|(&a, &b)| f64::from(a) - f64::from(b)));
    let size = norm(&mut theirs.iter().map(|&x| f64::from(x)));
    assert!(apart < 1e-4 * size, "{apart} of {size}");
    let worst = logits.iter().zip(&theirs).map(|(a, b)| (a - b).abs());
    assert!(worst.fold(0.0, f32::max) < 1e-4);
}
