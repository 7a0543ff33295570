//! Training.

pub mod checkpoint;
pub mod config;
pub mod loader;
pub mod metrics;
pub mod progress;
pub mod random;
pub mod run;
pub mod sampler;
pub mod schedule;
mod stop;
pub mod views;
