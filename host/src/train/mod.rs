//! Training.

pub mod best;
pub mod checkpoint;
pub mod config;
pub mod loader;
mod lock;
pub mod metrics;
pub mod progress;
pub mod random;
pub mod run;
pub mod sampler;
pub mod schedule;
pub mod settings;
mod setup;
mod stop;
pub mod views;
