//! Packs folders of images into checksummed shards, and reads them without copying.
//!
//! - [`build`] makes a set: every image decoded, resized and cropped to one size, in a seeded
//!   order, in shards with a versioned header; the index is written last.
//! - [`Dataset`] opens a set: checked as a whole, mapped, any image at any time.
//! - [`verify`] reads every byte of a set and names what is damaged.
//! - [`extract`] turns a set back into folders of PNG, [`synth`] draws one to try things out with.
//!
//! `FORMAT.md` describes every byte of a set, `README.md` the commands.

mod atomic;
mod build;
mod dataset;
mod decode;
mod error;
mod extract;
mod format;
mod geometry;
mod index;
mod pack;
mod plan;
mod report;
mod resize;
mod run;
mod shard;
mod shard_writer;
mod source;
mod statistics;
mod synth;
mod verify;

pub use build::{BuildOptions, Built, Event, Observer, build};
pub use dataset::Dataset;
pub use error::Error;
pub use extract::{extract, write_png};
pub use format::{MAX_SHARD_IMAGES, MAX_SIZE, Status};
pub use index::{Class, Counts, Split};
pub use pack::{DEFAULT_MAX_PIXELS, JPEG_DECODER, Rejection, load_image};
pub use report::BadImage;
pub use resize::Resize;
pub use statistics::PrincipalComponents;
pub use synth::{SynthFormat, SynthOptions, synth};
pub use verify::{Verified, verify};
