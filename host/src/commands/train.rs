//! `host train`

use anyhow::Result;
use console::escaped;

use crate::cli::Train;
use crate::train::run;

pub fn run(options: &Train) -> Result<()> {
    let report = run::train(options)?;
    let out = escaped(&options.out);
    let stopped = if report.stopped {
        " (stopped; go on with --resume)"
    } else {
        ""
    };
    console::result!("steps        {}{stopped}", report.step)?;
    console::result!("loss         {:.4}", report.loss)?;
    if let Some(score) = report.validation {
        console::result!(
            "validation   {:.1} % top-1 error, {:.1} % top-5, loss {:.4}, {} images",
            100.0 * score.top1_error,
            100.0 * score.top5_error,
            score.loss,
            score.images
        )?;
    }
    console::result!("checkpoints  {out}/checkpoints")?;
    console::result!("pictures     {out}/curves.png, {out}/filters.png")?;
    Ok(())
}
