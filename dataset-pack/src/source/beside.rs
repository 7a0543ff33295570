//! Labels in files beside the images, as WebDataset has them: `KEY.jpg` and `KEY.cls`.

use std::collections::HashMap;

use serde_json::Value;

use super::items::{Item, Items, Place};
use super::tree::{Kind, Tree};
use super::truth::synset_in;
use super::{classes, layout};
use crate::error::Error;
use crate::shard::ClassName;

/// What such files are called, best first. The first are made for nothing else; those in the
/// second row may as well hold captions or boxes.
const SURE: [&str; 4] = [".cls", ".cls.txt", ".class", ".label"];
const UNSURE: [&str; 2] = [".json", ".txt"];

/// Where a label stands in JSON.
const FIELDS: [&str; 13] = [
    "label",
    "cls",
    "class",
    "label_id",
    "class_id",
    "label_name",
    "class_name",
    "target",
    "category",
    "category_id",
    "wnid",
    "synset",
    "synset_id",
];

/// A file with a label is not longer.
const MAX_BYTES: u32 = 1 << 20;

/// Whether a file may hold the label of the image beside it.
pub(crate) fn is_beside(name: &str) -> bool {
    SURE.iter().chain(&UNSURE).any(|end| name.ends_with(end))
}

/// Labels the images by the files beside them, if there are such and they hold labels. Returns
/// the classes.
pub(crate) fn label(
    tree: &mut Tree,
    list: &mut Option<Vec<ClassName>>,
) -> Result<Option<Vec<ClassName>>, Error> {
    let Some((end, pairs)) = pairs(tree)? else {
        return Ok(None);
    };
    let root = tree.store.root.clone();
    let wrong = |cause: String| Error::input(&root, cause);
    let splits = layout::splits(&tree.items);
    if splits.len() > 1 {
        let splits = splits.into_iter().collect::<Vec<_>>().join(" and ");
        let cause = format!("folders or archives called {splits} are splits of the data");
        return Err(wrong(format!(
            "{cause}; give those of one, in a folder of their own"
        )));
    }
    let mut texts = Vec::new();
    for &(_, at) in &pairs {
        let item = tree.beside.get(at as usize);
        let bytes = tree.store.read_small(item, MAX_BYTES)?;
        let text = label_in(&bytes, end).map_err(|why| wrong(format!("{}: {why}", item.source())));
        texts.push(text?);
    }
    if end == ".txt" && !are_labels(&texts) {
        let cause = "texts beside the images look like captions, not classes";
        return Err(wrong(format!(
            "{cause} ({:?}); give labels with --truth",
            texts[0]
        )));
    }
    let of_images: Vec<&str> = texts.iter().map(String::as_str).collect();
    let (classes, labels) = classes::of_labels(&of_images, list.take()).map_err(wrong)?;
    let of_image: HashMap<u32, u32> = pairs
        .iter()
        .zip(labels)
        .map(|(&(i, _), l)| (i, l))
        .collect();
    tree.items.label(|index, _| {
        let label = of_image.get(&(index as u32)).copied();
        label.ok_or_else(|| format!("no {end} file beside it"))
    });
    for source in without_image(&tree.beside, end, &pairs) {
        tree.items.push_bad(&source, "a label without an image")?;
    }
    Ok(Some(classes))
}

/// Images and the files beside them, and what the latter's names end in.
type Pairs = (&'static str, Vec<(u32, u32)>);

fn pairs(tree: &Tree) -> Result<Option<Pairs>, Error> {
    if tree.beside.len() == 0 {
        return Ok(None);
    }
    let usable = || {
        tree.items
            .iter()
            .filter(|item| !matches!(item.place, Place::Nowhere(_)))
    };
    for end in SURE {
        let pairs = pairs_of(tree, end)?;
        if !pairs.is_empty() {
            return Ok(Some((end, pairs)));
        }
    }
    let flat = usable().all(|item| item.folder.is_empty());
    let named = usable().all(|item| synset_in(item).is_some());
    let shards = || are_shards(usable()) || differ_in_archives(tree).unwrap_or(false);
    if named || !flat && !shards() {
        return Ok(None);
    }
    let mut all_have_some = false;
    for end in UNSURE {
        let pairs = pairs_of(tree, end)?;
        if !pairs.is_empty() && pairs.len() >= usable().count() {
            all_have_some = true;
            let texts = |&(_, at): &(u32, u32)| {
                let item = tree.beside.get(at as usize);
                let bytes = tree.store.read_small(item, MAX_BYTES);
                bytes.is_ok_and(|bytes| label_in(&bytes, end).is_ok())
            };
            // Of files with other things in them, the next kind may have labels.
            if end == ".txt" || pairs.first().is_some_and(texts) {
                return Ok(Some((end, pairs)));
            }
        }
    }
    if flat || !all_have_some {
        return Ok(None);
    }
    let cause = "looks like shards of a WebDataset, but there are no labels beside the images";
    let how = "write a list of path<TAB>label lines, or labels for --truth";
    Err(Error::input(&tree.store.root, format!("{cause}; {how}")))
}

fn pairs_of(tree: &Tree, end: &str) -> Result<Vec<(u32, u32)>, Error> {
    let mut beside: HashMap<String, u32> = HashMap::new();
    for (at, item) in (0..).zip(tree.beside.iter()) {
        if let Some(key) = key_before(item, end) {
            beside.insert([item.folder, key].concat(), at);
        }
    }
    let mut pairs: Vec<(u32, u32)> = Vec::new();
    let mut taken = HashMap::new();
    if beside.is_empty() {
        return Ok(pairs);
    }
    for (index, item) in (0..).zip(tree.items.iter()) {
        let first = item.name.split_once('.').map_or(item.name, |(key, _)| key);
        let last = item.name.rsplit_once('.').map_or(item.name, |(key, _)| key);
        let at = |key: &str| beside.get(&[item.folder, key].concat());
        let Some(&at) = at(last).or_else(|| at(first)) else {
            continue;
        };
        if let Some(other) = taken.insert(at, index) {
            let other = tree.items.get(other as usize).source();
            let cause = "two images with one label; which of them is meant?";
            let cause = format!("{other}, {}: {cause}", item.name);
            return Err(Error::input(&tree.store.root, cause));
        }
        pairs.push((index, at));
    }
    Ok(pairs)
}

/// A name's part before an end, but not before a longer one of its kind.
fn key_before<'a>(item: Item<'a>, end: &str) -> Option<&'a str> {
    let key = item.name.strip_suffix(end)?;
    (end != ".txt" || !key.ends_with(".cls")).then_some(key)
}

fn without_image(beside: &Items, end: &str, pairs: &[(u32, u32)]) -> Vec<String> {
    let taken: std::collections::HashSet<u32> = pairs.iter().map(|&(_, at)| at).collect();
    let all = (0..).zip(beside.iter());
    let free = all.filter(|(at, item)| key_before(*item, end).is_some() && !taken.contains(at));
    free.map(|(_, item)| item.source()).collect()
}

/// Whether images have labels in JSON that differ within an archive, which then is no class.
fn differ_in_archives(tree: &Tree) -> Result<bool, Error> {
    if tree.kind != Kind::FoldersAndArchives {
        return Ok(false);
    }
    let end = ".json";
    let mut of_tops = HashMap::new();
    for (_, at) in pairs_of(tree, end)? {
        let item = tree.beside.get(at as usize);
        let top = item.folder.split_once('/').map(|(top, _)| top);
        let Ok(label) = label_in(&tree.store.read_small(item, MAX_BYTES)?, end) else {
            return Ok(false);
        };
        if of_tops.entry(top).or_insert_with(|| label.clone()) != &label {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether the top folders are numbered without a gap, as shards are: `00000`, `00001`, …
fn are_shards<'a>(items: impl Iterator<Item = Item<'a>>) -> bool {
    let tops = items.map(|item| item.folder.split_once('/').map(|(top, _)| top));
    let Some(tops) = tops.collect::<Option<std::collections::BTreeSet<&str>>>() else {
        return false;
    };
    let numbers = tops.iter().map(|top| {
        let digits = top.trim_end_matches(|c: char| c.is_ascii_digit()).len();
        let (prefix, number) = top.split_at(digits);
        (prefix, number.len(), number.parse::<u64>())
    });
    let numbers: Vec<_> = numbers.collect();
    let padded = |(_, width, _): &(&str, usize, _)| *width >= 4;
    let next = |two: &[(&str, usize, Result<u64, _>)]| {
        let follows = matches!((&two[0].2, &two[1].2), (Ok(a), Ok(b)) if a + 1 == *b);
        (two[0].0, two[0].1) == (two[1].0, two[1].1) && follows
    };
    !numbers.is_empty() && numbers.iter().all(padded) && numbers.windows(2).all(next)
}

/// The label in a file.
fn label_in(bytes: &[u8], end: &str) -> Result<String, String> {
    let text = super::text::decode(bytes.to_vec())?;
    let text = text.trim();
    if end == ".json" {
        let value: Value = serde_json::from_str(text).map_err(|e| format!("no JSON: {e}"))?;
        let field = || FIELDS.iter().find_map(|field| value.get(field));
        return match field().unwrap_or(&value) {
            Value::Number(number) => Ok(number.to_string()),
            Value::String(text) if !text.trim().is_empty() => Ok(text.trim().into()),
            _ => Err("no label in it".into()),
        };
    }
    if text.is_empty() || text.contains('\n') {
        return Err("not a label, which is a line".into());
    }
    Ok(text.into())
}

/// Whether texts are classes: numbers, or such as come again and again.
fn are_labels(texts: &[String]) -> bool {
    let different: std::collections::BTreeSet<&str> = texts.iter().map(String::as_str).collect();
    let numbers = texts.iter().all(|text| classes::is_number(text));
    numbers || different.len() * 2 <= texts.len() && texts.iter().all(|text| text.len() <= 100)
}
