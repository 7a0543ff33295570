//! `libcuda-loader` defines just the functions that `cust` and `host` want, and the program wants none of a library.

mod common;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

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
    let cust = wanted(&library("cust"));
    assert!(cust.len() > 50, "{cust:?}");
    let mut needed = wanted(&library("host"));
    assert!(needed.contains("cuLaunchKernel"), "{needed:?}");
    needed.extend(cust);
    // Asked for by number where an error is shown.
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
