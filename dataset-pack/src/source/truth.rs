//! Ground truth: the labels of images that lie in no class folders.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use super::classes::{self, Numbers, composed, is_number, is_synset};
use super::items::{Item, Items, split};
use super::table::{self, Known, Table};
use super::{mat, text};
use crate::error::Error;
use crate::shard::{ClassName, Split};

/// Labels images as a ground truth has it (of a devkit's folder, the one for `part`), and returns the
/// classes. Images without a label cannot be packed, nor can labels without an image.
pub(crate) fn apply(
    path: &Path,
    part: Split,
    list: Option<Vec<ClassName>>,
    items: &mut Items,
    notes: &mut Vec<String>,
) -> Result<Vec<ClassName>, Error> {
    let meta = std::fs::metadata(path).map_err(Error::io(path, "read"))?;
    let path = if meta.is_dir() {
        in_devkit(path, part)?
    } else {
        path.to_path_buf()
    };
    let text = text::read(&path)?;
    let wrong = |cause| Error::input(&path, cause);
    let images = Images::of(items);
    let table = {
        let numbers = list.as_deref().map(Numbers::of);
        let is_class = |name: &str| numbers.as_ref().is_some_and(|all| all.get(name).is_some());
        let class = list.is_some().then_some(&is_class as &dyn Fn(&str) -> bool);
        let image = &|name: &str| images.find(name) != Found::None;
        table::read(&text, &Known { image, class }, notes).map_err(wrong)?
    };
    let ids = match &table {
        Table::Classes(all) if all.iter().all(|class| is_number(class)) => Some(beside(&path)?),
        _ => None,
    };
    let (classes, labels) = resolve(&table, ids, list).map_err(wrong)?;
    let found = match &table {
        Table::Pairs(rows) => {
            let names = rows.iter().map(|(name, _)| name.as_ref());
            images.named(names).map_err(wrong)?
        }
        Table::Classes(all) => numbered(items, all).map_err(wrong)?,
    };
    check_names(items, &found, &classes, &labels).map_err(wrong)?;
    let mut of_image = vec![None; items.len()];
    let mut missing = Vec::new();
    for (row, (image, &label)) in found.iter().zip(&labels).enumerate() {
        match image {
            Some(image) => of_image[*image as usize] = Some(label),
            None => missing.push(row),
        }
    }
    items.label(|index, _| of_image[index].ok_or_else(|| "no label in the ground truth".into()));
    for row in missing {
        let name = match &table {
            Table::Pairs(rows) if rows[row].0.contains('/') => rows[row].0.to_string(),
            Table::Pairs(rows) => stem(&rows[row].0).into(),
            Table::Classes(_) => (row + 1).to_string(),
        };
        items.push_bad(&name, "in the ground truth, but not in the source")?;
    }
    Ok(classes)
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

/// The numbers that ILSVRC's devkit gives the classes, by their synset ids. `devkit` is its folder or its `meta.mat`.
pub fn devkit_numbers(devkit: impl AsRef<Path>) -> Result<BTreeMap<String, u32>, Error> {
    let devkit = devkit.as_ref();
    let meta = if devkit.is_dir() {
        let none = || Error::input(devkit, "no meta.mat in it or its folder data");
        meta_in(devkit).ok_or_else(none)?
    } else {
        devkit.to_path_buf()
    };
    let mat::Synsets { classes, ids } = mat::read_synsets(&meta)?;
    let names = classes.into_iter().map(|class| class.name);
    Ok(names.zip(ids).collect())
}

fn meta_in(folder: &Path) -> Option<PathBuf> {
    let places = [folder.join("meta.mat"), folder.join("data/meta.mat")];
    places.into_iter().find(|place| place.exists())
}

/// The `meta.mat` that gives the numbers of a ground truth their meaning.
fn beside(path: &Path) -> Result<mat::Synsets, Error> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let Some(meta) = meta_in(folder) else {
        let cause = "its numbers are the devkit's own; its meta.mat must lie beside it";
        return Err(Error::input(path, cause));
    };
    mat::read_synsets(&meta)
}

/// The classes, and the label of each row.
pub(super) fn resolve(
    table: &Table,
    ids: Option<mat::Synsets>,
    list: Option<Vec<ClassName>>,
) -> Result<(Vec<ClassName>, Vec<u32>), String> {
    let all: Vec<&str> = match table {
        Table::Classes(all) => all.clone(),
        Table::Pairs(all) => all.iter().map(|(_, class)| class.as_ref()).collect(),
    };
    let Some(ids) = ids else {
        if list.is_none() && all.iter().all(|class| is_number(class)) {
            return Err("its labels are numbers; give the class list with --labels".into());
        }
        return classes::of_labels(&all, list);
    };
    // A devkit's number stands for a name.
    let names = ids.classes.iter().map(|class| class.name.as_str());
    let by_id: HashMap<u32, &str> = ids.ids.iter().copied().zip(names).collect();
    let name = |id: &&str| {
        let name = id.parse().ok().and_then(|id: u32| by_id.get(&id).copied());
        name.ok_or_else(|| format!("the class {id:?} is not in the class list"))
    };
    let names: Vec<&str> = all.iter().map(name).collect::<Result<_, _>>()?;
    let list = list.unwrap_or_else(|| ids.classes.clone());
    classes::of_labels(&names, Some(list))
}

/// The images by their names.
struct Images<'a> {
    by_stem: HashMap<Cow<'a, str>, Vec<u32>>,
    items: &'a Items,
}

/// Which image has a name.
#[derive(Debug, PartialEq, Eq)]
enum Found {
    None,
    One(u32),
    Several,
}

impl<'a> Images<'a> {
    fn of(items: &'a Items) -> Self {
        let mut by_stem: HashMap<_, Vec<u32>> = HashMap::new();
        for (index, item) in (0..).zip(items.iter()) {
            let stem = stem(item.name);
            by_stem.entry(composed(stem)).or_default().push(index);
            if let Some((stem, _)) = synset_behind(stem) {
                by_stem.entry(composed(stem)).or_default().push(index);
            }
        }
        Images { by_stem, items }
    }

    /// Finds an image by its name, with folders and extension or without. What both have of folders
    /// must agree.
    fn find(&self, path: &str) -> Found {
        let path = path.trim_start_matches("./").trim_start_matches('/');
        let path = composed(path);
        match self.find_here(&path) {
            Found::None if path.contains('\\') => self.find_here(&path.replace('\\', "/")),
            found => found,
        }
    }

    fn find_here(&self, path: &str) -> Found {
        let (folder, name) = split(path);
        let of_stem = |stem: &str| self.by_stem.get(stem).map_or(&[][..], Vec::as_slice);
        let item = |index: &u32| self.items.get(*index as usize);
        let fits = |index: &&u32| agree(folder, item(index).folder);
        let is_exact = |index: &&u32| composed(item(index).name) == name;
        // A name with dots may have an extension or not.
        let images = of_stem(stem(name)).iter().filter(fits);
        let mut found: Vec<&u32> = images.clone().filter(is_exact).collect();
        if found.is_empty() {
            found = of_stem(name).iter().filter(fits).collect();
        }
        if found.is_empty() {
            found = images.collect();
        }
        if found.len() > 1 {
            let here = |index: &&&u32| composed(item(index).folder) == folder;
            let here: Vec<&u32> = found.iter().filter(here).copied().collect();
            if here.len() == 1 {
                found = here;
            }
        }
        match found[..] {
            [] => Found::None,
            [one] => Found::One(*one),
            _ => Found::Several,
        }
    }

    /// The image of each name.
    fn named<'n>(&self, names: impl Iterator<Item = &'n str>) -> Result<Vec<Option<u32>>, String> {
        let mut taken = vec![false; self.items.len()];
        let image = |name: &'n str| match self.find(name) {
            Found::None => Ok(None),
            Found::Several => {
                let cause = "in several folders or with several extensions";
                Err(format!("{name:?} is there {cause}; give whole paths"))
            }
            Found::One(index) if std::mem::replace(&mut taken[index as usize], true) => {
                Err(format!("{name:?} is there twice"))
            }
            Found::One(index) => Ok(Some(index)),
        };
        names.map(image).collect()
    }
}

/// Whether of two folders one ends in the other.
fn agree(a: &str, b: &str) -> bool {
    let (b, a) = (composed(b), composed(a));
    let ends = |long: &str, short: &str| {
        let before = long.strip_suffix(short);
        before.is_some_and(|before| before.is_empty() || before.ends_with('/'))
    };
    a.is_empty() || b.is_empty() || ends(&a, &b) || ends(&b, &a)
}

/// The image of each line, by the number that ends the file's stem.
fn numbered(items: &Items, lines: &[&str]) -> Result<Vec<Option<u32>>, String> {
    let mut found = vec![None; lines.len()];
    let mut last = 0;
    for (index, item) in (0..).zip(items.iter()) {
        let Some(number) = number_of(item) else {
            continue;
        };
        let source = item.source();
        let Some(line) = number.checked_sub(1) else {
            let cause = "image 0, but the first line is that of image 1";
            return Err(format!("{source}: {cause}; give lines of `name label`"));
        };
        // The line that is missing may be any, and all images behind it have the next one's label.
        let Some(place) = found.get_mut(line) else {
            let cause = format!("image {number}, but there are {} lines", lines.len());
            return Err(format!("{source}: {cause}; give lines of `name label`"));
        };
        if place.replace(index).is_some() {
            return Err(format!("{source}: another image has the same number"));
        }
        last = last.max(number);
    }
    if last == 0 {
        let cause = "a class a line, but no image's name ends in a number";
        return Err(format!("{cause}; give lines of `name label`"));
    }
    if lines.len() == last + 1 && !lines[1..].contains(&lines[0]) {
        let cause = "a line more than images, and no other like the first";
        return Err(format!("{cause}, {:?}; is it a header?", lines[0]));
    }
    Ok(found)
}

/// The number that ends the stem of an image's name.
fn number_of(item: Item<'_>) -> Option<usize> {
    let stem = stem(item.name);
    let stem = synset_behind(stem).map_or(stem, |(stem, _)| stem);
    let digits = stem.trim_end_matches(|c: char| c.is_ascii_digit()).len();
    stem[digits..].parse().ok()
}

/// A synset in an image's name must be that of its label, and so must folders that are called like
/// classes. Numbers are seldom meant as names.
fn check_names(
    items: &Items,
    found: &[Option<u32>],
    classes: &[ClassName],
    labels: &[u32],
) -> Result<(), String> {
    let numbers = Numbers::of(classes);
    for (image, &label) in found.iter().zip(labels) {
        let Some(item) = image.map(|image| items.get(image as usize)) else {
            continue;
        };
        let class = classes[label as usize].name.as_str();
        let folders = || item.folder.split('/').filter(|name| !is_number(name));
        let mut of_classes = folders().filter_map(|name| Some((name, numbers.get(name)?)));
        if let Some((folder, _)) = of_classes.next()
            && folders().all(|name| numbers.get(name) != Some(label))
        {
            let source = item.source();
            let cause = format!("{source} lies in the folder {folder:?}, but is of {class:?} here");
            return Err(format!(
                "{cause}; a list as --source goes by its lines alone"
            ));
        }
        let said = synset_in(item).filter(|said| is_synset(class) && *said != class);
        if let Some(said) = said {
            let source = item.source();
            return Err(format!(
                "{source} is of {said} by its name, but of {class} here"
            ));
        }
    }
    Ok(())
}

/// A file's name without extension, in which there are no blanks: `a.jpg great` is a name and more.
fn stem(name: &str) -> &str {
    let parts = name.rsplit_once('.');
    let parts = parts.filter(|(_, extension)| !extension.contains(char::is_whitespace));
    parts.map_or(name, |(stem, _)| stem)
}

/// What is before a synset at the end of a stem, and the synset.
fn synset_behind(stem: &str) -> Option<(&str, &str)> {
    stem.rsplit_once('_')
        .filter(|(_, synset)| is_synset(synset))
}

/// The synset that begins or ends an image's name; none if it has two.
pub(super) fn synset_in(item: Item<'_>) -> Option<&str> {
    let stem = stem(item.name);
    let before = stem.split_once('_').map(|(before, _)| before);
    let before = before.filter(|synset| is_synset(synset));
    let behind = synset_behind(stem).map(|(_, synset)| synset);
    match (before, behind) {
        (Some(before), Some(behind)) if before != behind => None,
        (before, behind) => before.or(behind),
    }
}
