//! Which module may use which: arrows only go down.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Every module of the crate, from the bottom up, and what it may use: only what stands above its line here.
const LAYERS: [(&str, &[&str]); 15] = [
    ("paths", &[]),
    ("atomic", &[]),
    ("schedule", &[]),
    ("metrics", &[]),
    ("device", &[]),
    ("check", &["device"]),
    ("picture", &["atomic", "metrics"]),
    ("net", &["check", "device", "schedule"]),
    ("data", &["net"]),
    ("evaluate", &["data", "metrics", "net"]),
    ("formats", &["atomic", "data", "device", "net", "schedule"]),
    ("model", &["device", "formats", "net"]),
    (
        "train",
        &[
            "atomic", "data", "device", "evaluate", "formats", "metrics", "net", "paths",
            "picture", "schedule",
        ],
    ),
    (
        "commands",
        &[
            "check", "data", "device", "evaluate", "formats", "metrics", "model", "net", "paths",
            "picture", "train",
        ],
    ),
    ("cli", &["commands", "train"]),
];

#[test]
fn arrows_only_go_down() {
    for (i, (module, may_use)) in LAYERS.iter().enumerate() {
        for used in *may_use {
            let lower = LAYERS[..i].iter().any(|(other, _)| other == used);
            assert!(lower, "{module} may not use {used}, which is no lower");
        }
    }
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut seen = BTreeSet::new();
    let mut wrong = Vec::new();
    for file in files(&src) {
        let name = file.strip_prefix(&src).unwrap();
        if ["lib.rs", "main.rs"].map(Path::new).contains(&name) {
            continue;
        }
        let path = module_path(name);
        let (_, may_use) = LAYERS
            .iter()
            .find(|(module, _)| *module == path[0])
            .unwrap_or_else(|| panic!("{}: the module stands in no layer", path[0]));
        seen.insert(path[0].clone());
        for used in used(&fs::read_to_string(&file).unwrap(), path.len()) {
            if used != path[0] && !may_use.contains(&&*used) {
                wrong.push(format!("{}: uses {used}", name.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert_eq!(seen.len(), LAYERS.len(), "only {seen:?} are there");
}

#[test]
fn imports_are_found_however_they_are_written() {
    let text = "
        use crate::{alpha, beta::{self, inner}, gamma::*};
        use crate::delta as other;
        pub(in crate::epsilon) fn f() -> crate::zeta::Eta { super::super::theta::iota() }
        // crate::comment and super::super::comment
        use super::sibling;
        fn g(super_here: u8) {}
    ";
    let all = [
        "alpha", "beta", "delta", "epsilon", "gamma", "theta", "zeta",
    ];
    assert_eq!(Vec::from_iter(used(text, 2)), all);
    assert!(!used(text, 3).contains("theta") && used(text, 1).contains("sibling"));
    // A module inside the file is one deeper.
    assert!(used("mod tests {\n use super::*;\n use super::super::x;\n}", 1).contains("x"));
    assert!(!used("mod tests {\n use super::x;\n}", 1).contains("x"));
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let paths = fs::read_dir(folder).unwrap().map(|e| e.unwrap().path());
    let files = paths.flat_map(|path| match path.is_dir() {
        true => files(&path),
        false => vec![path],
    });
    files.collect()
}

/// `net/spec/read.rs` is `[net, spec, read]`, `net/mod.rs` is `[net]`.
fn module_path(file: &Path) -> Vec<String> {
    let file = file.with_extension("");
    let parts = file.iter().map(|part| part.to_str().unwrap().to_owned());
    parts.filter(|part| part != "mod").collect()
}

/// The crate's modules that a file uses which is `depth` modules deep.
fn used(text: &str, depth: usize) -> BTreeSet<String> {
    let code = text.lines().filter(|line| !line.trim().starts_with("//"));
    let code = code.collect::<Vec<_>>().join("\n");
    let (own, inner) = code.split_once("mod tests {").unwrap_or((&code, ""));
    let up = |depth| "super::".repeat(depth);
    let mut found = BTreeSet::new();
    for (text, from) in [
        (&*code, "crate::"),
        (own, &up(depth)),
        (inner, &up(depth + 1)),
    ] {
        for (at, _) in text.match_indices(from) {
            first_names(&text[at + from.len()..], &mut found);
        }
    }
    found
}

/// The first name of a path, or of each path of a group.
fn first_names(text: &str, found: &mut BTreeSet<String>) {
    let name = |text: &str| -> String {
        let text = text.trim_start();
        text.chars()
            .take_while(|c| c.is_alphanumeric() || *c == '_')
            .collect()
    };
    let Some(group) = text.strip_prefix('{') else {
        found.extend(Some(name(text)).filter(|name| !name.is_empty() && name != "super"));
        return;
    };
    let (mut depth, mut begin) = (0, 0);
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth > 0 => depth -= 1,
            '}' | ',' if depth == 0 => {
                found.extend(Some(name(&group[begin..at])).filter(|name| !name.is_empty()));
                begin = at + 1;
            }
            _ => {}
        }
        if c == '}' && depth == 0 && begin == at + 1 {
            break;
        }
    }
}
