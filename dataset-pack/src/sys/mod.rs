//! What is asked of the operating system: files that are whole or not there, files in memory, locks.

pub mod atomic;
pub(crate) mod direct;
mod lock;
mod map;

pub(crate) use lock::FolderLock;
pub(crate) use map::Map;
