//! `host activations`

use std::fmt;
use std::path::PathBuf;

use anyhow::{Context, Result, anyhow};
use clap::Args;
use console::escaped;
use dataset_pack::{Resize, load_image};
use serde::Serialize;

use super::Run;
use crate::data::files::{batch, slots};
use crate::data::views::centre;
use crate::evaluate;
use crate::model::{self, Inference};
use crate::paths::ShownPath;
use crate::picture::maps;

/// Draws what a layer makes of the centre of an image.
#[derive(Args, Clone, Debug)]
#[command(
    after_help = "Example: host activations --checkpoint runs/a --layer conv3 cat.jpg --out conv3.png"
)]
pub struct Activations {
    /// A checkpoint, or a run directory for its newest
    #[arg(long, value_name = "FILE")]
    pub checkpoint: PathBuf,
    /// The layer, with those that work in place on what it gives, such as its ReLU
    #[arg(long, value_name = "NAME")]
    pub layer: String,
    /// The image file
    #[arg(value_name = "IMAGE")]
    pub image: PathBuf,
    /// The picture to write
    #[arg(long, value_name = "FILE.png")]
    pub out: PathBuf,
    /// How the image is brought to the network's size
    #[arg(long, value_enum, default_value_t)]
    pub resize: Resize,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub inference: Inference,
}

/// What was drawn.
#[derive(Clone, Debug, Serialize)]
pub struct Drawn {
    out: ShownPath,
    layer: String,
    /// Maps or units of all towers, tower 0's first.
    maps: usize,
    rows: usize,
    columns: usize,
}

impl Run for Activations {
    type Report = Drawn;

    fn run(&self) -> Result<Drawn> {
        let mut inference = self.inference.clone();
        inference.batch = slots(1, inference.batch);
        let (mut network, _) = model::load(&self.checkpoint, &inference)?;
        let layer = network.net().position(&self.layer)?;
        let input = network.net().input;
        let named = || escaped(&self.image).to_string();
        let pixels = load_image(&self.image, input.size, self.resize);
        let pixels = pixels.map_err(|cause| anyhow!(cause)).with_context(named)?;
        let mut image = batch(&[&pixels], input.size, network.batch());
        image.views.fill(centre(&input));
        let last = network.net().last_in_place(layer);
        let values = evaluate::seen(&mut network, &image, last)?;
        let of_one = network.net().towers[0][layer].output;
        maps::write(&self.out, &values, [of_one.height, of_one.width])?;
        Ok(Drawn {
            out: self.out.as_path().into(),
            layer: self.layer.clone(),
            maps: values.len() / (of_one.height * of_one.width).max(1),
            rows: of_one.height,
            columns: of_one.width,
        })
    }
}

impl fmt::Display for Drawn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Drawn {
            out,
            layer,
            maps,
            rows,
            columns,
        } = self;
        write!(f, "{out}: {maps} maps of {layer}, {rows}×{columns} each")
    }
}
