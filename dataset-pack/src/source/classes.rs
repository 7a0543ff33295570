//! Class lists, in the forms in which people have them.

use std::collections::BTreeSet;
use std::path::Path;

use super::mat;
use crate::dataset::Dataset;
use crate::description::ClassName;
use crate::error::Error;

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
    let bytes = std::fs::read(path).map_err(Error::io(path, "read"))?;
    if mat::is_mat(&bytes) {
        return Ok(mat::read_synsets(path)?.classes);
    }
    let text = String::from_utf8(bytes)
        .map_err(|_| Error::input(path, "neither text nor a MATLAB file"))?;
    parse(&text).map_err(|cause| Error::input(path, cause))
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

/// Whether a name is a WordNet id of a noun, as ImageNet's classes have.
pub(crate) fn is_synset(name: &str) -> bool {
    let digits = name.strip_prefix('n').unwrap_or_default();
    digits.len() == 8 && digits.bytes().all(|b| b.is_ascii_digit())
}
