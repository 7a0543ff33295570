//! Packs images into checksummed shards, and reads them.
//!
//! - [`fn@build`] makes a set of a folder, an archive or a list: every image decoded, resized and
//!   cropped to one size, in a seeded order, in shards with a versioned header; the index is written
//!   last. What an interrupted run has finished is taken over.
//! - [`merge`] joins parts that were packed apart, [`rebuild_index`] writes a lost index again.
//! - [`Dataset`] opens a set: checked as a whole, any image at any time.
//! - [`verify`] reads every byte of a set and names what is damaged, [`repair`] packs that again.
//! - [`extract`] turns a set back into folders of PNG, [`fn@synth`] draws one to try things out with.
//! - [`atomic`] writes what a program keeps beside a set: whole, or not at all.
//!
//! `FORMAT.md` describes every byte of a set, `README.md` the commands.
//!
//! # Layers
//! From the bottom up: a module uses only those above it in this table, as `tests/layers.rs` checks.
//!
//! | module | what it knows |
//! |---|---|
//! | `error` | the one error type |
//! | `sys` | files that are whole or not there, files in memory, locks |
//! | `pixels` | images in memory: decode, resize, crop, and the sums for mean and covariance |
//! | `shard` | one file of a set: its bytes, its writer, its reader |
//! | `set` | the folder of shards and its index: read, check, finish, merge, extract |
//! | `source` | what there is to pack: folders, archives, lists, labels |
//! | `build` | from a source to a set: options, plan, packing, resuming, repair |
//! | `synth` | drawn images in the layouts that `source` recognises; uses `sys` and `pixels` |
//!
//! The command line, `cli`, belongs to the program and uses what is public here.
//!
//! Packing, an image goes down this road, and training, up the other:
//!
//! ```text
//!   source            bytes of an image, its label                          trainer
//!     │ plan: where it goes                                                    ▲
//!   build ── pixels: decode, resize, sum up ──▶ shard::writer                  │ set::Dataset
//!                                                   │                          │
//!   disk    shard-00000.bin …, then mean.f32, report.jsonl, index.json ──▶ shard::reader
//! ```

mod build;
mod error;
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzzing;
mod pixels;
mod set;
mod shard;
mod source;
mod synth;
mod sys;

pub use build::{
    BuildOptions, Built, Event, Observer, Part, RepairOptions, build, load_image, repair,
};
pub use error::Error;
pub use pixels::{
    Crop, DEFAULT_MAX_DECODED_BYTES, Damaged, JPEG_DECODER, PrincipalComponents, Rejection, Resize,
    Status,
};
pub use set::{Class, Counts, Dataset, Verified, extract, merge, rebuild_index, verify, write_png};
pub use shard::{Action, BadImage, ClassName, MAX_SHARD_IMAGES, MAX_SIZE, Split};
pub use source::devkit_numbers;
pub use synth::{SynthFormat, SynthLayout, SynthOptions, synth};
pub use sys::atomic;
