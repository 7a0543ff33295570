//! Arguments, and a function for each command.

mod commands;
mod describe;
mod launcher;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use dataset_pack::{
    BuildOptions, DEFAULT_MAX_DECODED_BYTES, Damaged, MAX_SHARD_IMAGES, MAX_SIZE, Part,
    RepairOptions, Resize, Split, SynthFormat, SynthLayout, SynthOptions,
};

/// Pack images into checksummed shards for a trainer, and check and read them.
#[derive(Parser)]
#[command(version, arg_required_else_help = true)]
#[command(
    after_help = "Example:\n  dataset-pack synth --out drawn --classes 6 --per-class 100\n  \
    dataset-pack build --source drawn --out packed --val-fraction 0.2\n\n\
    Exit status: 0 done, 1 failed, 2 wrong usage. Results go to standard output, \
    all else to standard error. What standard error does not take is left out; a result that \
    cannot be written is a failure, unless whoever reads it has seen enough."
)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
    /// Leave out progress and warnings: standard error gets errors only
    #[arg(long, global = true)]
    quiet: bool,
}

#[derive(Subcommand)]
enum Command {
    Build(Build),
    Merge(Merge),
    RebuildIndex(RebuildIndex),
    Verify(Verify),
    Info(Info),
    Inspect(Inspect),
    Extract(Extract),
    Synth(Synth),
}

/// Pack class folders, archives, flat images with a ground truth, a list, or CIFAR's files.
///
/// SOURCE is recognised by looking at it:
///   - a folder of class folders, or of a tar archive a class, or both;
///   - a tar archive of such (ILSVRC's train archive, the 22,000-class release), never unpacked, or
///     a folder in one: data.tar/train;
///   - flat images in a folder or archive, whose labels --truth or their names' synsets tell;
///   - images with their labels beside them, as WebDataset has them: KEY.jpg and KEY.cls;
///   - a text file of path<TAB>label lines or another table, paths relative to it;
///   - a folder with the binary files of CIFAR-10 or CIFAR-100.
///
/// Labels follow the byte order of the class names, unless --labels gives another. Each image is
/// resized so that its shorter side is SIZE, and its centre square is kept. Transparency goes onto
/// white; EXIF orientation is not applied; of an animation the first frame is taken. What is not
/// packed cleanly is listed in OUT/report.jsonl.
///
/// The same source and options give the same bytes for any number of jobs and parts. After an
/// interruption, the same command goes on where it was.
#[derive(Args)]
#[command(
    after_help = "Example:\n  dataset-pack build --source photos --out packed/train --split train\n  \
    dataset-pack build --source photos --out packed --val-fraction 0.2"
)]
struct Build {
    /// Folder, tar archive, folder in a tar archive, or list
    #[arg(long, value_name = "PATH")]
    source: PathBuf,
    /// Folder for the set; must not hold another one
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Which part of the data this is; `train` gets a mean image and a covariance
    #[arg(long, value_enum, default_value_t, conflicts_with = "val_fraction")]
    split: Split,
    /// Classes in label order: a list with one name a line (after a synset's id, words for it), a
    /// devkit's meta.mat, or a packed set [default: the classes found, in byte order]
    #[arg(long, value_name = "FILE")]
    labels: Option<PathBuf>,
    /// Labels of flat images: a devkit's folder or ground truth (with its meta.mat beside it),
    /// a table of names and classes such as LOC_val_solution.csv, or a class a line for image 1, 2, …
    #[arg(long, value_name = "FILE")]
    truth: Option<PathBuf>,
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
    /// What to do with images cut short or broken: `keep` packs what can be decoded of a JPEG
    #[arg(long, value_enum, default_value_t)]
    damaged: Damaged,
    /// Images that may be rejected, or kept although damaged, before packing fails
    #[arg(long, value_name = "N", default_value_t = 100)]
    max_bad: usize,
    /// Make two sets, OUT/train and OUT/val, with this share of each class in val
    #[arg(long, value_name = "F", value_parser = fraction)]
    val_fraction: Option<f64>,
    /// Pack only the shards of one of N parts, to be joined by `merge`; `auto` asks the launcher (mpirun, srun) which, and
    /// packs it into OUT/part-I
    #[arg(long, value_name = "I/N|auto", value_parser = part, default_value = "1/1")]
    part: PartOf,
    /// Images that take more bytes than this once decoded are rejected
    #[arg(long, value_name = "N", default_value_t = DEFAULT_MAX_DECODED_BYTES)]
    max_decoded_bytes: u64,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
}

/// Join the parts of a set that were packed with --part.
///
/// Shards on the same file system as OUT are linked, others copied.
#[derive(Args)]
#[command(after_help = "Example:\n  dataset-pack merge part-1 part-2 --out sets/train")]
struct Merge {
    /// Folders of the parts
    #[arg(required = true, value_name = "PART_DIR")]
    parts: Vec<PathBuf>,
    /// Folder for the set
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
}

/// Write index, mean image and report of a set again from its shards.
#[derive(Args)]
#[command(after_help = "Example:\n  dataset-pack rebuild-index sets/train")]
struct RebuildIndex {
    /// Folder of the set
    dir: PathBuf,
}

/// Check every checksum, count and header of a set.
///
/// Exits with 1 if anything is damaged and names it. With --repair, packs damaged and missing
/// shards again from the source first; the options of the build are known from the set.
#[derive(Args)]
#[command(after_help = "Example:\n  dataset-pack verify packed/train\n  \
    dataset-pack verify packed/train --repair --source photos")]
struct Verify {
    /// Folder of the set
    dir: PathBuf,
    /// Pack what is damaged again
    #[arg(long, requires = "source")]
    repair: bool,
    /// The source that the set was packed from
    #[arg(long, value_name = "PATH", requires = "repair")]
    source: Option<PathBuf>,
    /// The ground truth that it was packed with
    #[arg(long, value_name = "FILE", requires = "repair")]
    truth: Option<PathBuf>,
    /// Threads for packing; 0 for one a core
    #[arg(long, value_name = "N", default_value_t = 0)]
    jobs: usize,
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

/// Draw images for trying things out: in class folders, or as a miniature ImageNet or CIFAR.
#[derive(Args)]
#[command(
    after_help = "Example:\n  dataset-pack synth --out drawn --classes 10 --per-class 100 --seed 1\n  \
    dataset-pack synth --out imagenet --layout ilsvrc2012 --odd --classes 8 --per-class 20"
)]
struct Synth {
    /// New or empty folder for the images
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
    /// How the images are laid out
    #[arg(long, value_enum, default_value_t)]
    layout: SynthLayout,
    /// Put every odd file that ImageNet has into the first class: CMYK, truncated, empty, …
    #[arg(long)]
    odd: bool,
}

fn fraction(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(f) if f > 0.0 && f < 1.0 => Ok(f),
        _ => Err("must lie between 0 and 1".into()),
    }
}

/// Which part to pack, and whether its folder is named after it.
#[derive(Clone, Copy, Debug)]
struct PartOf {
    part: Part,
    named: bool,
}

impl PartOf {
    fn folder(self, out: PathBuf) -> PathBuf {
        match self.named {
            true => out.join(format!("part-{}", self.part.index + 1)),
            false => out,
        }
    }
}

fn part(text: &str) -> Result<PartOf, String> {
    if text == "auto" {
        let part = launcher::part()?;
        let named = part != Part::WHOLE;
        return Ok(PartOf { part, named });
    }
    let numbers = text
        .split_once('/')
        .map(|(index, count)| (index.parse(), count.parse()));
    match numbers {
        Some((Ok(index), Ok(count))) if (1..=count).contains(&index) => {
            let index: u32 = index;
            let part = Part {
                index: index - 1,
                count,
            };
            Ok(PartOf { part, named: false })
        }
        _ => Err("must be I/N with I from 1 to N, or auto".into()),
    }
}

impl Build {
    fn options(self) -> BuildOptions {
        BuildOptions {
            source: self.source,
            out: self.part.folder(self.out),
            split: self.split,
            labels: self.labels,
            truth: self.truth,
            size: self.size,
            resize: self.resize,
            shard_images: self.shard_images as usize,
            jobs: self.jobs,
            seed: self.seed,
            damaged: self.damaged,
            max_bad: self.max_bad,
            part: self.part.part,
            val_fraction: self.val_fraction,
            max_decoded_bytes: self.max_decoded_bytes,
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
            layout,
            odd,
        } = self;
        SynthOptions {
            out,
            classes,
            per_class,
            seed,
            format,
            layout,
            odd,
        }
    }
}

/// Runs a command. The exit code of success is the command's to choose.
pub(crate) fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    console::hush(arguments.quiet);
    match arguments.command {
        Command::Build(a) => commands::build(a.json, &a.options()),
        Command::Merge(a) => commands::merge(&a.parts, &a.out, a.json),
        Command::RebuildIndex(a) => commands::rebuild_index(&a.dir),
        Command::Verify(Verify {
            dir: set,
            source: Some(source),
            truth,
            jobs,
            json,
            ..
        }) => commands::repair(
            &RepairOptions {
                set,
                source,
                truth,
                jobs,
            },
            json,
        ),
        Command::Verify(a) => commands::verify(&a.dir, a.json),
        Command::Info(a) => commands::info(&a.dir, a.json),
        Command::Inspect(a) => commands::inspect(&a.dir, a.index, a.png.as_deref(), a.json),
        Command::Extract(a) => commands::extract(&a.dir, &a.out),
        Command::Synth(a) => commands::synth(&a.options()),
    }
}
