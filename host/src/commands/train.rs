//! `host train`

use anyhow::Result;
use console::escaped;

use crate::train::run;
use crate::train::settings::Settings;

pub fn run(options: &Settings) -> Result<()> {
    let report = run::train(options)?;
    let out = escaped(&options.out);
    let stopped = if report.stopped {
        " (stopped; go on with --resume)"
    } else {
        ""
    };
    console::result!("steps        {}{stopped}", report.step)?;
    if let Some(loss) = report.loss {
        console::result!("loss         {loss:.4}")?;
    }
    if let Some(score) = report.validation {
        console::result!(
            "validation   {:.1} % top-1 error, {:.1} % top-5, loss {:.4}, {} images",
            100.0 * score.top1_error,
            100.0 * score.top5_error,
            score.loss,
            score.images
        )?;
    }
    if let Some((step, error)) = report.best {
        console::result!(
            "best         {:.1} % top-1 error, at step {step}",
            100.0 * error
        )?;
    }
    console::result!("checkpoints  {out}/checkpoints")?;
    console::result!("pictures     {out}/curves.png, {out}/filters.png")?;
    Ok(())
}
