//! Class lists, in the forms in which people have them.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};
use std::path::Path;

use unicode_normalization::{IsNormalized, UnicodeNormalization, is_nfc_quick};

use super::{mat, text};
use crate::error::Error;
use crate::set::Dataset;
use crate::shard::ClassName;

/// Reads the classes and their order from a list, a devkit's `meta.mat` or a packed set.
///
/// A line of a list is a name; or a synset's id, and then words for it.
pub(crate) fn read_labels(path: &Path) -> Result<Vec<ClassName>, Error> {
    let meta = std::fs::metadata(path).map_err(Error::io(path, "read"))?;
    if meta.is_dir() {
        let set = Dataset::open(path)?;
        return Ok(set
            .classes()
            .iter()
            .map(|class| ClassName {
                name: class.name.clone(),
                words: class.words.clone(),
            })
            .collect());
    }
    let bytes = text::bytes(path)?;
    let classes = if mat::is_mat(&bytes) {
        mat::parse_synsets(&bytes).map(|synsets| synsets.classes)
    } else {
        text::decode(bytes).and_then(|text| parse(&text))
    };
    classes.map_err(|cause| Error::input(path, cause))
}

/// Reads the lines of a class list.
pub(crate) fn parse(text: &str) -> Result<Vec<ClassName>, String> {
    let (mut seen, mut classes) = (BTreeSet::new(), Vec::new());
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.trim_end();
        if line.is_empty() {
            continue;
        }
        let class = class(line);
        if !seen.insert(class.name.clone()) {
            return Err(format!("line {number}: {:?} is there twice", class.name));
        }
        classes.push(class);
    }
    if classes.is_empty() {
        return Err("no class names in it".into());
    }
    Ok(classes)
}

fn class(line: &str) -> ClassName {
    match line.split_once(char::is_whitespace) {
        Some((name, words)) if is_synset(name) => ClassName {
            name: name.into(),
            words: words.trim().into(),
        },
        _ => line.into(),
    }
}

/// The labels of classes by their names.
pub(super) struct Numbers<'a> {
    exact: HashMap<&'a str, u32>,
    /// Of names beyond ASCII, with composed letters: systems spell them differently.
    composed: HashMap<Cow<'a, str>, u32>,
}

impl<'a> Numbers<'a> {
    pub(super) fn of(classes: &'a [ClassName]) -> Self {
        let all = || classes.iter().map(|class| class.name.as_str()).zip(0..);
        let beyond_ascii = all().filter(|(name, _)| !name.is_ascii());
        Numbers {
            exact: all().collect(),
            composed: beyond_ascii
                .map(|(name, label)| (composed(name), label))
                .collect(),
        }
    }

    pub(super) fn get(&self, name: &str) -> Option<u32> {
        let exact = self.exact.get(name).copied();
        exact.or_else(|| self.composed.get(&composed(name)).copied())
    }
}

/// A name with composed letters.
pub(super) fn composed(name: &str) -> Cow<'_, str> {
    if name.is_ascii() || is_nfc_quick(name.chars()) == IsNormalized::Yes {
        name.into()
    } else {
        name.nfc().collect::<String>().into()
    }
}

/// The classes of images that have these labels, and their numbers. If all labels are numbers,
/// they are places in the list; without one, the classes are called by them.
pub(super) fn of_labels(
    labels: &[&str],
    list: Option<Vec<ClassName>>,
) -> Result<(Vec<ClassName>, Vec<u32>), String> {
    // The names in the list may be numbers themselves, in another order.
    let names = |list: &Vec<ClassName>| list.iter().all(|class| is_number(&class.name));
    if !list.as_ref().is_some_and(names)
        && let Some(numbers) = places(labels)?
    {
        let count = numbers.iter().max().map_or(0, |&most| most + 1);
        let classes = list.unwrap_or_else(|| {
            let names = (0..count).map(|number| number.to_string());
            names.map(|name| name.as_str().into()).collect()
        });
        if count as usize > classes.len() {
            return Err(format!("the label {} is beyond the class list", count - 1));
        }
        return Ok((classes, numbers));
    }
    let classes = list.unwrap_or_else(|| {
        let names: BTreeSet<&str> = labels.iter().copied().collect();
        names.into_iter().map(ClassName::from).collect()
    });
    let by_name = Numbers::of(&classes);
    let label = |name: &&str| {
        let found = by_name.get(name);
        found.ok_or_else(|| format!("the class {name:?} is not in the class list"))
    };
    let numbers = labels.iter().map(label).collect::<Result<_, _>>()?;
    Ok((classes, numbers))
}

/// Labels that are numbers, if all are.
fn places(labels: &[&str]) -> Result<Option<Vec<u32>>, String> {
    let number = |text: &&str| text.parse::<u32>().ok().filter(|&n| n < 1 << 20);
    if let Some(numbers) = labels.iter().map(number).collect() {
        return Ok(Some(numbers));
    }
    // As names, such as -1 or 3.0 would make classes of what means something else.
    let odd = labels.iter().find(|label| number(label).is_none());
    match odd {
        Some(odd) if labels.iter().all(|label| label.parse::<f64>().is_ok()) => Err(format!(
            "the label {odd:?} is a number, but no class can have it"
        )),
        _ => Ok(None),
    }
}

/// Whether a text is a whole number.
pub(super) fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

/// Whether a name is a WordNet id of a noun, as ImageNet's classes have.
pub(crate) fn is_synset(name: &str) -> bool {
    let digits = name.strip_prefix('n').unwrap_or_default();
    digits.len() == 8 && digits.bytes().all(|b| b.is_ascii_digit())
}
