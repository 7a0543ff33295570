//! The layers of `src/lib.rs`: a module uses only those it stands on.

use std::path::Path;

/// A module, and what it may use besides itself.
const MAY_USE: [(&str, &[&str]); 10] = [
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

#[test]
fn a_module_uses_only_those_it_stands_on() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut met = Vec::new();
    for entry in walkdir::WalkDir::new(&src) {
        let entry = entry.expect("the sources are there");
        let path = entry.path().strip_prefix(&src).expect("is within");
        let module = path.iter().next().map(Path::new);
        let module = module.and_then(|module| module.file_stem()?.to_str());
        let source = path.extension().is_some_and(|end| end == "rs");
        let Some(module) = module.filter(|module| source && !["lib", "main"].contains(module))
        else {
            continue;
        };
        let rule = MAY_USE.iter().find(|(name, _)| *name == module);
        let (_, allowed) = rule.unwrap_or_else(|| panic!("{module} is in no layer"));
        let text = std::fs::read_to_string(entry.path()).expect("can be read");
        for used in text.split("crate::").skip(1) {
            let end = used.find(|c: char| !c.is_alphanumeric() && c != '_');
            let used = &used[..end.unwrap_or(used.len())];
            let fine = used == module || allowed.contains(&used);
            assert!(fine, "{}: uses crate::{used}", path.display());
        }
        met.push(module.to_string());
    }
    for (module, _) in MAY_USE {
        assert!(met.iter().any(|m| m == module), "there is no {module}");
    }
}
