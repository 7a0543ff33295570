//! The files that hold a network's numbers, and the names these have there.

pub mod caffe;
pub mod checkpoint;
pub mod first_weights;
pub mod npz;
pub mod onnx;
pub mod pth;
pub mod pytorch;
pub mod state;
pub mod tensorboard;
pub mod tensors;
pub mod training;
pub mod weights;
