//! What a network makes of images it has not learnt from: which classes it takes for which, its best and its worst.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Result, ensure};
use console::Progress;
use dataset_pack::Dataset;

use super::neighbours::{Features, Neighbours};
use super::picture::Picture;
use crate::data::loader::Gatherer;
use crate::data::views::centre;
use crate::evaluate;
use crate::model::{self, Inference};
use crate::net::context::Mode;

/// Classes in the table of confusions.
const CONFUSED: usize = 10;
/// Pictures that are shown of the best, and of the worst.
const SHOWN: usize = 6;
/// Bars beside a picture.
const BARS: usize = 5;

/// The predictions for the centre crops of some images of a set.
pub struct Predicted {
    /// How many images were looked at.
    pub images: usize,
    /// How many the set has.
    pub of: usize,
    /// Fraction whose class is not the likeliest.
    pub top1_error: f64,
    /// Fraction whose class is not among the five likeliest.
    pub top5_error: f64,
    /// The classes that are missed most often.
    pub confusion: Confusion,
    /// Right, and surest of it.
    pub best: Vec<Example>,
    /// With the least probability for the right class.
    pub worst: Vec<Example>,
    /// Which images are most like some of them; `None` of a network without a hidden layer.
    pub neighbours: Option<Neighbours>,
}

/// What some classes were taken for.
pub struct Confusion {
    /// Their names, the worst first.
    pub classes: Vec<String>,
    /// For each: its images, and how many of them were taken for each of the classes; the others for one that is not
    /// among these.
    pub rows: Vec<(usize, Vec<usize>)>,
}

/// An image and its likeliest classes.
pub struct Example {
    /// The image.
    pub picture: Picture,
    /// Classes with their probabilities, the likeliest first; whether it is the right one.
    pub bars: Vec<(String, f32, bool)>,
}

/// The probabilities of an image's classes.
struct Guess {
    image: u32,
    label: usize,
    probabilities: Vec<f32>,
}

impl Guess {
    fn own(&self) -> f32 {
        self.probabilities[self.label]
    }

    /// Classes from the likeliest on, the first of equals first.
    fn ranking(&self) -> Vec<usize> {
        let mut classes: Vec<usize> = (0..self.probabilities.len()).collect();
        classes.sort_by(|&a, &b| self.probabilities[b].total_cmp(&self.probabilities[a]));
        classes
    }
}

/// Tries a checkpoint on at most `limit` images of a set, spread over it.
pub fn predict(
    checkpoint: &Path,
    folder: &Path,
    inference: &Inference,
    limit: usize,
) -> Result<Predicted> {
    let data = Dataset::open(folder)?;
    let (guesses, features) = guess(checkpoint, &data, folder, inference, limit)?;
    let ranked: Vec<(Guess, Vec<usize>)> = guesses
        .into_iter()
        .map(|guess| {
            let ranking = guess.ranking();
            (guess, ranking)
        })
        .collect();
    let share = |first: usize| {
        let missed = ranked
            .iter()
            .filter(|(guess, ranking)| !ranking[..first.min(ranking.len())].contains(&guess.label));
        missed.count() as f64 / ranked.len() as f64
    };
    let mut by_own: Vec<&(Guess, Vec<usize>)> = ranked.iter().collect();
    by_own.sort_by(|a, b| a.0.own().total_cmp(&b.0.own()));
    let is_right = |one: &&(Guess, Vec<usize>)| one.1[0] == one.0.label;
    let examples = |list: Vec<&(Guess, Vec<usize>)>| -> Result<Vec<Example>> {
        list.into_iter()
            .map(|(guess, ranking)| example(&data, guess, ranking))
            .collect()
    };
    Ok(Predicted {
        images: ranked.len(),
        of: data.len(),
        top1_error: share(1),
        top5_error: share(BARS),
        confusion: confusion(
            &data,
            ranked
                .iter()
                .map(|(guess, ranking)| (guess.label, ranking[0])),
        ),
        best: examples(
            by_own
                .iter()
                .rev()
                .copied()
                .filter(is_right)
                .take(SHOWN)
                .collect(),
        )?,
        worst: examples(
            by_own
                .iter()
                .copied()
                .filter(|one| !is_right(one))
                .take(SHOWN)
                .collect(),
        )?,
        neighbours: features.map(|all| all.neighbours(&data)).transpose()?,
    })
}

fn guess(
    checkpoint: &Path,
    data: &Dataset,
    folder: &Path,
    inference: &Inference,
    limit: usize,
) -> Result<(Vec<Guess>, Option<Features>)> {
    ensure!(
        !data.is_empty(),
        "{}: it has no images",
        console::escaped(folder)
    );
    let (mut network, checkpoint) = model::load(checkpoint, inference)?;
    checkpoint.check_classes(data, folder)?;
    evaluate::check_data(network.net(), data)?;
    let count = limit.clamp(1, data.len());
    let images: Vec<u32> = (0..count)
        .map(|i| (i * data.len() / count) as u32)
        .collect();
    let bar = Progress::new("looked at", "images", count as u64);
    let (view, mut gatherer) = (
        centre(&network.net().input),
        Gatherer::new(network.net().input.crop),
    );
    let mut guesses = Vec::with_capacity(count);
    let mut features = Features::of(network.net());
    for part in images.chunks(network.batch()) {
        let padded: Vec<u32> = (0..network.batch())
            .map(|i| part[i.min(part.len() - 1)])
            .collect();
        let views = vec![view; padded.len()];
        network.load(&gatherer.batch(data, &padded, views, part.len())?);
        network.forward(Mode::Test);
        let probabilities = network.probabilities()?;
        let rows = probabilities.chunks(data.classes().len());
        guesses.extend(part.iter().zip(rows).map(|(&image, row)| Guess {
            image,
            label: data.label(image as usize) as usize,
            probabilities: row.to_vec(),
        }));
        if let Some(features) = &mut features {
            features.take(&network, part)?;
        }
        bar.advance(part.len() as u64);
    }
    Ok((guesses, features))
}

/// Of pairs of the right class and the likeliest.
fn confusion(data: &Dataset, pairs: impl Iterator<Item = (usize, usize)>) -> Confusion {
    let mut counts: BTreeMap<usize, BTreeMap<usize, usize>> = BTreeMap::new();
    for (class, taken) in pairs {
        *counts.entry(class).or_default().entry(taken).or_default() += 1;
    }
    let (classes, rows) = worst(&counts);
    let name = |&class: &usize| data.classes()[class].name.clone();
    Confusion {
        classes: classes.iter().map(name).collect(),
        rows,
    }
}

/// The classes with the most images missed, if any are, and their rows.
fn worst(
    counts: &BTreeMap<usize, BTreeMap<usize, usize>>,
) -> (Vec<usize>, Vec<(usize, Vec<usize>)>) {
    let images = |class: &usize| counts[class].values().sum::<usize>();
    let hits = |class: &usize| counts[class].get(class).copied().unwrap_or(0);
    let mut classes: Vec<usize> = counts
        .keys()
        .copied()
        .filter(|c| images(c) > hits(c))
        .collect();
    classes.sort_by_key(|class| std::cmp::Reverse(images(class) - hits(class)));
    classes.truncate(CONFUSED);
    let row = |class: &usize| {
        let taken = |other: &usize| counts[class].get(other).copied().unwrap_or(0);
        (images(class), classes.iter().map(taken).collect())
    };
    let rows = classes.iter().map(row).collect();
    (classes, rows)
}

fn example(data: &Dataset, guess: &Guess, ranking: &[usize]) -> Result<Example> {
    let name = |class: usize| data.classes()[class].name.clone();
    let bar = |&class: &usize| {
        (
            name(class),
            guess.probabilities[class],
            class == guess.label,
        )
    };
    Ok(Example {
        picture: Picture::of(data, guess.image as usize)?,
        bars: ranking.iter().take(BARS).map(bar).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_classes_and_what_they_were_taken_for() {
        let counts = [
            (0, vec![(0, 9), (1, 1)]),
            (1, vec![(0, 4), (1, 1), (5, 2)]),
            (2, vec![(2, 7)]),
        ];
        let counts = counts
            .into_iter()
            .map(|(class, row)| (class, row.into_iter().collect()));
        let (classes, rows) = worst(&counts.collect());
        assert_eq!(classes, [1, 0]);
        assert_eq!(rows, [(7, vec![1, 4]), (10, vec![1, 9])]);
    }
}
