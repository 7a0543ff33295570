//! `host test-crop`

use anyhow::Result;
use dataset_pack::Dataset;
use serde_json::json;

use crate::cli::TestCrop;
use crate::evaluate::Predictions;
use crate::model;
use crate::train::progress::Progress;

pub fn run(options: &TestCrop) -> Result<()> {
    let data = Dataset::open(&options.data)?;
    let ten = options.crops == "10";
    let total = (data.len() * options.checkpoint.len()) as u64;
    let mut shown = Progress::new(0, total, "images");
    let mut predictions = Predictions::new(data.len(), data.classes().len());
    let mut done = 0;
    for path in &options.checkpoint {
        let (mut network, checkpoint) = model::load(path, &options.places, options.batch)?;
        checkpoint.check_classes(&data, &options.data)?;
        predictions.add(&mut network, &data, ten, |images| {
            done += images as u64;
            shown.set(done, String::new());
        })?;
    }
    drop(shown);
    let score = predictions.score(&data);
    if options.json {
        let result = json!({
            "images": score.images,
            "crops": if ten { 10 } else { 1 },
            "checkpoints": options.checkpoint.len(),
            "top1_error": score.top1_error,
            "top5_error": score.top5_error,
            "loss": score.loss,
        });
        console::print_json(&result.to_string())?;
        return Ok(());
    }
    let crops = if ten { "ten crops" } else { "centre crop" };
    console::result!("images       {} ({crops})", score.images)?;
    console::result!("top-1 error  {:.2} %", 100.0 * score.top1_error)?;
    console::result!("top-5 error  {:.2} %", 100.0 * score.top5_error)?;
    console::result!("loss         {:.4}", score.loss)?;
    Ok(())
}
