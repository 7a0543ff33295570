//! A file in the form of ILSVRC's submissions: a line an image, in the order of the images, the numbers of the five
//! likeliest classes, the likeliest first.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use console::escaped;
use dataset_pack::{Dataset, devkit_numbers};

use crate::atomic;
use crate::evaluate::Predictions;

/// Classes a line.
const BEST: usize = 5;

/// Writes the file. The classes have the devkit's numbers, or where there is no devkit their places in the set's list,
/// from 1 on.
pub fn write(path: &Path, of: &Predictions, data: &Dataset, devkit: Option<&Path>) -> Result<()> {
    let numbers = numbers(data, devkit)?;
    let order = order(data)?;
    atomic::write(path, |out| {
        for &image in &order {
            let best = of.best(image, BEST);
            let best: Vec<String> = best
                .iter()
                .map(|&class| numbers[class].to_string())
                .collect();
            writeln!(out, "{}", best.join(" "))?;
        }
        Ok(())
    })
}

/// The number of each class.
pub fn numbers(data: &Dataset, devkit: Option<&Path>) -> Result<Vec<u32>> {
    let names = || data.classes().iter().map(|class| class.name.as_str());
    let folder = escaped(data.folder());
    let Some(devkit) = devkit else {
        // Their order here is that of the names, which the devkit's numbers do not follow.
        ensure!(
            !names().all(is_synset),
            "{folder}: the classes are ImageNet's, whose numbers are in the devkit's meta.mat: give it with --devkit"
        );
        return Ok((1..=data.classes().len() as u32).collect());
    };
    let known = devkit_numbers(devkit)?;
    let number = |name: &str| {
        let missing = || format!("{}: it has no class {}", escaped(devkit), escaped(name));
        known.get(name).copied().with_context(missing)
    };
    names().map(number).collect()
}

/// The images in the order of their names, which must be numbered from 1 on if they are numbered.
fn order(data: &Dataset) -> Result<Vec<usize>> {
    let images: Result<Vec<(String, usize)>, _> = (0..data.len())
        .map(|image| data.source(image).map(|source| (source, image)))
        .collect();
    let mut images = images?;
    images.sort();
    let numbers: Option<Vec<u32>> = images.iter().map(|(source, _)| number_in(source)).collect();
    for (number, wanted) in numbers.iter().flatten().zip(1..) {
        ensure!(
            *number == wanted,
            "{}: the image of number {wanted} is missing, and each line of a submission is an image's",
            escaped(data.folder())
        );
    }
    Ok(images.into_iter().map(|(_, image)| image).collect())
}

/// The number of an image called as ILSVRC's are: `ILSVRC2012_val_00000293.JPEG`, perhaps with the class behind it.
fn number_in(source: &str) -> Option<u32> {
    let name = source.rsplit('/').next()?;
    let stem = name.split('.').next()?;
    let mut parts = stem.strip_prefix("ILSVRC")?.split('_').skip(2);
    let number = parts.next()?;
    (number.len() == 8).then(|| number.parse().ok()).flatten()
}

/// Whether a class is called by a WordNet id.
pub fn is_synset(name: &str) -> bool {
    let digits = name.strip_prefix('n').unwrap_or_default();
    digits.len() == 8 && digits.bytes().all(|b| b.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_those_of_ilsvrcs_names_alone() {
        for (name, number) in [
            ("ILSVRC2012_val_00000293.JPEG", Some(293)),
            (
                "val_images/ILSVRC2012_val_00000293_n01440764.JPEG",
                Some(293),
            ),
            ("ILSVRC2010_test_00000001.JPEG", Some(1)),
            ("n01440764/n01440764_10026.JPEG", None),
            ("t10k-images-idx3-ubyte/00012", None),
            ("ILSVRC2012_val_293.JPEG", None),
            ("ILSVRC2012", None),
        ] {
            assert_eq!(number_in(name), number, "{name}");
        }
    }
}
