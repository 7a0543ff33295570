//! A network's numbers as named tensors: what a checkpoint holds of it.
//!
//! | tensor | shape |
//! |---|---|
//! | `mean` | [size, size, 3], taken off every image |
//! | `tower0.conv1.weight` and so on | [inputs, outputs padded], as the device holds it; of groups or pixels one below the other |
//! | `tower0.conv1.weight.velocity` | the same |
//! | `tower0.conv1.bias`, `tower0.conv1.bias.velocity` | [outputs padded] |

use anyhow::Result;

use super::tensors::{self, File, Info};
use crate::device::Stream;
use crate::net::parameters::Tensor;
use crate::net::shapes::Net;
use crate::net::{Network, Parameters};
use crate::ranks::Ranks;

/// The mean image.
pub fn mean_info(net: &Net) -> Info {
    Info::f32("mean", [net.input.size, net.input.size, net.input.channels])
}

/// Name and shape of a layer's tensors, weights and biases.
fn infos_of(tower: usize, weights: &Parameters) -> [Info; 2] {
    let (p, name) = (&weights.spec, &weights.name);
    let [rows, columns, _] = p.matrix();
    [
        Info::f32(format!("tower{tower}.{name}.weight"), [rows, columns]),
        Info::f32(format!("tower{tower}.{name}.bias"), [p.padded_outputs()]),
    ]
}

/// One tensor of a network that learns: its name and shape, and where it lies.
struct Learned<'a> {
    info: Info,
    tensor: &'a Tensor,
    stream: &'a dyn Stream,
}

fn learned(network: &Network) -> impl Iterator<Item = Learned<'_>> {
    network.parameters().flat_map(|(tower, weights, stream)| {
        let tensors = [&weights.weights, &weights.biases];
        let pairs = infos_of(tower, weights).into_iter().zip(tensors);
        pairs.map(move |(info, tensor)| Learned {
            info,
            tensor,
            stream,
        })
    })
}

fn velocity(info: &Info) -> Info {
    Info::f32(format!("{}.velocity", info.name), info.shape.clone())
}

/// All numbers of a network, and of the mean image that belongs to it.
pub struct StateDict<'a> {
    views: Vec<(Info, Source<'a>)>,
    ranks: &'a Ranks,
}

enum Source<'a> {
    Host(&'a [f32]),
    Value(&'a Tensor, &'a dyn Stream),
    /// Every rank has a part.
    Velocity(&'a Tensor, &'a dyn Stream),
}

impl<'a> StateDict<'a> {
    /// Of the network of these ranks.
    pub fn of(network: &'a Network, mean: &'a [f32], ranks: &'a Ranks) -> Self {
        let mut views = vec![(mean_info(network.net()), Source::Host(mean))];
        for Learned {
            info,
            tensor,
            stream,
        } in learned(network)
        {
            views.push((velocity(&info), Source::Velocity(tensor, stream)));
            views.push((info, Source::Value(tensor, stream)));
        }
        StateDict { views, ranks }
    }

    /// Their names and shapes.
    pub fn infos(&self) -> Vec<Info> {
        self.views.iter().map(|(info, _)| info.clone()).collect()
    }

    /// Those that every rank has whole.
    pub fn common(&self) -> impl Iterator<Item = &Info> {
        let common = |(_, source): &&(_, _)| !matches!(source, Source::Velocity(..));
        self.views.iter().filter(common).map(|(info, _)| info)
    }

    /// What the other ranks do while the first one fetches all, in the order of a file.
    pub fn give(&self) -> Result<()> {
        for info in tensors::order(&self.infos()) {
            if let Some(Source::Velocity(tensor, stream)) = self.source(info) {
                tensor.all_velocity(*stream, self.ranks)?;
            }
        }
        Ok(())
    }

    /// One of them. What every rank has a part of, only the first gets, and the others [give](Self::give).
    pub fn fetch(&self, wanted: &Info) -> Result<Vec<f32>> {
        match self.source(wanted) {
            Some(Source::Host(numbers)) => Ok(numbers.to_vec()),
            Some(Source::Value(tensor, stream)) => stream.download(&tensor.value),
            Some(Source::Velocity(tensor, stream)) => tensor.all_velocity(*stream, self.ranks),
            None => anyhow::bail!("the network has no tensor {}", wanted.name),
        }
    }

    fn source(&self, wanted: &Info) -> Option<&Source<'a>> {
        let found = self.views.iter().find(|(info, _)| info.name == wanted.name);
        found.map(|(_, source)| source)
    }
}

/// Sets every weight, and with `momentum` every velocity, from a checkpoint's
/// file; gives the mean image. Nothing is set unless all fits.
pub fn restore(network: &Network, file: &File, momentum: bool) -> Result<Vec<f32>> {
    let mean = mean_info(network.net());
    let mut wanted: Vec<Info> = learned(network)
        .flat_map(|one| [velocity(&one.info), one.info])
        .collect();
    wanted.push(mean.clone());
    file.check(&wanted)?;
    for Learned {
        info,
        tensor,
        stream,
    } in learned(network)
    {
        stream.upload(&file.f32(&info)?, &tensor.value);
        if momentum {
            tensor.set_velocity(stream, &file.f32(&velocity(&info))?);
        }
    }
    let mean = file.f32(&mean)?;
    network.set_mean(&mean);
    Ok(mean)
}
