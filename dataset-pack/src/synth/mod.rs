//! `synth`: drawn images to try things out where there are no photographs, in class folders or as
//! a miniature of the archives in which ImageNet and CIFAR come.

mod archives;
mod cifar;
mod draw;
mod mat;
mod odd;

use std::io::Cursor;
use std::path::{Path, PathBuf};

use image::codecs::jpeg::JpegEncoder;
use image::{ImageFormat, RgbImage};
use rayon::prelude::*;

use crate::error::Error;
use crate::sys::atomic;

/// The file type of the drawn images.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum SynthFormat {
    /// JPEG of quality 90.
    #[default]
    Jpeg,
    /// PNG.
    Png,
}

/// How the images are laid out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum SynthLayout {
    /// A folder a class.
    #[default]
    Folders,
    /// ILSVRC-2012: train and val archives, the devkit, and the label files people have.
    Ilsvrc2012,
    /// ILSVRC-2010: train, val and labelled test archives, the devkit.
    Ilsvrc2010,
    /// The 22,000-class release: a tar archive a class.
    Archives,
    /// Images in one folder, and a list of `path<TAB>label` lines.
    List,
    /// The binary files of CIFAR-10; for 10 classes.
    Cifar10,
    /// The binary files of CIFAR-100; for 100 classes.
    Cifar100,
}

/// What to draw.
#[derive(Clone, Debug)]
pub struct SynthOptions {
    /// Where it goes; must be empty or new.
    pub out: PathBuf,
    /// Number of classes.
    pub classes: u32,
    /// Images in each.
    pub per_class: u32,
    /// The same seed draws the same images.
    pub seed: u64,
    /// Their file type.
    pub format: SynthFormat,
    /// How they are laid out.
    pub layout: SynthLayout,
    /// Whether the first class has, besides, every odd file that ImageNet has.
    pub odd: bool,
}

impl SynthOptions {
    /// So many images in class folders.
    pub fn new(out: impl Into<PathBuf>, classes: u32, per_class: u32) -> Self {
        SynthOptions {
            out: out.into(),
            classes,
            per_class,
            seed: 0,
            format: SynthFormat::Jpeg,
            layout: SynthLayout::Folders,
            odd: false,
        }
    }
}

/// A file's name and content.
type Named = (String, Vec<u8>);
type Done<'a> = &'a (dyn Fn(usize) + Sync);

/// Draws the images. `done` is told of images as they are made.
pub fn synth(options: &SynthOptions, done: Done) -> Result<(), Error> {
    atomic::make_empty_folder(&options.out)?;
    match options.layout {
        SynthLayout::Folders => folders(options, done),
        SynthLayout::List => list(options, done),
        SynthLayout::Archives => archives::of_classes(options, done),
        SynthLayout::Ilsvrc2012 => archives::ilsvrc(options, "2012", done),
        SynthLayout::Ilsvrc2010 => archives::ilsvrc(options, "2010", done),
        SynthLayout::Cifar10 => cifar::write(options, 10, done),
        SynthLayout::Cifar100 => cifar::write(options, 100, done),
    }
}

fn folders(options: &SynthOptions, done: Done) -> Result<(), Error> {
    let digits = options.classes.saturating_sub(1).to_string().len();
    for class in 0..options.classes {
        let [shape, texture] = draw::words(class);
        let folder = options
            .out
            .join(format!("{class:0digits$}-{shape}-{texture}"));
        make_folder(&folder)?;
        (0..options.per_class)
            .into_par_iter()
            .try_for_each(|number| {
                let (extension, image) = encode(options, class, number, &folder)?;
                done(1);
                atomic::write_unsynced(&folder.join(format!("{number:05}.{extension}")), &image)
            })?;
        if class == 0 && options.odd {
            write_all(&folder, odd::files("")?)?;
        }
    }
    Ok(())
}

fn list(options: &SynthOptions, done: Done) -> Result<(), Error> {
    let folder = options.out.join("images");
    make_folder(&folder)?;
    let mut lines = String::new();
    for class in 0..options.classes {
        let images = images(
            options,
            class,
            0..options.per_class,
            &format!("{class}-"),
            done,
        )?;
        for (name, _) in &images {
            lines.push_str(&format!(
                "images/{name}\t{}\n",
                draw::words(class).join("-")
            ));
        }
        write_all(&folder, images)?;
    }
    atomic::write_unsynced(&options.out.join("list.tsv"), lines.as_bytes())
}

/// Draws and encodes images of a class, named by `prefix` and their number.
fn images(
    options: &SynthOptions,
    class: u32,
    numbers: std::ops::Range<u32>,
    prefix: &str,
    done: Done,
) -> Result<Vec<Named>, Error> {
    let one = |number| {
        let (_, image) = encode(options, class, number, &options.out)?;
        done(1);
        Ok((format!("{prefix}{number}.JPEG"), image))
    };
    numbers.into_par_iter().map(one).collect()
}

/// One image in its file type, with the extension of that.
fn encode(
    options: &SynthOptions,
    class: u32,
    number: u32,
    path: &Path,
) -> Result<(&'static str, Vec<u8>), Error> {
    let image = draw::draw(class, number, options.seed);
    let encoded = match options.format {
        SynthFormat::Jpeg => ("jpg", to_jpeg(&image)),
        SynthFormat::Png => ("png", to_format(&image.into(), ImageFormat::Png)),
    };
    match encoded {
        (extension, Ok(bytes)) => Ok((extension, bytes)),
        (_, Err(cause)) => Err(Error::io(path, "encode an image for")(
            std::io::Error::other(cause),
        )),
    }
}

fn to_jpeg(image: &RgbImage) -> image::ImageResult<Vec<u8>> {
    let mut bytes = Vec::new();
    image.write_with_encoder(JpegEncoder::new_with_quality(&mut bytes, 90))?;
    Ok(bytes)
}

fn to_format(image: &image::DynamicImage, format: ImageFormat) -> image::ImageResult<Vec<u8>> {
    let mut bytes = Cursor::new(Vec::new());
    image.write_to(&mut bytes, format)?;
    Ok(bytes.into_inner())
}

fn make_folder(path: &Path) -> Result<(), Error> {
    std::fs::create_dir_all(path).map_err(Error::io(path, "make the folder"))
}

fn write_all(folder: &Path, files: Vec<Named>) -> Result<(), Error> {
    let mut files = files.into_iter();
    files.try_for_each(|(name, bytes)| atomic::write_unsynced(&folder.join(name), &bytes))
}
