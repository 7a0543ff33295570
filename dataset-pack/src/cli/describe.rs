//! What `info` and `inspect` tell, as data.

use anyhow::Result;
use console::{escaped, json_name};
use dataset_pack::{Class, Counts, Damaged, Dataset, PrincipalComponents, Resize, Split};
use serde::Serialize;

/// A set in numbers.
#[derive(Serialize)]
pub(crate) struct Description<'a> {
    images: usize,
    split: Split,
    size: usize,
    resize: Resize,
    decoder: &'a str,
    damaged: Damaged,
    tool: &'a str,
    seed: u64,
    id: String,
    shards: usize,
    counts: Counts,
    classes: &'a [Class],
    #[serde(skip_serializing_if = "Option::is_none")]
    statistics: Option<Statistics>,
}

#[derive(Serialize)]
struct Statistics {
    /// Mean of each channel over all pixels.
    mean: [f64; 3],
    covariance: [[f64; 3]; 3],
    #[serde(flatten)]
    components: PrincipalComponents,
}

impl<'a> Description<'a> {
    pub(crate) fn of(set: &'a Dataset) -> Self {
        let statistics = set
            .mean()
            .zip(set.covariance())
            .zip(set.principal_components());
        Description {
            images: set.len(),
            split: set.split(),
            size: set.size(),
            resize: set.resize(),
            decoder: set.decoder(),
            damaged: set.damaged(),
            tool: set.tool(),
            seed: set.seed(),
            id: format!("{:016x}", set.id()),
            shards: set.shards(),
            counts: set.counts(),
            classes: set.classes(),
            statistics: statistics.map(|((mean, covariance), components)| Statistics {
                mean: channel_means(mean),
                covariance,
                components,
            }),
        }
    }

    /// The description in lines for people.
    pub(crate) fn text(&self) -> String {
        let Counts {
            rejected,
            kept,
            skipped,
            ..
        } = self.counts;
        let mut lines = vec![
            format!(
                "images   {} ({rejected} rejected, {kept} damaged ones kept, {skipped} other files)",
                self.images
            ),
            format!("split    {}", self.split.name()),
            format!(
                "size     {0}x{0} RGB, resize rule {1}",
                self.size,
                self.resize.name()
            ),
            format!(
                "decoder  {} for JPEG; damaged images: {}",
                escaped(self.decoder),
                self.damaged.name()
            ),
            format!(
                "packed   by {}, seed {}, id {}",
                escaped(self.tool),
                self.seed,
                self.id
            ),
            format!("shards   {}", self.shards),
        ];
        if let Some(s) = &self.statistics {
            let p = &s.components;
            lines.push(format!("mean     {} (R G B)", row(&s.mean)));
            lines.extend(
                s.covariance
                    .iter()
                    .zip(["covariance", "", ""])
                    .map(|(r, name)| format!("{name:10}{}", row(r))),
            );
            for (value, vector) in p.eigenvalues.iter().zip(&p.eigenvectors) {
                lines.push(format!("component {value:11.4} along {}", row(vector)));
            }
        }
        lines.push(format!("classes  {}", self.classes.len()));
        let class = |(label, class): (usize, &Class)| {
            let Class {
                name,
                words,
                images,
            } = class;
            let (name, words) = (escaped(name), escaped(words));
            format!("{label:6}  {images:7} images  {name}  {words}")
                .trim_end()
                .to_string()
        };
        lines.extend(self.classes.iter().enumerate().map(class));
        lines.join("\n")
    }
}

fn row(values: &[f64; 3]) -> String {
    values.map(|v| format!("{v:11.4}")).concat()
}

fn channel_means(mean: &[f32]) -> [f64; 3] {
    let pixels = (mean.len() / 3) as f64;
    std::array::from_fn(|c| {
        mean.iter()
            .skip(c)
            .step_by(3)
            .map(|&v| f64::from(v))
            .sum::<f64>()
            / pixels
    })
}

/// One image of a set.
#[derive(Serialize)]
pub(crate) struct ImageDescription<'a> {
    index: usize,
    label: u32,
    class: &'a str,
    words: &'a str,
    source: String,
    width: u32,
    height: u32,
    status: Vec<&'static str>,
    intact: bool,
    shard: String,
}

impl<'a> ImageDescription<'a> {
    pub(crate) fn of(set: &'a Dataset, index: usize) -> Result<Self> {
        let label = set.label(index);
        let (width, height) = set.original_size(index)?;
        Ok(ImageDescription {
            index,
            label,
            class: &set.classes()[label as usize].name,
            words: &set.classes()[label as usize].words,
            source: set.source(index)?,
            width,
            height,
            status: set.status(index)?.words(),
            intact: set.image(index).is_ok(),
            shard: json_name(&set.shard_file(index)),
        })
    }

    pub(crate) fn text(&self) -> String {
        let mut status = self.status.clone();
        if !self.intact {
            status.push("UNREADABLE: the pixels do not match their checksum");
        } else if status.is_empty() {
            status.push("packed as it was");
        }
        let lines = [
            format!("image   {} in {}", self.index, escaped(&self.shard)),
            format!("label   {}", self.label),
            format!("class   {} {}", escaped(self.class), escaped(self.words))
                .trim_end()
                .to_string(),
            format!(
                "source  {} ({}x{})",
                escaped(&self.source),
                self.width,
                self.height
            ),
            format!("status  {}", status.join(", ")),
        ];
        lines.join("\n")
    }
}
