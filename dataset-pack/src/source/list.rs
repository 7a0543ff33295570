//! A list of images and their labels: `path<TAB>label` lines, and what else tables are written as.

use std::path::Path;

use super::items::{Items, Place, split};
use super::store::Store;
use super::table::{self, Known, Table};
use super::{Source, classes, compressed, text};
use crate::error::Error;
use crate::pixels::decode;
use crate::shard::ClassName;

/// Opens a list; paths are relative to its folder. Labels are class names, or numbers if all are.
pub(crate) fn open(path: &Path, labels: Option<Vec<ClassName>>) -> Result<Source, Error> {
    let wrong = |cause: String| Error::input(path, cause);
    let bytes = text::bytes(path)?;
    if let Some(what) = compressed::by_content(&bytes) {
        return Err(wrong(what));
    }
    if decode::is_image(&bytes) {
        return Err(wrong("an image; give the folder of class folders".into()));
    }
    let root = path.parent().unwrap_or(Path::new(".")).to_path_buf();
    let mut warnings = Vec::new();
    let other = "neither a folder, nor a tar archive, nor a list of path<TAB>label lines";
    let text = text::decode(bytes).map_err(|cause| wrong(format!("{other}: {cause}")))?;
    let rows = {
        let numbers = labels.as_deref().map(classes::Numbers::of);
        let is_class = |name: &str| numbers.as_ref().is_some_and(|all| all.get(name).is_some());
        let class = labels
            .is_some()
            .then_some(&is_class as &dyn Fn(&str) -> bool);
        let image = &|name: &str| root.join(name).is_file();
        let table = table::read(&text, &Known { image, class }, &mut warnings);
        match table.map_err(|cause| wrong(format!("{cause}; paths are relative to the list")))? {
            Table::Pairs(rows) => rows,
            Table::Classes(lines) if lines[0].contains('/') => {
                let cause = format!("there is no file of its first line, {:?}", lines[0]);
                return Err(wrong(format!("{cause}; paths are relative to the list")));
            }
            Table::Classes(_) => return Err(wrong(other.into())),
        }
    };
    let of_rows: Vec<&str> = rows.iter().map(|(_, class)| class.as_ref()).collect();
    let (classes, numbers) = classes::of_labels(&of_rows, labels).map_err(wrong)?;
    let mut items = Items::default();
    for ((source, _), label) in rows.iter().zip(numbers) {
        let source = &without_dots(source);
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
    Ok(Source {
        kind: "a list",
        classes,
        items,
        store,
        skipped: 0,
        warnings,
    })
}

/// A path as others write it, so that an image in two lines is seen to be one: `a/b` for `./a//b`.
fn without_dots(path: &str) -> String {
    let start = if path.starts_with('/') { "/" } else { "" };
    let parts = path.split('/').filter(|part| !matches!(*part, "" | "."));
    [start, &parts.collect::<Vec<_>>().join("/")].concat()
}
