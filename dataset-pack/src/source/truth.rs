//! Ground truth: the labels of images that lie in no class folders.

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use super::{mat, numbered};
use crate::description::{ClassName, Split};
use crate::error::Error;
use crate::items::{Item, Items};

/// The labels of a flat set of images.
#[derive(Debug)]
pub(crate) struct Truth {
    pub(crate) classes: Vec<ClassName>,
    labels: Labels,
    path: PathBuf,
}

#[derive(Debug)]
pub(super) enum Labels {
    /// Of image 1, 2, …, by the number that ends the file's stem.
    Numbered(Vec<u32>),
    /// By the file's stem.
    Named(HashMap<String, u32>),
}

/// What lines say before their classes are known by label.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Lines<'a> {
    /// A class a line.
    Numbered(Vec<&'a str>),
    /// The stem of a file and its class.
    Named(Vec<(&'a str, &'a str)>),
}

/// Reads a ground truth; of a devkit's folder, the one for `split`.
pub(crate) fn read(
    path: &Path,
    split: Split,
    list: Option<Vec<ClassName>>,
) -> Result<Truth, Error> {
    let meta = std::fs::metadata(path).map_err(Error::io(path, "read"))?;
    let path = if meta.is_dir() {
        in_devkit(path, split)?
    } else {
        path.to_path_buf()
    };
    let text = std::fs::read_to_string(&path).map_err(Error::io(&path, "read"))?;
    let lines = parse(&text).map_err(|cause| Error::input(&path, cause))?;
    let ids = match &lines {
        Lines::Numbered(all) if all.iter().all(|class| is_number(class)) => Some(beside(&path)?),
        _ => None,
    };
    let (classes, labels) =
        resolve(lines, ids, list).map_err(|cause| Error::input(&path, cause))?;
    Ok(Truth {
        classes,
        labels,
        path,
    })
}

/// Finds the split's ground truth in a devkit.
fn in_devkit(folder: &Path, split: Split) -> Result<PathBuf, Error> {
    let wanted = match split {
        Split::Test => "test_ground_truth.txt",
        _ => "validation_ground_truth.txt",
    };
    for folder in [folder.to_path_buf(), folder.join("data")] {
        let entries = std::fs::read_dir(&folder).into_iter().flatten().flatten();
        let paths = entries.map(|entry| entry.path());
        let ends = |path: &PathBuf| path.to_string_lossy().ends_with(wanted);
        if let Some(path) = paths.filter(ends).min() {
            return Ok(path);
        }
    }
    Err(Error::input(
        folder,
        format!("no file ...{wanted} in it or its folder data"),
    ))
}

/// The `meta.mat` that gives the numbers of a ground truth their meaning.
fn beside(path: &Path) -> Result<mat::Synsets, Error> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let places = [folder.join("meta.mat"), folder.join("data/meta.mat")];
    let Some(meta) = places.iter().find(|place| place.exists()) else {
        let cause = "its numbers are the devkit's own; its meta.mat must lie beside it";
        return Err(Error::input(path, cause));
    };
    mat::read_synsets(meta)
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

/// Tells the forms of ground truth apart.
pub(crate) fn parse(text: &str) -> Result<Lines<'_>, String> {
    let mut lines = (1..)
        .zip(text.lines())
        .filter(|(_, line)| !line.trim().is_empty());
    let first = lines.clone().next().ok_or("there is nothing in it")?.1;
    // The competition's table: name,"synset x y x y" with a header.
    let table = first.starts_with("ImageId,");
    if table {
        lines.next();
    }
    let split = |line| -> Option<(&str, &str)> {
        let line: &str = line;
        if table {
            let (name, boxes) = line.split_once(',')?;
            return Some((name, boxes.split_whitespace().next()?));
        }
        let line = line.trim();
        line.split_once('\t')
            .or_else(|| line.rsplit_once(' '))
            .map(|(a, b)| (a.trim(), b.trim()))
    };
    if !table && split(first).is_none() {
        return Ok(Lines::Numbered(
            lines.map(|(_, line)| line.trim()).collect(),
        ));
    }
    let mut named = Vec::new();
    for (number, line) in lines {
        let (name, class) = split(line).ok_or_else(|| format!("line {number}: no class in it"))?;
        named.push((stem(name), class));
    }
    Ok(Lines::Named(named))
}

/// A file's name without folders and extension.
fn stem(path: &str) -> &str {
    let name = path.rsplit('/').next().unwrap_or(path);
    name.rsplit_once('.').map_or(name, |(stem, _)| stem)
}

/// Turns classes into labels.
pub(super) fn resolve(
    lines: Lines<'_>,
    ids: Option<mat::Synsets>,
    list: Option<Vec<ClassName>>,
) -> Result<(Vec<ClassName>, Labels), String> {
    let all: Vec<&str> = match &lines {
        Lines::Numbered(all) => all.clone(),
        Lines::Named(all) => all.iter().map(|(_, class)| *class).collect(),
    };
    // A devkit's number stands for a name, any other number for a place in the list.
    let by_id: Option<HashMap<u32, String>> = ids.as_ref().map(|synsets| {
        let names = synsets.classes.iter().map(|class| class.name.clone());
        synsets.ids.iter().copied().zip(names).collect()
    });
    let places = by_id.is_none() && all.iter().all(|class| is_number(class));
    let classes = match (list, ids) {
        (Some(list), _) => list,
        (None, Some(synsets)) => synsets.classes,
        (None, None) if places => {
            return Err("its labels are numbers; give the class list with --labels".into());
        }
        (None, None) => {
            let names: BTreeSet<&str> = all.iter().copied().collect();
            names.into_iter().map(ClassName::from).collect()
        }
    };
    let numbers = numbered(&classes);
    let label = |class: &str| -> Result<u32, String> {
        let unknown = || format!("the class {class:?} is not in the class list");
        if places {
            let place = class
                .parse()
                .ok()
                .filter(|&at: &u32| (at as usize) < classes.len());
            return place.ok_or_else(unknown);
        }
        let name = match &by_id {
            None => class,
            Some(by_id) => {
                let id = class.parse().ok();
                id.and_then(|id: u32| by_id.get(&id)).ok_or_else(unknown)?
            }
        };
        numbers.get(name).copied().ok_or_else(unknown)
    };
    let labels = match lines {
        Lines::Numbered(all) => {
            Labels::Numbered(all.into_iter().map(label).collect::<Result<_, _>>()?)
        }
        Lines::Named(all) => {
            let mut labels = HashMap::new();
            for (stem, class) in all {
                if labels.insert(stem.to_string(), label(class)?).is_some() {
                    return Err(format!("{stem:?} is there twice"));
                }
            }
            Labels::Named(labels)
        }
    };
    Ok((classes, labels))
}

impl Truth {
    /// Labels the images. Those without a label cannot be packed, nor can labels without image.
    pub(crate) fn apply(&self, items: &mut Items) -> Result<(), Error> {
        let mut missing: BTreeSet<String> = match &self.labels {
            Labels::Numbered(labels) => (1..=labels.len()).map(|n| n.to_string()).collect(),
            Labels::Named(labels) => labels.keys().cloned().collect(),
        };
        let mut twice = None;
        items.label(|item| {
            let (key, label) = self.label(item).ok_or("no label in the ground truth")?;
            if !missing.remove(&key) {
                twice.get_or_insert_with(|| item.source());
            }
            Ok(label)
        });
        if let Some(source) = twice {
            let cause = format!("{source}: another image has the same label's place");
            return Err(Error::input(&self.path, cause));
        }
        for key in missing {
            items.push_bad(&key, "in the ground truth, but not in the source")?;
        }
        Ok(())
    }

    fn label(&self, item: Item<'_>) -> Option<(String, u32)> {
        let stem = stem(item.name);
        match &self.labels {
            Labels::Named(labels) => Some((stem.to_string(), *labels.get(stem)?)),
            Labels::Numbered(labels) => {
                let digits = stem.trim_end_matches(|c: char| c.is_ascii_digit()).len();
                let number: usize = stem[digits..].parse().ok()?;
                let label = *labels.get(number.checked_sub(1)?)?;
                Some((number.to_string(), label))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::{classes, list};
    use proptest::prelude::*;

    #[test]
    fn the_forms_are_told_apart() {
        let numbered = |lines: &[&'static str]| Ok(Lines::Numbered(lines.to_vec()));
        let named = |lines: &[(&'static str, &'static str)]| Ok(Lines::Named(lines.to_vec()));
        assert_eq!(
            parse("490\r\n361\n\n171\n"),
            numbered(&["490", "361", "171"])
        );
        assert_eq!(
            parse("n01751748\nn09193705"),
            numbered(&["n01751748", "n09193705"])
        );
        assert_eq!(
            parse("a/x.JPEG 65\ny.z.JPEG 970\n"),
            named(&[("x", "65"), ("y.z", "970")])
        );
        assert_eq!(parse("x y.png\tn0\n"), named(&[("x y", "n0")]));
        let table = "ImageId,PredictionString\nval_1,n0 1 2 3 4 n0 5 6 7 8 \nval_2,n1 1 2 3 4 \n";
        assert_eq!(parse(table), named(&[("val_1", "n0"), ("val_2", "n1")]));
        for bad in [
            "",
            "\n\n",
            "x.png 1\ny.png\n",
            "ImageId,PredictionString\nval_1\n",
        ] {
            assert!(parse(bad).is_err(), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "([ -~ä]{0,12}[\t ,\n]){0,20}") {
            let _ = parse(&text).map(|lines| resolve(lines, None, None));
            let _ = (classes::parse(&text), list::parse(&text));
        }
    }
}
