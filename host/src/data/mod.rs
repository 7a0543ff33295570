//! Batches: which image comes when, what the network sees of it, and how it gets there.

pub mod files;
pub mod loader;
pub mod random;
pub mod sampler;
pub mod views;
