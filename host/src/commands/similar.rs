//! `host similar`

use std::fmt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use clap::Args;
use console::escaped;
use dataset_pack::{Dataset, Resize};
use image::RgbImage;
use serde::Serialize;

use super::index::check_maker;
use super::predict::{batch_for, names, readable};
use super::{Emit, Stream};
use crate::autoencoder::Coder;
use crate::data::files::{Files, batch};
use crate::data::views::centre;
use crate::evaluate;
use crate::formats::training::set_identity;
use crate::index::{Codes, Found, Index, Near};
use crate::model::{self, Inference};
use crate::paths::ShownPath;
use crate::picture::neighbours::{self, Cell};

/// Rows on a sheet; it is held in memory.
const ON_A_SHEET: usize = 16;

/// Finds the images of a set that are most like others, by the Euclidean distance of what a layer makes of them.
#[derive(Args, Clone, Debug)]
#[command(
    after_help = "Example: host similar --index train.index --checkpoint runs/a cat.jpg --png sheet.png\n\n\
                  The neighbours are exact. They are searched for in the set the index was made of; --image asks about \
                  an image of that set itself, which is then not among them. With --codes the distance is the number \
                  of bits in which codes differ, and some of the nearest are missed: the more are re-ranked, the fewer. \
                  With --json each image is a line."
)]
pub struct Similar {
    /// The index that `host index` made
    #[arg(long, value_name = "FILE")]
    pub index: PathBuf,
    /// The checkpoint that made it, or the run directory whose newest did
    #[arg(long, value_name = "FILE", required_unless_present = "image")]
    pub checkpoint: Option<PathBuf>,
    /// Image files; - reads their names, a line each, from standard input
    #[arg(value_name = "IMAGE", required_unless_present = "image")]
    pub images: Vec<PathBuf>,
    /// An image of the set, by its number; may be given several times
    #[arg(long, value_name = "I", conflicts_with = "images")]
    pub image: Vec<usize>,
    /// Where the set is [default: where it was when the index was made]
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Neighbours that are given
    #[arg(long, value_name = "N", default_value_t = 6, value_parser = clap::value_parser!(u32).range(1..))]
    pub count: u32,
    /// Searches by the codes that `host index --bits` wrote beside the index
    #[arg(long)]
    pub codes: bool,
    /// Ranks so many that are nearest by their codes by their features
    #[arg(long, value_name = "N", requires = "codes", value_parser = clap::value_parser!(u32).range(1..))]
    pub rerank: Option<u32>,
    /// How images are brought to the network's size
    #[arg(long, value_enum, default_value_t)]
    pub resize: Resize,
    /// Draws the first 16 images, each beside its neighbours
    #[arg(long, value_name = "FILE")]
    pub png: Option<PathBuf>,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub inference: Inference,
}

/// What an image is like.
#[derive(Clone, Debug, Serialize)]
pub struct Neighbours {
    /// The image's file, or its path in the set's source.
    path: ShownPath,
    /// The nearest first.
    neighbours: Vec<Neighbour>,
}

/// An image of the set.
#[derive(Clone, Debug, Serialize)]
struct Neighbour {
    image: usize,
    /// Its path in the set's source.
    source: String,
    class: String,
    /// Euclidean, of the features.
    #[serde(skip_serializing_if = "Option::is_none")]
    distance: Option<f64>,
    /// In which the codes differ.
    #[serde(skip_serializing_if = "Option::is_none")]
    bits: Option<u32>,
}

impl Stream for Similar {
    type Item = Neighbours;

    fn run(&self, emit: &mut Emit<Neighbours>) -> Result<()> {
        let index = Index::open(&self.index)?;
        let data = self.open_set(&index)?;
        let codes = self
            .codes
            .then(|| Codes::read(&self.index, &index.description))
            .transpose()?;
        let mut work = Work {
            command: self,
            index,
            codes,
            data,
            rows: Vec::new(),
        };
        let (images, bad) = match self.image.is_empty() {
            true => work.of_files(emit)?,
            false => work.of_the_set(emit)?,
        };
        if let Some(path) = &self.png {
            ensure!(
                !work.rows.is_empty(),
                "{}: there is no image to draw",
                escaped(path)
            );
            neighbours::write(path, &work.rows)?;
        }
        ensure!(bad == 0, "{bad} of {images} images could not be read");
        Ok(())
    }
}

impl Similar {
    fn open_set(&self, index: &Index) -> Result<Dataset> {
        let made = &index.description;
        let folder = self.data.as_deref().unwrap_or(Path::new(&made.data));
        let data = Dataset::open(folder)?;
        ensure!(
            set_identity(&data) == made.set && data.len() == made.rows,
            "{}: it was made of another set than {}",
            escaped(&self.index),
            escaped(folder)
        );
        Ok(data)
    }
}

struct Work<'a> {
    command: &'a Similar,
    index: Index,
    /// If they are searched.
    codes: Option<Codes>,
    data: Dataset,
    /// Of the sheet.
    rows: Vec<Vec<Cell>>,
}

impl Work<'_> {
    /// Images, and those of them that could not be read.
    fn of_files(&mut self, emit: &mut Emit<Neighbours>) -> Result<(usize, usize)> {
        let command = self.command;
        let named = command.checkpoint.as_deref().context("no checkpoint")?;
        let mut inference = command.inference.clone();
        inference.batch = batch_for(&command.images, inference.batch);
        let (mut network, checkpoint) = model::load(named, &inference)?;
        check_maker(&self.index.description, &checkpoint, &command.index)?;
        let layer = network.net().position(&self.index.description.layer)?;
        let layer = network.net().last_in_place(layer);
        ensure!(
            network.width(layer) == self.index.description.width,
            "{}: its rows are not as wide as the layer",
            escaped(&command.index)
        );
        let (size, view) = (network.net().input.size, centre(&network.net().input));
        let mut coder = self.coder()?;
        let (mut images, mut bad) = (0, 0);
        for group in Files::start(
            names(command.images.clone()),
            network.batch(),
            size,
            command.resize,
        )? {
            let group = group?;
            images += group.len();
            bad += group.len();
            let group = readable(group);
            bad -= group.len();
            if group.is_empty() {
                continue;
            }
            let pixels: Vec<&[u8]> = group.iter().map(|(_, pixels)| pixels.as_slice()).collect();
            let mut batch = batch(&pixels, size, network.batch());
            batch.views.fill(view);
            let features = evaluate::seen(&mut network, &batch, layer)?;
            let width = self.index.description.width;
            for ((path, pixels), row) in group.into_iter().zip(features.chunks_exact(width)) {
                let found = self.near_features(row, coder.as_mut())?;
                self.answer(path.as_path().into(), pixels, found, emit)?;
            }
            if console::reader_gone() {
                break;
            }
        }
        Ok((images, bad))
    }

    fn of_the_set(&mut self, emit: &mut Emit<Neighbours>) -> Result<(usize, usize)> {
        for &image in &self.command.image {
            let images = self.data.len();
            ensure!(image < images, "image {image} of a set of {images}");
            let path = PathBuf::from(self.data.source(image)?);
            let (pixels, found) = (self.data.image(image)?, self.near_image(image)?);
            self.answer(path.as_path().into(), pixels, found, emit)?;
        }
        Ok((self.command.image.len(), 0))
    }

    /// What is near an image of the set.
    fn near_image(&self, image: usize) -> Result<Vec<Hit>> {
        let features = || self.index.features(image);
        match &self.codes {
            Some(codes) => self.by_codes(codes, codes.of(image), features, Some(image)),
            None => self.exactly(&features()?, Some(image)),
        }
    }

    /// What is near features.
    fn near_features(&self, features: &[f32], coder: Option<&mut Coder>) -> Result<Vec<Hit>> {
        match (&self.codes, coder) {
            (Some(codes), Some(coder)) => {
                let code = coder.codes(features)?;
                self.by_codes(codes, &code, || Ok(features.to_vec()), None)
            }
            _ => self.exactly(features, None),
        }
    }

    /// What makes codes of images that are no part of the set, if codes are searched.
    fn coder(&self) -> Result<Option<Coder>> {
        let of = |codes: &Codes| {
            let device = self.command.inference.places.open_first()?;
            Coder::new(&codes.encoder, &device)
        };
        self.codes.as_ref().map(of).transpose()
    }

    fn exactly(&self, features: &[f32], without: Option<usize>) -> Result<Vec<Hit>> {
        let count = self.command.count as usize;
        let found = self.index.nearest(features, count, without)?;
        Ok(found.into_iter().map(Hit::from).collect())
    }

    fn by_codes(
        &self,
        codes: &Codes,
        code: &[u64],
        features: impl Fn() -> Result<Vec<f32>>,
        without: Option<usize>,
    ) -> Result<Vec<Hit>> {
        let count = self.command.count as usize;
        let Some(most) = self.command.rerank else {
            let near = codes.nearest(code, count, without);
            return Ok(near.into_iter().map(Hit::from).collect());
        };
        let near = codes.nearest(code, count.max(most as usize), without);
        let rows: Vec<usize> = near.iter().map(|near| near.row).collect();
        let found = self.index.nearest_of(&features()?, &rows, count)?;
        Ok(found.into_iter().map(Hit::from).collect())
    }

    fn answer(
        &mut self,
        path: ShownPath,
        pixels: Vec<u8>,
        found: Vec<Hit>,
        emit: &mut Emit<Neighbours>,
    ) -> Result<()> {
        let neighbour = |hit: Hit| -> Result<Neighbour> {
            let class = &self.data.classes()[self.data.label(hit.row) as usize];
            Ok(Neighbour {
                image: hit.row,
                source: self.data.source(hit.row)?,
                class: class.name.clone(),
                distance: hit.distance,
                bits: hit.bits,
            })
        };
        let neighbours = found.into_iter().map(neighbour).collect::<Result<_>>()?;
        let answer = Neighbours { path, neighbours };
        if self.command.png.is_some() && self.rows.len() < ON_A_SHEET {
            self.rows.push(self.row(&answer, pixels)?);
        }
        emit(&answer)
    }

    /// Of the sheet.
    fn row(&self, answer: &Neighbours, pixels: Vec<u8>) -> Result<Vec<Cell>> {
        let side = self.data.size() as u32;
        let picture = |pixels| RgbImage::from_raw(side, side, pixels).context("an image's bytes");
        let mut row = vec![Cell {
            picture: picture(pixels)?,
            title: answer.path.to_string(),
            note: String::new(),
        }];
        for neighbour in &answer.neighbours {
            row.push(Cell {
                picture: picture(self.data.image(neighbour.image)?)?,
                title: neighbour.class.clone(),
                note: neighbour.how_far(),
            });
        }
        Ok(row)
    }
}

/// A row that was found.
struct Hit {
    row: usize,
    distance: Option<f64>,
    bits: Option<u32>,
}

impl From<Found> for Hit {
    fn from(found: Found) -> Self {
        Hit {
            row: found.row,
            distance: Some(found.distance),
            bits: None,
        }
    }
}

impl From<Near> for Hit {
    fn from(near: Near) -> Self {
        Hit {
            row: near.row,
            distance: None,
            bits: Some(near.bits),
        }
    }
}

impl Neighbour {
    fn how_far(&self) -> String {
        match (self.distance, self.bits) {
            (Some(distance), _) => format!("{distance:.4}"),
            (None, Some(bits)) => format!("{bits} bits"),
            (None, None) => String::new(),
        }
    }
}

impl fmt::Display for Neighbours {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.path)?;
        for neighbour in &self.neighbours {
            let far = neighbour.how_far();
            let Neighbour {
                image,
                source,
                class,
                ..
            } = neighbour;
            write!(f, "\n  {far:>10}  {class}  {source} (image {image})")?;
        }
        Ok(())
    }
}
