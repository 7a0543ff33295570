//! Which part of an image is kept: the shorter side becomes `size`, the longer
//! `floor(size·longer/shorter)`, and the centre `size`×`size` square is cut out at
//! `floor((n − size)/2)`.

/// The square that is cut out, in coordinates of the source image.
///
/// Resampling this box straight to `size`×`size` is the same as resizing the whole image and
/// cropping it, and does not compute the pixels that would be cut away.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CropBox {
    /// Left edge in source pixels.
    pub left: f64,
    /// Top edge in source pixels.
    pub top: f64,
    /// Width in source pixels.
    pub width: f64,
    /// Height in source pixels.
    pub height: f64,
}

/// Width and height of the whole image once its shorter side is `size`.
///
/// # Panics
/// If `width` or `height` is zero.
pub fn resized(width: u32, height: u32, size: usize) -> (u64, u64) {
    let shorter = u64::from(width.min(height));
    assert!(shorter > 0, "an image has at least one pixel");
    // The shorter side comes out as `size` exactly, so one formula serves both.
    let scaled = |side: u32| size as u64 * u64::from(side) / shorter;
    (scaled(width), scaled(height))
}

/// The source box of the centre crop.
///
/// # Panics
/// If `width` or `height` is zero.
pub fn crop_box(width: u32, height: u32, size: usize) -> CropBox {
    let (resized_width, resized_height) = resized(width, height, size);
    let (left, crop_width) = crop_side(width, resized_width, size);
    let (top, crop_height) = crop_side(height, resized_height, size);
    CropBox {
        left,
        top,
        width: crop_width,
        height: crop_height,
    }
}

/// Start and length of the crop along one side of the source.
fn crop_side(side: u32, resized: u64, size: usize) -> (f64, f64) {
    let offset = (resized - size as u64) / 2;
    let scale = |n: u64| n as f64 * f64::from(side) / resized as f64;
    (scale(offset), scale(size as u64))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn known_sizes() {
        assert_eq!(resized(500, 375, 256), (341, 256));
        assert_eq!(resized(375, 500, 256), (256, 341));
        assert_eq!(resized(1, 3, 256), (256, 768));
        // Offset floor((341 − 256)/2) = 42.
        let crop = crop_box(500, 375, 256);
        assert_eq!((crop.top, crop.height), (0.0, 375.0));
        assert_eq!(crop.left, 42.0 * 500.0 / 341.0);
        let untouched = CropBox {
            left: 0.0,
            top: 0.0,
            width: 256.0,
            height: 256.0,
        };
        assert_eq!(crop_box(256, 256, 256), untouched);
    }

    proptest! {
        #[test]
        fn the_box_lies_within_the_image(
            width in 1u32..20_000, height in 1u32..20_000, size in 1usize..1024,
        ) {
            let crop = crop_box(width, height, size);
            prop_assert!(crop.left >= 0.0 && crop.top >= 0.0);
            prop_assert!(crop.width > 0.0 && crop.height > 0.0);
            prop_assert!(crop.left + crop.width <= f64::from(width) * (1.0 + 1e-12));
            prop_assert!(crop.top + crop.height <= f64::from(height) * (1.0 + 1e-12));
        }

        #[test]
        fn the_shorter_side_is_size_and_the_longer_is_floored(
            width in 1u32..20_000, height in 1u32..20_000, size in 1usize..1024,
        ) {
            let (w, h) = resized(width, height, size);
            let (long, short) = (u64::from(width.max(height)), u64::from(width.min(height)));
            prop_assert_eq!(w.min(h), size as u64);
            let longer = w.max(h);
            // longer = floor(size·long/short), checked by multiplication.
            prop_assert!(longer * short <= size as u64 * long);
            prop_assert!((longer + 1) * short > size as u64 * long);
        }

        #[test]
        fn the_crop_is_centred_but_for_the_rounding(
            width in 1u32..20_000, height in 1u32..20_000, size in 1usize..1024,
        ) {
            let crop = crop_box(width, height, size);
            let (resized_width, _) = resized(width, height, size);
            let right = f64::from(width) - crop.left - crop.width;
            let one_pixel = f64::from(width) / resized_width as f64;
            prop_assert!(right - crop.left > -1e-6 && right - crop.left < one_pixel + 1e-6);
        }
    }
}
