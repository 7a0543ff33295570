//! `host saliency`

use std::fmt;
use std::path::PathBuf;

use anyhow::{Context, Result, anyhow, ensure};
use clap::Args;
use console::escaped;
use dataset_pack::Resize;
use gpu_kernels::augment::View;
use image::RgbImage;
use image::imageops::crop_imm;
use serde::Serialize;

use super::predict::{batch_for, names, readable};
use super::{Emit, Stream};
use crate::data::files::{Files, batch};
use crate::data::views::centre;
use crate::evaluate::largest;
use crate::model::{self, Inference};
use crate::net::Network;
use crate::net::context::Mode;
use crate::paths::ShownPath;
use crate::picture::saliency::{self, Panel};

/// Images on a sheet; it is held in memory.
const ON_A_SHEET: usize = 16;

/// Shows which pixels of an image a class's score depends on.
#[derive(Args, Clone, Debug)]
#[command(
    after_help = "Example: host saliency --checkpoint runs/a cat.jpg dog.png --png sheet.png\n\n\
                  It is the gradient of the class's score, before the softmax, to the centre of the image that the \
                  network sees; of a pixel the largest of its colours', without sign. On the sheet each image stands \
                  beside this map and beside itself, dimmed where the map is dark. The map is stretched: black is 0 and \
                  white begins where 1 % of the pixels lie above. With --json each image is a line of its own."
)]
pub struct Saliency {
    /// A checkpoint, or a run directory for its newest
    #[arg(long, value_name = "FILE")]
    pub checkpoint: PathBuf,
    /// Image files; - reads their names, a line each, from standard input
    #[arg(value_name = "IMAGE", required = true)]
    pub images: Vec<PathBuf>,
    /// The class, by its name or its number [default: of each image the likeliest]
    #[arg(long, value_name = "NAME|N")]
    pub class: Option<String>,
    /// The sheet to write, of the first 16 images
    #[arg(long, value_name = "FILE")]
    pub png: PathBuf,
    /// How images are brought to the network's size
    #[arg(long, value_enum, default_value_t)]
    pub resize: Resize,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub inference: Inference,
}

/// What a class's score depends on in an image.
#[derive(Clone, Debug, Serialize)]
pub struct Depends {
    path: ShownPath,
    class: String,
    probability: f32,
    /// Before the softmax.
    score: f32,
    /// The largest gradient to a pixel.
    gradient: f32,
    /// That pixel's row and column in what the network sees.
    pixel: [usize; 2],
}

impl Stream for Saliency {
    type Item = Depends;

    fn run(&self, emit: &mut Emit<Depends>) -> Result<()> {
        let mut work = Work::new(self)?;
        let (size, group) = (work.network.net().input.size, work.network.batch());
        let (mut images, mut bad) = (0, 0);
        for group in Files::start(names(self.images.clone()), group, size, self.resize)? {
            let group = group?;
            let all = group.len();
            let group = readable(group);
            images += all;
            bad += all - group.len();
            work.show(group, emit)?;
            if console::reader_gone() {
                break;
            }
        }
        ensure!(
            !work.panels.is_empty(),
            "{}: there is no image to draw",
            escaped(&self.png)
        );
        saliency::write(&self.png, &work.panels)?;
        ensure!(bad == 0, "{bad} of {images} images could not be read");
        Ok(())
    }
}

struct Work {
    network: Network,
    classes: Vec<String>,
    /// The class that was asked for.
    class: Option<usize>,
    view: View,
    panels: Vec<Panel>,
}

impl Work {
    fn new(options: &Saliency) -> Result<Self> {
        let mut inference = options.inference.clone();
        inference.batch = batch_for(&options.images, inference.batch);
        let (network, checkpoint) =
            model::load_with_image_gradients(&options.checkpoint, &inference)?;
        let classes = checkpoint.training.classes;
        let class = options.class.as_deref().map(|named| find(named, &classes));
        Ok(Work {
            view: centre(&network.net().input),
            class: class.transpose()?,
            network,
            classes,
            panels: Vec::new(),
        })
    }

    fn show(&mut self, images: Vec<(PathBuf, Vec<u8>)>, emit: &mut Emit<Depends>) -> Result<()> {
        if images.is_empty() {
            return Ok(());
        }
        let pixels: Vec<&[u8]> = images.iter().map(|(_, pixels)| pixels.as_slice()).collect();
        let (probabilities, scores) = self.see(&pixels)?;
        let classes = self.classes.len();
        let likeliest = |of_one: &[f32]| largest(of_one, 1)[0];
        let chosen: Vec<usize> = probabilities
            .chunks_exact(classes)
            .map(|of_one| self.class.unwrap_or_else(|| likeliest(of_one)))
            .collect();
        let maps = self.maps(&chosen)?;
        let side = self.network.net().input.crop;
        for (i, (path, pixels)) in images.iter().enumerate() {
            let map = &maps[i * side * side..][..side * side];
            let place = largest(map, 1)[0];
            let of_class = i * classes + chosen[i];
            let depends = Depends {
                path: path.as_path().into(),
                class: self.classes[chosen[i]].clone(),
                probability: probabilities[of_class],
                score: scores[of_class],
                gradient: map[place],
                pixel: [place / side, place % side],
            };
            if self.panels.len() < ON_A_SHEET {
                self.panels.push(self.panel(&depends, pixels, map)?);
            }
            emit(&depends)?;
        }
        Ok(())
    }

    /// Probabilities and scores, `[image][class]`, of the centres of images.
    fn see(&mut self, pixels: &[&[u8]]) -> Result<(Vec<f32>, Vec<f32>)> {
        let network = &mut self.network;
        let mut batch = batch(pixels, network.net().input.size, network.batch());
        batch.views.fill(self.view);
        network.load(&batch);
        network.forward(Mode::Test);
        let before_the_loss = network.net().towers[0].len() - 2;
        Ok((network.probabilities()?, network.values(before_the_loss)?.0))
    }

    /// Of each image that was seen, for each pixel the largest of its colours' gradients, without sign.
    fn maps(&self, classes: &[usize]) -> Result<Vec<f32>> {
        let batch = self.network.batch();
        let mut gradient = vec![0.0; self.classes.len() * batch];
        for (image, class) in classes.iter().enumerate() {
            gradient[class * batch + image] = 1.0;
        }
        self.network.backward_to_images(&gradient, Mode::Test);
        let gradients = self.network.image_gradients()?;
        let input = self.network.net().input;
        let area = input.crop * input.crop;
        let map = |image: &[f32]| -> Vec<f32> {
            let colours = |pixel| image[pixel..].iter().step_by(area);
            let largest = |pixel| colours(pixel).fold(0.0, |most: f32, g| most.max(g.abs()));
            (0..area).map(largest).collect()
        };
        Ok(gradients
            .chunks_exact(input.channels * area)
            .flat_map(map)
            .collect())
    }

    /// Of the sheet.
    fn panel(&self, depends: &Depends, pixels: &[u8], map: &[f32]) -> Result<Panel> {
        let input = self.network.net().input;
        let [size, crop] = [input.size, input.crop].map(|side| side as u32);
        let whole = RgbImage::from_raw(size, size, pixels.to_vec()).context("an image's bytes")?;
        let View { x, y, .. } = self.view;
        Ok(Panel {
            picture: crop_imm(&whole, x, y, crop, crop).to_image(),
            map: map.to_vec(),
            title: format!("{} {:.1} %", depends.class, 100.0 * depends.probability),
            note: depends.path.to_string(),
        })
    }
}

/// A class by its name, or else by its number.
fn find(named: &str, classes: &[String]) -> Result<usize> {
    let by_name = classes.iter().position(|class| class == named);
    let by_number = || {
        named
            .parse()
            .ok()
            .filter(|&number: &usize| number < classes.len())
    };
    by_name.or_else(by_number).ok_or_else(|| {
        let last = classes.len().saturating_sub(1);
        anyhow!(
            "--class {}: no class has this name or number; they go from 0 to {last}",
            escaped(named)
        )
    })
}

impl fmt::Display for Depends {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Depends {
            path,
            class,
            probability,
            score,
            gradient,
            pixel: [row, column],
        } = self;
        write!(
            f,
            "{path}\n  {:6.2} %  {class}, score {score:.3}; ",
            probability * 100.0
        )?;
        write!(
            f,
            "most of it by row {row}, column {column}: {gradient:.3e} a grey level"
        )
    }
}
