//! A list of `path<TAB>label` lines.

use std::collections::BTreeSet;
use std::path::Path;

use super::store::Store;
use super::{Source, numbered};
use crate::description::ClassName;
use crate::error::Error;
use crate::items::{Items, Place, split};

/// Opens a list; paths are relative to its folder. Labels are class names, or numbers if all are.
pub(crate) fn open(path: &Path, labels: Option<Vec<ClassName>>) -> Result<Source, Error> {
    let bytes = std::fs::read(path).map_err(Error::io(path, "read"))?;
    let lines = std::str::from_utf8(&bytes).ok().and_then(parse);
    let Some(lines) = lines else {
        let cause = "neither a folder, nor a tar archive, nor a list of path<TAB>label lines";
        return Err(Error::input(path, cause));
    };
    let (classes, numbers) = label(&lines, labels).map_err(|cause| Error::input(path, cause))?;
    let root = path.parent().unwrap_or(Path::new(".")).to_path_buf();
    let mut items = Items::default();
    for (&(source, _), label) in lines.iter().zip(numbers) {
        match std::fs::metadata(root.join(source)) {
            Ok(meta) if meta.is_file() => {
                let (folder, name) = split(source);
                let folder = items.folder(folder);
                items.push(folder, name, Place::File, meta.len(), label)?;
            }
            Ok(_) => items.push_bad(source, "not a file")?,
            Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => {
                items.push_bad(source, "in the list, but there is no such file")?;
            }
            Err(cause) => return Err(Error::io(&root.join(source), "read")(cause)),
        }
    }
    let store = Store {
        root,
        containers: Vec::new(),
    };
    let (kind, skipped, warnings) = ("a list", 0, Vec::new());
    Ok(Source {
        kind,
        classes,
        items,
        store,
        skipped,
        warnings,
    })
}

/// The paths and labels of a list, if it is one.
pub(crate) fn parse(text: &str) -> Option<Vec<(&str, &str)>> {
    let lines = text.lines().filter(|line| !line.trim().is_empty());
    let pair = |line| -> Option<(&str, &str)> {
        let (path, label) = str::rsplit_once(line, '\t')?;
        let label = label.trim();
        (!path.is_empty() && !label.is_empty()).then_some((path, label))
    };
    lines.map(pair).collect()
}

/// The classes, and the label of each line.
fn label(
    lines: &[(&str, &str)],
    list: Option<Vec<ClassName>>,
) -> Result<(Vec<ClassName>, Vec<u32>), String> {
    let number = |text: &str| text.parse::<u32>().ok().filter(|&n| n < 1 << 20);
    let numbers: Option<Vec<u32>> = lines.iter().map(|(_, label)| number(label)).collect();
    if let Some(numbers) = numbers {
        let count = numbers.iter().max().map_or(0, |&most| most + 1);
        let classes = list.unwrap_or_else(|| {
            (0..count)
                .map(|number| number.to_string().as_str().into())
                .collect()
        });
        if count as usize > classes.len() {
            return Err(format!("the label {} is beyond the class list", count - 1));
        }
        return Ok((classes, numbers));
    }
    let classes = list.unwrap_or_else(|| {
        let names: BTreeSet<&str> = lines.iter().map(|(_, label)| *label).collect();
        names.into_iter().map(ClassName::from).collect()
    });
    let by_name = numbered(&classes);
    let label = |&(_, name): &(&str, &str)| {
        let found = by_name.get(name).copied();
        found.ok_or_else(|| format!("the class {name:?} is not in the class list"))
    };
    let labels = lines.iter().map(label).collect::<Result<_, _>>()?;
    Ok((classes, labels))
}
