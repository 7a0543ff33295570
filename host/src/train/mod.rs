//! Training.

pub mod best;
pub mod checkpoint;
pub mod config;
mod lock;
pub mod progress;
pub mod run;
pub mod settings;
mod setup;
mod stop;
