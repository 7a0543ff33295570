//! A private copy of the toy crates.

use ptx_builder::{Built, Error, PtxBuilder};
use std::fs;
use std::path::{Path, PathBuf};

pub struct Toy {
    pub dir: PathBuf,
}

impl Toy {
    /// Each test has its own place, the same in every run, so that dependencies stay compiled.
    pub fn new(test: &str) -> Self {
        let dir = Path::new(env!("CARGO_TARGET_TMPDIR"))
            .join("toys")
            .join(test);
        copy(
            &Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixture"),
            &dir,
        );
        Self { dir }
    }

    #[allow(dead_code)]
    pub fn try_build(&self, set: impl Fn(PtxBuilder) -> PtxBuilder) -> Result<Built, Error> {
        let builder = PtxBuilder::new(self.dir.join("kernels"))
            .cache_dir(cache())
            .out_dir(self.dir.join("out"));
        set(builder).build()
    }

    #[allow(dead_code)]
    pub fn build(&self, set: impl Fn(PtxBuilder) -> PtxBuilder) -> Built {
        self.try_build(set)
            .unwrap_or_else(|error| panic!("needs rust-src and the registry's libm: {error}"))
    }

    /// A compiler that is a shell script.
    #[cfg(unix)]
    #[allow(dead_code)]
    pub fn compiler(&self, script: &str) -> PathBuf {
        use std::os::unix::fs::PermissionsExt;
        let path = self.dir.join("rustc");
        fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    pub fn edit(&self, file: &str, from: &str, to: &str) {
        let path = self.dir.join(file);
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains(from), "{file} has no {from:?}");
        fs::write(path, text.replace(from, to)).unwrap();
    }
}

/// Shared by all tests and kept, so that `core` is compiled once.
pub fn cache() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("cache")
}

pub fn entry(kernel: &str) -> String {
    format!(".visible .entry {kernel}(")
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}
