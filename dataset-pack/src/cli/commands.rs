//! What each command does.

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Mutex;

use anyhow::{Context, Result, ensure};
use dataset_pack::{BuildOptions, Built, Dataset, Event, SynthOptions};
use serde::Serialize;

use super::describe::{Description, ImageDescription};
use super::progress::Progress;

pub(crate) fn build(json: bool, options: &BuildOptions) -> Result<ExitCode> {
    let bar: Mutex<Option<Progress>> = Mutex::new(None);
    let note = |bar: &Option<Progress>, text: &str| match bar {
        Some(bar) => bar.note(text),
        None => eprintln!("{text}"),
    };
    let observer = |event: Event<'_>| {
        let Ok(mut bar) = bar.lock() else { return };
        match event {
            Event::Begin {
                split,
                images,
                classes,
            } => {
                finish(&bar);
                eprintln!("{}: {images} images of {classes} classes", split.name());
                *bar = Some(Progress::new("packed", images as u64));
            }
            Event::Advance(images) => bar.iter().for_each(|bar| bar.advance(images)),
            Event::Bad(image) => {
                note(
                    &bar,
                    &format!("warning: {}: {}", image.source, image.reason),
                );
            }
            Event::Warning(text) => note(&bar, &format!("warning: {text}")),
            _ => {}
        }
    };
    let built = dataset_pack::build(options, &observer)?;
    if let Ok(bar) = bar.lock() {
        finish(&bar);
    }
    print(json, &built, || {
        built.iter().map(line).collect::<Vec<_>>().join("\n")
    })?;
    Ok(ExitCode::SUCCESS)
}

fn finish(bar: &Option<Progress>) {
    bar.iter().for_each(Progress::finish);
}

fn line(built: &Built) -> String {
    let counts = &built.counts;
    let mut line = format!(
        "{}: {} images of {} classes in {} shards, {} rejected, {} other files",
        built.folder.display(),
        counts.packed,
        built.classes,
        built.shards,
        counts.rejected,
        counts.skipped
    );
    if let Some(report) = &built.report {
        line.push_str(&format!(" (see {})", report.display()));
    }
    line
}

pub(crate) fn verify(dir: &Path, json: bool) -> Result<ExitCode> {
    let bar = Progress::new("verified", 0);
    let result = dataset_pack::verify(dir, &|images, all| {
        bar.set_length(all);
        bar.advance(images);
    })?;
    bar.finish();
    for name in &result.strangers {
        eprintln!("warning: {}: not part of the set", dir.join(name).display());
    }
    let whole = result.problems.is_empty();
    print(json, &result, || {
        let mut lines = result.problems.clone();
        let verdict = match result.problems.len() {
            0 => format!(
                "whole: {} images in {} shards",
                result.images, result.shards
            ),
            n => format!("DAMAGED: {n} problems"),
        };
        lines.push(format!("{}: {verdict}", dir.display()));
        lines.join("\n")
    })?;
    Ok(if whole {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
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
    let (dir, images) = (dir.display(), set.len());
    ensure!(
        index < images,
        "{dir}: no image {index}; the set has images 0 to {}",
        images - 1
    );
    let description = ImageDescription::of(&set, index);
    print(json, &description, || description.text())?;
    if let Some(png) = png {
        dataset_pack::write_png(png, set.image(index), set.size())?;
    }
    Ok(ExitCode::SUCCESS)
}

pub(crate) fn extract(dir: &Path, out: &Path) -> Result<ExitCode> {
    let set = Dataset::open(dir)?;
    let bar = Progress::new("extracted", set.len() as u64);
    dataset_pack::extract(&set, out, &|images| bar.advance(images))?;
    bar.finish();
    Ok(ExitCode::SUCCESS)
}

pub(crate) fn synth(options: &SynthOptions) -> Result<ExitCode> {
    let images = u64::from(options.classes) * u64::from(options.per_class);
    let bar = Progress::new("drew", images);
    dataset_pack::synth(options, &|images| bar.advance(images))?;
    bar.finish();
    Ok(ExitCode::SUCCESS)
}

/// Prints a result to standard output, for programs or for people.
fn print(json: bool, value: &impl Serialize, text: impl FnOnce() -> String) -> Result<()> {
    let text = if json {
        serde_json::to_string_pretty(value)?
    } else {
        text()
    };
    writeln!(std::io::stdout(), "{text}").context("cannot write to standard output")
}
