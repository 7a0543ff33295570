//! One shard: its bytes, its writer and its reader.

mod description;
pub(crate) mod format;
mod reader;
pub(crate) mod report;
mod writer;

pub use description::{ClassName, Split};
pub(crate) use description::{Description, hex};
pub use format::{MAX_SHARD_IMAGES, MAX_SIZE};
pub(crate) use reader::{Records, Shard};
pub use report::{Action, BadImage};
pub(crate) use writer::{Packed, ShardWriter};
