//! `host train`

use anyhow::Result;

use crate::cli::Train;
use crate::train::run;

pub fn run(options: &Train) -> Result<()> {
    let report = run::train(options)?;
    let out = options.out.display();
    let stopped = if report.stopped {
        " (stopped; go on with --resume)"
    } else {
        ""
    };
    println!("steps        {}{stopped}", report.step);
    println!("loss         {:.4}", report.loss);
    if let Some(score) = report.validation {
        println!(
            "validation   {:.1} % top-1 error, {:.1} % top-5, loss {:.4}, {} images",
            100.0 * score.top1_error,
            100.0 * score.top5_error,
            score.loss,
            score.images
        );
    }
    println!("checkpoints  {out}/checkpoints");
    println!("pictures     {out}/curves.png, {out}/filters.png");
    Ok(())
}
