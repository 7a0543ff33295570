//! Arguments, and a function for each command.

mod commands;
mod describe;
mod progress;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use dataset_pack::{
    BuildOptions, DEFAULT_MAX_PIXELS, MAX_SHARD_IMAGES, MAX_SIZE, Resize, Split, SynthFormat,
    SynthOptions,
};

/// Pack folders of images into checksummed shards that a trainer can map, and check and read them.
#[derive(Parser)]
#[command(version, arg_required_else_help = true)]
#[command(
    after_help = "Example:\n  dataset-pack synth --out drawn --classes 6 --per-class 100\n  \
    dataset-pack build --source drawn --out packed --val-fraction 0.2\n\n\
    Exit status: 0 done, 1 failed, 2 wrong usage. Results go to standard output, \
    all else to standard error."
)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Build(Build),
    Verify(Verify),
    Info(Info),
    Inspect(Inspect),
    Extract(Extract),
    Synth(Synth),
}

/// Pack a folder of class folders.
///
/// The classes are the folders directly under SOURCE; images are found at any depth below them
/// and told by their content. Each is resized so that its shorter side is SIZE, and its centre
/// square is kept. Transparency goes onto white; EXIF orientation is not applied; of an animation
/// the first frame is taken. Images that cannot be packed are listed in OUT/report.jsonl.
///
/// The same source and options give the same bytes for any number of jobs.
#[derive(Args)]
#[command(
    after_help = "Example:\n  dataset-pack build --source photos --out packed/train --split train\n  \
    dataset-pack build --source photos --out packed --val-fraction 0.2"
)]
struct Build {
    /// Folder of class folders
    #[arg(long, value_name = "PATH")]
    source: PathBuf,
    /// Folder for the set; must not hold a finished one
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Which part of the data this is; `train` gets a mean image and a covariance
    #[arg(long, value_enum, default_value_t, conflicts_with = "val_fraction")]
    split: Split,
    /// Class list, one name a line, to give every split the same labels [default: the class
    /// folders in byte order]
    #[arg(long, value_name = "FILE")]
    labels: Option<PathBuf>,
    /// Width and height of the packed images
    #[arg(long, default_value_t = 256, value_parser = clap::value_parser!(u32).range(1..=i64::from(MAX_SIZE)))]
    size: u32,
    /// Antialiased bilinear, or area when shrinking and cubic when enlarging as in 2012
    #[arg(long, value_enum, default_value_t)]
    resize: Resize,
    /// Images in a shard
    #[arg(long, value_name = "N", default_value_t = 4096, value_parser = clap::value_parser!(u64).range(1..=MAX_SHARD_IMAGES))]
    shard_images: u64,
    /// Threads; 0 for one a core
    #[arg(long, value_name = "N", default_value_t = 0)]
    jobs: usize,
    /// Key of the packing order and of what is held out
    #[arg(long, value_name = "S", default_value_t = 0)]
    seed: u64,
    /// Bad images a set may have before packing fails
    #[arg(long, value_name = "N", default_value_t = 100)]
    max_bad: usize,
    /// Make two sets, OUT/train and OUT/val, with this share of each class in val
    #[arg(long, value_name = "F", value_parser = fraction)]
    val_fraction: Option<f64>,
    /// Images of more pixels than this are rejected before they are decoded
    #[arg(long, value_name = "N", default_value_t = DEFAULT_MAX_PIXELS)]
    max_pixels: u64,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
}

/// Check every checksum, count and header of a set.
///
/// Exits with 1 if anything is damaged and names it.
#[derive(Args)]
#[command(after_help = "Example:\n  dataset-pack verify packed/train")]
struct Verify {
    /// Folder of the set
    dir: PathBuf,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
}

/// Show counts, classes, sizes, resize rule, mean and principal components of a set.
#[derive(Args)]
#[command(after_help = "Example:\n  dataset-pack info packed/train")]
struct Info {
    /// Folder of the set
    dir: PathBuf,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
}

/// Show one image of a set: label, class, source file, status.
#[derive(Args)]
#[command(after_help = "Example:\n  dataset-pack inspect packed/train --index 0 --png first.png")]
struct Inspect {
    /// Folder of the set
    dir: PathBuf,
    /// Number of the image, from zero
    #[arg(long, value_name = "I")]
    index: usize,
    /// Write its pixels to this file
    #[arg(long, value_name = "FILE")]
    png: Option<PathBuf>,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
}

/// Turn a set back into class folders of PNG.
#[derive(Args)]
#[command(after_help = "Example:\n  dataset-pack extract packed/train --out images")]
struct Extract {
    /// Folder of the set
    dir: PathBuf,
    /// New or empty folder for the class folders
    #[arg(long, value_name = "FOLDER")]
    out: PathBuf,
}

/// Draw images in class folders, for trying things out.
#[derive(Args)]
#[command(
    after_help = "Example:\n  dataset-pack synth --out drawn --classes 10 --per-class 100 --seed 1"
)]
struct Synth {
    /// New or empty folder for the class folders
    #[arg(long, value_name = "FOLDER")]
    out: PathBuf,
    /// Number of classes
    #[arg(long, value_name = "C", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    classes: u32,
    /// Images in each class
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    per_class: u32,
    /// The same seed draws the same images
    #[arg(long, value_name = "S", default_value_t = 0)]
    seed: u64,
    /// File type
    #[arg(long, value_enum, default_value_t)]
    format: SynthFormat,
}

fn fraction(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(f) if f > 0.0 && f < 1.0 => Ok(f),
        _ => Err("must lie between 0 and 1".into()),
    }
}

impl Build {
    fn options(self) -> BuildOptions {
        BuildOptions {
            source: self.source,
            out: self.out,
            split: self.split,
            labels: self.labels,
            size: self.size,
            resize: self.resize,
            shard_images: self.shard_images as usize,
            jobs: self.jobs,
            seed: self.seed,
            max_bad: self.max_bad,
            val_fraction: self.val_fraction,
            max_pixels: self.max_pixels,
        }
    }
}

impl Synth {
    fn options(self) -> SynthOptions {
        let Synth {
            out,
            classes,
            per_class,
            seed,
            format,
        } = self;
        SynthOptions {
            out,
            classes,
            per_class,
            seed,
            format,
        }
    }
}

/// Runs a command. The exit code of success is the command's to choose.
pub(crate) fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    match arguments.command {
        Command::Build(a) => commands::build(a.json, &a.options()),
        Command::Verify(a) => commands::verify(&a.dir, a.json),
        Command::Info(a) => commands::info(&a.dir, a.json),
        Command::Inspect(a) => commands::inspect(&a.dir, a.index, a.png.as_deref(), a.json),
        Command::Extract(a) => commands::extract(&a.dir, &a.out),
        Command::Synth(a) => commands::synth(&a.options()),
    }
}
