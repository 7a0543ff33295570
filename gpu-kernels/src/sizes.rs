//! What sizes a kernel cannot have.

use core::fmt;

/// A size that breaks a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadSize {
    /// The rule, as a sentence: "images must be a multiple of 32".
    pub rule: &'static str,
    /// The size there is.
    pub have: u64,
}

impl fmt::Display for BadSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, but there are {}", self.rule, self.have)
    }
}

impl core::error::Error for BadSize {}

/// An error unless `rule` is `kept` by a size of which there are `have`.
pub const fn keep(kept: bool, rule: &'static str, have: u64) -> Result<(), BadSize> {
    if kept {
        Ok(())
    } else {
        Err(BadSize { rule, have })
    }
}

/// The product, or the largest number where it is larger.
pub(crate) const fn product(factors: &[u32]) -> usize {
    let mut product = 1usize;
    let mut i = 0;
    while i < factors.len() {
        product = product.saturating_mul(factors[i] as usize);
        i += 1;
    }
    product
}

/// Every buffer of a kernel that counts in 32 bits is shorter than this.
pub(crate) const LIMIT: u64 = 1 << 31;

/// The images of a batch that is counted in floats: 2²⁴ of them are no longer told apart.
#[cfg(all(not(target_arch = "nvptx64"), not(feature = "rust-cuda")))]
pub(crate) fn batch(images: usize) -> Result<u32, BadSize> {
    let rule = "images must be a multiple of 32 and fewer than 2²⁴";
    let fits = images.is_multiple_of(32) && images < 1 << 24;
    keep(fits, rule, images as u64).map(|()| images as u32)
}
