//! Between the weights as the towers hold them and as PyTorch names and shapes them.
//!
//! | | a tower | joint |
//! |---|---|---|
//! | convolution | `[map read · row · column][map]`, for each group | `NAME.weight` `[map, map read, row, column]` |
//! | locally connected | the same for each pixel, and biases | `NAME.weight` `[map, pixel's row, column, map read, row, column]`, `NAME.bias` `[map, row, column]` |
//! | fully connected | `[unit read][unit]` | `NAME.weight` `[unit, unit read]` |
//! | bias | `[map or unit]` | `NAME.bias` `[map or unit]` |
//!
//! A tower's maps and units are padded with zeros to [`ParameterSpec::padded_outputs`]; the joint tensors have none of
//! that, and tower 0's maps first. A convolution that reads its own tower becomes PyTorch's with as many groups as
//! there are towers. What a layer reads from both towers, or from a map's pixels, has the same order on both sides.

use anyhow::{Context, Result, ensure};

use super::tensors::{File, Info};
use crate::net::Network;
use crate::net::layer::Kind;
use crate::net::shapes::{Dims, GRANULE, Layer, Net, ParameterSpec};

/// The joint tensors of one layer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Joint {
    /// The layer's place in every tower's list.
    pub layer: usize,
    /// Name and shape of the weights.
    pub weight: Info,
    /// Name and shape of the biases.
    pub bias: Info,
}

/// The joint tensors of every layer that has weights.
pub fn joints(net: &Net) -> Vec<Joint> {
    let layers = net.towers[0].iter().enumerate();
    let joint = |(layer, first): (usize, &Layer)| {
        let parameters = first.parameters()?;
        let outputs = parameters_of(net, layer).map(|p| p.outputs).sum();
        let shape = match &first.kind {
            Kind::Convolution(c) => {
                let window = c.kernel * c.kernel;
                vec![outputs, parameters.inputs / window, c.kernel, c.kernel]
            }
            Kind::LocallyConnected(local) => {
                let [maps, read] = [outputs / pixels(first), first.input.channels];
                let (Dims { height, width, .. }, side) = (first.output, local.convolution().kernel);
                vec![maps, height, width, read, side, side]
            }
            _ => vec![outputs, parameters.inputs],
        };
        let biases = match &first.kind {
            Kind::LocallyConnected(_) => shape[..3].to_vec(),
            _ => vec![outputs],
        };
        let weight = Info::f32(format!("{}.weight", first.name), shape);
        Some(Joint {
            layer,
            weight,
            bias: Info::f32(format!("{}.bias", first.name), biases),
        })
    };
    layers.filter_map(joint).collect()
}

/// Pixels of a layer's output.
fn pixels(layer: &Layer) -> usize {
    layer.output.height * layer.output.width
}

/// The joint weights of a layer, from each tower's.
pub fn join_weights(net: &Net, layer: usize, towers: &[impl AsRef<[f32]>]) -> Result<Vec<f32>> {
    let mut joint = Vec::new();
    for (p, tower) in pairs(net, layer, towers)? {
        check(
            net,
            layer,
            tower.as_ref().len(),
            p.inputs * p.padded_outputs(),
        )?;
        to_rows(p, tower.as_ref(), &mut joint);
    }
    Ok(joint)
}

/// The joint biases of a layer, from each tower's.
pub fn join_biases(net: &Net, layer: usize, towers: &[impl AsRef<[f32]>]) -> Result<Vec<f32>> {
    let mut joint = Vec::new();
    for (p, tower) in pairs(net, layer, towers)? {
        check(net, layer, tower.as_ref().len(), p.padded_outputs())?;
        joint.extend_from_slice(&tower.as_ref()[..p.outputs]);
    }
    Ok(joint)
}

/// Each tower's weights of a layer, from the joint ones.
pub fn split_weights(net: &Net, layer: usize, joint: &[f32]) -> Result<Vec<Vec<f32>>> {
    check(
        net,
        layer,
        joint.len(),
        parameters_of(net, layer)
            .map(|p| p.inputs * p.outputs)
            .sum(),
    )?;
    let rows = |p: &ParameterSpec| &joint[p.first_output * p.inputs..][..p.outputs * p.inputs];
    Ok(parameters_of(net, layer)
        .map(|p| to_columns(p, rows(p)))
        .collect())
}

/// Each tower's biases of a layer, from the joint ones.
pub fn split_biases(net: &Net, layer: usize, joint: &[f32]) -> Result<Vec<Vec<f32>>> {
    check(
        net,
        layer,
        joint.len(),
        parameters_of(net, layer).map(|p| p.outputs).sum(),
    )?;
    let padded = |p: &ParameterSpec| {
        let mut biases = joint[p.first_output..][..p.outputs].to_vec();
        biases.resize(p.padded_outputs(), 0.0);
        biases
    };
    Ok(parameters_of(net, layer).map(padded).collect())
}

fn parameters_of(net: &Net, layer: usize) -> impl Iterator<Item = &ParameterSpec> {
    net.towers
        .iter()
        .filter_map(move |tower| tower.get(layer)?.parameters())
}

fn pairs<'a, T>(
    net: &'a Net,
    layer: usize,
    towers: &'a [T],
) -> Result<impl Iterator<Item = (&'a ParameterSpec, &'a T)>> {
    let count = parameters_of(net, layer).count();
    ensure!(
        count == towers.len() && count > 0,
        "layer number {layer}: {} towers given, not {count}",
        towers.len()
    );
    Ok(parameters_of(net, layer).zip(towers))
}

fn check(net: &Net, layer: usize, found: usize, expected: usize) -> Result<()> {
    let name = &net.towers[0].get(layer).context("no such layer")?.name;
    ensure!(
        found == expected,
        "layer {name}: {found} numbers, not {expected}"
    );
    Ok(())
}

/// Appends [outputs][inputs], made of the weights as a tower holds them.
fn to_rows(p: &ParameterSpec, tower: &[f32], joint: &mut Vec<f32>) {
    let begin = joint.len();
    joint.resize(begin + p.outputs * p.inputs, 0.0);
    let rows = &mut joint[begin..];
    visit(p, |row, place| rows[row] = tower[place]);
}

/// The weights as a tower holds them, made of [outputs][inputs].
fn to_columns(p: &ParameterSpec, rows: &[f32]) -> Vec<f32> {
    let mut tower = vec![0.0; p.inputs * p.padded_outputs()];
    visit(p, |row, place| tower[place] = rows[row]);
    tower
}

/// Goes through a tower's weights: place in the rows, place in the tower. A few outputs at a time, or every access to
/// one side would miss the cache.
fn visit(p: &ParameterSpec, mut f: impl FnMut(usize, usize)) {
    let [_, columns, _] = p.matrix();
    let firsts: Vec<usize> = (0..p.outputs)
        .map(|output| p.first_weight(output))
        .collect();
    for (block, firsts) in firsts.chunks(GRANULE).enumerate() {
        for input in 0..p.inputs {
            for (output, first) in firsts.iter().enumerate() {
                let row = (block * GRANULE + output) * p.inputs + input;
                f(row, first + input * columns);
            }
        }
    }
}

/// Sets a layer's weights and biases from the joint ones.
pub fn set(network: &Network, joint: &Joint, weights: &[f32], biases: &[f32]) -> Result<()> {
    let net = network.net();
    let name = &net.towers[0][joint.layer].name;
    let weights = split_weights(net, joint.layer, weights)?;
    let biases = split_biases(net, joint.layer, biases)?;
    for (tower, own, stream) in network.parameters().filter(|(_, own, _)| own.name == *name) {
        stream.upload(&weights[tower], &own.weights.value);
        stream.upload(&biases[tower], &own.biases.value);
    }
    Ok(())
}

/// All joint tensors, from a checkpoint's file.
pub fn joint_tensors(net: &Net, file: &File) -> Result<Vec<(Info, Vec<f32>)>> {
    let mut all = Vec::new();
    for joint in joints(net) {
        let part = |kind: &str| -> Result<Vec<Vec<f32>>> {
            let of_tower = |(tower, layers): (usize, &Vec<Layer>)| {
                let layer = &layers[joint.layer];
                let p = layer.own_parameters()?;
                let name = format!("tower{tower}.{}.{kind}", layer.name);
                let shape = match kind {
                    "bias" => vec![p.padded_outputs()],
                    _ => p.matrix()[..2].to_vec(),
                };
                file.f32(&Info::f32(name, shape))
            };
            net.towers.iter().enumerate().map(of_tower).collect()
        };
        let weights = join_weights(net, joint.layer, &part("weight")?)?;
        let biases = join_biases(net, joint.layer, &part("bias")?)?;
        all.push((joint.weight, weights));
        all.push((joint.bias, biases));
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::spec::Spec;

    fn net(width: f64, classes: usize) -> Net {
        Spec::load("paper", &[])
            .unwrap()
            .resolve(width, classes)
            .unwrap()
    }

    /// Every tower's weights of a layer, each number a different one, padding −1.
    fn numbered(net: &Net, layer: usize) -> Vec<Vec<f32>> {
        let mut next = 0.0;
        let tower = |p: &ParameterSpec| {
            let mut number = |i: usize| {
                next += 1.0;
                if i % p.padded_outputs() < p.outputs {
                    next
                } else {
                    -1.0
                }
            };
            (0..p.inputs * p.padded_outputs())
                .map(&mut number)
                .collect()
        };
        parameters_of(net, layer).map(tower).collect()
    }

    #[test]
    fn names_and_shapes_are_pytorchs() {
        let joints = joints(&net(1.0, 1000));
        let shapes: Vec<(&str, &[usize])> = joints
            .iter()
            .map(|j| (j.weight.name.as_str(), j.weight.shape.as_slice()))
            .collect();
        let expected: [(&str, &[usize]); 8] = [
            ("conv1.weight", &[96, 3, 11, 11]),
            ("conv2.weight", &[256, 48, 5, 5]),
            ("conv3.weight", &[384, 256, 3, 3]),
            ("conv4.weight", &[384, 192, 3, 3]),
            ("conv5.weight", &[256, 192, 3, 3]),
            ("fc6.weight", &[4096, 9216]),
            ("fc7.weight", &[4096, 4096]),
            ("fc8.weight", &[1000, 4096]),
        ];
        assert_eq!(shapes, expected);
        assert_eq!(joints[7].bias, Info::f32("fc8.bias", [1000]));
    }

    /// Element by element against the documented places.
    #[test]
    fn a_convolution_goes_where_it_should() {
        let net = net(0.25, 10);
        let layer = net.position("conv2").unwrap();
        let towers = numbered(&net, layer);
        let joint = join_weights(&net, layer, &towers).unwrap();
        let (maps, read, kernel) = (32, 16, 5);
        assert_eq!(joint.len(), 2 * maps * read * kernel * kernel);
        for map in 0..2 * maps {
            for c in 0..read {
                for y in 0..kernel {
                    for x in 0..kernel {
                        let found = joint[((map * read + c) * kernel + y) * kernel + x];
                        let expected =
                            towers[map / maps][((c * kernel + y) * kernel + x) * maps + map % maps];
                        assert_eq!(found, expected, "{map} {c} {y} {x}");
                    }
                }
            }
        }
    }

    /// As PyTorch's grouped convolution has them.
    #[test]
    fn a_group_goes_where_it_should() {
        let net = Spec::load("caffe", &[]).unwrap().resolve(0.25, 10).unwrap();
        let layer = net.position("conv2").unwrap();
        let towers = numbered(&net, layer);
        let joint = join_weights(&net, layer, &towers).unwrap();
        let (maps, read, kernel) = (64, 16, 5);
        assert_eq!(joints(&net)[1].weight.shape, [maps, read, kernel, kernel]);
        let (inputs, of_group) = (read * kernel * kernel, maps / 2);
        for map in 0..maps {
            for input in 0..inputs {
                let (group, column) = (map / of_group, map % of_group);
                let place = (group * inputs + input) * of_group + column;
                assert_eq!(joint[map * inputs + input], towers[0][place]);
            }
        }
    }

    #[test]
    fn a_pixels_weights_go_where_they_should() {
        let spec = Spec::load("cifar-no-lrn", &[]).unwrap();
        let net = spec.resolve(1.0, 10).unwrap();
        let layer = net.position("local4").unwrap();
        let towers = numbered(&net, layer);
        let joint = join_weights(&net, layer, &towers).unwrap();
        let joints = joints(&net);
        assert_eq!(joints[3].weight.shape, [32, 6, 6, 32, 3, 3]);
        assert_eq!(joints[3].bias.shape, [32, 6, 6]);
        let inputs = 32 * 9;
        for (at, found) in joint.iter().enumerate() {
            let (input, output) = (at % inputs, at / inputs);
            let (pixel, map) = (output % 36, output / 36);
            assert_eq!(*found, towers[0][(pixel * inputs + input) * 32 + map]);
        }
        assert_eq!(split_weights(&net, layer, &joint).unwrap(), towers);
    }

    #[test]
    fn there_and_back_is_the_same_and_padding_is_zero() {
        let net = net(0.1, 37);
        for joint in joints(&net) {
            let layer = joint.layer;
            let whole: Vec<f32> = (0..joint.weight.len()).map(|i| i as f32 + 1.0).collect();
            let towers = split_weights(&net, layer, &whole).unwrap();
            assert_eq!(
                join_weights(&net, layer, &towers).unwrap(),
                whole,
                "{}",
                joint.weight.name
            );
            for (p, tower) in parameters_of(&net, layer).zip(&towers) {
                let zeros = tower.iter().filter(|x| **x == 0.0).count();
                assert_eq!(zeros, p.inputs * (p.padded_outputs() - p.outputs));
            }
            let biases: Vec<f32> = (0..joint.bias.len()).map(|i| i as f32).collect();
            let towers = split_biases(&net, layer, &biases).unwrap();
            assert!(towers.iter().all(|tower| tower.len() % GRANULE == 0));
            assert_eq!(join_biases(&net, layer, &towers).unwrap(), biases);
        }
    }

    #[test]
    fn the_towers_classes_are_joined_without_padding() {
        let net = net(0.1, 37);
        let layer = net.position("fc8").unwrap();
        let towers = numbered(&net, layer);
        let joint = join_weights(&net, layer, &towers).unwrap();
        assert!(joint.len() == 37 * 416 && joint.iter().all(|x| *x > 0.0));
        // Class 19 is tower 1's first, and its weights stand one padded row apart.
        assert_eq!(joint[19 * 416 + 3], towers[1][3 * 32]);
    }

    #[test]
    fn wrong_sizes_are_told() {
        let net = net(0.25, 10);
        let layer = net.position("conv1").unwrap();
        let error = split_biases(&net, layer, &[0.0; 31])
            .unwrap_err()
            .to_string();
        assert_eq!(error, "layer conv1: 31 numbers, not 32");
        assert!(join_biases(&net, layer, &[vec![0.0; 16]]).is_err());
        assert!(join_weights(&net, net.position("relu1").unwrap(), &[[0.0; 16]; 2]).is_err());
    }
}
