//! Who is told of a run's events: one file each.

pub mod display;
pub mod log;
pub mod pictures;
pub mod screen;
pub mod tensorboard;
