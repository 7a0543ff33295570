//! Images in memory, which know nothing of files: decoded, resized, cropped, summed up.

mod crop;
pub(crate) mod decode;
pub(crate) mod geometry;
pub(crate) mod memory;
mod resize;
#[cfg(target_arch = "x86_64")]
mod simd;
pub(crate) mod statistics;
mod status;

pub use crop::Crop;
pub use decode::{Damaged, JPEG_DECODER, Rejection};
pub use memory::DEFAULT_MAX_DECODED_BYTES;
pub use resize::Resize;
pub(crate) use resize::Scaler;
pub use statistics::PrincipalComponents;
pub use status::Status;
