//! Where the classes of a tree of folders are to be seen, and signs that it is not where it seems.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use console::escaped;

use super::classes::Numbers;
use super::items::{Item, Items, NO_LABEL, Place};
use super::tree::Tree;
use super::truth::synset_in;
use crate::error::Error;
use crate::shard::ClassName;

/// Labels the images by class folders, or by names like `n01440764_10026.JPEG`. Without a list,
/// the classes are those found, in byte order.
pub(crate) fn label(
    tree: &mut Tree,
    path: &Path,
    list: Option<Vec<ClassName>>,
) -> Result<Vec<ClassName>, Error> {
    tree.strip_common_folders();
    let by_folder = classes_are_folders(&tree.items, path)?;
    let class_of = if by_folder { top_of } else { synset_in };
    let mut found: BTreeSet<&str> = tree.items.iter().filter_map(class_of).collect();
    let tops = Tops::of(tree);
    let mut warnings = Vec::new();
    if by_folder {
        if list.is_none() {
            let refused = tops.refuse_other_levels(&path.join(&tree.stripped));
            refused.map_err(|cause| Error::input(path, cause))?;
        }
        warnings = tops.warnings();
        found.extend(tops.empty());
    }
    let classes = list.unwrap_or_else(|| found.into_iter().map(ClassName::from).collect());
    tree.warnings.extend(warnings);
    by_name(&mut tree.items, path, class_of, &classes)?;
    Ok(classes)
}

/// The folder at the top of a path.
fn top_of(item: Item<'_>) -> Option<&str> {
    item.folder.split_once('/').map(|(top, _)| top)
}

/// Whether classes are to be seen in folders: if there are any besides such as `train_images_0`, which hold a part of
/// the images each. Else they must be in all names.
fn classes_are_folders(items: &Items, path: &Path) -> Result<bool, Error> {
    let usable = || {
        items
            .iter()
            .filter(|item| !matches!(item.place, Place::Nowhere(_)))
    };
    let named = || usable().all(|item| synset_in(item).is_some());
    let in_folders = || usable().any(|item| top_of(item).is_some());
    if usable().next().is_none() || in_folders() && !(are_parts(items) && named()) {
        Ok(true)
    } else if named() {
        Ok(false)
    } else {
        let cause = "the images are in no class folders; give their labels with --truth";
        Err(Error::input(path, cause))
    }
}

/// Whether all images lie directly in folders that are called like one and the same split of the data.
fn are_parts(items: &Items) -> bool {
    let name = |path: &String| path.strip_suffix('/').and_then(split_in);
    let names: Option<BTreeSet<String>> = items.folders().iter().map(name).collect();
    names.is_some_and(|names| names.len() == 1)
}

/// Labels the images by the names of their classes.
fn by_name(
    items: &mut Items,
    path: &Path,
    class_of: fn(Item<'_>) -> Option<&str>,
    classes: &[ClassName],
) -> Result<(), Error> {
    let numbers = Numbers::of(classes);
    let mut unknown = None;
    items.label(|_, item| match class_of(item) {
        None => Err("not in a class folder".into()),
        Some(name) => Ok(numbers.get(name).unwrap_or_else(|| {
            unknown.get_or_insert_with(|| name.to_string());
            NO_LABEL
        })),
    });
    match unknown {
        Some(name) => {
            let cause = "this class folder is not in the class list";
            Err(Error::input(&path.join(name), cause))
        }
        None => Ok(()),
    }
}

/// So many of the folders in a folder are remembered, and named in messages.
const SOME: usize = 8;

/// The folders at the top, of which each is a class.
struct Tops<'a> {
    tops: BTreeMap<&'a str, Top<'a>>,
    /// The folder around all images, with its `/`, and some of the folders in it.
    common: &'a str,
    below: BTreeSet<&'a str>,
}

/// What is in such a folder.
#[derive(Default)]
struct Top<'a> {
    /// Whether images are in it and not in folders in it.
    direct: bool,
    /// Some of the folders in it with images.
    folders: BTreeSet<&'a str>,
    /// Whether there are files in it that are no images.
    others: bool,
}

impl Top<'_> {
    fn has_images(&self) -> bool {
        self.direct || !self.folders.is_empty()
    }

    /// Whether all its images are in several folders in it. A single one, such as `images`, is
    /// usual in a class folder.
    fn holds_folders(&self) -> bool {
        !self.direct && self.folders.len() > 1
    }
}

impl<'a> Tops<'a> {
    fn of(tree: &'a Tree) -> Self {
        let mut tops: BTreeMap<&str, Top> = BTreeMap::new();
        for folder in tree.items.folders() {
            let Some((top, below)) = folder.split_once('/') else {
                continue;
            };
            let top = tops.entry(top).or_default();
            match below.split_once('/') {
                None => top.direct = true,
                Some((folder, _)) if top.folders.len() < SOME => drop(top.folders.insert(folder)),
                Some(_) => {}
            }
        }
        for folder in tree.folders.iter().filter(|folder| !folder.is_empty()) {
            let top = folder
                .split_once('/')
                .map_or(folder.as_str(), |(top, _)| top);
            tops.entry(top).or_default();
        }
        for folder in &tree.other_files {
            if let Some((top, _)) = folder.split_once('/') {
                tops.entry(top).or_default().others = true;
            }
        }
        let (common, below) = around(tree.items.folders());
        Tops {
            tops,
            common,
            below,
        }
    }

    /// Folders with nothing in them: classes of which images are still to come.
    fn empty(&self) -> impl Iterator<Item = &'a str> {
        let empty = self
            .tops
            .iter()
            .filter(|(_, top)| !top.has_images() && !top.others);
        empty.map(|(&name, _)| name)
    }

    /// Refuses a source whose classes are a level further down. `path` is where the folders are.
    fn refuse_other_levels(&self, path: &Path) -> Result<(), String> {
        let with_images = || self.tops.iter().filter(|(_, top)| top.has_images());
        let all: Vec<&str> = with_images().map(|(&name, _)| name).collect();
        let give = |name: &str| {
            let tar = path.join(format!("{name}.tar"));
            let folder = if tar.is_file() { tar } else { path.join(name) };
            format!(
                "give --source {}, or name the classes with --labels",
                escaped(&folder)
            )
        };
        let splits = with_images().filter(|(name, _)| is_split(name));
        let splits: Vec<(&&str, &Top)> = splits.collect();
        let of_folders = splits.iter().find(|(_, top)| top.holds_folders());
        if !splits.is_empty() && (splits.len() == all.len() || of_folders.is_some()) {
            let (first, _) = of_folders.unwrap_or(&splits[0]);
            let names: Vec<&str> = splits.iter().map(|(name, _)| **name).take(SOME).collect();
            let cause = "named like splits of the data, not like classes";
            return Err(format!(
                "its folders {} are {cause}; {}",
                names.join(", "),
                give(first)
            ));
        }
        let [only] = all[..] else {
            return Ok(());
        };
        if self.below.len() > 1 {
            let splits = || self.below.iter().filter(|name| is_split(name));
            let split = splits().find(|name| name.contains("train"));
            let split = split.or(splits().next());
            let inner = format!("{}{}", self.common, split.unwrap_or(&""));
            let folders = self.below.iter().copied().collect::<Vec<_>>();
            let (common, folders) = (self.common.trim_end_matches('/'), folders.join(", "));
            let cause = format!("all images are in folders of its folder {common}: {folders}, …");
            return Err(format!("{cause}; {}", give(inner.trim_end_matches('/'))));
        }
        if self.tops[only].direct && holds_all(only) {
            let cause = format!("all images are in its folder {only}, which is no class");
            return Err(format!("{cause}; give their labels with --truth"));
        }
        Ok(())
    }

    fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        let named = |all: &[&str]| match all {
            [one] => format!("the folder {one:?} holds"),
            all => format!("{} folders, such as {:?}, hold", all.len(), all[0]),
        };
        let of = |is: &dyn Fn(&Top) -> bool| -> Vec<&str> {
            let tops = self.tops.iter().filter(|(_, top)| is(top));
            tops.map(|(&name, _)| name).collect()
        };
        let nested = of(&|top| top.holds_folders());
        if !nested.is_empty() {
            let what = "no images but in folders; each is one class";
            warnings.push(format!("{} {what}", named(&nested)));
        }
        let splits = self
            .tops
            .iter()
            .filter(|(name, top)| is_split(name) && top.has_images());
        for (name, _) in splits {
            warnings.push(format!(
                "the class {name:?} is called like a split of the data"
            ));
        }
        // Beside those for masks, labels, annotations.
        for (name, _) in self.tops.iter().filter(|(name, _)| holds_all(name)) {
            warnings.push(format!(
                "the class {name:?} is called like a folder of all images"
            ));
        }
        let others = of(&|top| !top.has_images() && top.others);
        if !others.is_empty() {
            let what = "other files, but no images; no class";
            warnings.push(format!("{} {what}", named(&others)));
        }
        warnings
    }
}

/// The folder around all of these, and some of those directly in it; none if it is one of these.
fn around(folders: &[String]) -> (&str, BTreeSet<&str>) {
    let mut common = folders.first().map_or("", String::as_str);
    for folder in folders {
        while !folder.starts_with(common) {
            let parent = common.trim_end_matches('/').rfind('/');
            common = &common[..parent.map_or(0, |at| at + 1)];
        }
    }
    let mut below = BTreeSet::new();
    for folder in folders {
        match folder[common.len()..].split_once('/') {
            None => return (common, BTreeSet::new()),
            Some((name, _)) if below.len() < SOME => drop(below.insert(name)),
            Some(_) => {}
        }
    }
    (common, below)
}

/// Whether a folder is called like one that holds the images of all classes.
fn holds_all(name: &str) -> bool {
    let names = ["images", "image", "imgs", "img", "jpegimages"];
    names.contains(&name.to_lowercase().as_str())
}

/// The splits of the data that folders at the top are called by.
pub(super) fn splits(items: &Items) -> BTreeSet<String> {
    let tops = items
        .folders()
        .iter()
        .filter_map(|path| path.split_once('/'));
    tops.filter_map(|(top, _)| split_in(top)).collect()
}

/// Whether a name is that of a part of the data.
pub(super) fn is_split(name: &str) -> bool {
    split_in(name).is_some()
}

/// The part of the data that a folder is called by, as in `train`, `val_images`, `ILSVRC2012_img_test`.
fn split_in(name: &str) -> Option<String> {
    const SPLITS: [&str; 14] = [
        "train",
        "training",
        "trainset",
        "val",
        "valid",
        "validation",
        "valset",
        "dev",
        "eval",
        "test",
        "testing",
        "testset",
        "holdout",
        "trainval",
    ];
    const BESIDES: [&str; 9] = [
        "img", "imgs", "image", "images", "set", "data", "ilsvrc", "imagenet", "split",
    ];
    let name = name.to_lowercase();
    let words = name.split(|c: char| !c.is_alphabetic());
    let words = || words.clone().filter(|word| !word.is_empty());
    let mut splits = words().filter(|word| SPLITS.contains(word));
    let known = |word: &str| SPLITS.contains(&word) || BESIDES.contains(&word);
    let split = splits.next().filter(|_| words().all(known));
    split.map(String::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splits_are_told_from_classes() {
        for name in [
            "train",
            "Val",
            "test_images",
            "ILSVRC2012_img_train",
            "val2017",
            "validation-set",
        ] {
            assert!(is_split(name), "{name}");
        }
        for name in [
            "bullet_train",
            "trainer",
            "test_tube",
            "images",
            "n01440764",
            "evaluation",
            "",
        ] {
            assert!(!is_split(name), "{name}");
        }
    }
}
