//! Trains and tests AlexNet, its layers split over the paper's two towers, on GPUs or on the CPU.

pub mod atomic;
pub mod check;
pub mod cli;
pub mod commands;
pub mod device;
pub mod evaluate;
pub mod export;
pub mod model;
pub mod net;
pub mod picture;
pub mod tensors;
pub mod train;
