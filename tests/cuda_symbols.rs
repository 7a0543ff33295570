//! `libcuda-loader` defines just the functions that `cust` can call and those that `host` calls by itself, and the
//! program wants none of a library.

mod common;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use object::read::archive::ArchiveFile;
use object::{Object, ObjectSymbol};

/// The newest build of a crate's library.
fn library(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("the test's own path");
    let folder = test.parent().expect("a folder");
    let prefix = format!("lib{name}-");
    let is_it = |path: &Path| {
        let file = path
            .file_name()
            .and_then(|name| name.to_str())
            .unwrap_or("");
        file.starts_with(&prefix) && file.ends_with(".rlib")
    };
    let files = fs::read_dir(folder)
        .expect("a folder")
        .filter_map(|entry| Some(entry.ok()?.path()));
    let newest = files
        .filter(|path| is_it(path))
        .max_by_key(|path| fs::metadata(path).and_then(|data| data.modified()).ok());
    newest.unwrap_or_else(|| panic!("{name} is not built; run `cargo test --workspace`"))
}

/// Whether a symbol is one of the driver's functions.
fn is_cuda(name: &str) -> bool {
    name.strip_prefix("cu")
        .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_uppercase()))
}

/// The driver's functions that a library of Rust wants from elsewhere.
fn wanted(library: &Path) -> BTreeSet<String> {
    let bytes = fs::read(library).expect("a library");
    let archive = ArchiveFile::parse(&*bytes).expect("an archive");
    let mut names = BTreeSet::new();
    for member in archive.members() {
        let data = member
            .and_then(|member| member.data(&*bytes))
            .expect("a member");
        // The metadata is no object file.
        let Ok(file) = object::File::parse(data) else {
            continue;
        };
        let undefined = file.symbols().filter(|symbol| symbol.is_undefined());
        let of_cuda = undefined.filter_map(|symbol| {
            symbol
                .name()
                .ok()
                .filter(|name| is_cuda(name))
                .map(str::to_owned)
        });
        names.extend(of_cuda);
    }
    names
}

/// The folder of a dependency's sources.
fn sources(name: &str) -> PathBuf {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["metadata", "--format-version", "1", "--offline"]);
    // What other platforms need is not there.
    cargo.args(["--filter-platform", "x86_64-unknown-linux-gnu"]);
    cargo.current_dir(env!("CARGO_MANIFEST_DIR"));
    let output = cargo.output().expect("cargo");
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}");
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let packages = metadata["packages"].as_array().expect("packages");
    let package = packages.iter().find(|package| package["name"] == name);
    let manifest = package.and_then(|package| package["manifest_path"].as_str());
    let manifest = Path::new(manifest.expect("the dependency"));
    manifest.with_file_name("src")
}

/// The driver's functions that code in a folder names with arguments.
fn named(folder: &Path) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            names.extend(named(&path));
            continue;
        }
        let text = fs::read_to_string(&path).expect("a source");
        let code = text.lines().filter(|l| !l.trim_start().starts_with("//"));
        for line in code {
            let words = line.split_inclusive(|c: char| !c.is_ascii_alphanumeric() && c != '_');
            let functions = words.filter_map(|word| word.strip_suffix('('));
            names.extend(functions.filter(|name| is_cuda(name)).map(str::to_owned));
        }
    }
    names
}

#[test]
fn the_table_is_what_the_linker_needs() {
    let table: BTreeSet<String> = libcuda_loader::FUNCTIONS
        .iter()
        .map(|name| name.to_string())
        .collect();
    assert_eq!(
        table.len(),
        libcuda_loader::FUNCTIONS.len(),
        "a name stands twice"
    );
    let cust = named(&sources("cust"));
    assert!(cust.is_superset(&wanted(&library("cust"))));
    let declared = named(&sources("cust_raw"));
    let mut needed: BTreeSet<String> = cust.intersection(&declared).cloned().collect();
    assert!(needed.len() > 100, "{needed:?}");
    let host = wanted(&library("host"));
    assert!(host.contains("cuLaunchKernel"), "{host:?}");
    needed.extend(host);
    // Asked for by name where an error is shown.
    needed.extend(["cuGetErrorName".to_owned()]);
    assert_eq!(table, needed);
}

#[test]
fn the_program_wants_no_library_of_cuda() {
    let path = common::program("host").get_program().to_owned();
    let bytes = fs::read(path).expect("the program");
    let file = object::File::parse(&*bytes).expect("an executable");
    let cuda: Vec<_> = file
        .dynamic_symbols()
        .filter(|symbol| symbol.is_undefined())
        .filter_map(|symbol| symbol.name().ok().map(str::to_owned))
        .filter(|name| is_cuda(name))
        .collect();
    assert!(cuda.is_empty(), "{cuda:?}");
    assert!(file.dynamic_symbols().any(|symbol| symbol.is_undefined()));
}
