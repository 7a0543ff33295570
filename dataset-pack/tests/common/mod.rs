//! What the tests share: small sources, and the program itself.
#![allow(dead_code)]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Mutex;

use assert_cmd::Command;
use dataset_pack::{
    BuildOptions, Built, Dataset, Error, Event, SynthLayout, SynthOptions, build, synth,
};
use tempfile::TempDir;

/// A folder that goes away with the test.
pub fn folder() -> TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

/// Draws three classes of four JPEGs into `out`.
pub fn draw(out: &Path) {
    lay_out(out, SynthLayout::Folders, false);
}

/// Draws three classes of four JPEGs (of CIFAR, six images each of all classes), so laid out.
pub fn lay_out(out: &Path, layout: SynthLayout, odd: bool) {
    let (classes, per_class) = match layout {
        SynthLayout::Cifar10 => (10, 6),
        SynthLayout::Cifar100 => (100, 6),
        _ => (3, 4),
    };
    let seed = 1;
    let options = SynthOptions {
        seed,
        layout,
        odd,
        ..SynthOptions::new(out, classes, per_class)
    };
    synth(&options, &|_| {}).expect("draws");
}

/// Packs at 32×32, five images a shard, with `change` to the options.
pub fn pack(
    source: &Path,
    out: &Path,
    change: impl FnOnce(&mut BuildOptions),
) -> Result<Vec<Built>, Error> {
    let mut options = BuildOptions::new(source, out);
    (options.size, options.shard_images, options.jobs) = (32, 5, 2);
    change(&mut options);
    build(&options, &|_| {})
}

/// A drawn source and the set packed from it, both in one folder.
pub fn packed() -> TempDir {
    let dir = folder();
    draw(&dir.path().join("source"));
    pack(&dir.path().join("source"), &dir.path().join("set"), |_| {}).expect("packs");
    dir
}

/// The program.
pub fn program(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dataset-pack"));
    command.args(arguments);
    command
}

/// Runs the program and returns its exit status, standard output and standard error.
pub fn run(arguments: &[&str]) -> (i32, String, String) {
    let output = program(arguments).output().expect("the program runs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let status = output.status.code().expect("not killed by a signal");
    (status, text(&output.stdout), text(&output.stderr))
}

/// A path as an argument.
pub fn text(path: &Path) -> &str {
    path.to_str().expect("an UTF-8 path")
}

/// Names of the files in a folder, sorted.
pub fn files(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).expect("the folder can be read");
    let name = |e: fs::DirEntry| e.file_name().to_string_lossy().into_owned();
    let mut names: Vec<String> = entries.map(|e| name(e.expect("an entry"))).collect();
    names.sort();
    names
}

/// Changes a file's bytes in place.
pub fn change(path: &Path, edit: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = fs::read(path).expect("the file can be read");
    edit(&mut bytes);
    fs::write(path, bytes).expect("the file can be written");
}

/// The error's one line, checked to be one.
pub fn one_line(error: &impl std::fmt::Display) -> String {
    let text = error.to_string();
    assert_eq!(text.lines().count(), 1, "{text}");
    text
}

/// The pixels of an image.
pub fn pixels_of(set: &Dataset, index: usize) -> Vec<u8> {
    set.image(index).expect("the image is whole")
}

/// Where an image came from.
pub fn source_of(set: &Dataset, index: usize) -> String {
    set.source(index).expect("its record can be read")
}

/// All files of a folder with their content.
pub fn contents(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let read = |name: String| {
        let content = fs::read(folder.join(&name)).expect("the file can be read");
        (name, content)
    };
    files(folder).into_iter().map(read).collect()
}

/// Writes a small JPEG, different for each path, with its folders.
pub fn picture(path: &Path) {
    fs::create_dir_all(path.parent().expect("has a folder")).expect("makes folders");
    let seed = path
        .to_string_lossy()
        .bytes()
        .fold(7u8, |a, b| a.wrapping_mul(31) ^ b);
    let pixel = |x: u32, y: u32| image::Rgb([seed, (x * 9) as u8 ^ seed, (y * 23) as u8]);
    let picture = image::RgbImage::from_fn(16, 12, pixel);
    picture
        .save_with_format(path, image::ImageFormat::Jpeg)
        .expect("saves");
}

/// Writes such pictures below a folder.
pub fn pictures(folder: &Path, names: &[&str]) {
    names.iter().for_each(|name| picture(&folder.join(name)));
}

/// Each image's class by its source.
pub fn labels(set: &Dataset) -> BTreeMap<String, String> {
    let class = |index| set.classes()[set.label(index) as usize].name.clone();
    (0..set.len())
        .map(|index| (source_of(set, index), class(index)))
        .collect()
}

/// The names of the classes, in label order.
pub fn class_names(set: &Dataset) -> Vec<&str> {
    set.classes()
        .iter()
        .map(|class| class.name.as_str())
        .collect()
}

/// Packs a source into a set of its own, and returns it with what was told on the way.
pub fn told(
    source: &Path,
    change: impl FnOnce(&mut BuildOptions),
) -> Result<(Dataset, Vec<String>), Error> {
    let out = folder();
    let mut options = BuildOptions::new(source, out.path().join("set"));
    (options.size, options.jobs) = (16, 1);
    change(&mut options);
    let told = Mutex::new(Vec::new());
    let observer = |event: Event<'_>| {
        if let Event::Warning(text) = event {
            told.lock().expect("is whole").push(text.to_string());
        }
    };
    build(&options, &observer)?;
    let set = Dataset::open(&options.out)?;
    Ok((set, told.into_inner().expect("is whole")))
}
