//! Trains and tests AlexNet, its layers split over the paper's two towers, on GPUs or on the CPU.
//!
//! From the bottom up; a module uses only those before it (`tests/layers.rs` says which):
//!
//! | module | what |
//! |---|---|
//! | [`paths`], [`atomic`] | names as they are shown; files, whole or not at all |
//! | [`metrics`] | loss and errors, and their file |
//! | [`schedule`] | how the learning rate falls |
//! | [`ranks`] | the programs of a job that train one network |
//! | [`device`] | GPUs and virtual GPUs |
//! | [`check`] | a kernel on two devices, compared |
//! | [`picture`] | curves, filters, predictions, saliency and neighbours as PNG |
//! | [`net`] | the network: as it is written down, as it is built, and as it runs |
//! | [`data`] | batches |
//! | [`index`] | the features of a set in one file, and the nearest of them |
//! | [`autoencoder`] | short binary codes for them |
//! | [`evaluate`] | how well it does on a set |
//! | [`formats`] | its numbers in files: checkpoints, and PyTorch's, Caffe's, NumPy's and ONNX's |
//! | [`model`] | a trained network on its devices |
//! | [`train`] | settings, the training loop, who is told of it |
//! | [`report`] | runs as an HTML page |
//! | [`commands`], [`cli`] | the commands: options, what they do, reports |

pub mod atomic;
pub mod autoencoder;
pub mod check;
pub mod cli;
pub mod commands;
pub mod data;
pub mod device;
pub mod evaluate;
pub mod formats;
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzzing;
pub mod index;
pub mod metrics;
pub mod model;
pub mod net;
pub mod paths;
pub mod picture;
pub mod ranks;
pub mod report;
pub mod schedule;
pub mod train;
