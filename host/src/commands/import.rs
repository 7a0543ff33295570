//! `host import`

use std::fmt;
use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use clap::Args;
use console::escaped;
use dataset_pack::Dataset;
use serde::Serialize;

use super::Run;
use super::interrupt::Interrupt;
use crate::formats::tensors::{self, Info};
use crate::formats::training::{Kept, TrainingState};
use crate::formats::weights::{self, Tensors};
use crate::formats::{caffe, state};
use crate::net::choice::NetworkChoice;
use crate::net::shapes::Net;
use crate::paths::ShownPath;

/// Makes a checkpoint of another program's weights.
#[derive(Args, Clone, Debug)]
#[command(
    after_help = "Example: host import --from alexnet.pth --net torchvision --normalised --out alexnet.safetensors\n\n\
                  Layers go by their names: this program's (conv1.weight), torchvision's (features.0.weight), or those \
                  of a caffemodel (conv1), whose colours are turned. The mean image comes from the file, if it was \
                  exported with one, or from --mean or --data; without any it is 0."
)]
pub struct Import {
    /// The weights; the ending says what they are: safetensors, pth (PyTorch), caffemodel or npz (NumPy)
    #[arg(long, value_name = "FILE")]
    pub from: PathBuf,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub network: NetworkChoice,
    /// A set whose classes' names, and mean image unless there is another, go into the checkpoint
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Caffe's mean image
    #[arg(long, value_name = "FILE.binaryproto", conflicts_with = "normalised")]
    pub mean: Option<PathBuf>,
    /// The weights are for pixels as torchvision's transforms make them: divided by 255, less ImageNet's mean of their
    /// colour, over its deviation. The first layer and the mean image are made to do that
    #[arg(long)]
    pub normalised: bool,
    /// The checkpoint to write
    #[arg(long, value_name = "FILE.safetensors")]
    pub out: PathBuf,
}

/// ImageNet's colours as torchvision has them, of pixels from 0 to 1.
const COLOUR_MEAN: [f64; 3] = [0.485, 0.456, 0.406];
const COLOUR_DEVIATION: [f64; 3] = [0.229, 0.224, 0.225];

/// What was made.
#[derive(Clone, Debug, Serialize)]
pub struct Imported {
    out: ShownPath,
    net: String,
    classes: usize,
    parameters: usize,
    /// Where the mean image is from.
    mean: &'static str,
}

impl Run for Import {
    type Report = Imported;

    fn run(&self) -> Result<Imported> {
        let from = || escaped(&self.from).to_string();
        let set = self.data.as_deref().map(Dataset::open).transpose()?;
        let (spec, width) = (self.network.load(&[])?, self.network.width());
        // Only the last layer depends on the number of classes, which the file says.
        let any = spec.resolve(width, spec.towers)?;
        let mut given = weights::read(&any, &self.from)?;
        let count = weights::classes(&any, &given).with_context(from)?;
        let net = spec.resolve(width, count).with_context(from)?;
        weights::check(&net, &given).with_context(from)?;
        let (mean, source) = self.mean(&net, &mut given, set.as_ref())?;
        let mut all = weights::towers(&net, &given)?;
        let info = state::mean_info(&net);
        all.insert(info.name.clone(), (info, mean));
        let kept = Kept {
            width,
            ..Kept::default()
        };
        let classes = self.classes(count, set.as_ref())?;
        let training = TrainingState::untrained(spec.to_toml(), kept, classes);
        Interrupt::listen()?;
        self.write(&training, &all)?;
        Ok(Imported {
            out: self.out.as_path().into(),
            parameters: net.parameter_count(),
            net: net.name,
            classes: count,
            mean: source,
        })
    }
}

impl Import {
    /// The mean image, and where it is from.
    fn mean(
        &self,
        net: &Net,
        given: &mut Tensors,
        set: Option<&Dataset>,
    ) -> Result<(Vec<f32>, &'static str)> {
        let size = state::mean_info(net);
        if self.normalised {
            return Ok((normalise(net, given)?, "the colours of ImageNet"));
        }
        if let Some(path) = &self.mean {
            let read = || caffe::mean(net, &fs::read(path)?);
            let mean = read().with_context(|| escaped(path).to_string())?;
            return Ok((mean, "--mean"));
        }
        if let Some((info, mean)) = given.remove(weights::MEAN) {
            let from = escaped(&self.from);
            let (wanted, found) = (&size.shape, &info.shape);
            ensure!(
                wanted == found,
                "{from}: tensor mean: expected {wanted:?}, found {found:?}"
            );
            return Ok((mean, "the file"));
        }
        match set.and_then(Dataset::mean) {
            Some(mean) => {
                let path = self.data.as_deref().unwrap_or(&self.from);
                let (wanted, found) = (size.len(), mean.len());
                ensure!(
                    wanted == found,
                    "{}: a mean image of {found} numbers, where the network has {wanted}",
                    escaped(path)
                );
                Ok((mean.to_vec(), "the set"))
            }
            None => Ok((vec![0.0; size.len()], "none: 0")),
        }
    }

    fn classes(&self, count: usize, set: Option<&Dataset>) -> Result<Vec<String>> {
        let Some(set) = set else {
            return Ok((0..count).map(|class| class.to_string()).collect());
        };
        let names = set.classes().iter().map(|class| class.name.clone());
        let names: Vec<String> = names.collect();
        let path = self.data.as_deref().unwrap_or(&self.from);
        ensure!(
            names.len() == count,
            "{}: it has {} classes, and {} {count}",
            escaped(path),
            names.len(),
            escaped(&self.from)
        );
        Ok(names)
    }

    fn write(&self, training: &TrainingState, all: &Tensors) -> Result<()> {
        let infos: Vec<Info> = all.values().map(|(info, _)| info.clone()).collect();
        tensors::write(&self.out, &training.to_text()?, &infos, |wanted| {
            let (_, numbers) = all.get(&wanted.name).context("no such tensor")?;
            Ok(bytemuck::cast_slice(numbers).into())
        })
    }
}

/// Divides the first layer's weights by 255 and the deviation of their colour; gives the mean image of pixels from 0 to
/// 255.
fn normalise(net: &Net, given: &mut Tensors) -> Result<Vec<f32>> {
    let first = net.towers[0].iter().find(|l| l.parameters().is_some());
    let first = first.context("the network has no weights")?;
    let name = format!("{}.weight", first.name);
    let (info, numbers) = given.get_mut(&name).context("no first weights")?;
    let [_, 3, height, width] = info.shape[..] else {
        anyhow::bail!("layer {}: it does not read three colours", first.name);
    };
    for (at, plane) in numbers.chunks_mut(height * width).enumerate() {
        let scale = 255.0 * COLOUR_DEVIATION[at % 3];
        let scaled = |w: &mut f32| *w = (f64::from(*w) / scale) as f32;
        plane.iter_mut().for_each(scaled);
    }
    let colours = COLOUR_MEAN.map(|mean| (255.0 * mean) as f32);
    Ok(colours.repeat(net.input.size * net.input.size))
}

impl fmt::Display for Imported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Imported {
            out,
            net,
            classes,
            parameters,
            mean,
        } = self;
        write!(
            f,
            "{out}: {}, {classes} classes, {parameters} parameters; mean image: {mean}",
            escaped(net)
        )
    }
}
