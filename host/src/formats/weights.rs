//! The tensors of a file of weights, whatever wrote it, under the names and in the measure that this program has.
//!
//! Two things differ elsewhere, and are put right in reading:
//!
//! - torchvision's AlexNet numbers its layers: `features.0.weight` for `conv1.weight` and so on.
//! - Dropout multiplies by 1 − p here in testing, as the paper says, while torchvision and Caffe multiply by 1/(1 − p) in
//!   training. The weights behind a dropout layer are therefore divided by 1 − p; with p = ½ no bit is lost.
//!
//! A file that has this program's names holds its own measure, unless Caffe wrote it.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use console::escaped;

use super::pytorch::{self, joints};
use super::tensors::{self, File, Info};
use super::{caffe, npz, pth};
use crate::net::layer::Kind;
use crate::net::shapes::Net;

/// Tensors by their names.
pub type Tensors = BTreeMap<String, (Info, Vec<f32>)>;

/// Name of the mean image where a file has one.
pub const MEAN: &str = "mean";

/// torchvision's names for the layers of the preset `torchvision`.
const TORCHVISION: [(&str, &str); 8] = [
    ("conv1", "features.0"),
    ("conv2", "features.3"),
    ("conv3", "features.6"),
    ("conv4", "features.8"),
    ("conv5", "features.10"),
    ("fc6", "classifier.1"),
    ("fc7", "classifier.4"),
    ("fc8", "classifier.6"),
];

/// Reads a file for a network; the ending of its name says what it is, and safetensors is what it is otherwise.
pub fn read(net: &Net, path: &Path) -> Result<Tensors> {
    let named = || escaped(path).to_string();
    let parse: fn(&[u8]) -> Result<Tensors> = match ending(path) {
        Some("npz") => npz::parse,
        Some("pth" | "pt") => pth::parse,
        Some("caffemodel") => caffe::parse,
        _ => {
            return Ok(from_elsewhere(
                net,
                of_safetensors(&File::open(path)?)?,
                false,
            ));
        }
    };
    let map = tensors::map(path).with_context(named)?;
    let tensors = parse(&map).with_context(named)?;
    Ok(from_elsewhere(
        net,
        tensors,
        ending(path) == Some("caffemodel"),
    ))
}

fn ending(path: &Path) -> Option<&str> {
    path.extension()?.to_str()
}

/// Whether the file is none of the other formats, by its name.
pub fn is_safetensors(path: &Path) -> bool {
    !matches!(ending(path), Some("npz" | "pth" | "pt" | "caffemodel"))
}

fn of_safetensors(file: &File) -> Result<Tensors> {
    let read = |info: Info| {
        // Numbers of another type are an error.
        let info = Info::f32(info.name, info.shape);
        let numbers = file.f32(&info)?;
        Ok((info.name.clone(), (info, numbers)))
    };
    file.infos().into_iter().map(read).collect()
}

/// Little-endian floats.
pub fn numbers(bytes: &[u8]) -> Vec<f32> {
    let numbers = bytes.as_chunks().0.iter();
    numbers.map(|&bytes| f32::from_le_bytes(bytes)).collect()
}

/// Puts names and measure right.
fn from_elsewhere(net: &Net, tensors: Tensors, of_caffe: bool) -> Tensors {
    let torchvisions = tensors.contains_key("features.0.weight");
    let mut tensors = rename(tensors, |(ours, theirs)| (theirs, ours));
    if torchvisions || of_caffe {
        scale_after_dropout(net, &mut tensors, |weight, kept| weight / kept);
    }
    tensors
}

/// As torchvision has them, where the network is the preset of that name.
pub fn for_export(net: &Net, mut tensors: Tensors) -> Tensors {
    if net.name != "torchvision" {
        return tensors;
    }
    scale_after_dropout(net, &mut tensors, |weight, kept| weight * kept);
    rename(tensors, |pair| pair)
}

fn rename(
    tensors: Tensors,
    pair: fn((&'static str, &'static str)) -> (&'static str, &'static str),
) -> Tensors {
    let renamed = |(name, (mut info, numbers)): (String, (Info, Vec<f32>))| {
        let new = TORCHVISION.into_iter().map(pair).find_map(|(from, to)| {
            let part = name.strip_prefix(from)?;
            matches!(part, ".weight" | ".bias").then(|| format!("{to}{part}"))
        });
        info.name = new.unwrap_or(name);
        (info.name.clone(), (info, numbers))
    };
    tensors.into_iter().map(renamed).collect()
}

/// Changes the weights that read what dropout gives, by the share of the units that it keeps.
fn scale_after_dropout(net: &Net, tensors: &mut Tensors, change: fn(f32, f32) -> f32) {
    let mut kept = 1.0;
    for layer in &net.towers[0] {
        if let Kind::Dropout(dropout) = &layer.kind {
            kept *= 1.0 - dropout.p as f32;
        }
        if layer.parameters().is_none() || kept == 1.0 {
            continue;
        }
        if let Some((_, numbers)) = tensors.get_mut(&format!("{}.weight", layer.name)) {
            numbers.iter_mut().for_each(|w| *w = change(*w, kept));
        }
        kept = 1.0;
    }
}

/// How many classes a file's tensors are for: what the last layer gives out.
pub fn classes(net: &Net, tensors: &Tensors) -> Result<usize> {
    let last = joints(net).pop().context("the network has no weights")?;
    let found = tensors.get(&last.bias.name);
    let (info, _) = found.with_context(|| missing(&last.bias.name, tensors))?;
    match info.shape[..] {
        [classes] => Ok(classes),
        _ => bail!(
            "tensor {}: expected one side, found {:?}",
            last.bias.name,
            info.shape
        ),
    }
}

/// Checks that there are exactly the network's tensors; the mean image may be among them.
pub fn check(net: &Net, tensors: &Tensors) -> Result<()> {
    let joints = joints(net);
    let wanted = || joints.iter().flat_map(|joint| [&joint.weight, &joint.bias]);
    for info in wanted() {
        let (found, _) = tensors
            .get(&info.name)
            .with_context(|| missing(&info.name, tensors))?;
        ensure!(
            found.shape == info.shape,
            "tensor {}: expected {:?}, found {:?}",
            info.name,
            info.shape,
            found.shape
        );
    }
    let is_known = |name: &str| name == MEAN || wanted().any(|info| info.name == name);
    match tensors.keys().find(|name| !is_known(name)) {
        Some(name) => bail!(
            "tensor {}: the network has no such tensor",
            escaped(name.as_str())
        ),
        None => Ok(()),
    }
}

fn missing(name: &str, tensors: &Tensors) -> String {
    let names = tensors.keys().map(String::as_str).take(4);
    let names = names.collect::<Vec<_>>().join(", ");
    format!("tensor {name} is missing; there are {}, …", escaped(&names))
}

/// The towers' tensors as a checkpoint has them, without momentum, from joint ones that have been checked.
pub fn towers(net: &Net, tensors: &Tensors) -> Result<Tensors> {
    let mut all = Tensors::new();
    for joint in joints(net) {
        let find = |info: &Info| {
            let found = tensors.get(&info.name);
            found.with_context(|| missing(&info.name, tensors))
        };
        let (_, weights) = find(&joint.weight)?;
        let (_, biases) = find(&joint.bias)?;
        let weights = pytorch::split_weights(net, joint.layer, weights)?;
        let biases = pytorch::split_biases(net, joint.layer, biases)?;
        for (tower, pair) in weights.into_iter().zip(biases).enumerate() {
            let layer = &net.towers[tower][joint.layer];
            let p = layer.parameters().context("a layer without weights")?;
            let (inputs, outputs) = (p.inputs, p.padded_outputs());
            let name = format!("tower{tower}.{}", layer.name);
            let parts = [
                ("weight", vec![inputs, outputs], pair.0),
                ("bias", vec![outputs], pair.1),
            ];
            for (part, shape, numbers) in parts {
                let still = Info::f32(format!("{name}.{part}.velocity"), shape.clone());
                all.insert(still.name.clone(), (still, vec![0.0; numbers.len()]));
                let info = Info::f32(format!("{name}.{part}"), shape);
                all.insert(info.name.clone(), (info, numbers));
            }
        }
    }
    Ok(all)
}
