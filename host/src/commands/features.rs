//! `host features`

use std::borrow::Cow;
use std::fmt;
use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use console::Progress;
use dataset_pack::Dataset;
use serde::Serialize;

use super::Run;
use crate::data::loader::Gatherer;
use crate::data::views::centre;
use crate::evaluate;
use crate::formats::checkpoint::Checkpoint;
use crate::formats::state;
use crate::formats::tensors::{self, Dtype, Info, Text};
use crate::model::{self, Inference};
use crate::net::Network;
use crate::net::context::Mode;
use crate::paths::ShownPath;

/// Writes what a layer gives for every image of a set.
#[derive(Args, Clone, Debug)]
#[command(
    after_help = "Example: host features --checkpoint runs/a --data sets/val --layer fc7 --out fc7.safetensors"
)]
pub struct Features {
    /// A checkpoint, or a run directory for its newest
    #[arg(long, value_name = "FILE")]
    pub checkpoint: PathBuf,
    /// The set
    #[arg(long, value_name = "DIR")]
    pub data: PathBuf,
    /// The layer
    #[arg(long, value_name = "NAME")]
    pub layer: String,
    /// The file: `features` (f32, a row for each image) and `labels` (i64)
    #[arg(long, value_name = "FILE.safetensors")]
    pub out: PathBuf,
    /// Also writes `images` (u8, [n, size, size, 3]) and `mean` (f32), so that another program can compute the same
    #[arg(long)]
    pub with_images: bool,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub inference: Inference,
}

/// What was written.
#[derive(Clone, Debug, Serialize)]
pub struct Written {
    out: ShownPath,
    images: usize,
    width: usize,
}

impl Run for Features {
    type Report = Written;

    fn run(&self) -> Result<Written> {
        let data = Dataset::open(&self.data)?;
        let (mut network, checkpoint) = model::load(&self.checkpoint, &self.inference)?;
        checkpoint.check_classes(&data, &self.data)?;
        evaluate::check_data(network.net(), &data)?;
        let position = network.net().position(&self.layer)?;
        let layer = network.net().last_in_place(position);
        let (features, width) = features(&mut network, &data, layer)?;
        self.write(&data, &network, &checkpoint, (&features, width))?;
        Ok(Written {
            out: self.out.as_path().into(),
            images: data.len(),
            width,
        })
    }
}

impl Features {
    fn write(
        &self,
        data: &Dataset,
        network: &Network,
        checkpoint: &Checkpoint,
        (features, width): (&[f32], usize),
    ) -> Result<()> {
        let labels: Vec<i64> = (0..data.len()).map(|i| i64::from(data.label(i))).collect();
        let mean = state::mean_info(network.net());
        let mut infos = vec![
            Info::f32("features", [data.len(), width]),
            Info::i64("labels", [data.len()]),
        ];
        if self.with_images {
            infos.push(Info {
                name: "images".into(),
                shape: [&[data.len()], mean.shape.as_slice()].concat(),
                dtype: Dtype::U8,
            });
            infos.push(mean.clone());
        }
        let images = || -> Result<Cow<[u8]>> {
            let images = (0..data.len()).map(|i| Ok(data.image(i)?));
            Ok(images.collect::<Result<Vec<_>>>()?.concat().into())
        };
        tensors::write(&self.out, &Text::new(), &infos, |info| {
            Ok(match info.name.as_str() {
                "features" => bytemuck::cast_slice(features).into(),
                "labels" => bytemuck::cast_slice(&labels).into(),
                "images" => images()?,
                _ => bytemuck::cast_slice(&checkpoint.tensors.f32(&mean)?)
                    .to_vec()
                    .into(),
            })
        })
    }
}

/// What a layer gives for the centre of every image, a row for each, and the rows' width.
fn features(network: &mut Network, data: &Dataset, layer: usize) -> Result<(Vec<f32>, usize)> {
    let centre = centre(&network.net().input);
    let bar = Progress::new("computed", "images", data.len() as u64);
    let (mut features, mut width): (Vec<f32>, _) = (Vec::new(), 0);
    let mut gatherer = Gatherer::new(network.net().input.crop);
    for batch in evaluate::batches(network, data) {
        network.load(&gatherer.whole(data, &batch, centre)?);
        network.forward(Mode::Test);
        let (values, columns) = network.values(layer)?;
        width = columns;
        features.extend(values);
        bar.advance(batch.valid() as u64);
    }
    Ok((features, width))
}

impl fmt::Display for Written {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Written { out, images, width } = self;
        write!(f, "{out}: features [{images}, {width}] and labels")
    }
}
