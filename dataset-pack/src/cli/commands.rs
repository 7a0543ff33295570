//! What each command does.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Mutex;

use anyhow::{Result, ensure};
use console::{Progress, escaped};
use dataset_pack::{
    Action, BadImage, BuildOptions, Built, Dataset, Event, RepairOptions, SynthOptions,
};
use serde::Serialize;

use super::describe::{Description, ImageDescription};

pub(crate) fn build(json: bool, options: &BuildOptions) -> Result<ExitCode> {
    let bar = Bar::default();
    let built = dataset_pack::build(options, &|event| bar.show(event))?;
    bar.finish();
    print(json, &built, || {
        built.iter().map(line).collect::<Vec<_>>().join("\n")
    })?;
    Ok(ExitCode::SUCCESS)
}

/// Shows the events of packing.
#[derive(Default)]
struct Bar(Mutex<Option<Progress>>);

impl Bar {
    fn show(&self, event: Event<'_>) {
        let Ok(mut bar) = self.0.lock() else { return };
        let note = |bar: &Option<Progress>, text: &str| match bar {
            Some(bar) => bar.note(text),
            None => console::note(text),
        };
        match event {
            Event::Begin {
                split,
                images,
                classes,
            } => {
                bar.iter().for_each(Progress::finish);
                console::note!("{}: {images} images of {classes} classes", split.name());
                *bar = Some(Progress::new("packed", "images", images as u64));
            }
            Event::Found(images) => bar.iter().for_each(|bar| bar.skip(images as u64)),
            Event::Advance(images) => bar.iter().for_each(|bar| bar.advance(images as u64)),
            Event::Bad(image) => {
                let BadImage {
                    source,
                    reason,
                    action,
                } = image;
                let kept = if *action == Action::Kept {
                    " (kept)"
                } else {
                    ""
                };
                let source = escaped(source);
                note(&bar, &format!("warning: {source}: {reason}{kept}"));
            }
            Event::Warning(text) => note(&bar, &format!("warning: {text}")),
            _ => {}
        }
    }

    fn finish(&self) {
        if let Ok(bar) = self.0.lock() {
            bar.iter().for_each(Progress::finish);
        }
    }
}

fn line(built: &Built) -> String {
    let counts = &built.counts;
    let part = built.part.map_or(String::new(), |part| {
        format!(" (part {}/{} of the set)", part.index + 1, part.count)
    });
    let kept = match counts.kept {
        0 => String::new(),
        kept => format!(" {kept} damaged ones kept,"),
    };
    let mut line = format!(
        "{}: {} images of {} ({}) in {} shards{part}, {} rejected,{kept} {} other files",
        escaped(&built.folder),
        counts.packed,
        classes(built),
        labels(built),
        built.shards,
        counts.rejected,
        counts.skipped
    );
    if let Some(report) = &built.report {
        line.push_str(&format!(" (see {})", escaped(report)));
    }
    line
}

fn classes(built: &Built) -> String {
    match built.classes {
        1 => "1 class".into(),
        count => format!("{count} classes"),
    }
}

/// The first and the last class, by which a person sees whether the labels are the right ones.
fn labels(built: &Built) -> String {
    let first = format!("0 = {}", escaped(&built.first_class));
    match built.classes {
        1 => first,
        count => format!("{first} … {} = {}", count - 1, escaped(&built.last_class)),
    }
}

pub(crate) fn verify(dir: &Path, json: bool) -> Result<ExitCode> {
    let bar = Progress::new("verified", "images", 0);
    let result = dataset_pack::verify(dir, &|images, all| {
        bar.set_length(all);
        bar.advance(images as u64);
    })?;
    bar.finish();
    for name in &result.strangers {
        let path = dir.join(name);
        console::note!("warning: {}: not part of the set", escaped(&path));
    }
    let whole = result.problems.is_empty();
    print(json, &result, || {
        let mut lines: Vec<_> = result
            .problems
            .iter()
            .map(|p| escaped(p).to_string())
            .collect();
        let verdict = match result.problems.len() {
            0 => format!(
                "whole: {} images in {} shards",
                result.images, result.shards
            ),
            n => format!("DAMAGED: {n} problems"),
        };
        lines.push(format!("{}: {verdict}", escaped(dir)));
        lines.join("\n")
    })?;
    Ok(if whole {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Repairs a set, then verifies it.
pub(crate) fn repair(options: &RepairOptions, json: bool) -> Result<ExitCode> {
    let bar = Bar::default();
    let repaired = dataset_pack::repair(options, &|event| bar.show(event), &|_, _| {})?;
    bar.finish();
    for number in &repaired {
        let set = escaped(&options.set);
        console::note!("{set}: packed shard {number} again");
    }
    verify(&options.set, json)
}

pub(crate) fn merge(parts: &[PathBuf], out: &Path, json: bool) -> Result<ExitCode> {
    let counts = dataset_pack::merge(parts, out, &|_| {})?;
    print(json, &counts, || {
        let (packed, rejected) = (counts.packed, counts.rejected);
        format!("{}: {packed} images, {rejected} rejected", escaped(out))
    })?;
    Ok(ExitCode::SUCCESS)
}

pub(crate) fn rebuild_index(dir: &Path) -> Result<ExitCode> {
    dataset_pack::rebuild_index(dir)?;
    print(false, &(), || {
        format!("{}: the index is written", escaped(dir))
    })?;
    Ok(ExitCode::SUCCESS)
}

pub(crate) fn info(dir: &Path, json: bool) -> Result<ExitCode> {
    let set = Dataset::open(dir)?;
    let description = Description::of(&set);
    print(json, &description, || description.text())?;
    Ok(ExitCode::SUCCESS)
}

pub(crate) fn inspect(
    dir: &Path,
    index: usize,
    png: Option<&Path>,
    json: bool,
) -> Result<ExitCode> {
    let set = Dataset::open(dir)?;
    let (dir, images) = (escaped(dir), set.len());
    ensure!(
        index < images,
        "{dir}: no image {index}; the set has images 0 to {}",
        images - 1
    );
    let description = ImageDescription::of(&set, index)?;
    // First the file, since the description may have nowhere to go; and that one of a damaged image, too.
    let written = png.map(|png| -> Result<()> {
        Ok(dataset_pack::write_png(
            png,
            &set.image(index)?,
            set.size(),
        )?)
    });
    print(json, &description, || description.text())?;
    written.transpose()?;
    Ok(ExitCode::SUCCESS)
}

pub(crate) fn extract(dir: &Path, out: &Path) -> Result<ExitCode> {
    let set = Dataset::open(dir)?;
    let bar = Progress::new("extracted", "images", set.len() as u64);
    dataset_pack::extract(&set, out, &|images| bar.advance(images as u64))?;
    bar.finish();
    Ok(ExitCode::SUCCESS)
}

pub(crate) fn synth(options: &SynthOptions) -> Result<ExitCode> {
    let images = u64::from(options.classes) * u64::from(options.per_class);
    let bar = Progress::new("drew", "images", images);
    dataset_pack::synth(options, &|images| bar.advance(images as u64))?;
    bar.finish();
    Ok(ExitCode::SUCCESS)
}

/// Prints a result to standard output, for programs or for people.
fn print(json: bool, value: &impl Serialize, text: impl FnOnce() -> String) -> Result<()> {
    match json {
        true => console::print_json(&serde_json::to_string_pretty(value)?)?,
        false => console::print(&text())?,
    }
    Ok(())
}
