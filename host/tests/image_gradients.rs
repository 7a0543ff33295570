//! The gradient of a class's score to the images, against differences of the score as single pixels change.

use std::sync::Arc;

use host::device::{Device, Place, open};
use host::net::context::Mode;
use host::net::shapes::Net;
use host::net::spec::Spec;
use host::net::{IMAGES, Network};

const CLASSES: usize = 5;

/// Smooth, so that differences judge it sharply: two towers, of each kind of layer that is smooth one, the first read by
/// both towers, dropout as a test has it.
const SMOOTH: &str = r#"
    name = "smooth"
    towers = 2
    input = { size = 12, crop = 12 }
    layer = [
        { name = "conv1", kind = "convolution", maps = 32, kernel = 5, stride = 2, init = { sigma = 0.02 } },
        { name = "tanh1", kind = "tanh" },
        { name = "lrn1", kind = "lrn", k = 1.0, n = 3, alpha = 0.5, beta = 0.75 },
        { name = "pool1", kind = "average-pool", kernel = 2, stride = 1 },
        { name = "fc2", kind = "fully-connected", units = 64, reads = "both", init = { sigma = 0.1 } },
        { name = "tanh2", kind = "tanh" },
        { name = "drop2", kind = "dropout", p = 0.25 },
        { name = "fc3", kind = "fully-connected", units = "classes", reads = "both", init = { sigma = 0.2 } },
        { name = "softmax", kind = "softmax" },
    ]
"#;

fn net() -> Net {
    Spec::parse(SMOOTH).unwrap().resolve(1.0, CLASSES).unwrap()
}

fn devices(count: usize) -> Vec<Arc<dyn Device>> {
    open(&vec![Place::Cpu; count], 2).unwrap()
}

/// `[colour][row][column][image]`
fn images(net: &Net) -> Vec<f32> {
    let values = net.input.channels * net.input.crop * net.input.crop * IMAGES;
    (0..values)
        .map(|i| 20.0 * ((i * 7919 % 1009) as f32 * 0.37).sin())
        .collect()
}

fn class(image: usize) -> usize {
    image * 3 % CLASSES
}

/// Each image's score of its class.
fn scores(network: &mut Network, images: &[f32]) -> Vec<f64> {
    network.load_floats(images, &[0; IMAGES]);
    network.forward(Mode::Test);
    let (logits, _) = network.values(network.net().towers[0].len() - 2).unwrap();
    let logits = logits.as_chunks::<CLASSES>().0.iter().enumerate();
    logits
        .map(|(image, row)| f64::from(row[class(image)]))
        .collect()
}

/// `[image][colour][row][column]`
fn gradients(devices: &[Arc<dyn Device>], images: &[f32]) -> (Network, Vec<f32>) {
    let mut network = Network::with_image_gradients(&net(), devices, IMAGES, 3).unwrap();
    network.initialise();
    scores(&mut network, images);
    let mut gradient = vec![0.0; CLASSES * IMAGES];
    for image in 0..IMAGES {
        gradient[class(image) * IMAGES + image] = 1.0;
    }
    network.backward_to_images(&gradient, Mode::Test);
    let gradients = network.image_gradients().unwrap();
    (network, gradients)
}

#[test]
fn a_scores_gradient_is_what_it_changes_by_as_a_pixel_does() {
    let images = images(&net());
    let (mut network, gradients) = gradients(&devices(2), &images);
    let pixels = images.len() / IMAGES;
    let norm = gradients.iter().map(|g| f64::from(*g).powi(2)).sum::<f64>();
    let typical = (norm / gradients.len() as f64).sqrt();
    let change = 0.05;
    let mut furthest = 0f64;
    // All images at once: no score depends on another image.
    for pixel in (0..pixels).step_by(11) {
        let mut moved = |by: f32| {
            let mut moved = images.clone();
            moved[pixel * IMAGES..][..IMAGES]
                .iter_mut()
                .for_each(|x| *x += by);
            scores(&mut network, &moved)
        };
        let (above, below) = (moved(change), moved(-change));
        for image in 0..IMAGES {
            let difference = (above[image] - below[image]) / f64::from(2.0 * change);
            let found = f64::from(gradients[image * pixels + pixel]);
            furthest = furthest.max((found - difference).abs() / typical);
        }
    }
    assert!(
        furthest < 0.01,
        "off by {furthest:.1e} of a typical gradient"
    );
}

#[test]
fn it_is_the_same_wherever_the_towers_are_and_costs_a_network_nothing_that_does_not_want_it() {
    let images = images(&net());
    let (_, one) = gradients(&devices(1), &images);
    let (_, two) = gradients(&devices(2), &images);
    assert!(one == two);
    let network = Network::new(&net(), &devices(1), IMAGES, 3).unwrap();
    let error = network.image_gradients().unwrap_err().to_string();
    assert!(error.contains("built without"), "{error}");
}
