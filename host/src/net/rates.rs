//! What the weights and biases of each layer learn by in a step.

use super::parameters::Sgd;
use super::shapes::{Layer, Net};
use super::spec::Course;
use crate::schedule::Rule;

/// For each layer what its weights learn by and what its biases do; nothing where they stay as they are, whose gradient
/// is then not computed either.
#[derive(Clone, Debug, PartialEq)]
pub struct Rates(Vec<[Option<Sgd>; 2]>);

impl Rates {
    /// From the numbers that hold where a layer says nothing else. `own` gives the learning rate by a schedule that a layer
    /// has for itself.
    pub fn new(net: &Net, sgd: Sgd, epoch: u32, own: impl Fn(&Rule) -> f64) -> Self {
        let of = |course: &Course| {
            let learns = course.rate != 0.0 && !course.frozen.holds(epoch);
            learns.then(|| Sgd {
                rate: course.schedule.as_ref().map_or(sgd.rate, &own) * course.rate,
                momentum: course.momentum.unwrap_or(sgd.momentum),
                decay: sgd.decay * course.decay,
            })
        };
        Self(by_layer(net, of))
    }

    /// Of layer `i`: its weights, its biases.
    pub fn of(&self, i: usize) -> [Option<Sgd>; 2] {
        self.0[i]
    }

    /// Whether the gradients to the weights and to the biases of layer `i` are wanted.
    pub fn wanted(&self, i: usize) -> [bool; 2] {
        self.of(i).map(|sgd| sgd.is_some())
    }

    /// The layers whose weights change.
    pub fn names<'a>(&self, net: &'a Net) -> Vec<&'a str> {
        let layers = net.towers[0].iter().zip(&self.0);
        let learn = layers.filter(|(_, [weights, _])| weights.is_some());
        learn.map(|(layer, _)| layer.name.as_str()).collect()
    }
}

/// Of every layer, for its weights and its biases; of those that have none, nothing.
pub(super) fn by_layer<T>(net: &Net, of: impl Fn(&Course) -> Option<T>) -> Vec<[Option<T>; 2]> {
    let of_layer = |layer: &Layer| match layer.parameters() {
        Some(_) => [&layer.learning.weights, &layer.learning.biases].map(&of),
        None => [None, None],
    };
    net.towers[0].iter().map(of_layer).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::spec::Spec;

    const SGD: Sgd = Sgd {
        rate: 0.001,
        momentum: 0.9,
        decay: 0.0005,
    };

    #[test]
    fn configuration_145_keeps_the_biases_rate_and_freezes_conv1_at_last() {
        let spec = Spec::load("paper", &["fc6.momentum.biases=0.5".into()]).unwrap();
        let spec = spec.with_recipe("krizhevsky-145".as_ref()).unwrap();
        let net = spec.resolve(0.25, 10).unwrap();
        let own = |rule: &Rule| match rule {
            Rule::Constant => 0.01,
            _ => panic!("{rule}"),
        };
        let of = |epoch, layer| Rates::new(&net, SGD, epoch, own).of(net.position(layer).unwrap());
        let biases = Sgd {
            rate: 0.02,
            decay: 0.0,
            ..SGD
        };
        assert_eq!(of(71, "conv1"), [Some(SGD), Some(biases)]);
        assert_eq!(of(72, "conv1"), [None, None]);
        assert_eq!(of(72, "conv2"), [Some(SGD), Some(biases)]);
        let slow = Sgd {
            momentum: 0.5,
            ..biases
        };
        assert_eq!(of(0, "fc6"), [Some(SGD), Some(slow)]);
        assert_eq!(of(0, "relu1"), [None, None]);
        let names = Rates::new(&net, SGD, 80, own).names(&net).join(" ");
        assert_eq!(names, "conv2 conv3 conv4 conv5 fc6 fc7 fc8");
    }
}
