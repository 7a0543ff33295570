//! A set: a folder of shards and its index, and all that can be done with these alone.

mod dataset;
mod extract;
pub(crate) mod finish;
pub(crate) mod folder;
pub(crate) mod index;
mod merge;
mod verify;

pub use dataset::Dataset;
pub use extract::{extract, write_png};
pub use finish::rebuild_index;
pub use index::{Class, Counts};
pub use merge::merge;
pub(crate) use verify::Done;
pub use verify::{Verified, verify};
