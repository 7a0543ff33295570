//! Packs images into checksummed shards, and reads them.
//!
//! - [`build`] makes a set of a folder, an archive or a list: every image decoded, resized and
//!   cropped to one size, in a seeded order, in shards with a versioned header; the index is written
//!   last. What an interrupted run has finished is taken over.
//! - [`merge`] joins parts that were packed apart, [`rebuild_index`] writes a lost index again.
//! - [`Dataset`] opens a set: checked as a whole, any image at any time.
//! - [`verify`] reads every byte of a set and names what is damaged, [`repair`] packs that again.
//! - [`extract`] turns a set back into folders of PNG, [`synth`] draws one to try things out with.
//!
//! `FORMAT.md` describes every byte of a set, `README.md` the commands.

mod atomic;
mod build;
mod crop;
mod dataset;
mod decode;
mod description;
mod direct;
mod error;
mod events;
mod extract;
mod finish;
mod format;
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzzing;
mod geometry;
mod index;
mod items;
mod lock;
mod map;
mod memory;
mod merge;
mod options;
mod pack;
mod plan;
mod repair;
mod report;
mod resize;
mod run;
mod shard;
mod shard_packer;
mod shard_writer;
#[cfg(target_arch = "x86_64")]
mod simd;
mod source;
mod statistics;
mod synth;
mod verify;

pub use build::build;
pub use crop::Crop;
pub use dataset::Dataset;
pub use description::{ClassName, Damaged, Split};
pub use error::Error;
pub use events::{Event, Observer};
pub use extract::{extract, write_png};
pub use finish::rebuild_index;
pub use format::{MAX_SHARD_IMAGES, MAX_SIZE, Status};
pub use index::{Class, Counts};
pub use merge::merge;
pub use options::{BuildOptions, Part};
pub use pack::{DEFAULT_MAX_DECODED_BYTES, JPEG_DECODER, Rejection, load_image};
pub use repair::{RepairOptions, repair};
pub use report::{Action, BadImage};
pub use resize::Resize;
pub use run::Built;
pub use statistics::PrincipalComponents;
pub use synth::{SynthFormat, SynthLayout, SynthOptions, synth};
pub use verify::{Verified, verify};
