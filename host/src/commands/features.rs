//! `host features`

use anyhow::Result;
use dataset_pack::Dataset;

use crate::cli::Features;
use crate::net::layer::Mode;
use crate::tensors::{self, Info, Text};
use crate::train::progress::Progress;
use crate::train::views::test_views;
use crate::{evaluate, model};

pub fn run(options: &Features) -> Result<()> {
    let data = Dataset::open(&options.data)?;
    let (mut network, checkpoint) =
        model::load(&options.checkpoint, options.places.gpus.as_deref(), options.batch)?;
    model::check_classes(&checkpoint, &data, &options.data)?;
    evaluate::check_data(&network, &data)?;
    let layer = network.net().last_in_place(network.net().position(&options.layer)?);
    let centre = test_views(&network.net().input, false)[0];
    let mut shown = Progress::new(0, data.len() as u64, "images");
    let (mut features, mut width): (Vec<f32>, _) = (Vec::new(), 0);
    for batch in evaluate::batches(&network, &data) {
        evaluate::load(&mut network, &data, &batch, centre);
        network.forward(Mode::Test);
        let (values, columns) = network.values(layer)?;
        width = columns;
        features.extend(values);
        shown.set(u64::from(batch.images.end), String::new());
    }
    drop(shown);
    let labels: Vec<i64> = (0..data.len()).map(|i| i64::from(data.label(i))).collect();
    let infos = [
        Info::f32("features", [data.len(), width]),
        Info::i64("labels", [data.len()]),
    ];
    tensors::write(&options.out, &Text::new(), &infos, |info| {
        let bytes: &[u8] = match info.name.as_str() {
            "features" => bytemuck::cast_slice(&features),
            _ => bytemuck::cast_slice(&labels),
        };
        Ok(bytes.into())
    })?;
    println!("{}: features [{}, {width}] and labels", options.out.display(), data.len());
    Ok(())
}
