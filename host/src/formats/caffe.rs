//! Caffe's files: `.caffemodel`, a network with its weights, and `mean.binaryproto`, the mean image.
//!
//! Only the fields that are used are declared; the numbers are those of Caffe's `caffe.proto`. Weights lie as PyTorch
//! has them, groups included, but for the colours: Caffe reads blue, green, red. Pixels are 0 to 255 there too.

use anyhow::{Context, Result, ensure};
use console::escaped;
use prost::Message;

use super::tensors::Info;
use super::weights::Tensors;
use crate::net::shapes::Net;

/// A network: layers as Caffe has written them since 2014, and as before.
#[derive(Clone, PartialEq, Message)]
struct NetParameter {
    #[prost(message, repeated, tag = "2")]
    old_layers: Vec<OldLayer>,
    #[prost(message, repeated, tag = "100")]
    layers: Vec<Layer>,
}

#[derive(Clone, PartialEq, Message)]
struct OldLayer {
    #[prost(string, tag = "4")]
    name: String,
    #[prost(message, repeated, tag = "6")]
    blobs: Vec<Blob>,
}

#[derive(Clone, PartialEq, Message)]
struct Layer {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(message, repeated, tag = "7")]
    blobs: Vec<Blob>,
}

/// An array: four sides in old files, any number of them in newer ones.
#[derive(Clone, PartialEq, Message)]
struct Blob {
    #[prost(int32, tag = "1")]
    num: i32,
    #[prost(int32, tag = "2")]
    channels: i32,
    #[prost(int32, tag = "3")]
    height: i32,
    #[prost(int32, tag = "4")]
    width: i32,
    #[prost(float, repeated, tag = "5")]
    data: Vec<f32>,
    #[prost(message, optional, tag = "7")]
    shape: Option<BlobShape>,
}

#[derive(Clone, PartialEq, Message)]
struct BlobShape {
    #[prost(int64, repeated, tag = "1")]
    dim: Vec<i64>,
}

impl Blob {
    /// Its sides, without leading ones: old files have four always.
    fn sides(&self) -> Result<Vec<usize>> {
        let old = [self.num, self.channels, self.height, self.width].map(i64::from);
        let given = self.shape.as_ref().map_or(&old[..], |shape| &shape.dim);
        let sides = given.iter().map(|&side| usize::try_from(side));
        let sides: Vec<usize> = sides.collect::<Result<_, _>>().context("a negative side")?;
        let len = sides.iter().copied().try_fold(1, usize::checked_mul);
        ensure!(
            len == Some(self.data.len()),
            "{sides:?} does not go with {} numbers of float32",
            self.data.len()
        );
        Ok(sides.into_iter().skip_while(|side| *side == 1).collect())
    }
}

/// Reads the bytes of a `.caffemodel`: `LAYER.weight` and `LAYER.bias`, for images of red, green, blue.
pub fn parse(bytes: &[u8]) -> Result<Tensors> {
    let net = NetParameter::decode(bytes).context("not a whole caffemodel")?;
    let old = net.old_layers.into_iter().map(|l| (l.name, l.blobs));
    let layers = net.layers.into_iter().map(|l| (l.name, l.blobs));
    let mut tensors = Tensors::new();
    for (name, blobs) in old.chain(layers).filter(|(_, blobs)| !blobs.is_empty()) {
        let is_first = tensors.is_empty();
        let failed = || format!("layer {}", escaped(&name));
        ensure!(
            blobs.len() == 2,
            "layer {}: {} arrays, not weights and biases",
            escaped(&name),
            blobs.len()
        );
        for (mut blob, part) in blobs.into_iter().zip(["weight", "bias"]) {
            let sides = blob.sides().with_context(failed)?;
            if let ([_, 3, height, width], true) = (sides.as_slice(), is_first) {
                turn_colours(&mut blob.data, height * width);
            }
            let info = Info::f32(format!("{name}.{part}"), sides);
            tensors.insert(info.name.clone(), (info, blob.data));
        }
    }
    ensure!(!tensors.is_empty(), "a caffemodel without weights");
    Ok(tensors)
}

/// Blue, green, red, each of so many numbers, to red, green, blue.
fn turn_colours(data: &mut [f32], plane: usize) {
    for pixels in data.chunks_exact_mut(3 * plane) {
        let (blue, rest) = pixels.split_at_mut(plane);
        blue.swap_with_slice(&mut rest[plane..]);
    }
}

/// Reads the bytes of a `mean.binaryproto`: the network's mean image, `[row][column][colour]`.
pub fn mean(net: &Net, bytes: &[u8]) -> Result<Vec<f32>> {
    let mut blob = Blob::decode(bytes).context("not a whole binaryproto")?;
    let (sides, size) = (blob.sides()?, net.input.size);
    ensure!(
        sides == [3, size, size],
        "a mean image of {sides:?}, not [3, {size}, {size}]"
    );
    let plane = size * size;
    turn_colours(&mut blob.data, plane);
    let pixels = (0..plane).flat_map(|at| [0, 1, 2].map(|colour| blob.data[colour * plane + at]));
    Ok(pixels.collect())
}
