//! What whoever started a run sees of it: a bar on a terminal, plain lines elsewhere.

use anyhow::Result;
use console::Progress;

use crate::train::events::{Event, Observer};

/// On standard error.
#[derive(Default)]
pub struct Display(Option<Progress>);

impl Display {
    fn say(&self, line: &str) {
        match &self.0 {
            Some(bar) => bar.note(line),
            None => console::note(line),
        }
    }
}

impl Observer for Display {
    fn observe(&mut self, event: &Event<'_>) -> Result<()> {
        match event {
            Event::Begin {
                devices,
                step,
                last_step,
            } => {
                devices.iter().for_each(|device| console::note(device));
                let bar = Progress::new("trained", "steps", *last_step);
                bar.skip(*step);
                self.0 = Some(bar);
            }
            Event::Step { line, mean_loss } => {
                let (errors, speed) = (100.0 * line.top1_error, line.images_per_second);
                let bar = self.0.iter();
                bar.for_each(|bar| {
                    bar.set_message(&format!(
                        "loss {mean_loss:.3}, top-1 error {errors:.0} %, {speed:.1} images/s"
                    ));
                    bar.advance(1);
                });
            }
            Event::Validation(line) => self.say(&format!(
                "step {}: validation loss {:.3}, errors top-1 {:.1} %, top-5 {:.1} %",
                line.step,
                line.loss,
                100.0 * line.top1_error,
                100.0 * line.top5_error
            )),
            Event::Rate { rate, plateau } => self.say(&match plateau {
                true => format!("the validation error no longer improves: learning rate {rate}"),
                false => format!("learning rate {rate}"),
            }),
            Event::Notice(text) => self.say(text),
            Event::Checkpoint { .. } => {}
            Event::End(_) => self.0 = None,
        }
        Ok(())
    }
}
