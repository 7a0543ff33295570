//! `host predict`

use std::fmt;
use std::io::{BufRead, StdinLock};
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use clap::Args;
use console::escaped;
use dataset_pack::Resize;
use image::RgbImage;
use serde::Serialize;

use super::{Emit, Stream};
use crate::data::files::{Files, Loaded, batch, slots};
use crate::data::views::Crops;
use crate::evaluate;
use crate::model::{self, Inference};
use crate::net::Network;
use crate::paths::ShownPath;
use crate::picture::predictions::{self, BARS, Panel};

/// Images on a sheet; it is held in memory.
const ON_A_SHEET: usize = 64;

/// Says what image files show, as a network sees it.
#[derive(Args, Clone, Debug)]
#[command(
    after_help = "Example: host predict --checkpoint runs/a cat.jpg dog.png --png sheet.png\n\n\
                  Images are decoded and resized as `dataset-pack build` does it, to the same pixels. With --json each \
                  is a line of its own. An image that cannot be read is named on standard error and left out; the exit \
                  status is 1 then. The class of an image counts as known if the folder it lies in has a class's name."
)]
pub struct Predict {
    /// A checkpoint, or a run directory for its newest
    #[arg(long, value_name = "FILE")]
    pub checkpoint: PathBuf,
    /// Image files; - reads their names, a line each, from standard input
    #[arg(value_name = "IMAGE", required = true)]
    pub images: Vec<PathBuf>,
    /// What is seen of each image, and averaged over
    #[arg(long, value_enum, default_value_t)]
    pub crops: Crops,
    /// The likeliest classes that are given
    #[arg(long, value_name = "K", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    pub top: u32,
    /// How images are brought to the network's size
    #[arg(long, value_enum, default_value_t)]
    pub resize: Resize,
    /// Draws the first 64 images with bars for their five likeliest classes
    #[arg(long, value_name = "FILE")]
    pub png: Option<PathBuf>,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub inference: Inference,
}

/// What an image shows.
#[derive(Clone, Debug, Serialize)]
pub struct Predicted {
    path: ShownPath,
    /// Its class, if its folder names one.
    #[serde(skip_serializing_if = "Option::is_none")]
    class: Option<String>,
    /// The likeliest first.
    predictions: Vec<Guess>,
}

/// A class and how likely it is.
#[derive(Clone, Debug, Serialize)]
struct Guess {
    class: String,
    probability: f32,
}

impl Stream for Predict {
    type Item = Predicted;

    fn run(&self, emit: &mut Emit<Predicted>) -> Result<()> {
        let (network, classes) = self.load()?;
        let (size, group) = (network.net().input.size, network.batch());
        let files = Files::start(names(self.images.clone()), group, size, self.resize)?;
        let mut work = Work {
            options: self,
            network,
            classes,
            panels: Vec::new(),
        };
        let (mut images, mut bad) = (0, 0);
        for group in files {
            let group = group?;
            images += group.len();
            bad += work.predict(group, emit)?;
            if console::reader_gone() {
                break;
            }
        }
        if let Some(path) = &self.png {
            ensure!(
                !work.panels.is_empty(),
                "{}: there is no image to draw",
                escaped(path)
            );
            predictions::write(path, &work.panels)?;
        }
        ensure!(bad == 0, "{bad} of {images} images could not be read");
        Ok(())
    }
}

impl Predict {
    /// The network, for no larger batches than there are images, and the names of its classes.
    fn load(&self) -> Result<(Network, Vec<String>)> {
        let mut inference = self.inference.clone();
        inference.batch = batch_for(&self.images, inference.batch);
        let (network, checkpoint) = model::load(&self.checkpoint, &inference)?;
        Ok((network, checkpoint.training.classes))
    }
}

struct Work<'a> {
    options: &'a Predict,
    network: Network,
    classes: Vec<String>,
    panels: Vec<Panel>,
}

impl Work<'_> {
    /// Deals with a group of images, and says how many could not be read.
    fn predict(&mut self, group: Vec<Loaded>, emit: &mut Emit<Predicted>) -> Result<usize> {
        let count = group.len();
        let images = readable(group);
        let bad = count - images.len();
        if images.is_empty() {
            return Ok(bad);
        }
        let pixels: Vec<&[u8]> = images.iter().map(|(_, pixels)| pixels.as_slice()).collect();
        let size = self.network.net().input.size;
        let mut batch = batch(&pixels, size, self.network.batch());
        let crops = self.options.crops;
        let probabilities = evaluate::probabilities(&mut self.network, &mut batch, crops)?;
        let rows = probabilities.chunks(self.classes.len());
        for ((path, pixels), row) in images.iter().zip(rows) {
            let predicted = self.predicted(path, row, self.options.top as usize);
            if self.options.png.is_some() && self.panels.len() < ON_A_SHEET {
                let bars = self.predicted(path, row, BARS);
                self.panels.push(panel(bars, pixels, size)?);
            }
            emit(&predicted)?;
        }
        Ok(bad)
    }

    fn predicted(&self, path: &Path, probabilities: &[f32], count: usize) -> Predicted {
        let best = evaluate::largest(probabilities, count);
        let guess = |class: usize| Guess {
            class: self.classes[class].clone(),
            probability: probabilities[class],
        };
        let folder = path.parent().and_then(Path::file_name);
        let is_it = |class: &&String| folder.is_some_and(|name| name == class.as_str());
        Predicted {
            path: path.into(),
            class: self.classes.iter().find(is_it).cloned(),
            predictions: best.into_iter().map(guess).collect(),
        }
    }
}

/// Those that are images; the others are named.
pub(super) fn readable(group: Vec<Loaded>) -> Vec<(PathBuf, Vec<u8>)> {
    let readable = |Loaded { path, pixels }| match pixels {
        Ok(pixels) => Some((path, pixels)),
        Err(cause) => {
            console::note!("{}: {cause}", escaped(&path));
            None
        }
    };
    group.into_iter().filter_map(readable).collect()
}

fn panel(predicted: Predicted, pixels: &[u8], size: usize) -> Result<Panel> {
    let side = size as u32;
    let bars = predicted.predictions.into_iter();
    Ok(Panel {
        picture: RgbImage::from_raw(side, side, pixels.to_vec()).context("an image's bytes")?,
        name: predicted.path.to_string(),
        class: predicted.class,
        bars: bars.map(|guess| (guess.class, guess.probability)).collect(),
    })
}

/// The batch for the images given, if it may have at most `most`: no larger than they need, where that is known.
pub(super) fn batch_for(given: &[PathBuf], most: usize) -> usize {
    match given.iter().any(|name| is_input(name)) {
        true => most,
        false => slots(given.len(), most),
    }
}

fn is_input(name: &Path) -> bool {
    name == Path::new("-")
}

/// The names given, with those on standard input where `-` stands.
pub(super) fn names(given: Vec<PathBuf>) -> impl Iterator<Item = Result<PathBuf>> + Send {
    let each = |name: PathBuf| -> Box<dyn Iterator<Item = Result<PathBuf>> + Send> {
        match is_input(&name) {
            true => Box::new(Input),
            false => Box::new(std::iter::once(Ok(name))),
        }
    };
    given.into_iter().flat_map(each)
}

/// Names on standard input.
struct Input;

impl Iterator for Input {
    type Item = Result<PathBuf>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut input = std::io::stdin().lock();
        let read = |input: &mut StdinLock| -> Result<Option<PathBuf>> {
            loop {
                let mut line = Vec::new();
                let read = input.read_until(b'\n', &mut line);
                if read.context("standard input: cannot read")? == 0 {
                    return Ok(None);
                }
                while line.last().is_some_and(|end| b"\r\n".contains(end)) {
                    line.pop();
                }
                if !line.is_empty() {
                    return Ok(Some(std::ffi::OsString::from_vec(line).into()));
                }
            }
        };
        read(&mut input).transpose()
    }
}

impl fmt::Display for Predicted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.path)?;
        if let Some(class) = &self.class {
            write!(f, " ({class})")?;
        }
        for Guess { class, probability } in &self.predictions {
            write!(f, "\n  {:6.2} %  {class}", probability * 100.0)?;
        }
        Ok(())
    }
}
