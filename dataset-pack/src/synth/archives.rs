//! Miniatures of the archives in which ImageNet is handed out.

use std::fs::File;
use std::io::BufWriter;
use std::path::Path;

use twox_hash::XxHash3_64;

use super::mat::{self, Synset};
use super::{Done, Named, SynthOptions, draw, images, make_folder, odd};
use crate::error::Error;
use crate::sys::atomic;

/// The synset id of a class. They sort as the classes do.
fn synset(class: u32) -> String {
    format!("n{:08}", 1_440_764 + class * 1_009)
}

/// The number that the devkit gives a class: another order than that of the synset ids.
fn id(class: u32, classes: u32) -> u32 {
    classes - class
}

fn archive(files: &[Named]) -> std::io::Result<Vec<u8>> {
    let mut archive = tar::Builder::new(Vec::new());
    for (name, bytes) in files {
        append(&mut archive, name, bytes)?;
    }
    archive.into_inner()
}

fn append(
    archive: &mut tar::Builder<impl std::io::Write>,
    name: &str,
    bytes: &[u8],
) -> std::io::Result<()> {
    let mut header = tar::Header::new_gnu();
    header.set_size(bytes.len() as u64);
    header.set_mode(0o644);
    archive.append_data(&mut header, name, bytes)
}

/// The archive of one class, with its odd files if it is the first.
fn class_archive(options: &SynthOptions, class: u32, done: Done) -> Result<Vec<u8>, Error> {
    let prefix = format!("{}_", synset(class));
    let mut files = images(options, class, 0..options.per_class, &prefix, done)?;
    if class == 0 && options.odd {
        files.extend(odd::files(&prefix)?);
    }
    archive(&files).map_err(Error::io(&options.out, "write"))
}

/// A tar archive a class, in a folder.
pub(super) fn of_classes(options: &SynthOptions, done: Done) -> Result<(), Error> {
    for class in 0..options.classes {
        let bytes = class_archive(options, class, done)?;
        let path = options.out.join(format!("{}.tar", synset(class)));
        atomic::write_unsynced(&path, &bytes)?;
    }
    Ok(())
}

/// All that the challenge of a year hands out.
pub(super) fn ilsvrc(options: &SynthOptions, year: &str, done: Done) -> Result<(), Error> {
    let out = &options.out;
    let (images, devkit) = match year {
        "2012" => ("img", out.join("ILSVRC2012_devkit_t12/data")),
        _ => ("images", out.join("devkit-1.0/data")),
    };
    train(
        options,
        &out.join(format!("ILSVRC{year}_{images}_train.tar")),
        done,
    )?;
    make_folder(&devkit)?;
    let meta = mat::write(year, &synsets(options.classes));
    atomic::write_unsynced(&devkit.join("meta.mat"), &meta)?;
    let splits: &[(&str, &str)] = match year {
        "2012" => &[("val", "validation")],
        _ => &[("val", "validation"), ("test", "test")],
    };
    for (number, (split, long)) in (1..).zip(splits) {
        let classes = flat_classes(options);
        let path = out.join(format!("ILSVRC{year}_{images}_{split}.tar"));
        // In 2010 they lay in a folder.
        let folder = if year == "2010" {
            format!("{split}/")
        } else {
            String::new()
        };
        let prefix = format!("{folder}ILSVRC{year}_{split}");
        flat(
            options,
            &path,
            &prefix,
            number * options.per_class,
            &classes,
            done,
        )?;
        let truth: String = classes
            .iter()
            .map(|&c| format!("{}\n", id(c, options.classes)))
            .collect();
        let name = format!("ILSVRC{year}_{long}_ground_truth.txt");
        atomic::write_unsynced(&devkit.join(name), truth.as_bytes())?;
        if year == "2012" {
            other_labels(options, &classes)?;
        }
    }
    Ok(())
}

/// The archive of class archives, written as it is made.
fn train(options: &SynthOptions, path: &Path, done: Done) -> Result<(), Error> {
    let write = || -> Result<(), Error> {
        let file = File::create_new(path).map_err(Error::io(path, "write"))?;
        let mut all = tar::Builder::new(BufWriter::new(file));
        for class in 0..options.classes {
            let bytes = class_archive(options, class, done)?;
            let name = format!("{}.tar", synset(class));
            append(&mut all, &name, &bytes).map_err(Error::io(path, "write"))?;
        }
        let mut file = all.into_inner().map_err(Error::io(path, "write"))?;
        std::io::Write::flush(&mut file).map_err(Error::io(path, "write"))
    };
    write()
}

/// The class of each image of a flat split, in an order that no rule gives away.
fn flat_classes(options: &SynthOptions) -> Vec<u32> {
    let images = options.classes * options.per_class.div_ceil(2);
    let mut classes: Vec<u32> = (0..images).map(|image| image % options.classes).collect();
    let mut places: Vec<usize> = (0..classes.len()).collect();
    let hash = |at: &usize| XxHash3_64::oneshot_with_seed(options.seed, &at.to_le_bytes());
    places.sort_by_key(hash);
    classes = places.into_iter().map(|at| classes[at]).collect();
    classes
}

/// An archive of images in no class folders, numbered from 1.
fn flat(
    options: &SynthOptions,
    path: &Path,
    prefix: &str,
    first: u32,
    classes: &[u32],
    done: Done,
) -> Result<(), Error> {
    let mut files = Vec::new();
    for (number, &class) in (1..).zip(classes) {
        // Numbers that the training images do not have.
        let image = first + number;
        let mut drawn = images(options, class, image..image + 1, "", done)?;
        files.extend(
            drawn
                .pop()
                .map(|(_, bytes)| (format!("{prefix}_{number:08}.JPEG"), bytes)),
        );
    }
    let bytes = archive(&files).map_err(Error::io(path, "write"))?;
    atomic::write_unsynced(path, &bytes)
}

/// The classes, and words above them that are none.
fn synsets(classes: u32) -> Vec<Synset> {
    let leaf = |class| Synset {
        id: id(class, classes),
        wnid: synset(class),
        words: draw::words(class).join(", "),
        children: Vec::new(),
    };
    let above = |(number, wnid): (u32, &str)| Synset {
        id: classes + number,
        wnid: wnid.into(),
        words: "something drawn".into(),
        children: (1..=classes).collect(),
    };
    let mut synsets: Vec<Synset> = (0..classes).map(leaf).collect();
    synsets.sort_by_key(|synset| synset.id);
    synsets.extend([(1, "n00000001"), (2, "n99999999")].map(above));
    synsets
}

/// The other files in which people have the labels of 2012's validation set.
fn other_labels(options: &SynthOptions, classes: &[u32]) -> Result<(), Error> {
    let numbered = || (1..).zip(classes);
    let name = |number: u32| format!("ILSVRC2012_val_{number:08}");
    let table = numbered().map(|(n, &c)| format!("{},{} 1 2 3 4 \n", name(n), synset(c)));
    let names = numbered().map(|(n, &c)| format!("{}.JPEG {c}\n", name(n)));
    let in_order = classes.iter().map(|&c| format!("{}\n", synset(c)));
    let list =
        (0..options.classes).map(|c| format!("{} {}\n", synset(c), draw::words(c).join(", ")));
    let table: String = std::iter::once("ImageId,PredictionString\n".into())
        .chain(table)
        .collect();
    for (name, text) in [
        ("LOC_val_solution.csv", table),
        ("LOC_synset_mapping.txt", list.collect()),
        ("val.txt", names.collect()),
        (
            "imagenet_2012_validation_synset_labels.txt",
            in_order.collect(),
        ),
    ] {
        atomic::write_unsynced(&options.out.join(name), text.as_bytes())?;
    }
    Ok(())
}
