//! What is told while packing.

use crate::shard::{BadImage, Split};

/// What happens while packing, for whoever shows it.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// A set is begun.
    Begin {
        /// Its split.
        split: Split,
        /// Images to pack.
        images: usize,
        /// Its classes.
        classes: usize,
    },
    /// This many images are in shards that an earlier run has finished.
    Found(usize),
    /// This many more images were dealt with.
    Advance(usize),
    /// An image could not be packed cleanly.
    Bad(&'a BadImage),
    /// Something else the user may want to know.
    Warning(&'a str),
}

/// Receives the events, in order.
pub type Observer<'a> = &'a (dyn Fn(Event<'_>) + Sync);
