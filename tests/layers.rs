//! Which module of the two programs may use which: arrows only go down.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// A package's modules, from the bottom up, and what each may use: only what stands above its line here.
type Layers<'a> = &'a [(&'a str, &'a [&'a str])];

const DATASET_PACK: Layers = &[
    ("error", &[]),
    ("sys", &["error"]),
    ("pixels", &[]),
    ("shard", &["error", "sys", "pixels"]),
    ("set", &["error", "sys", "pixels", "shard"]),
    ("source", &["error", "sys", "pixels", "shard", "set"]),
    (
        "build",
        &["error", "sys", "pixels", "shard", "set", "source"],
    ),
    ("synth", &["error", "sys", "pixels"]),
    ("fuzzing", &["pixels", "shard", "set", "source", "build"]),
    // Of the program, which sees what everybody sees.
    ("cli", &[]),
];

const HOST: Layers = &[
    ("paths", &[]),
    ("atomic", &[]),
    ("schedule", &[]),
    ("metrics", &[]),
    ("ranks", &[]),
    ("device", &[]),
    ("check", &["device"]),
    ("picture", &["atomic", "metrics"]),
    ("net", &["check", "device", "metrics", "ranks", "schedule"]),
    ("data", &["net"]),
    ("index", &["atomic"]),
    ("autoencoder", &["data", "device", "index", "net"]),
    ("evaluate", &["data", "metrics", "net", "ranks"]),
    (
        "formats",
        &["atomic", "data", "device", "net", "ranks", "schedule"],
    ),
    ("model", &["device", "formats", "net"]),
    (
        "train",
        &[
            "atomic", "data", "device", "evaluate", "formats", "metrics", "net", "paths",
            "picture", "ranks", "schedule",
        ],
    ),
    (
        "report",
        &[
            "data", "evaluate", "formats", "metrics", "model", "net", "picture", "train",
        ],
    ),
    (
        "commands",
        &[
            "atomic",
            "autoencoder",
            "check",
            "data",
            "device",
            "evaluate",
            "formats",
            "index",
            "metrics",
            "model",
            "net",
            "paths",
            "picture",
            "ranks",
            "report",
            "train",
        ],
    ),
    ("cli", &["commands", "train"]),
    ("fuzzing", &["formats", "index", "net"]),
];

#[test]
fn arrows_only_go_down() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for (package, layers) in [("dataset-pack", DATASET_PACK), ("host", HOST)] {
        let wrong = wrong_uses(&root.join(package).join("src"), layers);
        assert!(wrong.is_empty(), "{package}: {wrong:#?}");
    }
}

/// Files that use what their module may not.
fn wrong_uses(src: &Path, layers: Layers) -> Vec<String> {
    for (i, (module, may_use)) in layers.iter().enumerate() {
        for used in *may_use {
            let lower = layers[..i].iter().any(|(other, _)| other == used);
            assert!(lower, "{module} may not use {used}, which is no lower");
        }
    }
    let mut seen = BTreeSet::new();
    let mut wrong = Vec::new();
    for file in files(src) {
        let name = file.strip_prefix(src).unwrap();
        let is_root = ["lib.rs", "main.rs"].map(Path::new).contains(&name);
        if is_root || name.extension().is_none_or(|end| end != "rs") {
            continue;
        }
        let path = module_path(name);
        let (_, may_use) = layers
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
    assert_eq!(seen.len(), layers.len(), "only {seen:?} are there");
    wrong
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
