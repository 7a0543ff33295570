//! First weights from another network, layer by layer, by their names: what was learnt on one set is where training
//! on another begins.
//!
//! An exported file has the layers' names as they are here, or those of torchvision's `alexnet`.
//!
//! A layer that the file does not have starts fresh, and so does the last one if the file's has another number of
//! classes. Any other layer must have the file's shape. Towers make no difference: the joint tensors are compared.

use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use console::escaped;

use super::checkpoint::Checkpoint;
use super::pytorch::{self, Joint};
use super::tensors::{File, Info};
use super::weights::{self, Tensors};
use crate::net::Network;
use crate::net::shapes::Net;

/// Sets the weights from a checkpoint or an exported file; what they could not be set from it stays as it is. Tells, a
/// line each, of layers of which only one of the two has something. Nothing is set unless all fits.
pub fn set(network: &Network, path: &Path) -> Result<Vec<String>> {
    let tensors = read(network.net(), path)?;
    let (joints, mut told) = (pytorch::joints(network.net()), Vec::new());
    let mut found = Vec::new();
    for (at, joint) in joints.iter().enumerate() {
        let is_last = at + 1 == joints.len();
        let layer = find(&tensors, joint, is_last).with_context(|| escaped(path).to_string())?;
        match layer {
            Layer::Found(pair) => found.push((joint, pair)),
            Layer::Fresh(why) => told.push(format!("{why}: the layer starts fresh")),
        }
    }
    ensure!(
        !found.is_empty(),
        "{}: none of its layers has the name and shape of one of the network's",
        escaped(path)
    );
    for (joint, [weights, biases]) in &found {
        pytorch::set(network, joint, weights, biases)?;
    }
    told.extend(unused(&tensors, &joints));
    Ok(told)
}

/// Of a checkpoint, the newest of a run directory, or a file of weights.
fn read(net: &Net, path: &Path) -> Result<Tensors> {
    let is_checkpoint = path.is_dir()
        || weights::is_safetensors(path) && File::open(path)?.optional_text("format").is_some();
    if is_checkpoint {
        return of_checkpoint(path);
    }
    let mut tensors = weights::read(net, path)?;
    // The set that is trained on has its own.
    tensors.remove(weights::MEAN);
    Ok(tensors)
}

fn of_checkpoint(path: &Path) -> Result<Tensors> {
    let checkpoint = Checkpoint::open(path)?;
    let net = checkpoint.network()?;
    let joint = pytorch::joint_tensors(&net, &checkpoint.tensors)?;
    Ok(by_name(joint))
}

fn by_name(tensors: Vec<(Info, Vec<f32>)>) -> Tensors {
    let named = |(info, numbers): (Info, Vec<f32>)| (info.name.clone(), (info, numbers));
    tensors.into_iter().map(named).collect()
}

/// What the file has for a layer.
enum Layer<'a> {
    /// Weights and biases.
    Found([&'a [f32]; 2]),
    /// Nothing that it could begin with, and why.
    Fresh(String),
}

fn find<'a>(tensors: &'a Tensors, joint: &Joint, is_last: bool) -> Result<Layer<'a>> {
    let wanted = [&joint.weight, &joint.bias];
    let [Some(weight), Some(bias)] = wanted.map(|info| tensors.get(&info.name)) else {
        if let Some(one) = wanted.iter().find(|info| tensors.contains_key(&info.name)) {
            bail!(
                "tensor {} is there alone, without weights or biases",
                one.name
            );
        }
        let layer = layer_of(&joint.weight);
        return Ok(Layer::Fresh(format!("{layer}: not in the file")));
    };
    for (wanted, (found, _)) in wanted.iter().zip([weight, bias]) {
        if wanted.shape == found.shape {
            continue;
        }
        let (wanted_outputs, outputs) = (wanted.shape.first(), found.shape.first());
        if is_last && wanted.shape.get(1..) == found.shape.get(1..) {
            let [outputs, wanted] = [outputs, wanted_outputs].map(|n| n.copied().unwrap_or(0));
            let layer = layer_of(&joint.weight);
            let why = format!("{layer}: {outputs} outputs in the file, here {wanted}");
            return Ok(Layer::Fresh(why));
        }
        bail!(
            "tensor {}: expected {:?} {:?}, found {:?} {:?}",
            wanted.name,
            wanted.dtype,
            wanted.shape,
            found.dtype,
            found.shape
        );
    }
    Ok(Layer::Found([&weight.1, &bias.1]))
}

/// What the file has and the network does not.
fn unused(tensors: &Tensors, joints: &[Joint]) -> Option<String> {
    let is_known = |name: &str| {
        joints
            .iter()
            .any(|j| j.weight.name == name || j.bias.name == name)
    };
    let names = tensors.keys().map(String::as_str);
    let unknown: Vec<&str> = names.filter(|name| !is_known(name)).collect();
    let names = unknown.join(", ");
    (!unknown.is_empty())
        .then(|| format!("not used, since the network has no such layers: {names}"))
}

fn layer_of(weight: &Info) -> &str {
    weight.name.strip_suffix(".weight").unwrap_or(&weight.name)
}
