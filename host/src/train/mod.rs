//! Training.

pub mod loader;
pub mod checkpoint;
pub mod config;
pub mod metrics;
pub mod random;
pub mod sampler;
pub mod schedule;
pub mod views;
