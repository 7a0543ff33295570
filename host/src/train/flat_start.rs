//! Whether a run starts flat: its loss stays what a network gives that does not look at the images.
//!
//! Such a network can do no better than to give every class its share of the set, and its loss is then the entropy of
//! the labels, ln(classes) if all are equally frequent. With the paper's biases of 1 and its small weights a run may
//! stay there for thousands of steps, or for ever.

use dataset_pack::Dataset;

use crate::net::shapes::Net;

/// Steps after which the loss is looked at.
const STEPS: usize = 200;

/// The last of them, over which it must not have fallen.
const WINDOW: usize = 100;

/// How far below the entropy the loss may be, as a fraction of it, and still count as there.
const TOLERANCE: f64 = 0.02;

/// Watches the first losses of a run.
pub struct FlatStart {
    entropy: f64,
    advice: String,
    losses: Vec<f64>,
}

impl FlatStart {
    /// For a run that trains this network on this set.
    pub fn new(net: &Net, data: &Dataset) -> Self {
        Self {
            entropy: entropy(data),
            advice: advice(net),
            losses: Vec::new(),
        }
    }

    /// Takes the loss of a step in; says something, once, if the start is flat.
    pub fn add(&mut self, loss: f64) -> Option<String> {
        if self.losses.len() == STEPS {
            return None;
        }
        self.losses.push(loss);
        let is_flat = self.losses.len() == STEPS && is_flat(&self.losses, self.entropy);
        is_flat.then(|| {
            format!(
                "warning: after {STEPS} steps the loss is still {:.3}, about what a network gives that does not look at \
                 the images ({:.3}); this flat start may pass by itself; what has helped others: {}; `host diagnose` \
                 shows the layer where the signal dies, docs/flat-start.md what helped here",
                mean(&self.losses[STEPS - WINDOW..]),
                self.entropy,
                self.advice
            )
        })
    }
}

/// Whether the last losses are near the entropy, and in their second half as high as in their first, but for noise.
fn is_flat(losses: &[f64], entropy: f64) -> bool {
    let window = &losses[losses.len() - WINDOW..];
    let (first, second) = window.split_at(WINDOW / 2);
    let (before, after) = (mean(first), mean(second));
    let variance = mean(&Vec::from_iter(second.iter().map(|x| (x - after).powi(2))));
    let noise = (2.0 * variance / second.len() as f64).sqrt();
    after > (1.0 - TOLERANCE) * entropy && before - after <= 2.0 * noise
}

fn mean(numbers: &[f64]) -> f64 {
    numbers.iter().sum::<f64>() / numbers.len() as f64
}

fn entropy(data: &Dataset) -> f64 {
    let mut counts = vec![0u64; data.classes().len()];
    for image in 0..data.len() {
        counts[data.label(image) as usize] += 1;
    }
    let shares = counts.iter().map(|&n| n as f64 / data.len() as f64);
    -shares.filter(|&p| p > 0.0).map(|p| p * p.ln()).sum::<f64>()
}

/// What to change, of this network.
fn advice(net: &Net) -> String {
    let layers = net.towers[0].iter();
    let large = layers.filter(|layer| layer.parameters().is_some_and(|p| p.init.bias > 0.1));
    let biases: Vec<String> = large
        .map(|layer| format!("--set {}.bias=0.1", layer.name))
        .collect();
    let others = "--set train.warmup=1, a lower --lr, a larger sigma in the middle layers";
    match biases.is_empty() {
        true => others.into(),
        false => format!("{} (as Caffe has it), {others}", biases.join(" ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Losses around `level` that fall by `slope` a step.
    fn losses(level: f64, slope: f64) -> Vec<f64> {
        let noise = |i: usize| 0.01 * ((i * 7919 % 13) as f64 - 6.0) / 6.0;
        (0..STEPS)
            .map(|i| level - slope * i as f64 + noise(i))
            .collect()
    }

    #[test]
    fn only_what_stays_at_the_entropy_is_flat() {
        let entropy = 10f64.ln();
        assert!(is_flat(&losses(entropy, 0.0), entropy));
        assert!(is_flat(&losses(entropy + 0.1, 0.0), entropy));
        // It falls, slowly.
        assert!(!is_flat(&losses(entropy, 2e-4), entropy));
        // It has learnt something and rests.
        assert!(!is_flat(&losses(0.9 * entropy, 0.0), entropy));
    }

    #[test]
    fn it_is_said_once() {
        let mut watch = FlatStart {
            entropy: 2.0,
            advice: "patience".into(),
            losses: Vec::new(),
        };
        let said = (0..3 * STEPS).filter_map(|_| watch.add(2.0)).count();
        assert_eq!(said, 1);
    }
}
