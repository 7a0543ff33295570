//! Batches that are queued one behind another, nobody waiting in between.

use host::data::views::Crops;
use host::device::{Place, open};
use host::net::spec::Spec;
use host::net::{Batch, Network, Sgd};

const BATCH: usize = 32;

/// The batch of this number; no two have the same pixels, views or labels.
fn batch(network: &Network, number: usize) -> Batch {
    let input = network.net().input;
    let side = input.size;
    let pixel = |i: usize| ((i + 7 * number) as u32).wrapping_mul(2_654_435_761) >> 24;
    let view = Crops::Ten.views(&input)[number];
    Batch {
        pixels: (0..BATCH * side * side * 3)
            .map(|i| pixel(i) as u8)
            .collect(),
        side,
        views: vec![view; BATCH],
        labels: (0..BATCH as u32).map(|i| (i + number as u32) % 5).collect(),
        valid: BATCH,
    }
}

/// All weights after some steps.
fn train(places: &[Place], ahead: bool, wait: bool) -> Vec<f32> {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/common/tiny.toml");
    let net = Spec::load(file, &[]).unwrap().resolve(1.0, 5).unwrap();
    let devices = open(places, net.towers.len()).unwrap();
    let mut network = Network::new(&net, &devices, BATCH, 1).unwrap();
    network.initialise();
    let rates = Sgd {
        rate: 0.01,
        momentum: 0.9,
        decay: 0.0005,
    };
    let batches: Vec<Batch> = (0..6).map(|number| batch(&network, number)).collect();
    for (step, batch) in batches.iter().enumerate() {
        network.load(batch);
        network.train(step as u32, rates);
        if let Some(next) = batches.get(step + 1).filter(|_| ahead) {
            network.upload(next);
        }
        if wait {
            network.synchronize().unwrap();
        }
    }
    let values = network
        .parameters()
        .map(|(_, weights, stream)| stream.download(&weights.weights.value).unwrap());
    values.flatten().collect()
}

#[test]
fn none_is_overwritten_before_it_has_been_read() {
    for places in [&[Place::Cpu][..], &[Place::Cpu, Place::Cpu]] {
        let expected = train(places, false, true);
        for ahead in [false, true] {
            assert!(
                train(places, ahead, false) == expected,
                "{places:?} {ahead}"
            );
        }
    }
}

/// The kernel would read beyond the pixels.
#[test]
#[should_panic(expected = "a view leaves its image")]
fn a_view_that_leaves_its_image_is_refused() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/common/tiny.toml");
    let net = Spec::load(file, &[]).unwrap().resolve(1.0, 5).unwrap();
    let devices = open(&[Place::Cpu], net.towers.len()).unwrap();
    let mut network = Network::new(&net, &devices, BATCH, 1).unwrap();
    let mut batch = batch(&network, 0);
    batch.views[3].x = (net.input.size - net.input.crop) as u32 + 1;
    network.load(&batch);
}
