//! Trains and tests AlexNet, its layers split over the paper's two towers, on GPUs or on the CPU.
//!
//! From the bottom up; a module uses only those before it (`tests/layering.rs` says which):
//!
//! | module | what |
//! |---|---|
//! | [`atomic`], [`tensors`], [`metrics`] | the files: whole or not at all, safetensors, metrics.jsonl |
//! | [`schedule`] | how the learning rate falls |
//! | [`device`] | GPUs and virtual GPUs |
//! | [`check`] | a kernel on two devices, compared |
//! | [`picture`] | curves and filters as PNG |
//! | [`net`] | the network: as it is written down, as it is built, and as it runs |
//! | [`export`], [`state`] | its numbers, as PyTorch names them and as a checkpoint does |
//! | [`data`] | batches |
//! | [`evaluate`] | how well it does on a set |
//! | [`train`] | settings, the training loop, checkpoints |
//! | [`model`] | a trained network on its devices |
//! | [`cli`], [`commands`] | the commands: their options and what they do |

pub mod atomic;
pub mod check;
pub mod cli;
pub mod commands;
pub mod data;
pub mod device;
pub mod evaluate;
pub mod export;
pub mod metrics;
pub mod model;
pub mod net;
pub mod picture;
pub mod schedule;
pub mod state;
pub mod tensors;
pub mod train;
