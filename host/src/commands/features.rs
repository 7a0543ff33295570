//! `host features`

use anyhow::Result;
use console::escaped;
use dataset_pack::Dataset;

use crate::cli::Features;
use crate::data::loader::Gatherer;
use crate::data::views::test_views;
use crate::net::context::Mode;
use crate::state;
use crate::tensors::{self, Dtype, Info, Text};
use crate::train::progress::Progress;
use crate::{evaluate, model};

pub fn run(options: &Features) -> Result<()> {
    let data = Dataset::open(&options.data)?;
    let (mut network, checkpoint) =
        model::load(&options.checkpoint, &options.places, options.batch)?;
    checkpoint.check_classes(&data, &options.data)?;
    evaluate::check_data(&network, &data)?;
    let layer = network
        .net()
        .last_in_place(network.net().position(&options.layer)?);
    let centre = test_views(&network.net().input, false)[0];
    let mut shown = Progress::new(0, data.len() as u64, "images");
    let (mut features, mut width): (Vec<f32>, _) = (Vec::new(), 0);
    let mut gatherer = Gatherer::new(network.net().input.crop);
    for batch in evaluate::batches(&network, &data) {
        network.load(&gatherer.whole(&data, &batch, centre)?);
        network.forward(Mode::Test);
        let (values, columns) = network.values(layer)?;
        width = columns;
        features.extend(values);
        shown.set(u64::from(batch.images.end), String::new());
    }
    drop(shown);
    let labels: Vec<i64> = (0..data.len()).map(|i| i64::from(data.label(i))).collect();
    let mean = state::mean_info(network.net());
    let mut infos = vec![
        Info::f32("features", [data.len(), width]),
        Info::i64("labels", [data.len()]),
    ];
    if options.with_images {
        let shape = [&[data.len()], mean.shape.as_slice()].concat();
        infos.extend([
            Info {
                name: "images".into(),
                shape,
                dtype: Dtype::U8,
            },
            mean.clone(),
        ]);
    }
    tensors::write(&options.out, &Text::new(), &infos, |info| {
        Ok(match info.name.as_str() {
            "features" => bytemuck::cast_slice(&features).into(),
            "labels" => bytemuck::cast_slice(&labels).into(),
            "images" => (0..data.len())
                .map(|i| Ok(data.image(i)?))
                .collect::<Result<Vec<_>>>()?
                .concat()
                .into(),
            _ => bytemuck::cast_slice(&checkpoint.tensors.f32(&mean)?)
                .to_vec()
                .into(),
        })
    })?;
    console::result!(
        "{}: features [{}, {width}] and labels",
        escaped(&options.out),
        data.len()
    )?;
    Ok(())
}
