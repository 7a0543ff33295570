//! Where the stand-in lies.

use std::fs;
use std::path::PathBuf;

/// The newest that cargo built for these tests: `PROFILE` has it after `cargo build`, `PROFILE/deps` after `cargo test`,
/// since cargo 1.100 a folder of its own under `PROFILE/build`.
pub fn stand_in() -> PathBuf {
    let name = libloading::library_filename("cuda_stand_in");
    let test = std::env::current_exe().expect("the test's own path");
    let profile = test
        .ancestors()
        .skip(1)
        .find(|folder| folder.join("build").is_dir())
        .expect("a test runs in a target folder");
    let own = fs::read_dir(profile.join("build/cuda-stand-in"));
    let own = own.into_iter().flatten().flatten();
    own.map(|entry| entry.path().join("out"))
        .chain([profile.to_path_buf(), profile.join("deps")])
        .map(|folder| folder.join(&name))
        .filter_map(|path| Some((fs::metadata(&path).ok()?.modified().ok()?, path)))
        .max()
        .unwrap_or_else(|| panic!("{name:?} is not built; run `cargo test --workspace`"))
        .1
}
