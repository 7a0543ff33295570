//! Which part of an image is kept: the shorter side becomes `size`, the longer
//! `floor(size·longer/shorter)`, and the centre `size`×`size` square is cut out at
//! `floor((n − size)/2)`.

use std::ops::Range;

/// One side of an image: its length, and what is kept of it.
///
/// Resampling just the part that is kept is the same as resizing the whole image and cropping it,
/// and does not compute the pixels that would be cut away.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Side {
    /// Pixels in the source.
    pub(crate) source: u32,
    /// Pixels once the image is resized.
    pub(crate) resized: u64,
    /// The first of those that are kept.
    pub(crate) offset: u64,
    /// How many are kept.
    pub(crate) kept: usize,
}

impl Side {
    /// Source pixels to a pixel of the resized image.
    pub(crate) fn step(self) -> f64 {
        f64::from(self.source) / self.resized as f64
    }

    /// Where a place, in pixels of what is kept, lies in the source.
    pub(crate) fn at(self, place: f64) -> f64 {
        (self.offset as f64 + place) * self.step()
    }

    /// All source pixels that either resize rule may look at, and some more.
    pub(crate) fn touched(self) -> Range<u32> {
        let reach = self.step().max(1.0) + 2.0;
        let end = self.at(self.kept as f64) + reach;
        // Casts saturate.
        (self.at(0.0) - reach) as u32..(end.ceil() as u32).min(self.source)
    }
}

/// Across and down.
///
/// # Panics
/// If `width` or `height` is zero.
pub(crate) fn sides(width: u32, height: u32, size: usize) -> [Side; 2] {
    let shorter = u64::from(width.min(height));
    assert!(shorter > 0, "an image has at least one pixel");
    [width, height].map(|source| {
        // The shorter side comes out as `size` exactly, so one formula serves both.
        let resized = size as u64 * u64::from(source) / shorter;
        let offset = (resized - size as u64) / 2;
        Side {
            source,
            resized,
            offset,
            kept: size,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn known_sizes() {
        let side = |source, resized, offset| Side {
            source,
            resized,
            offset,
            kept: 256,
        };
        // Offset floor((341 − 256)/2) = 42.
        assert_eq!(
            sides(500, 375, 256),
            [side(500, 341, 42), side(375, 256, 0)]
        );
        assert_eq!(
            sides(375, 500, 256),
            [side(375, 256, 0), side(500, 341, 42)]
        );
        assert_eq!(sides(1, 3, 256), [side(1, 256, 0), side(3, 768, 256)]);
        assert_eq!(sides(256, 256, 256), [side(256, 256, 0); 2]);
    }

    proptest! {
        #[test]
        fn the_shorter_side_is_size_and_the_longer_is_floored(
            width in 1u32..20_000, height in 1u32..20_000, size in 1usize..1024,
        ) {
            let [w, h] = sides(width, height, size).map(|side| side.resized);
            let (long, short) = (u64::from(width.max(height)), u64::from(width.min(height)));
            prop_assert_eq!(w.min(h), size as u64);
            let longer = w.max(h);
            // longer = floor(size·long/short), checked by multiplication.
            prop_assert!(longer * short <= size as u64 * long);
            prop_assert!((longer + 1) * short > size as u64 * long);
        }

        #[test]
        fn what_is_kept_lies_within_the_image_and_in_its_middle_but_for_rounding(
            width in 1u32..20_000, height in 1u32..20_000, size in 1usize..1024,
        ) {
            for side in sides(width, height, size) {
                prop_assert_eq!(side.kept, size);
                let (before, kept) = (side.offset, size as u64);
                let after = side.resized - before - kept;
                prop_assert!(after == before || after == before + 1);
                prop_assert!(side.at(kept as f64) <= f64::from(side.source) * (1.0 + 1e-12));
            }
        }
    }
}
